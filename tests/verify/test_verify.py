"""Every rule brings checks that hold, and that catch the mistakes they are there for."""

import dataclasses
import json
import math
import os
import subprocess
import sys
import textwrap
from importlib.metadata import EntryPoint

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from tests.part import some

import byway
from byway.cli.main import main
from byway.core.check import Check
from byway.core.record import Record
from byway.core.signal import CrossEntropy
from byway.learning.rule import Update
from byway.network.chain import chained_deltas
from byway.rules import RULES
from byway.rules.backprop.bp import BP
from byway.rules.control.frozen import Frozen
from byway.rules.energy.ep import EP
from byway.rules.energy.ipc import IPC
from byway.rules.energy.pc import PC
from byway.rules.feedback.dfa import DFA
from byway.rules.feedback.fa import FA
from byway.rules.feedback.kolen_pollack import KolenPollack
from byway.rules.hebbian.soft_hebb import SoftHebb
from byway.rules.hebbian.three_factor import ThreeFactor
from byway.rules.local.ff import FF
from byway.rules.local.predsim import Predsim
from byway.rules.meta.taylor import Taylor
from byway.rules.perturbation.node_perturbation import NodePerturbation
from byway.rules.targets.dtp import DTP
from byway.rules.time.bptt import BPTT
from byway.rules.time.eprop import Eprop
from byway.rules.time.esn import ESN
from byway.rules.time.rtrl import RTRL
from byway.verify.run import verify, wanted

OURS = RULES.own()
# What holds to the bit holds of programs as users compile them: these are checked in a process
# without the flags that make tests compile faster and round otherwise.
TO_THE_BIT = ("reversible_exact",)
EVERY = [
    (name, check) for name in OURS if name not in TO_THE_BIT for check in byway.rule(name).checks()
]


@pytest.mark.parametrize(("name", "check"), some(EVERY, 18, lambda one: f"{one[0]}: {one[1].name}"))
def test_it_holds(name, check):
    measured = check.measure()
    assert check.holds(measured), f"{measured}, wanted {wanted(check)}"


@pytest.mark.parametrize("name", TO_THE_BIT)
def test_it_holds_to_the_bit_as_users_compile_it(name):
    flags = ("XLA_FLAGS", "JAX_DISABLE_MOST_OPTIMIZATIONS")
    done = subprocess.run(
        [sys.executable, "-m", "byway", "verify", name, "--json"],
        env={k: v for k, v in os.environ.items() if k not in flags},
        capture_output=True,
        text=True,
        check=True,
    )
    results = json.loads(done.stdout)["results"]
    assert len(results) == len(byway.rule(name).checks()) and all(r["holds"] for r in results)


@pytest.mark.parametrize("name", OURS)
def test_every_rule_brings_checks_that_name_their_source(name):
    checks = byway.rule(name).checks()
    assert len(checks) >= 3
    assert len({check.name for check in checks}) == len(checks)
    assert all(check.source and len(check.name) < 80 for check in checks)


def _with_slopes_of_one(record):
    free = record["free"]
    return Record(
        {"free": dataclasses.replace(free, slope=dict.fromkeys(free.slope, 1.0))}, record.output
    )


class ForgetsTheSlope(BP):
    def g(self, gamma, net, memory, record, signal):
        return super().g(gamma, net, memory, _with_slopes_of_one(record), signal)


class TrainsMore(Frozen):
    def g(self, gamma, net, memory, record, signal):
        memory, update = super().g(gamma, net, memory, record, signal)
        return memory, Update({name: update.net.get(name, w) for name, w in net.theta.items()})


class StartsAligned(FA):
    def init(self, net, key):
        return {p.name: p.weight for p in net.projections if p.src != net.input}


class ForgetsOneWayOnly(KolenPollack):
    def keep(self, gamma, net):
        return gamma, super().keep(gamma, net)[1]


class ChainsInSecret(DFA):
    def g(self, gamma, net, memory, record, signal):
        delta = chained_deltas(
            net,
            record["free"],
            signal.error(record.output),
            {p.name: p.weight for p in net.projections},
        )
        return memory, Update(
            {p.name: p.outer(record["free"].pre[p.name], delta[p.dst]) for p in net.projections}
        )


class TeachesTheTruthAsWrong(FF):
    def f(self, gamma, net, state, x, signal, key):
        state, record = super().f(gamma, net, state, x, signal, key)
        if signal is None:
            return state, record
        label = jnp.eye(net[net.output].size)[
            jax.random.randint(key, (len(x),), 0, net[net.output].size)
        ]
        inputs = record["negative"].post[net.input].at[:, : label.shape[1]].set(label)
        return state, eqx.tree_at(lambda r: r["negative"].post[net.input], record, inputs)


class ForgetsTheBaseline(NodePerturbation):
    """What comes of it has the right mean and far too much variance: it is the definition that it
    breaks.
    """

    def g(self, gamma, net, memory, record, signal):
        return super().g(
            gamma, net, memory, dataclasses.replace(record, output=0 * record.output), signal
        )


class TwiceTheError(PC):
    def g(self, gamma, net, memory, record, signal):
        memory, update = super().g(gamma, net, memory, record, signal)
        return memory, jax.tree.map(lambda a: 2 * a, update)


class LearnsItsFeedbackWithoutNoise(DTP):
    def g(self, gamma, net, memory, record, signal):
        free = record["free"]
        quiet = dataclasses.replace(
            free, injected={name: 0 * free.post[name] for name in record["noisy"].injected}
        )
        return super().g(
            gamma, net, memory, Record({"free": free, "noisy": quiet}, record.output), signal
        )


class LearnsFromThePrediction(IPC):
    """The readout, before anything has moved: one update more than there are steps."""

    def g(self, gamma, net, memory, record, signal):
        return memory, Update(
            self.slopes(
                net,
                self.energy(net, record["free"].post[net.input], signal).phase(record["free"].u),
            )
        )

    def f(self, gamma, net, state, x, signal, key):
        state, record = super().f(gamma, net, state, x, signal, key)
        return state, Record({"free": net.forward(x)}, record.output)


class LosesTheSigns(SoftHebb):
    def g(self, gamma, net, memory, record, signal):
        memory, update = super().g(gamma, net, memory, record, signal)
        return memory, Update(update.net, change=jax.tree.map(jnp.abs, update.change))


class PenalisesTheBias(ESN):
    def conclude(self, gamma, net, memory):
        ones = jnp.zeros_like(memory["rr"]).at[-1, -1].set(self.ridge * memory["batches"])
        return super().conclude(gamma, net, memory | {"rr": memory["rr"] + ones})


class ExpectsNothing(ThreeFactor):
    """What was chosen, in place of how much more than expected."""

    def g(self, gamma, net, memory, record, signal):
        tried = record["tried"]
        if isinstance(signal.criterion, CrossEntropy):
            chosen = tried.injected["output"] + signal.criterion.link(record.output)
            tried = dataclasses.replace(tried, injected=tried.injected | {"output": chosen})
        return super().g(gamma, net, memory, Record({"tried": tried}, record.output), signal)


class DividesByBetaAlone(EP):
    """Twice what it should be: two nudges lie 2 beta apart."""

    def g(self, gamma, net, memory, record, signal):
        memory, update = super().g(gamma, net, memory, record, signal)
        return memory, jax.tree.map(lambda a: 2 * a, update)


class NeverCompares(Predsim):
    """Prediction alone, with the share that both should have."""

    def g(self, gamma, net, memory, record, signal):
        alike = {
            name: heads | {"sim": jax.tree.map(jnp.zeros_like, heads["sim"])}
            for name, heads in gamma.items()
        }
        return super().g(alike, net, memory, record, signal)


class ForgetsTheTrace(Eprop):
    """What was owed before this step is gone."""

    def g(self, gamma, net, memory, record, signal):
        return super().g(gamma, net, jax.tree.map(jnp.zeros_like, memory), record, signal)


class ForgetsTheLastStep(BPTT):
    def g(self, gamma, net, memory, record, signal):
        signal = dataclasses.replace(signal, weight=signal.weight.at[:, -1].set(0))
        return super().g(gamma, net, memory, record, signal)


class LateIndex(RTRL):
    def g(self, gamma, net, memory, record, signal):
        free = record["free"]
        late = {p.name: free.post[p.src] for p in net.projections if p.name in net.recurrent}
        wrong = dataclasses.replace(free, pre=free.pre | late)
        return super().g(gamma, net, memory, Record({"free": wrong}, record.output), signal)


class TheOtherWay(Taylor):
    def g(self, gamma, net, memory, record, signal):
        memory, update = super().g(gamma, net, memory, record, signal)
        return memory, jax.tree.map(jnp.negative, update)


class CountsFromNothing(BP):
    def g(self, gamma, net, memory, record, signal):
        raise KeyError("hidden9")


MISTAKES = {
    ForgetsTheSlope: "mlp: update = autodiff",
    TrainsMore: "other projections that learn",
    StartsAligned: "B drawn from the weights' key: cosine to Wᵀ, in standard errors",
    ForgetsOneWayOnly: "SGD, 50 steps: gap = (1 - decay)^50 of the first",
    ChainsInSecret: "deep tanh net, the same B: distance from autodiff",
    TeachesTheTruthAsWrong: "wrong labels that are right, of 2000",
    ForgetsTheBaseline: "update = (C(noisy) - C(clean)) ξ h / σ, in NumPy",
    TwiceTheError: "predictions kept: update = autodiff",
    LearnsItsFeedbackWithoutNoise: "convnet: update of the feedback = slope of the inverse loss",
    LearnsFromThePrediction: "3 batches of 5 steps, cross-entropy: weights = NumPy's",
    PenalisesTheBias: "readout = NumPy's least squares, with the ridge as further rows",
    ExpectsNothing: "all classes, by their probability: update = autodiff of the expected reward",
    LosesTheSigns: "mlp: changes of hidden layers = NumPy's, unit by unit",
    DividesByBetaAlone: "linear net, beta 0.5: update = closed form",
    NeverCompares: "mlp: update and heads = autodiff of each layer's own loss",
    ForgetsTheTrace: "alif, random feedback: the same",
    ForgetsTheLastStep: "one layer: update = autodiff of the unrolled loop",
    LateIndex: "two layers: update = autodiff of the unrolled loop",
    TheOtherWay: "pre post - post² w: update = Oja's rule",
}


@pytest.mark.parametrize("wrong", some(list(MISTAKES), 6, lambda wrong: wrong.__name__))
def test_a_mistake_is_caught_by_the_check_that_is_there_for_it(wrong):
    check = next(check for check in wrong().checks() if check.name == MISTAKES[wrong])
    assert not check.holds(check.measure())


def test_a_wrong_rule_is_reported_clearly_and_the_rest_is_run_all_the_same():
    seen = []
    results = verify(CountsFromNothing(), seen.append)
    assert len(results) == len(BP().checks())
    assert seen == results
    assert not any(r.holds for r in results)
    assert str(results[0]) == (
        "counts_from_nothing, mlp: update = autodiff: raised KeyError: 'hidden9', wanted ≤ 1e-12 "
        "(Rumelhart, Hinton and Williams 1986)"
    )
    assert math.isnan(results[0].measured)
    assert results[0].to_json()["measured"] is None


@pytest.mark.parametrize(
    ("check", "good", "bad", "said"),
    [
        (
            Check("", lambda: 0, 1e-12, ""),
            [0, 1e-12, -1e-12],
            [2e-12, math.nan, math.inf],
            "≤ 1e-12",
        ),
        (Check("", lambda: 0, 0.0, ""), [0], [1e-300, math.nan], "0"),
        (
            Check("", lambda: 0, 0.06, "", -0.5),
            [-0.5, -0.45],
            [0.5, -0.57, math.nan],
            "-0.5 ± 0.06",
        ),
        (
            Check("", lambda: 0, 0.01, "", least=True),
            [0.01, -5, math.inf],
            [0.0, 0.009, math.nan],
            "≥ 0.01",
        ),
    ],
)
def test_what_holds(check, good, bad, said):
    assert [check.holds(v) for v in good] == [True] * len(good)
    assert [check.holds(v) for v in bad] == [False] * len(bad)
    assert wanted(check) == said


def test_checks_run_in_float64_whatever_the_precision_outside():
    class Says(BP):
        def checks(self):
            return [Check("bits", lambda: float(jnp.zeros(()).dtype.itemsize), 0.0, "", 8.0)]

    with jax.enable_x64(False):
        (result,) = verify(Says())
        assert jnp.zeros(()).dtype == "float32"
    assert result.holds


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A package of someone else with two rules: one brings a check that fails, the other brings
    none.
    """
    code = """
        from byway.core.check import Check
        from byway.rules.backprop.bp import BP


        class Mine(BP):
            def checks(self):
                return [
                    Check("one is one", lambda: 1.0, 0.0, "arithmetic", wanted=1.0),
                    Check("two is three", lambda: 2.0, 0.5, "nobody", wanted=3.0),
                ]


        class Bare(BP):
            def checks(self):
                return ()
    """
    (tmp_path / "somebodys_rules.py").write_text(textwrap.dedent(code))
    monkeypatch.syspath_prepend(tmp_path)
    points = {
        name: EntryPoint(name, f"somebodys_rules:{name.title()}", "byway.rules")
        for name in ("mine", "bare")
    }
    monkeypatch.setitem(vars(RULES), "_foreign", points)


def test_a_rule_of_someone_else_brings_its_checks(installed, capsys):
    assert main(["verify", "mine", "bare", "--json"]) == 2
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert [
        (r["rule"], r["check"], r["measured"], r["wanted"], r["bound"], r["holds"], r["source"])
        for r in found["results"]
    ] == [
        ("mine", "one is one", 1.0, 1.0, 0.0, True, "arithmetic"),
        ("mine", "two is three", 2.0, 3.0, 0.5, False, "nobody"),
    ]
    assert found["without_checks"] == ["bare"]
    assert "1 of 2 checks do not hold" in said.err
    assert "mine, two is three: measured 2, wanted 3 ± 0.5 (nobody)" in said.err
    assert all(word in said.err for word in ("wanted:", "do:"))


def test_the_table_has_a_line_for_each_check_and_names_rules_that_bring_none(installed, capsys):
    assert main(["verify", "bare", "frozen"]) == 0
    said = capsys.readouterr().out
    assert all(check.name in said for check in Frozen().checks())
    assert "3 of 3 checks hold" in said
    assert "bare brings no checks along" in said


def test_a_misspelt_rule_is_answered_with_the_nearest(capsys):
    assert main(["verify", "dfaa"]) == 2
    assert "'dfa'" in capsys.readouterr().err
