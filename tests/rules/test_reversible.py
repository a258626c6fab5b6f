"""Going back through time and through depth: the gradient of a stored run, memory that does not
grow, and where it breaks.
"""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from byway.audit.verdict import audit
from byway.core.errors import ConfigError, RuleError, ShapeError
from byway.core.signal import Signal, SquaredError
from byway.network.back import ends, pass_back, step_back
from byway.network.builders import conv_revnet, coupled, graph, mlp, revnet, rnn
from byway.network.cells.integrator import Integrator
from byway.network.projections import Skip
from byway.rules.backprop.bp import BP
from byway.rules.time.bptt import BPTT
from byway.rules.time.reversible import Reversible
from byway.training.step import Optimisers, learn, new_learner
from byway.verify.oracle import apart, drawn, gap, taught

BATCH = 3
STILL = Optimisers(optax.sgd(0.1), optax.sgd(0.1))


def _data(steps, inputs, outputs, batch=BATCH, scale=1.0):
    draw = np.random.default_rng(0)
    x = jnp.asarray(scale * draw.normal(size=(batch, steps, inputs)))
    target = jnp.asarray(draw.normal(size=(batch, steps, outputs)))
    return x, Signal(target, SquaredError(), jnp.full((batch, steps), 1 / steps))


def _tangled():
    """Units without a state between two that have one, and three that hear each other late."""
    edges = [("input", "a"), ("a", "b"), ("b", "c"), ("input", "b"), ("c", "a"), ("d", "a")]
    edges += [("c", "d"), ("b", "output"), ("d", "output"), ("d", "b")]
    cells = dict.fromkeys(("a", "c", "d"), "integrator") | {"b": "tanh"}
    sizes = {"input": 3, "a": 4, "b": 5, "c": 3, "d": 2, "output": 2}
    return drawn(lambda: graph(sizes, edges, activation=cells))


def test_it_is_bptt_on_every_graph_that_can_be_gone_back_through():
    """With several updates a sequence too: then a piece owes the one before nothing."""
    net, (x, signal) = _tangled(), _data(12, 3, 2)
    Reversible().accepts(net)

    def learnt(rule):
        learner = new_learner(rule, net, STILL, x, signal, jax.random.key(0))
        score = lambda output, signal: {"loss": signal.loss(output)}
        after, scores = learn(rule, STILL, learner, x, signal, score, every=4)
        moved = jax.tree.map(jnp.subtract, after.net.theta, learner.net.theta)
        return moved, scores

    (mine, scores), (true, stored) = jax.jit(lambda: (learnt(Reversible()), learnt(BPTT())))()
    for name, parts in true.items():
        for part, a in parts.items():
            assert np.abs(a).max() > 1e-9
            assert apart(mine[name][part], a) < 1e-10, (name, part)
    assert float(scores["loss"]) == pytest.approx(float(stored["loss"]), rel=1e-12)
    assert 0 < float(scores["drift"]) < 1e-13


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length_of_a_sequence():
    """The compiled step, scores and all; that of `bptt` does."""

    def held(rule, steps):
        net, (x, signal) = coupled(2, 8, 1), _data(steps, 2, 1)
        learner = new_learner(rule, net, STILL, x, signal, jax.random.key(0))
        score = lambda output, signal: {"loss": signal.loss(output)}
        step = jax.jit(lambda learner, x, signal: learn(rule, STILL, learner, x, signal, score))
        memory = step.lower(learner, x, signal).compile().memory_analysis()
        return memory.temp_size_in_bytes

    assert held(Reversible(), 64) == held(Reversible(), 4096)
    assert held(BPTT(), 256) - held(BPTT(), 64) >= 192 * BATCH * 8 * 8


def _round_trip(net, x, dtype):
    """The largest difference between the state at rest and what going back makes of it, and how
    large the last state was.
    """
    net, x = jax.tree.map(lambda a: a.astype(dtype), (net, x))

    @jax.jit
    def run():
        there = lambda state, x: (net.step(x, state)[0], None)
        home = lambda state, x: (step_back(net, x, state)[0], None)
        last, _ = jax.lax.scan(there, net.rest(len(x)), jnp.moveaxis(x, 1, 0))
        start, _ = jax.lax.scan(home, last, jnp.moveaxis(x, 1, 0), reverse=True)
        size = lambda state: jnp.max(jnp.abs(jnp.stack(jax.tree.leaves(state.cell))))
        return size(start), size(last)

    return [float(a) for a in run()]


def test_a_thousand_steps_are_taken_back_in_double_precision():
    steps = 1000
    net = drawn(coupled, 3, 6, 2, activation=Integrator(h=1 / np.sqrt(steps)))
    drift, _ = _round_trip(net, _data(steps, 3, 2)[0], "float64")
    assert drift < 1e-12


def test_a_leapfrog_grows_as_its_limits_say():
    """Under independent drives with the root of the number of steps, under a lasting one with the
    number itself: what is never forgotten adds up.
    """
    net = drawn(coupled, 3, 6, 2, activation=Integrator(h=0.1))
    silent = net.with_theta(jax.tree.map(jnp.zeros_like, net.theta))
    theta = silent.theta | {"input-hidden1a": net.theta["input-hidden1a"]}
    theta["input-hidden1a"]["bias"] = jnp.zeros_like(theta["input-hidden1a"]["bias"])
    net = net.with_theta(theta)
    x, _ = _data(1600, 3, 2, batch=32)
    _, noisy = _round_trip(net, x, "float64")
    _, lasting = _round_trip(net, jnp.ones_like(x), "float64")
    assert 0.1 * 40 * 0.5 < noisy < 0.1 * 40 * 5
    drive = theta["input-hidden1a"]["weight"].sum(0)
    assert lasting == pytest.approx(160 * np.abs(np.tanh(drive)).max())


def test_units_that_forget_cannot_be_divided_back():
    """Without a buffer a GRU's past is lost to rounding within some ten steps, in single precision:
    why the rule refuses them.
    """
    net = drawn(coupled, 3, 6, 2, activation="gru")
    drifts = [_round_trip(net, _data(steps, 3, 2)[0], "float32")[0] for steps in (5, 40)]
    assert drifts[0] < 1e-3
    assert not drifts[1] < 1.0
    with pytest.raises(RuleError, match="reversible was given units that forget in hidden1a"):
        Reversible().accepts(net)


def _late():
    net = coupled(3, 4, 2)
    edges = [dataclasses.replace(p, delay=2) if p.src == "hidden1b" else p for p in net.projections]
    return graph({p.name: p.shape for p in net.populations}, edges, activation="integrator")


@pytest.mark.parametrize(
    ("net", "said"),
    [
        (rnn(3, 4, 2, activation="integrator"), "hidden1 -> hidden1, where what was needs itself"),
        (rnn(3, 4, 2), r"hidden1 \(tanh\), whose step cannot be taken back"),
        (rnn(3, 4, 2, activation="lif"), r"hidden1 \(lif\), whose step cannot be taken back"),
        (mlp(3, 4, 2), "a network that keeps nothing to go back through"),
        (coupled(3, 4, 2, norm=True), "hidden1b, whose past is normalised"),
        (_late(), "hidden1b-hidden1a, hidden1b-output, later than a step"),
    ],
)
def test_what_cannot_be_gone_back_through_is_refused_by_name(net, said):
    with pytest.raises(RuleError, match=f"reversible was given {said}"):
        Reversible().accepts(net)


def _skip(src, dst, units=4):
    return Skip(src=src, dst=dst, src_shape=(units,), carries="u", label="skip")


def _streams():
    """Three streams, of which one is fed by the input once more, what is added a layer deep or
    none, a bend in one, a skip over another, a head of two layers, and a readout half way.
    """
    sizes = {"input": 3} | dict.fromkeys(("a0", "b0", "c0", "f", "a1", "b1", "c1", "g", "b2"), 4)
    edges = [("input", "a0"), ("input", "b0"), ("input", "c0"), ("b0", "f"), ("input", "f")]
    edges += [("f", "a1"), _skip("a0", "a1"), ("c0", "a1"), ("a1", "b1"), _skip("b0", "b1")]
    edges += [("b1", "c1"), ("a1", "c1"), _skip("c0", "c1"), ("c1", "g"), ("g", "b2")]
    edges += [_skip("b1", "b2"), ("b2", "head"), ("a1", "head"), ("head", "output")]
    edges += [("b1", "output"), ("c1", "output")]
    cells = dict.fromkeys(sizes, "identity") | {"f": "tanh", "g": "tanh", "b1": "tanh"}
    cells |= {"head": "tanh"}
    return drawn(lambda: graph(sizes | {"head": 5, "output": 2}, edges, activation=cells))


@pytest.mark.parametrize("net", [_streams(), drawn(revnet, 3, 8, 2, blocks=6, activation="tanh")])
def test_it_is_backprop_on_every_graph_of_which_a_pass_can_be_had_again(net):
    x, signal = _samples(5, 3, 2)
    rule = Reversible()
    rule.accepts(net)
    assert gap(taught(rule, net, x, signal), taught(BP(), net, x, signal)) < 1e-10

    @jax.jit
    def both():
        there = net.forward(x)
        return there, pass_back(net, x, ends(net, there))

    there, again = both()
    assert jax.tree.structure(there) == jax.tree.structure(again)
    gaps = jax.tree.map(lambda a, b: float(np.max(np.abs(a - b))), there, again)
    assert 0 < max(jax.tree.leaves(gaps)) < 1e-12


def _samples(batch, inputs, outputs, dtype="float64"):
    draw = np.random.default_rng(0)
    shapes = (inputs if isinstance(inputs, tuple) else (inputs,), (outputs,))
    x, target = (jnp.asarray(draw.normal(size=(batch, *s)), dtype) for s in shapes)
    return x, Signal(target, SquaredError())


@pytest.mark.slow  # a check of the rule says so of an update alone
def test_memory_does_not_grow_with_depth():
    """The compiled step, scores and all, with the weights written where they were; that of `bp`
    does, by at least the activity of two streams and two hidden layers a block.
    """

    def held(rule, net):
        x, signal = _samples(64, net[net.input].shape, 1)
        learner = new_learner(rule, net, STILL, x, signal, jax.random.key(0))
        score = lambda output, signal: {"loss": signal.loss(output)}
        step = lambda learner, x, signal: learn(rule, STILL, learner, x, signal, score)
        program = jax.jit(step, donate_argnums=0).lower(learner, x, signal).compile()
        return program.memory_analysis().temp_size_in_bytes

    few, many = (revnet(2, 8, 1, blocks=n) for n in (4, 16))
    assert held(Reversible(), few) == held(Reversible(), many)
    assert held(BP(), many) - held(BP(), few) >= 12 * 64 * 4 * 4 * 8
    # Of images; each stage waits for the one after it.
    few, many = (conv_revnet((16, 16, 1), (4, 8), 1, blocks=n) for n in (2, 4))
    activity = 64 * 4 * (8 * 8 * 2 + 4 * 4 * 4) * 8
    assert held(Reversible(), many) - held(Reversible(), few) < 0.05 * 2 * activity
    assert held(BP(), many) - held(BP(), few) >= 2 * activity


def test_what_rounding_does_in_depth_is_measured():
    """In single precision the streams at the start are missed by the last bits."""
    net = jax.tree.map(lambda a: a.astype("float32"), drawn(revnet, 3, 8, 2, blocks=4))
    x, signal = _samples(5, 3, 2, "float32")
    drift = lambda: Reversible().f({}, net, (), x, signal, jax.random.key(0))[1].measures["drift"]
    assert 1e-8 < float(jax.jit(drift)()) < 1e-4


def test_the_audit_finds_backprop_in_depth():
    verdict = audit(Reversible(), revnet(3, 4, 2, blocks=1))
    assert verdict.disagreements == [] == verdict.findings
    assert verdict.found.phases == 1


def _residual():
    """One stream, to which is added what follows from it: the usual residual network."""
    edges = [("input", "a"), ("a", "f"), ("f", "b"), _skip("a", "b"), ("b", "output")]
    return graph({"input": 3, "a": 4, "f": 5, "b": 4, "output": 2}, edges)


@pytest.mark.slow
def test_deep_stages_are_put_in_order_at_once():
    """There are more ways through them than could be gone one by one."""
    build = lambda: conv_revnet((2, 2, 1), (2, 2), 1, blocks=30, pool=1)
    Reversible().accepts(eqx.filter_eval_shape(build))


def test_one_stream_alone_cannot_be_had_again():
    with pytest.raises(RuleError, match="where what a skip brought needs itself to be known"):
        Reversible().accepts(_residual())


def test_depth_is_nothing_to_go_back_through_in_time():
    with pytest.raises(RuleError, match="keeps nothing through time, on the task adding"):
        Reversible().require_time(revnet(3, 4, 2), "adding", in_time=True)
    Reversible().require_time(revnet(3, 4, 2), "digits", in_time=False)


@pytest.mark.parametrize(
    ("sizes", "blocks", "error"),
    [
        ((2, 5, 1), 1, ShapeError),
        ((2, 1), 1, ShapeError),
        ((2, 4, 4, 1), 1, ShapeError),
        ((2, 4, 1), 0, ConfigError),
        ((2, 4, 1), True, ConfigError),
    ],
)
def test_streams_are_two_and_as_wide_all_the_way(sizes, blocks, error):
    with pytest.raises(error):
        revnet(*sizes, blocks=blocks)


def test_a_drift_is_said_in_words():
    assert Reversible().advice({"drift": 1e-9}) is None
    assert "--every" in Reversible().advice({"drift": 0.5})
    assert "--every" in Reversible().advice({"drift": float("nan")})


@pytest.mark.parametrize("sizes", [(2, 5, 1), (2, 1), (2, 0, 1)])
def test_halves_need_an_even_layer(sizes):
    with pytest.raises(ShapeError):
        coupled(*sizes)
