"""The built page: where it lies, and how it is put beside a recording for any web server."""

import json
import shutil
from importlib.resources import files
from pathlib import Path

from byway.core.errors import RunError

# The address that it is served at unless another is named: this machine alone.
HERE = "127.0.0.1"
# What tells the page what it shows; and the recording beside it.
MODE, RECORDING = "studio.json", "recording.bywayrec"


def page() -> Path:
    """The folder of the built page.

    Raises:
        RunError: it was not built.
    """
    folder = Path(str(files("byway.studio") / "page"))
    if not (folder / "index.html").is_file():
        raise RunError(
            "the studio without its page",
            "the page that an installed Byway brings along",
            "build it in a clone with 'make studio'",
        )
    return folder


def exported(recording: Path, folder: Path) -> None:
    """Write a folder that plays a recording, with nothing of Python left in it.

    Args:
        recording: the recording.
        folder: made if it is not there; what it holds by the same names is replaced.

    Raises:
        RunError: the page was not built, or the folder cannot be written.
    """
    try:
        shutil.copytree(page(), folder, dirs_exist_ok=True)
        shutil.copyfile(recording, folder / RECORDING)
        said = {"mode": "replay", "file": RECORDING}
        (folder / MODE).write_text(json.dumps(said), encoding="utf-8")
    except OSError as problem:
        raise RunError(
            f"{folder} cannot be written: {problem}", "a folder for the page", "name another"
        ) from problem
