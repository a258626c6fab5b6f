"""Makes the README's picture from the report of a run: `python docs/pictures.py [runs/demo]`, after
`make demo`; needs Chromium.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PICTURE = Path(__file__).parent / "images" / "report.png"
WIDTH, HEIGHT = 1165, 1800  # the answer, the table, the differences and the first curves [pixel]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def shoot(page: Path, picture: Path, width: int = WIDTH, height: int = HEIGHT) -> None:
    """Render the top of a page, in light colours, to a PNG.

    Args:
        page: an HTML file.
        picture: the PNG to write.
        width: of the window [pixel].
        height: of the window [pixel].
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.exit(
            f"no browser was found\n  wanted: one of {', '.join(BROWSERS)}\n  do: install Chromium"
        )
    if not page.is_file():
        sys.exit(
            f"{page} does not exist\n  wanted: the page of a run\n  do: make demo, or name the "
            "folder of another run"
        )
    # Where root runs a browser, as in a container, its own sandbox does not start.
    root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory() as folder:
        shot = Path(folder) / "shot.png"
        flags = [
            "--headless",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--window-size={width},{height}",
            f"--screenshot={shot}",
        ]
        done = subprocess.run(
            [browser, *root, *flags, page.resolve().as_uri()],
            capture_output=True,
            text=True,
            check=False,
        )
        if not shot.is_file():
            sys.exit(
                f"{browser} made no picture: {done.stderr.strip()[-300:]}\n  wanted: a PNG\n  do: "
                "run it by hand"
            )
        shutil.copyfile(shot, picture)


if __name__ == "__main__":
    run = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/demo")
    shoot(run / "report.html", PICTURE)
    print(f"{PICTURE} from {run / 'report.html'}")
