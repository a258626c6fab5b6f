"""How far back credit reaches: closed forms, and rules that are exact beside rules that cut."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import byway
from byway.cli.main import main
from byway.experiment.reach import reach
from byway.network.builders import coupled, graph, mlp, rnn
from byway.rules.time.rollback import Rollback
from byway.training.reach import Reach


def _filter():
    """One linear unit that forgets by alpha a step, and hands on what it holds."""
    net = graph(
        {"input": 1, "unit": 1, "output": 1},
        [("input", "unit"), ("unit", "output")],
        activation=byway.cell("leaky", phi="identity", tau=4.0),
        bias=False,
    )
    return net.with_theta({name: {"weight": jnp.ones((1, 1))} for name in net.theta})


@pytest.mark.slow
def test_credit_in_a_filter_is_what_is_left_of_each_input():
    """The update of its weight is the error times sum over k of alpha^k x_{T-k}."""
    from byway.training.reach import _example

    found = reach(["bptt", "rtrl", "eprop"], _filter(), steps=8, lengths=(8,), batch=1, key=3)
    x = np.asarray(_example(_filter(), 1, 8, 3)[0]).ravel()[::-1]
    kept = np.exp(-np.arange(8) / 4.0) * x
    parts = np.split(kept, [1, 2, 4])
    expected = [abs(part.sum()) / len(part) / abs(kept[0]) for part in parts]
    assert found.lags == (1, 2, 4, 8)
    for rule in ("bptt", "rtrl", "eprop"):
        np.testing.assert_allclose(found.credit[rule], expected, rtol=1e-6)


class HalfAsLargeAgain(Rollback):
    """Keeps every state, and comes back to one and a half times each."""

    def back(self, gamma, net, state, x, key):
        way, record = super().back(gamma, net, state, x, key)
        return way._replace(now=jax.tree.map(lambda a: 1.5 * a, way.now)), record


@pytest.mark.slow
def test_drift_is_what_states_are_missed_by_in_units_of_their_own():
    """By half of each, here; by rounding, where halves are gone back through; not where every state
    is kept, and of a rule that stores nothing is said.
    """
    rules = {"half": HalfAsLargeAgain(checkpoint=1), "kept": Rollback(checkpoint=1)}
    found = reach({**rules, "bptt": byway.rule("bptt")}, rnn(2, 3, 1), steps=2, lengths=(5, 9))
    assert found.drift.keys() == rules.keys()
    np.testing.assert_allclose(found.drift["half"], 0.5, rtol=1e-6)
    assert not found.drift["kept"].any()
    assert len(found.plot()) == 3
    back = Reach.from_json(json.loads(json.dumps(found.to_json())))
    np.testing.assert_array_equal(back.drift["half"], found.drift["half"])
    older = {name: part for name, part in found.to_json().items() if name != "drift"}
    assert not Reach.from_json(older).drift
    halves = reach(["reversible"], coupled(2, 4, 1), steps=2, lengths=(9,)).drift["reversible"]
    assert 0 < halves[0] < 1e-14


@pytest.mark.slow
def test_what_cuts_is_told_apart_from_what_does_not():
    """A window, no memory of other units, none at all; and memory that grows or does not."""
    rules = {name: byway.rule(name) for name in ("bptt", "rtrl", "eprop", "esn")}
    rules["window"] = byway.rule("tbptt", k1=1, k2=2)
    net = byway.rnn(2, 5, 2, activation=byway.cell("leaky", tau=2.0), key=1)
    found = reach(rules, net, steps=16, lengths=(16, 64))
    np.testing.assert_allclose(found.credit["rtrl"], found.credit["bptt"], rtol=1e-9)
    assert (found.credit["window"][2:] == 0).all() and found.furthest("window") == 2
    assert 0 < found.credit["eprop"][-1] < found.credit["bptt"][-1] / 3
    assert not found.credit["esn"].any() and found.furthest("esn") == 0
    short, long = found.memory["bptt"]
    assert long > 3 * short
    for rule in ("rtrl", "eprop", "esn", "window"):
        assert found.memory[rule][0] == found.memory[rule][1]
    left, right = found.plot()
    assert len(left.lines) == len(right.lines) == 5
    assert json.loads(json.dumps(found.to_json()))["lags"] == [1, 2, 4, 8, 16]


@pytest.mark.slow
def test_on_the_command_line(capsys, tmp_path):
    few = ["--steps", "4", "--lengths", "4", "8"]
    few += ["--kind", "coupled", "--hidden", "4"]
    assert main(["reach", "bptt", "reversible", *few, "--plot", str(tmp_path / "a.svg")]) == 0
    said = capsys.readouterr().out
    assert "Drift of states on the way back" in said
    assert "Credit by steps before the error" in said and "Memory of one update" in said
    assert (tmp_path / "a.svg").read_text(encoding="utf-8").lstrip().startswith("<?xml")


@pytest.mark.parametrize(
    ("rules", "options", "said"),
    [
        (["bp"], {}, "bp, which does not run in time"),
        (["rtrl"], {"net": mlp(4, 3, 2)}, "rtrl was given a network without recurrent"),
        ([], {}, "no rule"),
        (["bptt"], {"steps": 1}, "steps = 1"),
        (["bptt"], {"lengths": (0,)}, "lengths = 0"),
    ],
)
def test_what_cannot_be_looked_at_is_refused(rules, options, said):
    with pytest.raises(byway.BywayError, match=said):
        reach(rules, **options)


@pytest.mark.slow
def test_a_run_keeps_it_and_its_page_shows_it(tmp_path):
    run = byway.compare(
        ["rtrl", "rollback", "frozen"],
        byway.rnn(2, 3, 2),
        byway.task("delayed_xor", samples=32, gap=1, wait=1),
        epochs=1,
        out=tmp_path / "run",
        progress=False,
    )
    assert "Credit in time" not in run.report().read_text(encoding="utf-8")
    found = run.reach(steps=4, lengths=(4, 8))
    again = byway.open(tmp_path / "run")
    assert "Credit in time" in (page := again.report().read_text(encoding="utf-8"))
    assert "None in hidden layers: frozen." in page
    assert "By how much states are missed on the way back" in page
    assert found.credit["rtrl"][0] == 1 and not found.credit["frozen"].any()
    kept = tmp_path / "run" / "reach.json"
    kept.write_text(kept.read_text(encoding="utf-8").replace('"lags"', '"lag"'), encoding="utf-8")
    with pytest.raises(byway.BywayError, match=r"reach\.json is not as a run writes it"):
        again.report()


def test_a_run_without_time_has_no_reach():
    draw = np.random.default_rng(0)
    task = byway.Data(draw.normal(size=(40, 4)), np.arange(40) % 3)
    run = byway.train("bp", byway.mlp(4, 3, 3), task, epochs=1, batch=8, progress=False)
    with pytest.raises(byway.BywayError, match="no rule works in time"):
        run.reach()
