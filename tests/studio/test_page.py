"""The built page in headless Chromium, on a real training: what it asks for happens there."""

import contextlib
import shutil
import subprocess
import sys
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path

import jax
import numpy as np
import pytest
from tests.wait import WAIT, until

import byway
from byway.experiment.experiment import Experiment
from byway.studio.commands import Command
from byway.studio.frames import bundle, decode
from byway.studio.recording import HEAD, MAGIC, VERSION, _packed
from byway.studio.recording import read as records
from byway.studio.steered import Steered
from byway.studio.watching import server

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


@pytest.fixture(scope="module")
def launched():
    """Starts browsers."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield partial(playwright.chromium.launch, executable_path=CHROMIUM)


@pytest.fixture(scope="module")
def browser(launched):
    one = launched(args=FLAGS)
    yield one
    one.close()


@contextlib.contextmanager
def trained(task, folder, *rules, net=None, growth=(), **given):
    """A training that waits to be told to run, and what serves it."""
    net = byway.mlp(task.input_shape, HIDDEN, task.outputs) if net is None else net
    options = {"epochs": 500, "lr": 0.01, "growth": [byway.growth(name) for name in growth]}
    named = {name: byway.rule(name) for name in rules or ("dfa",)}
    experiment = Experiment(named, lambda *_: net, task, options)
    simulation = Steered(experiment, folder, paused=True, **given)
    serving = server(simulation)
    serving.start()
    simulation.start()
    try:
        yield simulation, serving.address
    finally:
        serving.stop()
        simulation.stop()


@contextlib.contextmanager
def opened(browser, address, size=(1366, 768), scheme="light", **given):
    """A page, on which nothing goes wrong."""
    view = {"width": size[0], "height": size[1]}
    context = browser.new_context(viewport=view, color_scheme=scheme, **given)
    tab = context.new_page()
    problems = []
    tab.on("pageerror", lambda problem: problems.append(str(problem)))
    tab.goto(address)
    until(lambda: tab.evaluate("window.studio ? window.studio.frames : 0") > 3)
    yield tab
    assert problems == []
    context.close()


@contextlib.contextmanager
def shown(browser, task, tmp_path, *rules, size=(1366, 768), scheme="light"):
    """A training, and its page."""
    with (
        trained(task, tmp_path / "out", *rules) as (_, address),
        opened(browser, address, size, scheme) as tab,
    ):
        yield tab


def becomes(read, wanted):
    until(lambda: read() == wanted)


def state(tab):
    return tab.evaluate("JSON.parse(JSON.stringify(window.studio.state))")


def test_keys_reach_the_training(browser, task, tmp_path):
    with shown(browser, task, tmp_path) as tab:
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


def test_a_reload_and_a_second_client_see_the_same_run(browser, task, tmp_path):
    with shown(browser, task, tmp_path) as tab:
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
def test_axe_finds_nothing_wrong(browser, task, tmp_path, size, scheme):
    axe = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    with shown(browser, task, tmp_path, "bp", "dfa", size=size, scheme=scheme) as tab:
        tab.evaluate(axe)  # by the debugger, which the page's policy does not bind
        found = tab.evaluate("axe.run()")
        assert len(found["passes"]) > 5
        assert [
            (one["id"], [n["html"][:200] for n in one["nodes"]]) for one in found["violations"]
        ] == []


def test_no_panel_is_beyond_a_wide_screen(browser, task, tmp_path):
    """However much two rules have to say."""
    with shown(browser, task, tmp_path, "dtp", "pc", size=(2560, 1000)) as tab:
        tab.locator("#panel-rule pre").nth(1).wait_for()
        wide, room = tab.evaluate(
            "(side => [side.scrollWidth, side.clientWidth])(document.querySelector('.side'))"
        )
        assert wide == room
        low = tab.locator("#panel-rule pre").nth(1)
        low.scroll_into_view_if_needed()
        box = low.bounding_box()
        assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 2560


def test_it_loads_nothing_from_elsewhere(browser, task, tmp_path):
    asked = []
    with shown(browser, task, tmp_path) as tab:
        tab.on("request", lambda request: asked.append(request.url))
        tab.reload()
        until(lambda: tab.evaluate("window.studio ? window.studio.frames : 0") > 3)
        own = tab.url.partition("?")[0]
    assert asked and all(url.startswith(own) for url in asked)


@pytest.fixture(scope="module")
def steered(browser, task, tmp_path_factory):
    """A network that grows, by a rule with a number of its own: the training, and its page."""
    net = byway.grownet(task.input_shape, 40, task.outputs, fan_in=8, spare=2, born=0.8)
    folder = tmp_path_factory.mktemp("steered")
    given = {"net": net, "growth": ("rigl", "neurogenesis")}
    with (
        trained(task, folder, "node_perturbation", **given) as (simulation, address),
        opened(browser, address, (1366, 900), reduced_motion="reduce") as tab,
    ):
        until(lambda: {"units", "sample", "edges"} <= told(simulation).keys())
        yield simulation, tab


@pytest.fixture
def still(steered):
    """The same, paused, with nothing picked and nothing silent."""
    simulation, tab = steered
    for do, value in (("pause", None), ("restore", None), ("select", (0, []))):
        simulation.ask(Command(do, value))
    until(lambda: not (said(simulation)["running"] or state(tab)["selected"]))
    tab.locator("canvas.canvas").focus()
    return simulation, tab


def told(simulation):
    """What the server has to say, by topic."""
    frames = decode(bundle(simulation.board.since({})[0]))
    return {frame.head["topic"]: frame for frame in frames if frame.head["side"] == 0}


def said(simulation):
    return told(simulation)["state"].head


def chosen(simulation):
    """The units that the panel of the picked one tells of."""
    one = told(simulation).get("selection")
    return one and one.head["units"]


def weights(simulation, side=0):
    return jax.tree.map(np.asarray, simulation.learner(side).net.theta)


def differ(old, new):
    pairs = zip(jax.tree.leaves(old), jax.tree.leaves(new), strict=True)
    return any(not np.array_equal(a, b) for a, b in pairs)


def picture(tab):
    """The network in space."""
    tab.evaluate("studio.drawn()")
    return tab.locator(".view").screenshot()


def another(tab, old):
    """The picture, once it is no more the old one."""
    until(lambda: picture(tab) != old)
    return picture(tab)


def click(tab, name):
    tab.get_by_role("button", name=name, exact=True).click()


def field(tab, title):
    """The slider and the number of a row of the panels."""
    row = tab.locator(".field", has=tab.get_by_text(title, exact=True))
    return row.locator("input[type=range]"), row.locator("input[type=number]")


def write(box, value):
    box.fill(str(value))
    box.press("Enter")


def number(simulation, name):
    """What a number is, in the rule and the policies themselves."""
    (trainer,) = simulation._trainers
    owner, _, part = name.partition(".")
    owners = {one.id: one for one in (trainer.rule, *trainer.loop.growth)}
    if owner in owners:
        return float(getattr(owners[owner], part))
    return next(one.value for one in trainer.controls() if one.name == name)


def drag(tab, slider, share):
    """Move a slider with the mouse to a share of its length."""
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    y = box["y"] + box["height"] / 2
    tab.mouse.move(box["x"] + box["width"] / 2, y)
    tab.mouse.down()
    tab.mouse.move(box["x"] + share * box["width"], y, steps=4)
    tab.mouse.up()


def test_run_pause_step_and_speed(still):
    simulation, tab = still
    began = said(simulation)["update"]
    click(tab, "Run")
    until(lambda: said(simulation)["running"] and said(simulation)["update"] > began + 3)
    click(tab, "Pause")
    until(lambda: not said(simulation)["running"])
    here, many = said(simulation)["update"], tab.get_by_label("Updates in a step")
    many.select_option("10")
    click(tab, "Step")
    until(lambda: said(simulation)["update"] == here + 10)
    speed = lambda: said(simulation)["speed"]
    for text, wanted in (("20", 20), ("", None)):
        tab.get_by_label("Updates a second at most").select_option(text)
        becomes(speed, wanted)
    tab.locator("canvas.canvas").focus()
    for key, wanted in (("-", 1000), ("-", 500), ("+", 1000), ("+", None)):
        tab.keyboard.press(key)
        becomes(speed, wanted)
        becomes(lambda: state(tab)["speed"], wanted)


def test_every_number_can_be_set(still):
    """By its box, and by its slider."""
    simulation, tab = still
    controls = said(simulation)["controls"]
    owners = {one["name"].partition(".")[0] for one in controls}
    assert owners == {"lr", "node_perturbation", "rigl", "neurogenesis"}
    for one in controls:
        low, high = one["low"], one["high"]
        now = partial(number, simulation, one["name"])
        slider, box = field(tab, one["title"])
        write(box, wanted := float(f"{low + 0.37 * (high - low):.4g}"))
        becomes(now, pytest.approx(wanted))
        for key, end in (("End", high), ("Home", low)):
            slider.press(key)
            becomes(now, pytest.approx(end, rel=6e-3))
        write(box, 10 * high + 1)  # which is refused
        time.sleep(0.3)
        assert now() == pytest.approx(low, rel=6e-3)
        write(box, one["value"])
        becomes(now, pytest.approx(one["value"], rel=1e-4))


def test_pick_silence_and_lesion(still):
    """By mouse and by key: one unit, a second one, all in a ball."""
    simulation, tab = still
    tab.keyboard.press("ArrowRight")
    until(lambda: len(said(simulation)["selected"]) == 1)
    tag = tab.locator(".tag.picked")
    until(tag.is_visible)
    box = tag.bounding_box()
    where = box["x"] + box["width"] / 2, box["y"] + box["height"] + 12
    tab.keyboard.press("Escape")
    until(lambda: said(simulation)["selected"] == [])
    tab.mouse.click(*where)
    until(lambda: len(said(simulation)["selected"]) == 1)
    first = said(simulation)["selected"][0]
    until(lambda: chosen(simulation) == [first])
    until(lambda: tab.locator(".partners.in li").count() > 0)
    # A partner, with Shift.
    tab.locator(".partners.in button").first.click(modifiers=["Shift"])
    until(lambda: len(said(simulation)["selected"]) == 2)
    assert said(simulation)["selected"][0] == first
    until(lambda: "way" in tab.locator(".way").inner_text())
    # One alone; and by the key.
    tab.locator("canvas.canvas").focus()
    for press in ("Escape", "ArrowRight"):
        tab.keyboard.press(press)
    until(lambda: len(said(simulation)["selected"]) == 1)
    before = weights(simulation)
    tab.keyboard.press("x")
    until(lambda: said(simulation)["silenced"] == said(simulation)["selected"])
    until(lambda: differ(before, weights(simulation)))
    click(tab, "Restore all")
    until(lambda: said(simulation)["silenced"] == [])
    until(lambda: not differ(before, weights(simulation)))
    # A ball.
    reach = tab.locator(".harm input[type=range]")
    drag(tab, reach, 0.9)
    until(lambda: "within" in tab.locator(".harm .value").inner_text())
    click(tab, "Silence")
    until(lambda: len(said(simulation)["silenced"]) > 1)
    around = len(said(simulation)["silenced"])
    click(tab, "Restore all")
    until(lambda: not differ(before, weights(simulation)))
    click(tab, "Lesion")
    until(lambda: any(f"cut off {around} units" in text for text in said(simulation)["notices"]))
    until(lambda: differ(before, weights(simulation)))
    assert said(simulation)["silenced"] == []


def test_a_second_unit_is_picked_by_the_keyboard(still):
    simulation, tab = still
    tab.keyboard.press("ArrowRight")
    until(lambda: len(said(simulation)["selected"]) == 1)
    first = said(simulation)["selected"]
    until(lambda: chosen(simulation) == first and tab.locator(".partners button").count() > 0)
    tab.locator(".partners button").first.focus()
    tab.keyboard.press("Shift+Enter")
    until(lambda: len(said(simulation)["selected"]) == 2)
    assert said(simulation)["selected"][0] == first[0]
    until(lambda: "way" in tab.locator(".way").inner_text())


def test_samples_that_are_chosen_and_drawn(still):
    simulation, tab = still
    sample = lambda: told(simulation)["sample"]
    tab.get_by_label("Which samples").select_option("train")
    write(tab.get_by_label("Number of the sample"), 7)
    until(lambda: (sample().head["split"], sample().head["index"]) == ("train", 7))
    panel, head = tab.locator("#panel-sample"), sample().head
    becomes(panel.locator(".caption").inner_text, f"train 7 · is {head['label']}")
    right = ("wrong", "right")[head["label"] == head["answer"]]
    becomes(panel.locator(".verdict").inner_text, f"says {head['answer']}: {right}")
    click(tab, "Another")
    until(lambda: sample().head["split"] == "validation")
    click(tab, "Draw")
    pad = tab.locator(".pad")
    box = pad.bounding_box()
    at = lambda x, y: (box["x"] + x * box["width"], box["y"] + y * box["height"])
    tab.mouse.move(*at(0.3, 0.2))
    tab.mouse.down()
    tab.mouse.move(*at(0.3, 0.8), steps=8)
    tab.mouse.up()
    shown = lambda: sample().arrays["input"].reshape(8, 8)
    until(lambda: sample().head["index"] is None and shown()[2:6, 2].min() > 0.5)
    drawn = shown()
    assert drawn[:, 5:].max() == 0
    assert drawn.max() <= 1 and np.isfinite(sample().arrays["output"]).all()
    # Without a mouse.
    pad.press("Delete")
    until(lambda: sample().arrays["input"].sum() == 0)
    for key in ("ArrowRight", " "):
        pad.press(key)
    until(lambda: sample().arrays["input"].sum() > 0)
    click(tab, "Draw")


def test_a_sample_that_is_chosen_part_by_part_is_not_taken_back_meanwhile(still, monkeypatch):
    """What was chosen stays chosen while the run, which is slow, still shows another sample."""
    simulation, tab = still
    asked = []
    monkeypatch.setattr(simulation, "ask", lambda command: bool(asked.append(command)) or True)
    split, index = tab.get_by_label("Which samples"), tab.get_by_label("Number of the sample")
    value = "train" if split.input_value() == "validation" else "validation"
    split.select_option(value)
    index.focus()
    tab.emulate_media(color_scheme="dark")  # all is shown anew
    becomes(lambda: tab.evaluate("document.documentElement.dataset.theme"), "dark")
    assert split.input_value() == value
    write(index, 9)
    until(lambda: asked[-1] == Command("sample", {"split": value, "index": 9}))
    tab.emulate_media(color_scheme="light")


def test_what_is_seen(still):
    """Colours of units are the server's; those of synapses, the cut and what is hidden are the
    page's, and change the picture.
    """
    simulation, tab = still
    colours = tab.get_by_label("Units", exact=True)
    names = [one["name"] for one in told(simulation)["scene"].head["quantities"]]
    for name in names:
        colours.select_option(name)
        becomes(lambda: said(simulation)["colour"], name)
        becomes(lambda: told(simulation)["units"].head["quantity"], name)
    colours.select_option(names[0])
    until(lambda: told(simulation)["units"].head["quantity"] == names[0])
    seen = picture(tab)
    for menu, name in (
        ("Units", ":population"),
        ("Synapses", "age"),
        ("Synapses", "population"),
        ("Synapses", "delay"),
        ("Synapses", "sign"),
    ):
        tab.get_by_label(menu, exact=True).select_option(name)
        seen = another(tab, seen)
    lines = field(tab, "Lines at most")[1]
    write(lines, 100)
    until(lambda: told(simulation)["edges"].head["limit"] == said(simulation)["edges"] == 100)
    until(lambda: "100 of" in tab.locator(".counted").inner_text())
    write(lines, 20000)
    until(lambda: told(simulation)["edges"].head["limit"] == 20000)
    whole = picture(tab)
    tab.get_by_label("Cut", exact=True).select_option("2")
    drag(tab, tab.get_by_label("Where the cut is"), 0.3)
    another(tab, whole)
    tab.get_by_label("Cut", exact=True).select_option("")
    box = tab.get_by_label("Names in the picture")
    box.uncheck()
    another(tab, whole)
    box.check()
    first = tab.locator(".checks input").first
    first.uncheck()
    another(tab, whole)
    first.check()
    # The eye.
    for button in ("Nearer", "Farther", "See it all"):
        old = picture(tab)
        click(tab, button)
        another(tab, old)


def test_another_task_and_files(still, task):
    simulation, tab = still
    menu = tab.locator("#panel-controls").get_by_label("Task")
    menu.select_option("digits, inputs permuted")
    until(lambda: said(simulation)["task"] == "digits, inputs permuted")
    before = said(simulation)["update"]
    click(tab, "Step")
    until(lambda: said(simulation)["update"] > before)
    until(lambda: any("permuted" in s["name"] for s in told(simulation)["plots"].head["series"]))
    menu.select_option("digits")
    until(lambda: said(simulation)["task"] == "digits")
    click(tab, "Save")
    until(lambda: len(said(simulation)["saved"]) == 1)
    kept = byway.load(said(simulation)["saved"][0])
    now = weights(simulation)
    assert not differ(now, jax.tree.map(np.asarray, kept.net.theta))
    click(tab, "Branch")
    until(lambda: any("byway studio" in text for text in said(simulation)["notices"]))
    click(tab, "Record")
    until(lambda: (said(simulation)["recording"] or {"bytes": 0})["bytes"] > 1000)
    click(tab, "Stop recording")
    until(lambda: said(simulation)["recording"] is None)
    until(lambda: said(simulation)["saved"][-1].endswith(".bywayrec"))
    file = said(simulation)["saved"][-1]
    topics = {frame.head["topic"] for one in records(Path(file)) for frame in one.frames}
    assert topics >= {"scene", "units", "edges", "state", "plots"}
    becomes(tab.locator(".saved li").last.inner_text, file)


# Counts what is drawn in space.
COUNTED = """() => {
  const kind = WebGL2RenderingContext.prototype, { clear } = kind;
  window.pictures = 0;
  kind.clear = function (...given) {
    window.pictures++;
    return clear.apply(this, given);
  };
}"""


def test_a_hundred_thousand_units_can_be_turned(browser, task, tmp_path):
    """By a processor alone, too: as few lines as that takes, and all of them later."""
    net = byway.mlp(task.input_shape, 99_926, task.outputs)
    with (
        trained(task, tmp_path, net=net, edges=200_000) as (_, address),
        opened(browser, address) as tab,
    ):
        until(lambda: "200,000 of" in tab.locator(".counted").inner_text())
        tab.evaluate(COUNTED)
        pictures = lambda: tab.evaluate("window.pictures")
        tab.locator("canvas.canvas").focus()
        began = time.monotonic()
        for number in range(10):
            tab.keyboard.press("Shift+ArrowRight")
            until(lambda number=number: pictures() > number)
        assert time.monotonic() - began < WAIT / 2
        # Nothing is drawn where nothing changes.
        until(lambda: (time.sleep(3), pictures())[1] == (time.sleep(2), pictures())[1])


def test_two_rules_side_by_side(browser, task, tmp_path):
    with (
        trained(task, tmp_path, "bp", "dfa") as (simulation, address),
        opened(browser, address) as tab,
    ):
        assert not differ(weights(simulation, 0), weights(simulation, 1))
        becomes(tab.locator(".side-title").all_inner_texts, ["bp", "dfa"])
        becomes(tab.locator("#panel-sample .answer").count, 2)
        click(tab, "Step")
        until(lambda: said(simulation)["update"] == 1)
        assert differ(weights(simulation, 0), weights(simulation, 1))
        # Of the right one.
        view = tab.locator(".view").bounding_box()
        sides = set()
        for share in (0.25, 0.75):
            middle = view["x"] + share * view["width"]
            for step in range(40):
                tab.mouse.click(middle, view["y"] + (0.2 + 0.015 * step) * view["height"])
                time.sleep(0.1)
                if said(simulation)["selected"]:
                    break
            assert said(simulation)["selected"], "nothing was hit"
            sides.add(said(simulation)["selected_side"])
            tab.keyboard.press("Escape")
            until(lambda: not said(simulation)["selected"])
        assert sides == {0, 1}
        tab.keyboard.press("ArrowRight")
        until(lambda: said(simulation)["selected"])
        before = [weights(simulation, side) for side in (0, 1)]
        tab.keyboard.press("x")
        until(lambda: all(differ(before[i], weights(simulation, i)) for i in (0, 1)))


def test_the_tour_from_start_to_end(browser, task, tmp_path):
    with (
        trained(task, tmp_path, tour=True) as (simulation, address),
        opened(browser, address) as tab,
    ):
        tour = tab.locator(".tour")
        until(tour.is_visible)
        titles, size = [], tab.viewport_size
        while tour.is_visible():
            titles.append(tour.locator("h2").inner_text())
            box = tour.bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= size["width"]
            assert box["y"] >= 0 and box["y"] + box["height"] <= size["height"]
            assert f"{len(titles)} of" in tour.inner_text()
            tab.keyboard.press("Enter")  # the next step has the focus
        assert titles[0] == "A network that learns" and titles[-1] == "How well it does"
        assert len(titles) == len(set(titles)) == 8
        tab.reload()
        until(lambda: tab.evaluate("window.studio ? window.studio.frames : 0") > 3)
        assert not tour.is_visible()  # once is enough
        tab.keyboard.press("?")
        click(tab, "Show the tour")
        until(tour.is_visible)
        click(tab, "Next")
        click(tab, "Back")
        tab.keyboard.press("Escape")
        assert not tour.is_visible()
        assert said(simulation)["update"] == 0


@pytest.fixture(scope="module")
def recording(task, tmp_path_factory):
    """Some seconds of a training."""
    folder = tmp_path_factory.mktemp("recorded")
    with trained(task, folder, speed=40.0) as (simulation, _):
        simulation.record(folder / "a.bywayrec")
        simulation._do(Command("select", (0, [FIRST])))
        simulation.ask(Command("run"))
        until(lambda: said(simulation)["update"] > 20)
        until(lambda: said(simulation)["recording"]["seconds"] > 3)
    return folder / "a.bywayrec"


@contextlib.contextmanager
def played(browser, file):
    serving = server(None, file)
    serving.start()
    context = browser.new_context()
    tab = context.new_page()
    tab.goto(serving.address)
    try:
        yield tab
    finally:
        context.close()
        serving.stop()


def test_a_recording_is_played(browser, recording):
    frames = [(one.time, frame) for one in records(recording) for frame in one.frames]
    times = [time for time, _ in frames]
    updates = [(t, f.head["update"]) for t, f in frames if f.head["topic"] == "state"]
    first, last = updates[0][1], updates[-1][1]
    assert first < last
    with played(browser, recording) as tab:
        until(lambda: tab.evaluate("window.studio ? window.studio.frames : 0") > 3)
        assert tab.evaluate("studio.duration") == pytest.approx(times[-1] - times[0])
        assert tab.locator("#panel-controls").count() == tab.locator(".record").count() == 0
        update = lambda: state(tab)["update"]
        becomes(update, first)
        slider = tab.get_by_label("Time in the recording")
        drag(tab, slider, 0.5)
        at = times[0] + float(slider.input_value())
        becomes(update, [update for time, update in updates if time <= at][-1])
        for key, wanted in (("End", last), ("Home", first)):
            slider.press(key)
            becomes(update, wanted)
        tab.get_by_label("How fast to play").select_option("4")
        click(tab, "Play")
        becomes(update, last)
        until(tab.get_by_role("button", name="Play", exact=True).is_visible)
        tab.locator("canvas.canvas").focus()
        tab.keyboard.press("s")
        becomes(update, last)
        for _ in range(5):
            tab.keyboard.press(",")
        until(lambda: update() < last)


def test_an_hour_is_seen_in_half_a_minute(browser, recording, tmp_path):
    """From the menu, all of it up to its end; keys stand for what lies between them."""
    made, long = list(records(recording)), tmp_path / "long.bywayrec"
    slower = 3600 / (made[-1].time - made[0].time)
    packed = [_packed(one._replace(time=slower * one.time)) for one in made]
    long.write_bytes(HEAD.pack(MAGIC, VERSION) + b"".join(packed))
    last = [f.head["update"] for one in made for f in one.frames if f.head["topic"] == "state"][-1]
    with played(browser, long) as tab:
        until(lambda: tab.evaluate("window.studio ? window.studio.frames : 0") > 3)
        assert tab.evaluate("studio.duration") == pytest.approx(3600)
        tab.get_by_label("How fast to play").select_option(label="all in 30 s")
        began = time.monotonic()
        click(tab, "Play")
        until(lambda: state(tab)["update"] == last)
        assert 20 < time.monotonic() - began < 45


def test_the_time_lapse_of_a_run_that_goes_on(still):
    """It is the recording, in a page of its own; the run is not touched."""
    simulation, tab = still
    link = tab.get_by_role("link", name="Time-lapse")
    click(tab, "Record")
    until(lambda: (said(simulation)["recording"] or {"seconds": 0})["seconds"] > 1)
    before = said(simulation)["update"]
    click(tab, "Step")
    until(lambda: state(tab)["update"] == said(simulation)["update"] > before)
    time.sleep(1.0)  # of several updates all are made then, and recorded
    wanted = said(simulation)["update"]
    with tab.context.expect_page() as opening:
        link.click()
    other = opening.value
    until(lambda: other.evaluate("window.studio ? window.studio.connection : ''") == "replay")
    becomes(lambda: (state(other) or {}).get("update"), wanted)
    assert other.get_by_label("Time in the recording").is_visible()
    other.close()
    assert said(simulation)["recording"] is not None and said(simulation)["update"] == wanted
    click(tab, "Stop recording")
    until(lambda: said(simulation)["recording"] is None and link.is_visible())


@pytest.mark.parametrize(
    ("harm", "wanted"),
    [
        (lambda data: data[: len(data) - 40], "ends early"),
        (lambda data: data[:8] + b"\2" + data[9:], "version 2"),
        (lambda data: b"NOTHING!" + data[8:], "no recording"),
        (lambda data: data[:12], "nothing in this recording"),
    ],
)
def test_a_recording_that_is_not_whole_is_said_to_be_so(browser, recording, tmp_path, harm, wanted):
    file = tmp_path / "harmed.bywayrec"
    file.write_bytes(harm(recording.read_bytes()))
    with played(browser, file) as tab:
        until(lambda: wanted in tab.locator("body").inner_text())
        if wanted == "ends early":  # what is there is shown
            assert tab.evaluate("studio.duration") > 1


def test_without_webgl_the_rest_works(launched, task, tmp_path):
    with trained(task, tmp_path) as (simulation, address):
        blind = launched(args=["--no-sandbox", "--disable-gpu", "--disable-3d-apis"])
        with opened(blind, address) as tab:
            assert "does not offer WebGL 2" in tab.locator(".blind").inner_text()
            click(tab, "Step")
            until(lambda: said(simulation)["update"] == 1)
            tab.keyboard.press("ArrowRight")
            until(lambda: len(said(simulation)["selected"]) == 1)
        blind.close()


NOTEBOOK = f"""
import byway
task = byway.task("digits")
net = byway.mlp(task.input_shape, {HIDDEN}, task.outputs)
studio = byway.watch(net, byway.rule("dfa"), task, paused=True, out={{out!r}})
studio
"""


def test_in_a_notebook_it_is_a_frame_that_works(browser, tmp_path):
    """What the last line of a cell shows, on a page from elsewhere on this machine."""
    nbformat, nbclient = map(pytest.importorskip, ("nbformat", "nbclient"))
    cell = nbformat.v4.new_code_cell(NOTEBOOK.format(out=str(tmp_path / "out")))
    book = nbformat.v4.new_notebook(cells=[cell])
    client = nbclient.NotebookClient(book, timeout=3 * WAIT)
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with client.setup_kernel(), ThreadingHTTPServer(("127.0.0.1", 0), handler) as elsewhere:
        shown = client.execute_cell(book.cells[0], 0)["outputs"][-1]["data"]["text/html"]
        (tmp_path / "index.html").write_text(f"<title>book</title>{shown}", encoding="utf-8")
        threading.Thread(target=elsewhere.serve_forever, daemon=True).start()
        tab = browser.new_page(viewport={"width": 1000, "height": 800})
        tab.goto(f"http://localhost:{elsewhere.server_port}/")
        frame = tab.frame_locator("iframe")
        until(lambda: frame.locator(".status").inner_text() == "Paused")
        frame.get_by_role("button", name="Step", exact=True).click()
        becomes(frame.locator(".fact-update dd").inner_text, "1")
        assert tab.locator("iframe").bounding_box()["width"] > 900
        tab.close()
        elsewhere.shutdown()


def test_a_recording_is_filmed(recording, tmp_path):
    from PIL import Image

    file = tmp_path / "film.gif"
    argv = [sys.executable, "-m", "byway", "studio", str(recording), "--video", str(file)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=True)
    assert f"wrote {file}" in done.stdout and "pictures" in done.stdout
    assert [one.name for one in tmp_path.iterdir()] == [file.name]
    with Image.open(file) as film:
        assert film.size == (960, 640) and 10 < film.n_frames < 60
        first = np.asarray(film.convert("RGB"))
        film.seek(film.n_frames - 1)
        assert (np.asarray(film.convert("RGB")) != first).any(-1).mean() > 0.01
