"""Experiments from Python: what is held against what, and what a run says of it."""

import dataclasses

import jax
import numpy as np
import optax
import pytest

import byway
from byway.core.errors import ConfigError, RuleError, RunError
from byway.core.task import Split
from byway.experiment.networks import NetSettings
from byway.report.table import Table
from byway.report.words import reading

QUICK = {"epochs": 1, "batch": 20, "seeds": 2, "progress": False}


@pytest.fixture(scope="module")
def data():
    """A few of the digits."""
    splits = byway.task("digits").load()
    return {name: Split(split.x[:80], split.y[:80]) for name, split in splits.items()}


@pytest.fixture(scope="module")
def compared(data):
    """ff trains a network of its own, which is normalised."""
    net = NetSettings(hidden=(6,))
    return byway.compare(["bp", "frozen", "ff"], net, "digits", data=data, looks=2, **QUICK)


@pytest.mark.parametrize(
    "names", [("in", "mid", "out"), ("output", "x-y", "input"), ("a", "b", "c")]
)
def test_which_projection_is_hidden_is_the_networks_to_say(data, names):
    """Whatever its populations are called; the mean over the last of the angles that do not belong
    to projections into the output, by numpy. Names ending in "output" are no output here.
    """
    first, mid, last = (name.replace("-", "_") for name in names)
    sizes = {first: (8, 8, 1), mid: 6, last: 10}
    net = byway.graph(sizes, [(first, mid), (mid, last)], input=first, output=last)
    run = byway.compare(["dfa"], net, "digits", data=data, looks=2, **QUICK)
    hidden, output = f"{first}-{mid}", f"{mid}-{last}"
    assert run["dfa"].projections == {hidden: "hidden", output: "output"}
    history = run["dfa"].history
    want = float(np.mean(history[f"angle/{hidden}"].values[:, -1]))
    (angle,) = Table(run).rows["dfa"].means.values()
    assert angle == pytest.approx(want)
    wrong = (want + float(np.mean(history[f"angle/{output}"].values[:, -1]))) / 2
    assert abs(angle - wrong) > 10  # where one was taken for the other
    frame = run.to_frame()
    np.testing.assert_allclose(frame["angle"], history[f"angle/{hidden}"].values[:, -1])


@pytest.mark.slow
def test_the_angle_of_populations_called_in_and_out(data):
    """105.7 degrees of the hidden projection and 0.1 of the output one: not their mean, 52.9."""
    net = byway.graph({"in": 64, "h": 5, "out": 10}, [("in", "h"), ("h", "out")], input="in",
                      output="out")  # fmt: skip
    one = byway.fit(net, byway.rule("dfa"), byway.task("digits"), data=data, looks=2, **QUICK)
    ends = {"angle/in-h": 105.7, "angle/h-out": 0.1}
    curves = {
        name: dataclasses.replace(curve, values=np.full_like(curve.values, ends[name]))
        for name, curve in one.history.items()
        if name in ends
    }
    run = byway.Run({"dfa": dataclasses.replace(one, history=type(one.history).of(curves))})
    (angle,) = Table(run).rows["dfa"].means.values()
    assert angle == pytest.approx(105.7)
    assert Table(run).cell("dfa", "angle to the true gradient") == "106"


@pytest.fixture(scope="module")
def cyclic():
    """Two hidden populations that send to each other."""
    sizes = {"in": (8, 8, 1), "a": 6, "b": 5, "out": 10}
    edges = [("in", "a"), ("a", "b"), ("b", "a"), ("b", "out")]
    return byway.graph(sizes, edges, input="in", output="out", activation="tanh")


def test_where_activity_settles_the_control_is_the_rule_itself_its_readout_alone(data, cyclic):
    """`frozen` does not settle, so it is not there itself. Hidden weights are those that the seed
    drew; the readout is that of optax, of which hidden layers have no share.
    """
    rules = {"pc": byway.rule("pc"), "frozen": byway.rule("frozen")}
    options = QUICK | {"lr": 0.01, "schedule": "constant", "looks": 0}
    run = byway.compare(rules, cyclic, "digits", data=data, **options)
    assert {label: one.control for label, one in run.items()} == {
        "pc": "frozen@pc",
        "frozen@pc": None,
    }
    table = Table(run)
    assert table.cell("frozen@pc", "beats frozen") == "control" and table.rows["pc"].wins.of == 2
    said = " ".join(reading(table))
    assert "pc against frozen@pc." in said and "frozen@pc by" not in said
    kind = lambda theta: {name: "out" if name == "b-out" else "hidden" for name in theta}
    apart = optax.multi_transform({"out": optax.adam(0.01), "hidden": optax.set_to_zero()}, kind)
    one = byway.fit(
        cyclic, rules["pc"], byway.task("digits"), data=data, optimiser=apart, looks=0, **QUICK
    )
    drawn = cyclic.redraw(byway.training.step.branch(jax.random.key(0), 0)).theta
    for name in ("in-a", "a-b", "b-a", "b-out"):
        weight = lambda result, name=name: np.asarray(result.learner(0).net.theta[name]["weight"])
        got, start = weight(run["frozen@pc"]), np.asarray(drawn[name]["weight"])
        np.testing.assert_allclose(got, weight(one), rtol=1e-6, atol=1e-7)
        assert np.allclose(got, start, rtol=1e-12, atol=0.0) == (name != "b-out")
        assert np.any(weight(run["pc"]) != start)


def test_a_control_that_nothing_can_run_is_said_to_be_none(data, cyclic):
    """By itself `frozen` is asked for in vain. An optax transformation has its rates within. Of
    `ff_recurrent` the readout is not what answers.
    """
    for rules, net, more in (
        (["frozen"], cyclic, {}),
        (["pc", "frozen"], cyclic, {"optimiser": optax.sgd(0.1)}),
        (["ff_recurrent", "frozen"], NetSettings(kind="topdown", hidden=(6, 6)), {}),
    ):
        with pytest.raises(RuleError, match="frozen was given a network with a cycle"):
            byway.compare(rules, net, "digits", data=data, looks=0, **QUICK, **more)


def test_a_control_does_not_learn_more_slowly_than_its_rule(data):
    """Beside rules at 0.0001, 0.005 and 0.01, frozen layers at their own 0.001 and at the higher
    two, whoever else is there; where somebody chose the rate of `frozen`, at that, and beside
    another optimiser at their own.
    """
    net = NetSettings(hidden=(6,))
    rates, options = {"slow": 1e-4, "fast": 0.01, "middle": 5e-3}, QUICK | {"looks": 0}
    rules = {name: byway.rule("dfa") for name in rates} | {"frozen": byway.rule("frozen")}
    run = byway.compare(rules, net, data=data, rates=rates, **options)
    held = {label: one.control for label, one in run.items()}
    assert held == {
        "slow": "frozen",
        "fast": "frozen@fast",
        "middle": "frozen@middle",
        **dict.fromkeys(["frozen", "frozen@fast", "frozen@middle"]),
    }
    one = byway.fit(run["fast"].learner().net.as_learnt(False), rules["frozen"],
                    byway.task("digits"), data=data, lr=0.01, **options)  # fmt: skip
    np.testing.assert_allclose(run["frozen@fast"].test["accuracy"], one.test["accuracy"])
    assert run["frozen@fast"].settings["lr"] == 0.01 and run["frozen"].settings["lr"] == 1e-3
    chosen = byway.compare(rules, net, data=data, rates=rates | {"frozen": 2e-3}, **options)
    assert chosen["fast"].control == "frozen" and "frozen@fast" not in chosen
    other = byway.compare(["pepita", "frozen"], net, data=data, **options)
    assert other["pepita"].settings["lr"] > other["frozen"].settings["lr"]
    assert other["pepita"].control == "frozen"


@pytest.mark.slow
def test_a_rule_with_a_network_of_its_own_has_a_control_of_its_own(compared):
    assert [*compared] == ["bp", "frozen", "ff", "frozen@ff"]
    assert {label: one.control for label, one in compared.items()} == {
        "bp": "frozen",
        "frozen": None,
        "ff": "frozen@ff",
        "frozen@ff": None,
    }
    own, others = compared["frozen@ff"].learners.net, compared["frozen"].learners.net
    assert own.populations == compared["ff"].learners.net.populations != others.populations


def test_beats_frozen_is_against_that_control(compared):
    table = Table(compared)
    test = {label: one.test["accuracy"] for label, one in compared.items()}
    for rule, control in (("bp", "frozen"), ("ff", "frozen@ff")):
        won = int(np.sum(test[rule] > test[control]))
        assert (table.rows[rule].wins.won, table.rows[rule].wins.of) == (won, 2)
        assert table.cell(rule, "beats frozen") == f"{won} of 2"
    said = " ".join(reading(table))
    assert "ff against frozen@ff" in said
    assert "frozen@ff by" not in said, "nobody asked how far it is from backprop"


def test_a_hidden_layer_that_is_frozen_is_the_one_that_the_rule_started_from(compared, data):
    """In the very network of the rule: the same weights, and the same outputs from them."""
    weight = lambda label: np.asarray(compared[label].learners.net.theta["input-hidden1"]["weight"])
    untrained = byway.fit(
        compared["ff"].learner().net.as_learnt(False),
        byway.rule("frozen"),
        byway.task("digits"),
        data=data,
        looks=0,
        **QUICK,
    )
    np.testing.assert_array_equal(
        weight("frozen@ff"), np.asarray(untrained.learners.net.theta["input-hidden1"]["weight"])
    )
    assert np.any(weight("ff") != weight("frozen@ff"))


def test_what_was_added_is_no_rule_that_was_asked_for(compared, tmp_path):
    """It comes last, and a saved run still knows who is held against whom."""
    there = byway.open(compared.save(tmp_path / "run"))
    assert [*there] == [*compared] and there["ff"].control == "frozen@ff"
    assert str(Table(there).cell("ff", "beats frozen")) == Table(compared).cell(
        "ff", "beats frozen"
    )
    assert there.report().is_file()


@pytest.mark.slow
def test_nothing_is_added_where_nobody_asked_for_a_control(data):
    run = byway.compare(["ff"], NetSettings(hidden=(5,)), data=data, looks=0, **QUICK)
    assert [*run] == ["ff"] and run["ff"].control is None


def test_a_rate_of_one_rule(data):
    net = NetSettings(hidden=(5,))
    rates = {"dfa": 0.02}
    run = byway.compare(["frozen", "dfa"], net, data=data, looks=0, rates=rates, lr=0.3, **QUICK)
    assert (run["frozen"].settings["lr"], run["dfa"].settings["lr"]) == (0.3, 0.02)


def test_listeners_are_told_of_each_rule(data):
    told, seen = [], []
    byway.compare(
        ["frozen", "dfa"],
        NetSettings(hidden=(5,)),
        data=data,
        looks=2,
        on_epoch=lambda label, reading: told.append((label, reading.epoch)),
        on_look=lambda label, reading: seen.append((label, reading.step)),
        **QUICK,
    )
    assert told == [(rule, epoch) for rule in ("frozen", "dfa") for epoch in (0.0, 1.0)]
    assert seen == [(rule, step) for rule in ("frozen", "dfa") for step in (0, 4)]


def test_what_is_in_memory_and_on_disk_is_the_same(data, tmp_path):
    """Every number of a run that was written while it trained, and of one that was saved after."""
    asked = {"data": data, "looks": 2, **QUICK}
    net = NetSettings(hidden=(5,))
    run = byway.train("dfa", net, out=tmp_path / "run", **asked)
    again = byway.open(tmp_path / "run")
    saved = byway.open(byway.train("dfa", net, **asked).save(tmp_path / "saved"))
    for other in (again, saved):
        assert other["dfa"].history.keys() == run["dfa"].history.keys()
        for name, curve in run["dfa"].history.items():
            np.testing.assert_array_equal(other["dfa"].history[name].values, curve.values)
            np.testing.assert_array_equal(other["dfa"].history[name].steps, curve.steps)
        for name, values in run["dfa"].test.items():
            np.testing.assert_array_equal(other["dfa"].test[name], values)
        mine, theirs = run.predictions("dfa"), other.predictions("dfa")
        for part in ("values", "truth"):
            np.testing.assert_array_equal(getattr(theirs, part), getattr(mine, part))
            assert getattr(theirs, part).dtype == getattr(mine, part).dtype
        assert (theirs.labels, theirs.seeds) == (mine.labels, mine.seeds)
        assert other["dfa"].test_classes == run["dfa"].test_classes
        # From raw samples, by a network read from disk.
        for seed in mine.seeds:
            said = other.predictor("dfa", seed).predict(np.asarray(data["test"].x))
            np.testing.assert_array_equal(said, mine.values[seed])
    with pytest.raises(ConfigError, match=r"seed = 7 of dfa"):
        again.predictor("dfa", 7)
    (again.folder / "jobs" / "dfa" / f"0-{mine.seeds[-1]}" / "weights.safetensors").unlink()
    with pytest.raises(RunError, match="without its weights"):
        again.predictor("dfa")
        assert other["dfa"].audit == run["dfa"].audit and other["dfa"].settings["batch"] == 20
        assert other["dfa"].projections == run["dfa"].projections


def test_a_rule_that_did_not_get_its_turn_is_in_the_run(data, tmp_path):
    """Stopped while the first trains, the folder names all that were asked for, with what is known
    of them.
    """

    def stop(label, reading):
        if reading.epoch == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        byway.compare(
            ["bp", "frozen", "ff"],
            NetSettings(hidden=(6,)),
            data=data,
            looks=0,
            out=tmp_path / "run",
            on_epoch=stop,
            **QUICK,
        )
    run = byway.open(tmp_path / "run")
    assert [*run.unfinished] == [*run] == ["bp", "frozen", "ff", "frozen@ff"]
    assert run["bp"].history["validation/accuracy"].epochs.tolist() == [0.0, 1.0]
    assert run["ff"].history == {} and run["ff"].settings["batch"] == 20
    assert run["ff"].network == run["frozen@ff"].network
