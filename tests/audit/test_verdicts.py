"""The audit on rules whose locality is known: ours, and some that lie."""

from typing import ClassVar

import jax
import jax.numpy as jnp
import pytest

import byway
from byway.audit.jacobian import jacobian
from byway.audit.networks import KINDS, tiny
from byway.audit.verdict import audit
from byway.core.record import Phase, Record
from byway.core.rule import Claims, Rule, Update
from byway.network.chain import chained_deltas
from byway.rules import RULES

ALL = [(name, kind) for name in RULES.ids() for kind in KINDS]
HONEST_FA = RULES.get("fa")().claims


@pytest.mark.parametrize(("name", "kind"), ALL)
def test_every_rule_does_what_it_claims(name, kind):
    rule = byway.rule(name)
    verdict = audit(rule, tiny(kind, rule))
    assert verdict.disagreements == []
    assert verdict.findings == []


@pytest.mark.parametrize(("name", "kind"), ALL)
def test_no_derivative_where_the_program_reads_nothing(name, kind):
    rule = byway.rule(name)
    net = tiny(kind, rule)
    numbers = jacobian(rule, net, audit(rule, net))
    assert numbers.missed == []
    if name != "ff":
        assert numbers.silent == []


def test_what_the_papers_say_each_update_reads():
    """By hand, for the first layer of a three-layer net."""
    pre, slope = "record.free.pre.input-hidden1", "record.free.slope.hidden1"
    slopes = {slope, "record.free.slope.hidden2"}
    expected = {
        "bp": {pre, *slopes, "signal.error", "net.hidden1-hidden2.weight", "net.hidden2-output.weight"},
        "fa": {pre, *slopes, "signal.error", "gamma.hidden1-hidden2", "gamma.hidden2-output"},
        "dfa": {pre, slope, "signal.error", "gamma.hidden1"},
    }
    for name, reads in expected.items():
        rule = byway.rule(name)
        assert set(audit(rule, tiny("mlp", rule)).updates["input-hidden1"].reads) == reads


def test_hard_negatives_lock_forward_forward_by_a_discrete_choice_alone():
    rule = byway.rule("ff")
    net = tiny("mlp", rule)
    verdict = audit(rule, net)
    assert verdict.updates["input-hidden1"].waits_for == ["hidden1-hidden2", "hidden2-output"]
    assert jacobian(rule, net, verdict).composed["input-hidden1"]["hidden2-output"] == 0


class _Liar(Rule):
    """Claims to be feedback alignment; each child hides the forward weights somewhere else."""

    claims: ClassVar[Claims] = HONEST_FA

    def accepts(self, net):
        pass

    def init(self, net, key):
        return {p.name: jax.random.normal(key, p.weight.shape) for p in net.projections}

    def start(self, gamma, net, batch):
        return (), ()

    def f(self, gamma, net, state, x, signal, key):
        free = net.forward(x)
        return state, Record({"free": free}, free.post[net.output])

    def feedback(self, gamma, net, memory, record):
        return gamma

    def g(self, gamma, net, memory, record, signal):
        free = record["free"]
        delta = chained_deltas(net, free, signal.error(record.output), self.feedback(gamma, net, memory, record))
        return memory, Update({p.name: p.outer(free.pre[p.name], delta[p.dst]) for p in net.projections})


class Honest(_Liar):
    pass


class CopiedAtInit(_Liar):
    def init(self, net, key):
        return {p.name: p.weight * 1.5 for p in net.projections}


class CopiedWithNoise(_Liar):
    def init(self, net, key):
        return {p.name: p.weight + 0.1 * jax.random.normal(key, p.weight.shape) for p in net.projections}


class KeptUpToDate(_Liar):
    def g(self, gamma, net, memory, record, signal):
        memory, update = super().g(gamma, net, memory, record, signal)
        return memory, Update(update.net, {p.name: gamma[p.name] - p.weight for p in net.projections})


class InMemory(_Liar):
    def start(self, gamma, net, batch):
        return (), {p.name: jnp.zeros_like(p.weight) for p in net.projections}

    def feedback(self, gamma, net, memory, record):
        return memory

    def g(self, gamma, net, memory, record, signal):
        _, update = super().g(gamma, net, memory, record, signal)
        return {p.name: p.weight for p in net.projections}, update


class InState(_Liar):
    def start(self, gamma, net, batch):
        return {p.name: jnp.zeros_like(p.weight) for p in net.projections}, ()

    def f(self, gamma, net, state, x, signal, key):
        free = net.forward(x)
        free = Phase(free.pre, free.u, free.post, free.slope, state)
        return {p.name: p.weight for p in net.projections}, Record({"free": free}, free.post[net.output])

    def feedback(self, gamma, net, memory, record):
        return record["free"].injected


class InRecord(_Liar):
    def f(self, gamma, net, state, x, signal, key):
        free = net.forward(x)
        weights = {p.name: p.weight for p in net.projections}
        free = Phase(free.pre, free.u, free.post, free.slope, weights)
        return state, Record({"free": free}, free.post[net.output])

    def feedback(self, gamma, net, memory, record):
        return record["free"].injected


class ForwardInG(_Liar):
    def g(self, gamma, net, memory, record, signal):
        again = net.forward(record["free"].post[net.input])
        error = signal.error(again.post[net.output])
        delta = chained_deltas(net, again, error, gamma)
        return memory, Update({p.name: p.outer(again.pre[p.name], delta[p.dst]) for p in net.projections})


class InALoop(_Liar):
    """Passes the weights through a scan and a cond on their way."""

    def feedback(self, gamma, net, memory, record):
        hidden = {}
        for p in net.projections:
            turned, _ = jax.lax.scan(lambda w, _: (w + 1.0, None), p.weight, None, length=2)
            hidden[p.name] = jax.lax.cond(gamma[p.name].sum() > 0, lambda t=turned: t, lambda b=gamma[p.name]: b)
        return hidden


def test_the_honest_twin_passes():
    assert audit(Honest(), tiny("mlp", Honest())).disagreements == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "liar", [CopiedAtInit, CopiedWithNoise, KeptUpToDate, InMemory, InState, InRecord, ForwardInG, InALoop], ids=lambda c: c.__name__
)
def test_a_rule_that_lies_is_caught(liar, kind):
    verdict = audit(liar(), tiny(kind, liar()))
    assert verdict.found.transport == "yes"
    assert any(d.startswith("transport: claimed no, found yes") for d in verdict.disagreements)
    assert verdict.findings or liar in (InRecord, InState)


def test_dead_gamma_is_found():
    class Hoarder(Honest):
        def init(self, net, key):
            return {**super().init(net, key), "spare": jnp.ones(3)}

    net = tiny("mlp", Hoarder())
    # The feedback into the input's own projection is never read either.
    assert audit(Hoarder(), net).dead_gamma == ["gamma.input-hidden1", "gamma.spare"]


@pytest.mark.parametrize(
    ("field", "value"), [("locking", "no"), ("derivative", "no"), ("signal", frozenset({"loss"})), ("phases", 2), ("memory", "units")]
)
def test_every_false_claim_is_named(field, value):
    class Boaster(Honest):
        claims: ClassVar[Claims] = Claims(**{**vars(HONEST_FA), field: value})

    (said,) = audit(Boaster(), tiny("mlp", Boaster())).disagreements
    assert said.startswith(f"{field}: claimed")
