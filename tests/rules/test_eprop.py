"""Eligibility propagation: forward traces against autodiff of the unrolled loop, cut where the rule
does not look.
"""

import functools
import itertools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tests.part import some

import by_hand
import byway
from byway.audit.verdict import audit
from byway.core.errors import RuleError
from byway.core.signal import CrossEntropy, Signal, SquaredError
from byway.network.builders import convnet, graph, mlp, rnn
from byway.network.projections import Dense
from byway.network.sparse import FixedFanIn
from byway.rules.time.bptt import BPTT
from byway.rules.time.eprop import Eprop
from byway.training.step import Optimisers, learn, new_learner
from cells_by_hand import KINDS

STEPS, BATCH, KAPPA = 12, 4, math.exp(-1 / 4.0)
READOUTS = {
    "at once": "identity",
    "leak": byway.cell("leaky", tau=4.0, phi="identity", scaled=False),
}
still = jax.lax.stop_gradient


def _net(kind, layers, readout):
    make, step, scale = KINDS[kind]
    net = by_hand.with_biases(
        rnn(*(3, 5, 4)[: layers + 1], 2, activation=make(), readout=READOUTS[readout], key=5)
    )
    return net.with_theta(
        {
            name: {k: a * (scale if k == "weight" else 1) for k, a in w.items()}
            for name, w in net.theta.items()
        }
    ), step


def _sequences():
    x, target, weight = by_hand.sequences(3, 2, steps=STEPS, batch=BATCH, seed=3)
    return x, Signal(target, CrossEntropy(), weight)


def _drive(theta, name, now, before, gated):
    """The drive of a layer: what the layer below sends now, and itself a step before."""
    below, own = theta[f"{name[0]}-{name[1]}"], theta[f"{name[1]}-{name[1]}"]
    u, again = (
        now @ below["weight"] + below["bias"][None],
        before @ own["weight"] + (own["bias"][None] if "bias" in own else 0.0),
    )
    if not gated:
        return u + again
    u, again = (a.reshape(len(a), 3, -1) for a in (u, again))
    return jnp.stack([u[:, 0] + again[:, 0], u[:, 1] + again[:, 1], u[:, 2], again[:, 2]], 1)


def _nothing(batch, units):
    return {part: jnp.zeros((batch, units)) for part in ("v", "a", "z", "quiet")}


def _cross_entropy(y, target):
    return -jnp.sum(target * (y - jax.nn.logsumexp(y, -1, keepdims=True)), -1)


def _by_time(x, signal):
    return tuple(jnp.moveaxis(a, 1, 0) for a in (x, signal.target, signal.weight))


def _cut(net, step, readout, feedback, x, signal, price=0.0, rate=0.0):
    """The loss by theta of a loop in which nothing that a unit sends has a derivative, but where it
    reaches the output.

    There it has that of W, in the layer next to the output, and of B with random feedback; further
    down, of the chain of layers at the step of the error. What is added for that is zero: only its
    derivative counts.
    """
    layers = len(net.hidden)
    names = ["input", *(f"hidden{i}" for i in range(1, layers + 1))]
    gated = net.hidden[0].cell.ports > 1
    kappa = KAPPA if readout == "leak" else 0.0

    def loss(theta):
        last = theta[f"{names[-1]}-output"]

        def now(carry, at):
            states, posts, worth, spent, t, y = ({**a} if isinstance(a, dict) else a for a in carry)
            (sent, target, weight), through, cost = at, {}, 0.0
            for ends in itertools.pairwise(names):
                name = ends[1]
                u, before = (
                    _drive(theta, ends, sent, still(posts[name]), gated),
                    still(states[name]),
                )
                through[name] = (lambda u, before=before: step(before, u)[1]), (still(u),)
                states[name], posts[name] = step(states[name], u)
                sent = still(posts[name])
                spent[name] += sent
                cost += jnp.sum(price * (spent[name] / t - rate) * posts[name], -1)
                worth[name] = kappa * worth[name] + (posts[name] - sent)
            y = kappa * y + sent @ last["weight"] + last["bias"][None]
            seen = y
            for i, name in enumerate(names[1:], 1):
                if feedback is not None:
                    seen = seen + worth[name] @ feedback[name].T
                    continue
                moved = worth[name]
                for ends in itertools.pairwise(names[i:]):
                    alone = {
                        k: w if k == "-".join(ends) else jax.tree.map(jnp.zeros_like, w)
                        for k, w in theta.items()
                    }
                    alone = still(
                        {
                            k: {part: a * float(part == "weight") for part, a in w.items()}
                            for k, w in alone.items()
                        }
                    )
                    moved = jax.jvp(
                        *through[ends[1]],
                        (_drive(alone, ends, moved, jnp.zeros_like(posts[ends[1]]), gated),),
                    )[1]
                seen = seen + moved @ still(last["weight"])
            error = _cross_entropy(seen, target) * weight
            return (states, posts, worth, spent, t + 1, y), jnp.sum(error + cost) / BATCH

        nothing = {h.name: jnp.zeros((BATCH, h.size)) for h in net.hidden}
        start = (
            {h.name: _nothing(BATCH, h.size) for h in net.hidden},
            nothing,
            nothing,
            nothing,
            1.0,
            jnp.zeros((BATCH, 2)),
        )
        return jnp.sum(jax.lax.scan(now, start, _by_time(x, signal))[1])

    return loss


CUT = [
    *((kind, 1) for kind in ("lif", "lif, refractory", "alif", "gru", "leaky")),
    *((kind, 2) for kind in ("lif", "alif", "gru")),
]


# A quarter of them in turn; all take theirs in `make slow`.
@pytest.mark.parametrize(
    ("kind", "layers", "readout", "symmetric"),
    [
        pytest.param(
            kind,
            layers,
            readout,
            symmetric,
            marks=() if (i + j + symmetric) % 4 == 0 else pytest.mark.slow,
        )
        for i, (kind, layers) in enumerate(CUT)
        for j, readout in enumerate(READOUTS)
        for symmetric in (True, False)
    ],
)
def test_the_update_is_autodiff_of_the_loop_cut_where_units_send(kind, layers, readout, symmetric):
    net, step = _net(kind, layers, readout)
    x, signal = _sequences()
    rule = Eprop(symmetric=symmetric)
    rule.accepts(net)
    feedback = None if symmetric else rule.init(net, jax.random.key(7))
    expected = jax.jit(jax.grad(_cut(net, step, readout, feedback, x, signal)))(net.theta)
    assert all(np.abs(g["weight"]).max() > 1e-8 for g in expected.values()), (
        "the network has to be alive"
    )
    assert by_hand.largest_gap(by_hand.taught_in_time(rule, net, x, signal).net, expected) < 1e-12


@pytest.mark.parametrize(
    ("kind", "layers", "readout"), [("alif", 1, "leak"), ("lif", 2, "at once")]
)
def test_a_price_of_activity_is_on_what_a_unit_sends(kind, layers, readout):
    net, step = _net(kind, layers, readout)
    x, signal = _sequences()
    rule = Eprop(price=0.3, rate=0.2)
    gamma = rule.init(net, jax.random.key(7))
    expected = jax.jit(jax.grad(_cut(net, step, readout, gamma, x, signal, 0.3, 0.2)))(net.theta)
    assert by_hand.largest_gap(by_hand.taught_in_time(rule, net, x, signal).net, expected) < 1e-12


def test_adaptive_feedback_comes_to_be_the_readout_at_the_pace_of_the_decay():
    """W - B^T is (1 - decay)^n of what it was, whatever is learned meanwhile."""
    net, _ = _net("lif", 1, "leak")
    x, signal = _sequences()
    optimisers, decay = Optimisers(optax.adam(0.01), optax.adam(0.01)), 0.05
    rule = Eprop(adaptive=True, decay=decay)
    learner = new_learner(rule, net, optimisers, x, signal, jax.random.key(0))
    step = jax.jit(lambda learner: learn(rule, optimisers, learner, x, signal)[0])
    gap = lambda learner: np.asarray(
        learner.net.theta["hidden1-output"]["weight"] - learner.gamma["hidden1"].T
    )
    first, last = learner, learner
    for _ in range(20):
        last = step(last)
    moved = last.gamma["hidden1"] - (1 - decay) ** 20 * first.gamma["hidden1"]
    assert np.abs(moved).max() > 0.01
    np.testing.assert_allclose(gap(last), (1 - decay) ** 20 * gap(first), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("kind", "readout"), some(list(itertools.product(KINDS, READOUTS)), 10))
def test_without_recurrent_weights_it_is_backprop_through_time(kind, readout):
    """A whole reset too, which is of a unit's own state. With recurrent weights it is not: a
    control.
    """
    net, _ = _net(kind, 1, readout)
    none = {"hidden1-hidden1": jax.tree.map(jnp.zeros_like, net.theta["hidden1-hidden1"])}
    x, signal = _sequences()

    @jax.jit
    @jax.grad
    def gradient(theta):
        def now(state, at):
            state, phase = net.with_theta(theta).step(at[0], state)
            return state, jnp.sum(_cross_entropy(phase.post["output"], at[1]) * at[2]) / BATCH

        return jnp.sum(jax.lax.scan(now, net.rest(BATCH), _by_time(x, signal))[1])

    def gap(net):
        update = by_hand.taught_in_time(Eprop(symmetric=True), net, x, signal)
        return by_hand.largest_gap(update.net, gradient(net.theta))

    assert gap(net.with_theta(none)) < 1e-12
    assert gap(net) > 1e-3


@pytest.mark.parametrize(
    "kind", ["lif", "lif, refractory", "alif", "alif, whole reset", "leaky", "gru"]
)
def test_with_the_whole_derivative_by_what_is_sent_it_is_backprop_through_time(kind):
    """L = dC/d(what a unit sends), through all other units and all time, from autodiff: then the
    sum of L e is the gradient.
    """
    net, step = _net(kind, 1, "at once")
    x, signal = _sequences()
    gated = net.hidden[0].cell.ports > 1

    def loss(theta, added):
        out = theta["hidden1-output"]

        def now(carry, at):
            (state, sent), (x, target, weight, added) = carry, at
            state, post = step(state, _drive(theta, ("input", "hidden1"), x, sent, gated))
            sent = post + added
            return (state, sent), jnp.sum(
                _cross_entropy(sent @ out["weight"] + out["bias"][None], target) * weight
            ) / BATCH

        return jnp.sum(
            jax.lax.scan(
                now, (_nothing(BATCH, 5), jnp.zeros((BATCH, 5))), (*_by_time(x, signal), added)
            )[1]
        )

    gradient, worth = jax.jit(jax.grad(loss, (0, 1)))(net.theta, jnp.zeros((STEPS, BATCH, 5)))
    worth = worth * BATCH  # an update is a mean over the batch

    class Told(Eprop):
        def _credit(self, gamma, net, free, error):
            return {"output": error, "hidden1": gamma}

    @jax.jit
    def told(worth):
        def now(carry, at):
            (state, memory), (x, target, weight, worth) = carry, at
            state, record = Told().f((), net, state, x, None, jax.random.key(0))
            memory, update = Told().g(
                worth, net, memory, record, Signal(target, CrossEntropy(), weight)
            )
            return (state, memory), update.net

        return jax.tree.map(
            lambda a: a.sum(0),
            jax.lax.scan(now, Told().start((), net, BATCH), (*_by_time(x, signal), worth))[1],
        )

    total = told(worth)
    assert by_hand.largest_gap(total, gradient) < 1e-12
    assert (
        by_hand.largest_gap(
            by_hand.taught_in_time(Eprop(symmetric=True), net, x, signal).net, gradient
        )
        > 1e-3
    )


SIZES = {"input": 3, "a": 6, "output": 2}


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("kind", ["lif", "alif"])
def test_a_sparse_and_delayed_network_learns_as_a_dense_one_with_zeros(kind, readout):
    """Of the dense one those entries that the sparse one has."""
    draw, cell = np.random.default_rng(0), KINDS[kind][0]()
    index = jnp.asarray(np.sort([draw.choice(6, 3, replace=False) for _ in range(6)], 1))
    weight = jnp.asarray(draw.normal(size=(6, 3)))
    rows = np.arange(6)[:, None]
    edges = [("input", "a"), ("a", "output")]
    build = functools.partial(
        graph, SIZES, activation={"a": cell, "output": READOUTS[readout]}, key=2
    )
    plain = build(edges)
    sparse = FixedFanIn.between(plain["a"], plain["a"], 3, index=index, bias=False, delay=2)
    dense = Dense(
        src="a",
        dst="a",
        src_shape=(6,),
        dst_shape=(6,),
        weight=jnp.zeros((6, 6)),
        bias=None,
        delay=2,
    )
    scaled = {"input-a": {"weight": plain.theta["input-a"]["weight"] * 3}}
    mine = (
        build([*edges, sparse])
        .with_theta(scaled | {"a-a": {"weight": weight}})
        .with_structure({"a-a": {"index": index}})
    )
    other = build([*edges, dense]).with_theta(
        scaled | {"a-a": {"weight": jnp.zeros((6, 6)).at[index, rows].set(weight)}}
    )
    x, signal = _sequences()
    taught, wanted = (by_hand.taught_in_time(Eprop(), net, x, signal).net for net in (mine, other))
    wanted["a-a"] = {"weight": wanted["a-a"]["weight"][index, rows]}
    assert np.abs(wanted["a-a"]["weight"]).max() > 1e-8
    assert by_hand.largest_gap(taught, wanted) < 1e-12


def test_constant_derivatives_leave_a_number_for_each_unit_and_not_for_each_synapse():
    def held(kind, readout="at once"):
        return [
            a.shape
            for a in jax.tree.leaves(
                Eprop()
                .start({}, _net(kind, 1, readout)[0], 4)[1]
                .traces["hidden1"]["hidden1-hidden1"]
            )
        ]

    assert held("lif") == held("leaky") == [(4, 5)]
    assert sorted(held("alif")) == [(4, 5), (4, 5, 5)], (
        "that of the adaptation alone is one a synapse"
    )
    assert held("lif", "leak") == [(4, 5), (4, 5, 5)], "and what a leak of the readout filters"


def _temporary(steps, activation, readout):
    """The bytes that one compiled batch of sequences needs besides its arguments and results."""
    net, x = (
        rnn(2, 4, 1, activation=activation, readout=READOUTS[readout]),
        jnp.zeros((3, steps, 2)),
    )
    signal = Signal(jnp.zeros((3, steps, 1)), SquaredError(), jnp.full((3, steps), 1 / steps))
    optimisers = Optimisers(optax.sgd(0.1), optax.sgd(0.1))
    learner = new_learner(Eprop(), net, optimisers, x, signal, jax.random.key(0))
    step = jax.jit(lambda learner, x, signal: learn(Eprop(), optimisers, learner, x, signal))
    return step.lower(learner, x, signal).compile().memory_analysis().temp_size_in_bytes


@pytest.mark.parametrize(("activation", "readout"), [("lif", "at once"), ("alif", "leak")])
def test_memory_does_not_grow_with_the_length_of_a_sequence(activation, readout):
    assert len({_temporary(steps, activation, readout) for steps in (64, 256, 1024)}) == 1


@pytest.mark.parametrize(
    ("symmetric", "activation", "transport", "memory"),
    [
        (False, "lif", "no", "units"),
        (True, "lif", "yes", "units"),
        (False, "alif", "no", "synapses"),
    ],
)
def test_the_audit_finds_what_the_card_says(symmetric, activation, transport, memory):
    rule = Eprop(symmetric=symmetric)
    found = audit(rule, rnn(5, 6, 4, activation=activation)).found
    assert (found.transport, found.memory, found.past, found.future) == (
        transport,
        memory,
        "flat",
        "no",
    )
    assert rule.claims.transport == transport
    assert Eprop.claims.transport == "no"


def _without_way():
    late = Dense(
        src="a",
        dst="output",
        src_shape=(3,),
        dst_shape=(2,),
        weight=jnp.zeros((3, 2)),
        bias=None,
        delay=1,
    )
    return graph({"input": 2, "a": 3, "output": 2}, [("input", "a"), late], activation="lif")


REFUSED = {
    "units without a state": (Eprop(), lambda: rnn(2, 3, 1), "units without a state in hidden1"),
    "no hidden layer": (Eprop(), lambda: mlp(3, 2), "no hidden layer"),
    "a convolution": (
        Eprop(),
        lambda: convnet((4, 4, 1), (2,), 3, activation="lif"),
        "weights that many places share in input-conv1",
    ),
    "a spiking readout": (
        Eprop(),
        lambda: rnn(2, 3, 1, activation="lif", readout="lif"),
        "a readout of lif that is not linear",
    ),
    "adaptive feedback and no dense readout": (
        Eprop(adaptive=True),
        _without_way,
        "no dense weights from a hidden layer to the output",
    ),
    "a price of what is no rate": (
        Eprop(price=0.1),
        lambda: byway.lru(2, 3, 1),
        "several numbers sent by each unit of .*, and a price of activity",
    ),
    "no way to the output": (
        Eprop(symmetric=True),
        _without_way,
        "a, from where nothing reaches the output in the same step",
    ),
}


@pytest.mark.parametrize(("rule", "build", "said"), REFUSED.values(), ids=REFUSED)
def test_what_it_cannot_train_is_refused_by_name(rule, build, said):
    with pytest.raises(RuleError, match=f"eprop was given a network with {said}"):
        rule.accepts(build())


def test_random_feedback_trains_what_reaches_the_output_late():
    Eprop().accepts(_without_way())


class LateTrace(Eprop):
    """A test rule with a usual mistake: the trace of the step before, which still trains."""

    def g(self, gamma, net, memory, record, signal):
        _, update = super().g(gamma, net, memory, record, signal)
        after, _ = super().g(gamma, net, memory, record, signal)
        early = {
            name: {
                p: eqx.tree_at(lambda h: h.eps, held, jax.tree.map(jnp.zeros_like, held.eps))
                for p, held in groups.items()
            }
            for name, groups in after.traces.items()
        }
        return after._replace(traces=early), update


def test_a_trace_that_forgets_is_caught_by_the_oracle():
    net, step = _net("lif", 1, "at once")
    x, signal = _sequences()
    expected = jax.jit(
        jax.grad(_cut(net, step, "at once", Eprop().init(net, jax.random.key(7)), x, signal))
    )(net.theta)
    taught = by_hand.taught_in_time(LateTrace(), net, x, signal).net
    assert (
        by_hand.apart(taught["input-hidden1"]["weight"], expected["input-hidden1"]["weight"]) > 0.1
    )


def test_it_differs_from_backprop_through_time_by_what_units_do_to_each_other_alone():
    """The readout's weights are taught the same."""
    net, _ = _net("alif", 1, "leak")
    x, signal = _sequences()
    mine, other = (by_hand.taught_in_time(rule, net, x, signal).net for rule in (Eprop(), BPTT()))
    assert (
        by_hand.apart(mine["hidden1-output"]["weight"], other["hidden1-output"]["weight"]) < 1e-12
    )
