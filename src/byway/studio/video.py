"""A moving picture of a recording: the page plays it in a browser that nobody sees."""

import importlib
import io
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from byway.core.errors import ConfigError, RunError, not_installed
from byway.studio.watching import server

# What it needs, and where Chromium is looked for before playwright's own is.
NEEDED = (("playwright.sync_api", "playwright"), ("PIL.Image", "pillow"))
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# It draws without a graphics card.
FLAGS = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist")
# Pixels; pictures a second; the most of them: a longer recording runs faster; and colours of each.
SIZE, RATE, MOST, COLOURS = (960, 640), 10, 150, 256
# How long the page may take to open, and to draw a picture [ms].
PATIENCE = 60_000


def film(
    recording: Path, out: Path, theme: str = "light", told: Callable[[int, int], None] | None = None
) -> None:
    """Write a GIF of a recording.

    Args:
        recording: the recording.
        out: the file, which appears when all of it is there.
        theme: light or dark.
        told: called after each picture with its number, from 1, and how many there are.

    Raises:
        ConfigError: the file is no GIF, or what this needs is not installed.
        RunError: the page shows no recording, or the file cannot be written.
    """
    if out.suffix != ".gif":
        raise ConfigError(f"--video {out}", "a file that ends in .gif", "name it NAME.gif")
    for module, package in NEEDED:
        try:
            importlib.import_module(module)
        except ImportError:
            raise not_installed(package, "video") from None
    serving = server(None, recording)
    serving.start()
    try:
        _write(_pictures(serving.address + f"#film&theme={theme}", told), out)
    finally:
        serving.stop()


def _pictures(address: str, told: Callable[[int, int], None] | None) -> Iterator[Any]:
    """What the page shows, evenly over the recording."""
    from PIL import Image
    from playwright.sync_api import Error, sync_playwright

    with sync_playwright() as playwright:
        found = next(filter(None, map(shutil.which, BROWSERS)), None)
        try:
            browser = playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        except Error as problem:
            raise ConfigError(
                "no Chromium that starts",
                "one, which draws the pictures",
                "install it by 'playwright install chromium', or as your system does",
            ) from problem
        try:
            page = browser.new_page(
                viewport={"width": SIZE[0], "height": SIZE[1]}, reduced_motion="reduce"
            )
            page.set_default_timeout(PATIENCE)
            page.goto(address)
            page.locator("canvas.canvas, [role=alert]").first.wait_for()
            seconds = page.evaluate("window.studio.duration")
            if page.locator("[role=alert]").count():
                said = page.locator("[role=alert]").inner_text()
                raise RunError(f"the page shows no recording: {said}", "one", "name another")
            many = int(np.clip(seconds * RATE + 1, 1, MOST))
            for number, time in enumerate(np.linspace(0, seconds, many), 1):
                page.evaluate("time => window.studio.seek(time)", float(time))
                with Image.open(io.BytesIO(page.screenshot())) as picture:
                    # The colours that are furthest from all others: none that stands out is lost.
                    how = Image.Quantize.MAXCOVERAGE
                    yield picture.convert("RGB").quantize(COLOURS, how, dither=Image.Dither.NONE)
                if told is not None:
                    told(number, many)
        except Error as problem:
            raise RunError(
                f"the page was not drawn: {str(problem).splitlines()[0]}",
                "a browser that draws it",
                "try again, or another Chromium",
            ) from problem
        finally:
            browser.close()


def _write(pictures: Iterator[Any], out: Path) -> None:
    first, *rest = pictures
    new = out.with_name(f".{out.name}.new")
    how = {"save_all": True, "append_images": rest, "duration": 1000 // RATE, "loop": 0}
    try:
        first.save(new, format="GIF", **how)
        os.replace(new, out)
    except OSError as problem:
        new.unlink(missing_ok=True)
        raise RunError(
            f"{out} cannot be written: {problem.strerror}", "a file for the film", "name another"
        ) from problem
