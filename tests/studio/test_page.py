"""The built page in headless Chromium, on a real training: what it asks for happens there."""

import contextlib
import shutil
import time
from importlib.resources import files

import pytest

import byway

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
# A renderer in software; and nothing is asked of the network.
FLAGS = [
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WAIT = 60
BUILT = (files("byway.studio") / "page" / "index.html").is_file()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
    pytest.mark.skipif(not BUILT, reason="needs the page: make studio"),
]
HIDDEN, FIRST = 6, 64


@pytest.fixture(scope="module")
def task():
    return byway.task("digits")


@contextlib.contextmanager
def shown(task, tmp_path, *rules, size=(1366, 768), scheme="light"):
    """A training, and its page."""
    from playwright.sync_api import sync_playwright

    net = byway.mlp(task.input_shape, HIDDEN, task.outputs)
    named = [byway.rule(name) for name in rules or ("dfa",)]
    watched = byway.watch(net, named, task, paused=True, epochs=500, out=tmp_path / "out")
    with watched as studio, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        view = {"width": size[0], "height": size[1]}
        context = browser.new_context(viewport=view, color_scheme=scheme)
        tab = context.new_page()
        problems = []
        tab.on("pageerror", lambda problem: problems.append(str(problem)))
        tab.goto(studio.address)
        until(lambda: tab.evaluate("window.studio ? window.studio.frames : 0") > 3)
        yield tab
        assert problems == []
        browser.close()


def until(wanted):
    end = time.monotonic() + WAIT
    while not wanted():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def state(tab):
    return tab.evaluate("JSON.parse(JSON.stringify(window.studio.state))")


def test_keys_reach_the_training(task, tmp_path):
    with shown(task, tmp_path) as tab:
        tab.locator("canvas").first.focus()
        tab.keyboard.press("s")
        until(lambda: state(tab)["update"] == 1)
        tab.keyboard.press(" ")
        until(lambda: state(tab)["running"] and state(tab)["update"] > 5)
        tab.keyboard.press(" ")
        until(lambda: not state(tab)["running"])
        tab.keyboard.press("ArrowRight")
        until(lambda: len(state(tab)["selected"]) == 1)
        tab.keyboard.press("Escape")
        until(lambda: state(tab)["selected"] == [])
        tab.keyboard.press("2")
        until(lambda: state(tab)["colour"] == "potential")


def test_a_reload_and_a_second_client_see_the_same_run(task, tmp_path):
    with shown(task, tmp_path) as tab:
        tab.locator("canvas").first.focus()
        tab.keyboard.press("s")
        until(lambda: state(tab)["update"] == 1)
        other = tab.context.new_page()
        other.goto(tab.url)
        until(lambda: other.evaluate("window.studio ? window.studio.bundles : 0") > 0)
        until(lambda: state(other)["update"] == 1)
        until(lambda: state(tab)["clients"] == 2)
        other.close()
        tab.reload()
        until(lambda: tab.evaluate("window.studio ? window.studio.bundles : 0") > 0)
        until(lambda: state(tab)["update"] == 1)


@pytest.mark.parametrize(
    ("size", "scheme"), [((1366, 768), "light"), ((820, 1180), "dark"), ((2560, 1440), "dark")]
)
def test_axe_finds_nothing_wrong(task, tmp_path, size, scheme):
    axe = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    with shown(task, tmp_path, "bp", "dfa", size=size, scheme=scheme) as tab:
        tab.evaluate(axe)  # by the debugger, which the page's policy does not bind
        found = tab.evaluate("axe.run()")
        assert len(found["passes"]) > 5
        assert [
            (one["id"], [n["html"][:200] for n in one["nodes"]]) for one in found["violations"]
        ] == []


def test_it_loads_nothing_from_elsewhere(task, tmp_path):
    asked = []
    with shown(task, tmp_path) as tab:
        tab.on("request", lambda request: asked.append(request.url))
        tab.reload()
        until(lambda: tab.evaluate("window.studio ? window.studio.frames : 0") > 3)
        own = tab.url.partition("?")[0]
    assert asked and all(url.startswith(own) for url in asked)
