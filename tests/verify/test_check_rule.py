"""Each law of the contract, and the rule that breaks it; one line for the whole contract."""

import dataclasses
import functools
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.part import some

import byway
from byway.core.check import Check
from byway.core.errors import RuleError
from byway.core.hyper import hyper
from byway.core.record import Record
from byway.learning.rule import Claims, Update
from byway.rules.backprop.bp import BP
from byway.rules.control.frozen import Frozen
from byway.rules.feedback.dfa import DFA
from byway.rules.meta.taylor import OJA, Taylor
from byway.verify import laws
from byway.verify.case import Case
from byway.verify.held import ContractError


class FewerBits(BP):
    def g(self, gamma, net, memory, record, signal):
        memory, update = super().g(gamma, net, memory, record, signal)
        return memory, jax.tree.map(lambda a: a.astype("float32"), update)


class Transposed(BP):
    def g(self, gamma, net, memory, record, signal):
        memory, update = super().g(gamma, net, memory, record, signal)
        return memory, Update(
            {name: w | {"weight": w["weight"].T} for name, w in update.net.items()}
        )


class NamesAStranger(BP):
    def g(self, gamma, net, memory, record, signal):
        memory, update = super().g(gamma, net, memory, record, signal)
        return memory, Update(update.net | {"input-moon": {"weight": jnp.zeros(1)}})


class Remembers(BP):
    def g(self, gamma, net, memory, record, signal):
        _, update = super().g(gamma, net, memory, record, signal)
        return (record.output,), update


class NoPrediction(BP):
    def f(self, gamma, net, state, x, signal, key):
        state, record = super().f(gamma, net, state, x, signal, key)
        return state, record if signal is not None else Record(record.phases, record.output[:, :1])


class LooksAtTheOthers(BP):
    """Draws from a generator of its own at each trace, so another program has other numbers."""

    def g(self, gamma, net, memory, record, signal):
        memory, update = super().g(gamma, net, memory, record, signal)
        noise = DRAW.normal()
        return memory, jax.tree.map(lambda a: a + noise, update)


DRAW = np.random.default_rng(0)


class LeavesTheReadout(BP):
    def g(self, gamma, net, memory, record, signal):
        memory, update = super().g(gamma, net, memory, record, signal)
        return memory, Update(
            {name: w for name, w in update.net.items() if not name.endswith("-output")}
        )


class DividesByZero(BP):
    def g(self, gamma, net, memory, record, signal):
        memory, update = super().g(gamma, net, memory, record, signal)
        return memory, jax.tree.map(lambda a: a / 0 * 0, update)


class WritesToTheRecord(BP):
    def g(self, gamma, net, memory, record, signal):
        record["free"].slope["hidden1"] = 1.0
        return super().g(gamma, net, memory, record, signal)


class WritesToGamma(DFA):
    def f(self, gamma, net, state, x, signal, key):
        gamma["more"] = x
        return super().f(gamma, net, state, x, signal, key)


class ClaimsToBeLocal(BP):
    claims = Claims("no", "yes", "yes", frozenset({"error"}), 1, "none")


BROKEN = [
    (FewerBits, laws.shapes_and_types_are_those_of_what_changes, "float32"),
    (
        Transposed,
        laws.shapes_and_types_are_those_of_what_changes,
        "an update of hidden1-hidden2 like",
    ),
    (NamesAStranger, laws.shapes_and_types_are_those_of_what_changes, "input-moon"),
    (Remembers, laws.shapes_and_types_are_those_of_what_changes, "memory from g"),
    (NoPrediction, laws.shapes_and_types_are_those_of_what_changes, "when predicting"),
    (LooksAtTheOthers, laws.one_program_for_all_learns_what_each_does_alone, "in a loop and"),
    (LooksAtTheOthers, laws.compiled_or_not_a_step_is_the_same, "compiled and not"),
    (
        LeavesTheReadout,
        laws.learning_changes_the_readout_and_stays_finite,
        "hidden2-output as drawn",
    ),
    (DividesByZero, laws.learning_changes_the_readout_and_stays_finite, "not finite"),
    (WritesToTheRecord, laws.arguments_are_left_as_they_were, "g writes"),
    (WritesToGamma, laws.arguments_are_left_as_they_were, "f writes"),
    (ClaimsToBeLocal, laws.the_audit_bears_out_the_claims, "transport: claimed no, found yes"),
]


@pytest.mark.parametrize(
    ("cls", "law", "said"), some(BROKEN, 6), ids=lambda v: getattr(v, "__name__", None)
)
def test_a_rule_that_breaks_a_law_on_a_network_is_told_so(cls, law, said):
    with pytest.raises(ContractError, match=said) as caught:
        law(Case(cls(), "mlp"))
    assert f"{cls().id} on mlp" in str(caught.value)
    assert all(word in str(caught.value) for word in ("wanted:", "do:"))


class TakesEverything(BP):
    def accepts(self, net):
        pass


class TakesNothing(BP):
    def accepts(self, net):
        raise RuleError("takes_nothing was given a network", "none", "none")


class SaysNo(BP):
    def accepts(self, net):
        if net.cyclic:
            raise RuleError("no", "no", "no")
        super().accepts(net)


class FearsBlackBoxes(Taylor):
    def accepts(self, net):
        super().accepts(net)
        net.require_slopes(self.id, lambda net: [])


class Mute(BP):
    rate: float = 0.1


class SaysNothing(BP):
    rate: float = hyper(0.1, "")


class Checked(BP):
    rate: float = hyper(0.1, "how fast it goes", low=0.0, high=1.0)


@pytest.mark.parametrize(
    ("cls", "law", "said"),
    [
        (
            TakesNothing,
            laws.it_accepts_some_network_and_says_why_it_refuses_the_others,
            "refuses mlp",
        ),
        (
            SaysNo,
            laws.it_accepts_some_network_and_says_why_it_refuses_the_others,
            "refused with 'no'",
        ),
        (
            TakesEverything,
            laws.black_boxes_are_refused_where_slopes_are_needed_and_nowhere_else,
            "accepts a hidden black box",
        ),
        (
            FearsBlackBoxes,
            laws.black_boxes_are_refused_where_slopes_are_needed_and_nowhere_else,
            "refuses a hidden black box",
        ),
        (
            Mute,
            laws.hyper_parameters_explain_themselves_and_keep_their_range,
            "Mute.rate without a word",
        ),
        (
            SaysNothing,
            laws.hyper_parameters_explain_themselves_and_keep_their_range,
            "SaysNothing.rate without a word",
        ),
    ],
    ids=lambda v: getattr(v, "__name__", None),
)
def test_a_rule_that_breaks_a_law_by_itself_is_told_so(cls, law, said):
    with pytest.raises(ContractError, match=said):
        law(cls())


def test_a_range_that_nobody_looks_at_is_found_by_trying(monkeypatch):
    laws.hyper_parameters_explain_themselves_and_keep_their_range(Checked())
    monkeypatch.setattr("byway.learning.rule.check_ranges", lambda owner: None)
    with pytest.raises(ContractError, match="rate takes -1"):
        laws.hyper_parameters_explain_themselves_and_keep_their_range(Checked())


class GrowsOlder(BP):
    """Its Python side changes f at each call: a program traced later is another one."""

    def start(self, gamma, net, batch):
        return (), ()

    def f(self, gamma, net, state, x, signal, key):
        state, record = super().f(gamma, net, state, x, signal, key)
        AGE.append(1)
        return state, dataclasses.replace(record, output=record.output * (1 + 1e-2 * len(AGE)))


AGE = []


def test_two_runs_of_a_program_that_python_changes_are_not_the_same():
    with pytest.raises(ContractError, match="two epochs, twice"):
        laws.a_second_epoch_compiles_nothing_and_a_second_run_gives_the_same_bits(
            GrowsOlder(), byway.task("digits")
        )


def test_what_drifts_without_an_error_is_noted():
    class Drifts(Taylor):
        theta: ClassVar = {"hidden": OJA, "output": OJA}

    assert laws.no_error_leaves_the_weights_alone(Case(Taylor(), "mlp"))
    assert laws.no_error_leaves_the_weights_alone(Case(Frozen(), "rnn"))
    assert not laws.no_error_leaves_the_weights_alone(Case(Drifts(), "mlp"))


@functools.cache
def conforming():
    return byway.check_rule(Checked(rate=0.5))


@pytest.mark.slow  # the page on writing a rule does the same
def test_one_line_holds_a_rule_to_the_whole_contract():
    report = conforming()
    assert report.networks == ["mlp", "convnet", "revnet", "ode", "subtasks", "grownet"]
    assert report.problems == []
    tried = {(h.law, h.on) for h in report.laws}
    assert len(tried) == len(laws.BY_ITSELF) + 6 * len(laws.ON_NETWORKS) + len(laws.ON_FEW) + 1
    assert [r.check.name for r in report.checks] == [c.name for c in BP().checks()]


@pytest.mark.slow
def test_the_report_reads_well():
    said = str(conforming()).splitlines()
    assert said[0] == "checked: conforms, on mlp, convnet, revnet, ode, subtasks, grownet"
    assert "  yes  one program for all learns what each does alone" in said
    assert any(line.startswith("  yes  convnet: update = autodiff: ") for line in said)


def test_all_that_is_wrong_is_said_at_once(monkeypatch):
    """The laws are tried one by one above; here a few of them stand for all."""
    monkeypatch.setattr(
        laws,
        "ON_NETWORKS",
        (laws.shapes_and_types_are_those_of_what_changes, laws.the_audit_bears_out_the_claims),
    )
    monkeypatch.setattr(laws, "ON_FEW", ())
    monkeypatch.setattr("byway.verify.rule.trained_on", lambda rule, kinds: [])

    class Wrong(ClaimsToBeLocal):
        def g(self, gamma, net, memory, record, signal):
            if not net.hidden or net.hidden[0].name == "conv1":
                raise KeyError("conv1")
            return super().g(gamma, net, memory, record, signal)

        def checks(self):
            return [Check("one is two", lambda: 1.0, 0.0, "nobody", wanted=2.0)]

    with pytest.raises(ContractError) as caught:
        byway.check_rule(Wrong())
    said = str(caught.value)
    assert "wrong: does not conform, on mlp, convnet" in said
    assert "convnet: raised KeyError: 'conv1'" in said
    assert "transport: claimed no, found yes" in said
    assert "no   one is two: 1, wanted 2 ± 0" in said
    assert "yes  hyper parameters explain themselves and keep their range" in said
