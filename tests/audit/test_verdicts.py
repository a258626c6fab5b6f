"""The audit on rules whose locality is known: ours, and some that lie."""

import functools
from typing import ClassVar

import jax
import jax.numpy as jnp
import pytest
from feedback import Feedback
from tests.part import some

import byway
from byway.audit.jacobian import jacobian
from byway.audit.networks import KINDS, accepts, tiny
from byway.audit.verdict import audit
from byway.core.record import Phase, Record
from byway.learning.rule import Claims, Update
from byway.network.builders import graph
from byway.network.chain import chained_deltas
from byway.rules import RULES

# Rules that see time are not here: the audit has no sequences to give them, nor a locking verdict
# where there are cycles.
ONCE = [kind for kind in KINDS if kind not in ("rnn", "cyclic", "orthogonal", "topdown")]
ALL = [
    (name, kind)
    for name in RULES.ids()
    if not RULES.get(name).in_time
    for kind in ONCE
    if accepts(byway.rule(name), kind)
]
LAYERED = ("mlp", "convnet")
MLP = [pair for pair in ALL if pair[1] == "mlp"]
HONEST_FA = RULES.get("fa")().claims


@functools.cache
def audited(name, kind):
    rule = byway.rule(name)
    net = tiny(kind, rule)
    return rule, net, audit(rule, net)


@pytest.mark.parametrize(("name", "kind"), some(ALL, 8))
def test_every_rule_does_what_it_claims(name, kind):
    _, _, verdict = audited(name, kind)
    assert verdict.disagreements == []
    assert verdict.findings == []


# Derivatives take long: on other networks than an mlp, in `make slow`.
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *some(MLP, 6),
        *(pytest.param(*pair, marks=pytest.mark.slow) for pair in ALL if pair not in MLP),
    ],
)
def test_no_derivative_where_the_program_reads_nothing(name, kind):
    rule, net, verdict = audited(name, kind)
    numbers = jacobian(rule, net, verdict)
    assert numbers.missed == []
    # Locks through a choice or a quantiser, and by an error that has not crossed a layer yet: no
    # derivative shows them.
    in_one_sweep = ("mlp", "convnet", "revnet", "subtasks", "grownet")
    if name not in ("ff", "es") and (name, kind) not in {  # of es, ranks are choices
        ("ep", "blackbox"),
        ("pepita", "blackbox"),
        *(("ipc", kind) for kind in in_one_sweep),
    }:
        silent = set(numbers.silent)
        for seed in range(3):  # units at the end of a hard sigmoid, with some weights only
            if silent:
                silent &= set(jacobian(rule, net.redraw(jax.random.key(seed)), verdict).silent)
        assert not silent


@pytest.mark.parametrize(("name", "kind"), [("esn", "rnn"), ("esn", "mlp"), ("cafo", "mlp")])
def test_what_is_concluded_depends_on_what_memory_was_made_of(name, kind):
    """A readout that is solved at the end reads sums of activity, which follow from the weights
    below: derivative and trace say so alike.
    """
    rule, net, verdict = audited(name, kind)
    assert jacobian(rule, net, verdict).missed == []
    below = {p.name for p in net.projections if p.dst != net.output}
    readout = net.incoming(net.output)[0].name
    assert below <= set(verdict.updates[readout].depends_on)
    assert verdict.updates[readout].waits_for == []


def test_what_the_papers_say_each_update_reads():
    """By hand, for the first layer of a three-layer net."""
    pre, slope = "record.free.pre.input-hidden1", "record.free.slope.hidden1"
    slopes = {slope, "record.free.slope.hidden2"}
    expected = {
        "bp": {
            pre,
            *slopes,
            "signal.error",
            "net.hidden1-hidden2.weight",
            "net.hidden2-output.weight",
        },
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


class Honest(Feedback):
    pass


class CopiedAtInit(Feedback):
    def init(self, net, key):
        return {p.name: p.weight * 1.5 for p in net.projections}


class CopiedWithNoise(Feedback):
    def init(self, net, key):
        return {
            p.name: p.weight + 0.1 * jax.random.normal(key, p.weight.shape) for p in net.projections
        }


class KeptUpToDate(Feedback):
    def g(self, gamma, net, memory, record, signal):
        memory, update = super().g(gamma, net, memory, record, signal)
        return memory, Update(
            update.net, {p.name: gamma[p.name] - p.weight for p in net.projections}
        )


class InMemory(Feedback):
    def start(self, gamma, net, batch):
        return (), {p.name: jnp.zeros_like(p.weight) for p in net.projections}

    def feedback(self, gamma, net, memory, record):
        return memory

    def g(self, gamma, net, memory, record, signal):
        _, update = super().g(gamma, net, memory, record, signal)
        return {p.name: p.weight for p in net.projections}, update


class InState(Feedback):
    def start(self, gamma, net, batch):
        return {p.name: jnp.zeros_like(p.weight) for p in net.projections}, ()

    def f(self, gamma, net, state, x, signal, key):
        free = net.forward(x)
        free = Phase(free.pre, free.u, free.post, free.slope, state)
        return {p.name: p.weight for p in net.projections}, Record(
            {"free": free}, free.post[net.output]
        )

    def feedback(self, gamma, net, memory, record):
        return record["free"].injected


class InRecord(Feedback):
    def f(self, gamma, net, state, x, signal, key):
        free = net.forward(x)
        weights = {p.name: p.weight for p in net.projections}
        free = Phase(free.pre, free.u, free.post, free.slope, weights)
        return state, Record({"free": free}, free.post[net.output])

    def feedback(self, gamma, net, memory, record):
        return record["free"].injected


class InRecordForwards(Feedback):
    """Uses the weights in g as the network does, on a copy that came with the record."""

    def f(self, gamma, net, state, x, signal, key):
        free = net.forward(x)
        weights = {p.name: p.weight for p in net.projections}
        return state, Record(
            {"free": Phase(free.pre, free.u, free.post, free.slope, weights)}, free.post[net.output]
        )

    def g(self, gamma, net, memory, record, signal):
        free = record["free"]
        again = net.with_theta({name: {"weight": w} for name, w in free.injected.items()}).forward(
            free.post[net.input]
        )
        delta = chained_deltas(net, again, signal.error(again.post[net.output]), gamma)
        return memory, Update(
            {p.name: p.outer(again.pre[p.name], delta[p.dst]) for p in net.projections}
        )


class DelayedError(Feedback):
    """Sends the error of the step before back through the weights, in f."""

    def start(self, gamma, net, batch):
        return jnp.zeros((batch, net[net.output].size)), ()

    def f(self, gamma, net, state, x, signal, key):
        free = net.forward(x)
        output = free.post[net.output]
        delta = chained_deltas(net, free, state, {p.name: p.weight for p in net.projections})
        return signal.error(output), Record(
            {"free": Phase(free.pre, free.u, free.post, free.slope, delta)}, output
        )

    def g(self, gamma, net, memory, record, signal):
        free = record["free"]
        return memory, Update(
            {p.name: p.outer(free.pre[p.name], free.injected[p.dst]) for p in net.projections}
        )


class ForwardInG(Feedback):
    def g(self, gamma, net, memory, record, signal):
        again = net.forward(record["free"].post[net.input])
        error = signal.error(again.post[net.output])
        delta = chained_deltas(net, again, error, gamma)
        return memory, Update(
            {p.name: p.outer(again.pre[p.name], delta[p.dst]) for p in net.projections}
        )


class InALoop(Feedback):
    """Passes the weights through a scan and a cond on their way."""

    def feedback(self, gamma, net, memory, record):
        hidden = {}
        for p in net.projections:
            turned, _ = jax.lax.scan(lambda w, _: (w + 1.0, None), p.weight, None, length=2)
            hidden[p.name] = jax.lax.cond(
                gamma[p.name].sum() > 0, lambda t=turned: t, lambda b=gamma[p.name]: b
            )
        return hidden


def test_the_honest_twin_passes():
    assert audit(Honest(), tiny("mlp", Honest())).disagreements == []


LIARS = [
    CopiedAtInit,
    CopiedWithNoise,
    KeptUpToDate,
    InMemory,
    InState,
    InRecord,
    InRecordForwards,
    DelayedError,
    ForwardInG,
    InALoop,
]


@pytest.mark.parametrize("kind", LAYERED)
@pytest.mark.parametrize("liar", LIARS, ids=lambda c: c.__name__)
def test_a_rule_that_lies_is_caught(liar, kind):
    verdict = audit(liar(), tiny(kind, liar()))
    assert verdict.found.transport == "yes"
    assert any(d.startswith("transport: claimed no, found yes") for d in verdict.disagreements)
    assert verdict.findings or liar is DelayedError


class _InF(Feedback):
    """Computes the deltas in f, where a rule may use the weights; `turned` is what stands for a
    transposed one.
    """

    def turned(self, gamma, p):
        raise NotImplementedError

    def f(self, gamma, net, state, x, signal, key):
        free = net.forward(x)
        error = signal.error(free.post[net.output])
        delta = chained_deltas(
            net, free, error, {p.name: self.turned(gamma, p).T for p in net.projections}
        )
        return state, Record(
            {"free": Phase(free.pre, free.u, free.post, free.slope, delta)}, free.post[net.output]
        )

    def g(self, gamma, net, memory, record, signal):
        free = record["free"]
        return memory, Update(
            {p.name: p.outer(free.pre[p.name], free.injected[p.dst]) for p in net.projections}
        )


class RandomInF(_InF):
    def turned(self, gamma, p):
        return gamma[p.name].T


class Transposed(_InF):
    def turned(self, gamma, p):
        return p.weight.T


class Gathered(_InF):
    """Never says "transpose": takes every entry by its index."""

    def turned(self, gamma, p):
        pre, post = p.weight.shape
        return p.weight[jnp.arange(pre)[None, :], jnp.arange(post)[:, None]]


class EntryByEntry(_InF):
    """Puts one entry after another where the transpose has it."""

    def turned(self, gamma, p):
        pre, post = p.weight.shape

        def put(k, made):
            i, j = k // post, k % post
            return jax.lax.dynamic_update_slice(
                made, jax.lax.dynamic_slice(p.weight, (i, j), (1, 1)), (j, i)
            )

        return jax.lax.fori_loop(0, pre * post, put, jnp.zeros((post, pre)))


class ByConstants(_InF):
    """Sums products with constant matrices, each of which moves one entry: every weight stands
    where a forward one would.
    """

    def turned(self, gamma, p):
        pre, post = p.weight.shape
        units = jnp.eye(pre * post).reshape(pre * post, pre, post)
        return sum(one.T @ p.weight @ one.T for one in units)


def test_random_feedback_in_f_is_no_transport():
    assert audit(RandomInF(), tiny("mlp", RandomInF())).found.transport == "no"


@pytest.mark.parametrize(
    "liar", [Transposed, Gathered, EntryByEntry, ByConstants], ids=lambda c: c.__name__
)
def test_a_transpose_in_f_is_caught_whatever_it_is_made_of(liar):
    verdict = audit(liar(), tiny("mlp", liar()))
    assert verdict.updates["input-hidden1"].transported == ["hidden1-hidden2", "hidden2-output"]
    assert verdict.updates["hidden2-output"].transported == []


def cyclic():
    """Two cycles (a b, a b c) and a loop (a), all of different sizes."""
    sizes = {"input": 8, "a": 7, "b": 6, "c": 5, "output": 4}
    edges = [
        ("input", "a"),
        ("a", "b"),
        ("b", "c"),
        ("c", "output"),
        ("b", "a"),
        ("c", "a"),
        ("a", "a"),
    ]
    return graph(sizes, edges, activation="tanh")


NETWORKS = {
    "mlp": lambda: tiny("mlp", Honest()),
    "convnet": lambda: tiny("convnet", Honest()),
    "cyclic": cyclic,
}


def scanned(turn, v):
    return jax.lax.scan(lambda v, _: (turn(v), None), v, None, length=5)[0]


def while_it_moves(turn, v):
    def step(carry):
        v, _, t = carry
        after = turn(v)
        return after, sum(jnp.sum((after[name] - v[name]) ** 2) for name in v), t + 1

    return jax.lax.while_loop(
        lambda carry: (carry[1] > 1e-6) & (carry[2] < 5), step, (v, jnp.inf, 0)
    )[0]


class _Settling(Feedback):
    """Predictive coding with the target held: errors pull on the activity through `feedback`, from
    rest.
    """

    settle: ClassVar

    def f(self, gamma, net, state, x, signal, key):
        held = {net.input: net.place(x), net.output: signal.target}
        rest = {p.name: jnp.zeros((x.shape[0], *p.shape)) for p in net.populations}
        back = self.feedback(gamma, net, (), None)

        def errors(v):
            pre = {p.name: net[p.src].send(net[p.src].cell.phi(v[p.src])) for p in net.projections}
            return pre, {
                name: v[name] - net.potential(name, pre)
                for name in {p.dst for p in net.projections}
            }

        def turn(v):
            _, eps = errors(v)
            free = [p for p in net.populations if p.name not in held]
            pull = {
                p.name: p.slope(v[p.name])
                * sum(q.backward(eps[q.dst], back[q.name]) for q in net.outgoing(p.name))
                for p in free
            }
            return {**v, **{name: v[name] + 0.1 * (pull[name] - eps[name]) for name in pull}}

        v = type(self).settle(turn, {**rest, **held})
        pre, eps = errors(v)
        return state, Record(
            {"settled": Phase(pre, {}, v, {}, eps)}, v[net.output] - eps[net.output]
        )

    def g(self, gamma, net, memory, record, signal):
        settled = record["settled"]
        return memory, Update(
            {
                p.name: p.outer(settled.pre[p.name], -settled.injected[p.dst])
                for p in net.projections
            }
        )


class _Predictive(_Settling):
    def feedback(self, gamma, net, memory, record):
        return {p.name: p.weight for p in net.projections}


class _CopiedPredictive(_Settling):
    def init(self, net, key):
        return {p.name: p.weight * 0.5 for p in net.projections}


@pytest.mark.parametrize("kind", some(list(NETWORKS), 1))
@pytest.mark.parametrize("settle", [scanned, while_it_moves])
@pytest.mark.parametrize(
    ("base", "transport"), [(_Predictive, "yes"), (_CopiedPredictive, "yes"), (_Settling, "no")]
)
def test_settling_transports_by_its_own_weights_and_not_by_random_ones(
    base, transport, settle, kind
):
    rule = type(base.__name__.strip("_"), (base,), {"settle": staticmethod(settle)})()
    verdict = audit(rule, NETWORKS[kind]())
    assert verdict.found.transport == transport
    if base is _Settling:
        # Nothing is sent back to the input.
        assert len(verdict.findings) == len(verdict.dead_gamma)


def test_who_met_whom_in_a_network_with_cycles():
    """Errors in one population pull on those that project to it, from there on others: all but the
    way out of the input.
    """
    rule = type("Predictive", (_Predictive,), {"settle": staticmethod(scanned)})()
    found = audit(rule, cyclic()).updates
    back = {"a-b", "b-c", "c-output", "b-a", "c-a", "a-a"}
    assert {name: set(update.transported) for name, update in found.items()} == {
        name: back - {name} for name in [*back, "input-a"]
    }


def test_our_predictive_coding_transports_where_there_are_cycles():
    rule = byway.rule("pc")
    assert audit(rule, cyclic()).found.transport == "yes"


def test_dead_gamma_is_found():
    class Hoarder(Honest):
        def init(self, net, key):
            return {**super().init(net, key), "spare": jnp.ones(3)}

    net = tiny("mlp", Hoarder())
    # The feedback into the input's own projection is never read either.
    assert audit(Hoarder(), net).dead_gamma == ["gamma.input-hidden1", "gamma.spare"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("locking", "no"),
        ("derivative", "no"),
        ("signal", frozenset({"loss"})),
        ("phases", 2),
        ("memory", "units"),
    ],
)
def test_every_false_claim_is_named(field, value):
    class Boaster(Honest):
        claims: ClassVar[Claims] = Claims(**{**vars(HONEST_FA), field: value})

    (said,) = audit(Boaster(), tiny("mlp", Boaster())).disagreements
    assert said.startswith(f"{field}: claimed")


@pytest.mark.parametrize(
    ("name", "past", "future"),
    [("rtrl", "flat", "no"), ("bptt", "grows", "yes"), ("frozen", "flat", "no")],
)
def test_what_the_papers_say_of_the_past_and_the_future(name, past, future):
    """Williams and Zipser 1989 go forwards in time and keep nothing; Werbos 1990 goes back from the
    end, through all that was kept.
    """
    rule = byway.rule(name)
    found = audit(rule, tiny("rnn", rule)).found
    assert (found.past, found.future) == (past, future)


def test_the_derivatives_find_what_an_audit_has_overlooked():
    """Backprop, under a verdict of a rule that passes nothing back: each weight that its updates
    change with is named.
    """
    rule, net, _ = audited("bp", "mlp")
    numbers = jacobian(rule, net, audited("dfa", "mlp")[2])
    above = [p.name for p in net.projections][1:]
    for other in above:
        assert any(
            f"update of input-hidden1 changes with the weights of {other}" in line
            for line in numbers.missed
        )
    assert set(numbers.missed) <= set(numbers.notes)
