"""The docs as they were built: nothing is fetched from elsewhere, nothing is cut off at any width.

`make docs` builds them and runs this; without that there is nothing to look at.
"""

import os
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from byway.audit.page import cells
from byway.rules import RULES

SITE = Path(os.environ.get("BYWAY_SITE", "")).absolute()
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif("BYWAY_SITE" not in os.environ, reason="'make docs' runs this")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")

WIDTHS = (360, 768, 1280)  # a telephone, a tablet, a computer [pixel]
# Text that a reader can't reach: outside of the window, or of a box that hides what is too large.
# What is meant for listeners alone (MathML beside its picture) is hidden on purpose.
CLIPPED = """() => {
  const found = []
  const skipped = ".katex-mathml, .visually-hidden, dialog, .headerlink, .copybtn, script, style"
  const walker = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT)
  for (let text; (text = walker.nextNode()); ) {
    const holder = text.parentElement
    if (!text.data.trim() || holder.closest(skipped) || !holder.checkVisibility()) continue
    const range = document.createRange()
    range.selectNodeContents(text)
    const box = range.getBoundingClientRect()
    if (!box.width) continue
    const lost = text.data.trim()
    let outer = holder, scrolls = false
    for (; outer && outer !== document.body; outer = outer.parentElement) {
      const style = getComputedStyle(outer)
      if (holder.namespaceURI.endsWith("svg")) break
      if (["hidden", "clip"].includes(style.overflowX) || style.textOverflow === "ellipsis") {
        const edge = outer.getBoundingClientRect()
        if (box.right > edge.right + 1 || box.left < edge.left - 1) found.push(lost)
      }
      if (style.overflowX === "auto" || style.overflowX === "scroll") {
        const edge = outer.getBoundingClientRect()
        const right = box.right - edge.left + outer.scrollLeft
        if (right > outer.scrollWidth + 1) found.push(lost)
        if (box.bottom > edge.bottom + 2 && style.overflowY === "hidden") found.push(lost)
        scrolls = true
        break
      }
    }
    if (!scrolls && (box.right > innerWidth + 1 || box.left < -1)) found.push(lost)
  }
  if (document.documentElement.scrollWidth > innerWidth) found.push("the page itself")
  return found.slice(0, 5)
}"""


class Addresses(HTMLParser):
    """What a page has the browser fetch: of links only those to styles, fonts and icons."""

    def __init__(self):
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag in ("script", "img", "iframe", "source", "video", "link"):
            self.found += [given[name] for name in ("src", "href", "srcset") if given.get(name)]


def pages():
    return sorted(page for page in SITE.rglob("*.html") if "_static" not in page.parts)


def test_nothing_is_fetched_from_elsewhere():
    assert len(pages()) > 60
    for page in pages():
        reader = Addresses()
        reader.feed(page.read_text(encoding="utf-8"))
        away = [a for a in reader.found if re.match(r"(https?:)?//", a)]
        assert not away, f"{page} fetches {away}"


def test_styles_and_scripts_fetch_nothing_from_elsewhere():
    for style in SITE.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        assert not re.search(r"(@import|url\()\s*[\"']?\s*(https?:)?//", text), style


def test_formulas_are_typeset_with_fonts_of_the_site():
    page = (SITE / "reference/rules/dtp.html").read_text(encoding="utf-8")
    assert page.count('class="katex"') > 10
    assert "katex-error" not in page
    style = SITE / "_static/katex/katex.min.css"
    fonts = re.findall(r"url\((fonts/[\w-]+\.woff2)\)", style.read_text(encoding="utf-8"))
    assert len(fonts) >= 20
    assert all((style.parent / font).is_file() for font in fonts)


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@needs_chromium
def test_nothing_is_cut_off(browser):
    tab, found = browser.new_page(), {}
    for page in pages():
        if page.name in ("search.html", "genindex.html", "py-modindex.html"):
            continue
        tab.goto(page.as_uri())
        for width in WIDTHS:
            tab.set_viewport_size({"width": width, "height": 900})
            if cut := tab.evaluate(CLIPPED):
                found[f"{page.relative_to(SITE)} at {width}"] = cut
    tab.close()
    assert not found


@needs_chromium
def test_the_table_of_rules_can_be_filtered(browser):
    """The rules that are left are those whose claims say so."""
    tab = browser.new_page()
    tab.goto((SITE / "reference/rules.html").as_uri())
    tab.get_by_role("group", name="transport").get_by_label("no", exact=True).check()
    tab.get_by_role("group", name="derivative").get_by_label("no", exact=True).check()
    tab.get_by_role("group", name="signal").get_by_label("loss", exact=True).check()
    tab.get_by_role("group", name="signal").get_by_label("reward", exact=True).check()
    left = tab.locator(".all-rules tbody tr:visible td:first-child").all_inner_texts()
    claims = {name: RULES.get(name)().claims for name in RULES.ids()}
    wanted = [
        name
        for name, c in claims.items()
        if c.transport == c.derivative == "no" and c.signal & {"loss", "reward"}
    ]
    assert [name.strip() for name in left] == wanted
    assert len(wanted) < len(claims)
    tab.get_by_role("searchbox").fill("reward")
    assert tab.locator(".all-rules tbody tr:visible").count() < len(wanted)
    tab.close()


@needs_chromium
def test_without_scripts_the_table_is_whole(browser):
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto((SITE / "reference/rules.html").as_uri())
    rows = tab.locator(".all-rules tbody tr").all_inner_texts()
    assert len(rows) == len(RULES.ids())
    for name, row in zip(RULES.ids(), rows, strict=True):
        shown = re.split(r"\s*\t\s*", row.strip())
        assert shown[0] == name
        assert shown[2:8] == cells(RULES.get(name)().claims)[:6]
    context.close()
