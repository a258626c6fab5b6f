"""Makes the pictures of the README and of the first page from the report of a run, light and dark:
`python docs/pictures.py [runs/demo]`, after `make demo`; needs Chromium.
"""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

IMAGES = Path(__file__).parent / "images"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
MARGIN = 16  # around what is shown [pixel]
# By file: width of the window [pixel], pixels of the picture for each of its pixels, and the first
# and the last element that are shown.
SHOTS = {
    "report": (1165, 1.0, "header", "figure.forest"),
    "gallery/curves": (640, 1.5, "#learning", "section[aria-labelledby=learning] figure >> nth=0"),
    "gallery/microscope": (
        640,
        1.5,
        "#angle",
        "section[aria-labelledby=microscope] .small >> nth=0",
    ),
    "gallery/audit": (780, 1.3, "#audit", "section[aria-labelledby=audit] .scroll >> nth=0"),
}


def shoot(page: Page, first: str, last: str, picture: Path) -> None:
    """Show a part of a page, from one element to another, as a PNG.

    Args:
        page: what a browser shows.
        first: the selector of the element that it begins with.
        last: the one that it ends with.
        picture: the file to write.
    """
    top, bottom = (page.locator(selector).bounding_box() for selector in (first, last))
    if top is None or bottom is None:
        sys.exit(f"the page has no {first} or {last}\n  wanted: the report of a comparison")
    edge = max(top["y"] - MARGIN, 0)
    width = page.viewport_size["width"] if page.viewport_size else 0
    box = {"x": 0, "y": edge, "width": width, "height": bottom["y"] + bottom["height"] - edge}
    picture.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=picture, full_page=True, clip={**box, "height": box["height"] + MARGIN})


def main(run: Path) -> None:
    """All pictures, from the report in the folder of a run."""
    report = run / "report.html"
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.exit(f"no browser was found\n  wanted: {', '.join(BROWSERS)}\n  do: install Chromium")
    if not report.is_file():
        sys.exit(f"{report} does not exist\n  wanted: the report of a run\n  do: make demo")
    with sync_playwright() as started:
        # Where root runs a browser, as in a container, its own sandbox does not start.
        chromium = started.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        for scheme, mark in (("light", ""), ("dark", "-dark")):
            for name, (width, scale, first, last) in SHOTS.items():
                size = {"width": width, "height": 900}
                context = chromium.new_context(
                    viewport=size, device_scale_factor=scale, color_scheme=scheme
                )
                page = context.new_page()
                page.goto(report.resolve().as_uri())
                shoot(page, first, last, IMAGES / f"{name}{mark}.png")
                context.close()
        chromium.close()
    print(f"{2 * len(SHOTS)} pictures in {IMAGES} from {report}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/demo"))
