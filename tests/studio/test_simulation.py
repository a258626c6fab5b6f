"""Every command has its effect in the running training, and who watches has none on what is
learned.
"""

import json
import time

import jax
import numpy as np
import pytest
from tests import wait

import byway
from byway.core.errors import ConfigError
from byway.experiment.experiment import Experiment
from byway.studio.commands import Command, read
from byway.studio.frames import bundle, decode
from byway.studio.recording import read as records
from byway.studio.steered import Steered

HIDDEN = 7
FIRST = 64  # of the hidden units
RUNNING = []


@pytest.fixture(scope="module")
def task():
    return byway.task("digits")


@pytest.fixture(scope="module")
def data(task):
    return {name: split.some(slice(160)) for name, split in task.load().items()}


@pytest.fixture
def started(task, data, tmp_path):
    """Makes simulations that are ended with the test."""
    made = []

    def start(*rules, net=None, watched=True, epochs=1000, lr=0.01, growth=None, **given):
        net = byway.mlp(task.input_shape, HIDDEN, task.outputs) if net is None else net
        options = {"epochs": epochs, "batch": 32, "lr": lr, "growth": growth}
        named = {name: byway.rule(name) for name in rules or ("dfa",)}
        experiment = Experiment(named, lambda *_: net, task, options, data=data)
        one = Steered(experiment, tmp_path / "out", **{"paused": True, **given})
        one.watchers = int(watched)
        made.append(one)
        RUNNING.append(one)
        one.start()
        return one

    yield start
    RUNNING.clear()
    for one in made:
        one.stop()


def told(one):
    """What the board says, by topic and side."""
    frames = decode(bundle(one.board.since({})[0]))
    return {(frame.head["topic"], frame.head["side"]): frame for frame in frames}


def state(one):
    return told(one)["state", 0].head


def until(wanted):
    def wanted_or_ended():
        assert not any(one.wait(0.0) and one._problem for one in RUNNING), "it has ended"
        return wanted()

    wait.until(wanted_or_ended)


def ask(one, do, value=None):
    """Ask as a page would, and wait until it is done."""
    before = state(one)["update"]
    assert one.ask(read(json.dumps({"do": do, "value": value}), one.limits)[1])
    until(one._wanted.empty)
    time.sleep(0.05)
    return before


def step(one, updates):
    """So many updates, and wait until they are made."""
    before = ask(one, "step", updates)
    until(lambda: state(one)["update"] == before + updates)


def weights(one, side=0):
    return jax.tree.map(np.asarray, one.learner(side).net.theta)


def test_it_steps_runs_pauses_and_keeps_to_a_speed(started):
    one = started()
    assert state(one)["update"] == 0 and not state(one)["running"]
    step(one, 7)
    time.sleep(0.2)
    assert state(one)["update"] == 7
    ask(one, "speed", 20)
    ask(one, "run")
    began, first = time.monotonic(), state(one)["update"]
    time.sleep(1.0)
    rate = (state(one)["update"] - first) / (time.monotonic() - began)
    assert 5 < rate < 40
    ask(one, "pause")
    still = state(one)["update"]
    time.sleep(0.2)
    assert state(one)["update"] == still and not state(one)["running"]
    assert state(one)["epoch"] == pytest.approx(still / 5)


def test_who_watches_changes_nothing_in_what_is_learned(started):
    both = [started(watched=watched) for watched in (False, True)]
    for one in both:
        step(one, 23)
        until(lambda one=one: state(one)["update"] == 23)
    alone, watched = both
    jax.tree.map(np.testing.assert_array_equal, weights(alone), weights(watched))
    until(lambda: ("units", 0) in told(watched))
    assert ("units", 0) not in told(alone)


def test_what_takes_long_is_shown_less_often(started):
    one, seconds = started(watched=False), []
    # The first look compiles, a later one may: of the last two looks the shorter counts.
    for took in (7.0, 0.009, 0.001, 5.0, 6.0):
        one._took("units", took)
        seconds.append(one._every["units"])
    np.testing.assert_allclose(seconds, [0.1, 0.3, 0.1, 0.1, 0.5])


def test_two_rules_run_in_step_from_the_same_weights(started):
    one = started("bp", "dfa")
    jax.tree.map(np.testing.assert_array_equal, weights(one, 0), weights(one, 1))
    step(one, 9)
    until(lambda: ("units", 1) in told(one) and told(one)["units", 1].head["update"] == 9)
    scenes = [told(one)["scene", side].head["rule"] for side in (0, 1)]
    assert scenes == ["bp", "dfa"]
    assert [t.update for t in one._trainers] == [9, 9]
    # The output layer of both descends the same gradient at first; the hidden one does not.
    first, second = weights(one, 0), weights(one, 1)
    assert np.abs(first["input-hidden1"]["weight"] - second["input-hidden1"]["weight"]).max() > 0


def test_a_page_sees_all_that_the_protocol_names(started):
    one = started()
    step(one, 5)
    ask(one, "select", {"units": [FIRST + 1], "side": 0})
    topics = ["scene", "units", "edges", "plots", "state", "sample", "selection"]
    until(lambda: {name for name, _ in told(one)} >= {*topics})
    found = told(one)
    size = 64 + HIDDEN + 10
    scene, units = found["scene", 0], found["units", 0]
    assert scene.arrays["position"].shape == (size, 3)
    assert [p["count"] for p in scene.head["populations"]] == [64, HIDDEN, 10]
    assert units.arrays["value"].shape == (size,) and units.head["quantity"] == "activity"
    drawn = found["edges", 0].arrays["dst"] != 2**32 - 1
    assert drawn.sum() == 64 * HIDDEN + HIDDEN * 10 == found["edges", 0].head["total"]
    sample = found["sample", 0]
    assert sample.arrays["input"].shape == (8, 8, 1) and sample.arrays["output"].shape == (10,)
    assert sample.head["label"] in map(str, range(10))
    assert found["selection", 0].head["units"] == [FIRST + 1]


def test_colour_edges_and_sample_are_chosen(started, data):
    one = started()
    for quantity in one.limits.quantities:
        ask(one, "colour", quantity)
        until(lambda q=quantity: (u := told(one).get(("units", 0))) and u.head["quantity"] == q)
    ask(one, "edges", 100)
    until(lambda: (told(one)["edges", 0].arrays["dst"] != 2**32 - 1).sum() == 100)
    ask(one, "sample", {"split": "train", "index": 17})
    until(lambda: told(one)["sample", 0].head["index"] == 17)
    shown = told(one)["sample", 0]
    x = np.asarray(data["train"].x[17], np.float32) / 16
    np.testing.assert_allclose(shown.arrays["input"], x.reshape(8, 8, 1), rtol=1e-6)
    assert shown.head["label"] == str(int(data["train"].y[17]))
    ask(one, "sample", {"input": [0.5] * 64})
    until(lambda: told(one)["sample", 0].head["index"] is None)
    shown = told(one)["sample", 0]
    assert shown.head["label"] is None and (shown.arrays["input"] == 0.5).all()
    ask(one, "sample", {"random": True})
    until(lambda: told(one)["sample", 0].head["split"] == "validation")


def test_what_is_asked_for_while_nobody_watches_is_seen_by_who_comes_next(started):
    one = started()
    until(lambda: ("units", 0) in told(one))
    one.watchers = 0
    ask(one, "edges", 100)
    until(lambda: told(one)["state", 0].head["edges"] == 100)
    one.watchers = 1
    until(lambda: told(one)["edges", 0].head["limit"] == 100)


@pytest.mark.slow
def test_a_sequence_is_what_it_is_at_its_last_step_that_counts(tmp_path):
    task = byway.task("delayed_xor")
    net = byway.rnn(task.input_shape, 4, task.outputs)
    experiment = Experiment({"bptt": byway.rule("bptt")}, lambda *_: net, task, {"epochs": 1})
    one = Steered(experiment, tmp_path, paused=True)
    (side,), validation = one._sides, experiment.data["validation"]
    for index in range(3):
        side.sample = side.taken("validation", validation, index)
        side.show_units(one.learner(), 0, "activity", [])
        head, right = told(one)["sample", 0].head, np.asarray(side.sample.signal.target[0])
        assert head["answer"] in ("0", "1")
        assert head["label"] == str(
            right[np.flatnonzero(side.sample.signal.weight[0])[-1]].argmax()
        )


def test_units_fall_silent_by_number_or_in_a_ball_and_speak_again(started):
    one = started()
    step(one, 5)
    out = lambda: weights(one)["hidden1-output"]["weight"]
    before = out()
    ask(one, "silence", {"units": [FIRST, FIRST + 2, 3]})  # an input stays
    until(lambda: state(one)["silenced"] == [FIRST, FIRST + 2])
    assert not out()[[0, 2]].any() and out()[1].any()
    ask(one, "restore")
    until(lambda: state(one)["silenced"] == [])
    np.testing.assert_array_equal(out(), before)
    place = told(one)["scene", 0].arrays["position"][FIRST + 4].tolist()
    ask(one, "silence", {"centre": place, "radius": 1e-3})
    until(lambda: state(one)["silenced"] == [FIRST + 4])
    ask(one, "lesion", {"centre": place, "radius": 1e6})
    until(lambda: not out().any())


def test_the_task_is_switched_and_the_score_falls(started):
    one = started(lr=0.05)
    step(one, 300)
    accuracy = lambda: float(one._trainers[0].loop.score("validation")["accuracy"][0])
    before = accuracy()
    first, second = state(one)["tasks"]
    ask(one, "task", second)
    until(lambda: state(one)["task"] == second)
    assert before > 0.7 and accuracy() < before - 0.2
    scores = one._trainers[0].scores({})
    assert scores[f"{first}/accuracy"] == 100 * before > scores[f"{second}/accuracy"]
    ask(one, "task", first)
    until(lambda: state(one)["task"] == first)
    assert accuracy() == before
    step(one, 5)
    names = lambda: {s["name"].partition("/")[0] for s in told(one)["plots", 0].head["series"]}
    until(lambda: names() >= {first, second})


def test_what_was_learned_can_be_had_while_it_learns(started):
    one = started()
    ask(one, "run")
    # Training takes over the memory of what was before.
    seen = [weights(one)["hidden1-output"]["weight"] for _ in range(50)]
    assert not np.array_equal(seen[0], seen[-1])


def test_it_saves_and_records(started, tmp_path):
    one = started()
    ask(one, "record", True)
    until(lambda: state(one)["recording"] is not None)
    step(one, 5)
    ask(one, "save")
    until(lambda: state(one)["saved"])
    (saved,) = state(one)["saved"]
    jax.tree.map(np.testing.assert_array_equal, byway.load(saved).net.theta, weights(one))
    time.sleep(0.3)
    ask(one, "record", False)
    until(lambda: len(state(one)["saved"]) == 2)
    (file,) = (tmp_path / "out").glob("*.bywayrec")
    topics = {frame.head["topic"] for record in records(file) for frame in record.frames}
    assert topics >= {"scene", "edges", "state"}


def test_what_cannot_be_written_is_a_notice_and_training_goes_on(started, tmp_path):
    (tmp_path / "out").write_text("a file in the way", encoding="utf-8")
    one = started()
    ask(one, "save")
    until(lambda: state(one)["notices"])
    step(one, 3)


def test_it_pauses_after_its_epochs_and_stops_where_numbers_are_lost(started):
    one = started(epochs=2)
    ask(one, "run")
    until(lambda: state(one)["finished"])
    assert state(one)["update"] == 10 and not state(one)["running"]
    ask(one, "run")
    until(lambda: state(one)["update"] == 20)
    lost = started(lr=1e300)
    ask(lost, "run")
    until(lambda: state(lost)["failed"])
    assert "smaller learning rate" in state(lost)["failed"] and not state(lost)["running"]
    ask(lost, "run")
    assert not state(lost)["running"]


@pytest.mark.slow
def test_growth_is_seen_as_changes(started, task):
    net = byway.grownet(task.input_shape, 30, task.outputs, regions=2, fan_in=6, spare=2, born=0.5)
    policies = [byway.growth("rigl", every=5), byway.growth("neurogenesis", every=5)]
    one = started(net=net, growth=policies)
    before = told(one)["edges", 0]
    seen = one.board.since({})[1]
    step(one, 60)
    until(lambda: told(one)["edges", 0].head["version"] > before.head["version"])
    frames = decode(bundle(one.board.since(seen)[0]))
    assert "edges_changed" in {frame.head["topic"] for frame in frames}


def test_three_rules_are_refused_and_so_are_settings_out_of_range(started):
    with pytest.raises(ConfigError, match="one, or two side by side"):
        started("bp", "fa", "dfa")
    with pytest.raises(ConfigError, match="updates a second"):
        started(speed=1e6)
    with pytest.raises(ConfigError, match="edges"):
        started(edges=-1)


def test_a_thousand_commands_may_wait_and_no_more(started):
    one = started()
    one.stop()
    heard = [one.ask(Command("pause")) for _ in range(1001)]
    assert heard == [True] * 1000 + [False]
