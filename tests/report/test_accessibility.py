"""The report by axe-core in headless Chromium: light and dark, wide and narrow; and small enough to
be sent around.
"""

import json
import re
import shutil
import subprocess
from importlib.resources import files

import pytest

from byway.report.page import write_page
from byway.runs.folder import read

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)
ASKS = """
axe.run().then(found => {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches
  const said = {wrong: found.violations, right: found.passes.length, dark}
  document.body.textContent = "FOUND" + JSON.stringify(said) + "END"
})
"""
DARK, LIGHT = 0, 1


def page(folder):
    return write_page(read(folder), folder / "report.html")


def violations(page, scheme, width, tmp_path):
    """What axe finds wrong with a page, with the elements."""
    axe = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    probed = tmp_path / f"probed-{scheme}-{width}.html"
    scripts = f"<script>{axe}</script><script>{ASKS}</script></body>"
    probed.write_text(
        page.read_text(encoding="utf-8").replace("</body>", scripts), encoding="utf-8"
    )
    options = [
        f"--user-data-dir={tmp_path / 'profile'}",
        f"--blink-settings=preferredColorScheme={scheme}",
        f"--window-size={width},1000",
    ]
    command = [
        CHROMIUM,
        *FLAGS.split(),
        *options,
        "--virtual-time-budget=30000",
        "--dump-dom",
        probed.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    said = re.search("FOUND(.*)END", done.stdout, re.DOTALL)
    assert said, done.stderr[-2000:]
    found = json.loads(said[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    assert found["right"] > 5, "axe hardly looked"
    assert found["dark"] == (scheme == DARK)
    return [
        (v["id"], v["impact"], [node["html"][:200] for node in v["nodes"]][:3])
        for v in found["wrong"]
    ]


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
@pytest.mark.parametrize(
    ("scheme", "width"),
    [
        (LIGHT, 1200),
        (DARK, 500),
        pytest.param(LIGHT, 500, marks=pytest.mark.slow),
        pytest.param(DARK, 1200, marks=pytest.mark.slow),
    ],
)
def test_axe_finds_nothing_wrong(with_classes, scheme, width, tmp_path):
    assert violations(page(with_classes), scheme, width, tmp_path) == []


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
def test_axe_would_find_grey_on_grey(tmp_path):
    (tmp_path / "bad.html").write_text(
        "<html lang=en><title>x</title><body><main><h1 "
        "style='color:#ccc;background:#ddd'>faint</h1></main></body></html>"
    )
    assert "color-contrast" in [
        name for name, *_ in violations(tmp_path / "bad.html", LIGHT, 800, tmp_path)
    ]


@pytest.mark.slow
def test_the_page_stays_below_three_megabytes(with_classes):
    assert page(with_classes).stat().st_size < 3_000_000
