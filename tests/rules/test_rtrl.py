"""Real-time recurrent learning: the gradient of the unrolled loop without going back, and its
online form written out.
"""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

import by_hand
from byway.core.errors import RuleError
from byway.core.record import Record
from byway.core.signal import Signal, SquaredError
from byway.network.builders import convnet, mlp, rnn
from byway.network.network import Network
from byway.network.projections import Dense
from byway.rules.backprop.bp import BP
from byway.rules.control.frozen import Frozen
from byway.rules.time.bptt import BPTT
from byway.rules.time.rtrl import RTRL
from byway.training.step import Optimisers, learn, new_learner

CASES = [name for name in (*by_hand.STACKS, *by_hand.GRAPHS) if name != "normalised"]
SGD = Optimisers(optax.sgd(0.3), optax.sgd(0.3))


@pytest.mark.parametrize("name", CASES)
def test_update_is_autodiff_of_the_unrolled_loop(name):
    net, x, signal, _ = by_hand.in_time(name)
    assert (
        by_hand.largest_gap(
            by_hand.taught_in_time(RTRL(), net, x, signal).net, by_hand.gradient_in_time(name)
        )
        < 1e-12
    )


@pytest.mark.parametrize("name", ["one layer", "two layers"])
def test_update_is_the_finite_difference_of_twenty_weights(name):
    net, x, signal, _ = by_hand.in_time(name, seed=1)
    chosen, slopes = by_hand.differences_of_twenty(name, seed=1)
    mine = ravel_pytree(by_hand.taught_in_time(RTRL(), net, x, signal).net)[0][chosen]
    np.testing.assert_allclose(mine, slopes, rtol=1e-6, atol=1e-10)


class LateIndex(RTRL):
    """A test rule with the usual mistake: recurrent weights are taught with h_t in place of
    h_{t-1}, which still trains.
    """

    def g(self, gamma, net, memory, record, signal):
        free = record["free"]
        late = {p.name: free.post[p.src] for p in net.projections if p.name in net.recurrent}
        wrong = dataclasses.replace(free, pre=free.pre | late)
        return super().g(gamma, net, memory, Record({"free": wrong}, record.output), signal)


def test_activity_of_the_wrong_step_is_caught_by_the_oracle():
    net, x, signal, _ = by_hand.in_time("one layer")
    gaps = {
        k: by_hand.apart(w["weight"], by_hand.gradient_in_time("one layer")[k]["weight"])
        for k, w in by_hand.taught_in_time(LateIndex(), net, x, signal).net.items()
    }
    assert gaps["hidden1-hidden1"] > 0.1
    assert max(gap for name, gap in gaps.items() if name != "hidden1-hidden1") < 1e-12


def _learner(rule, net, x, signal, optimisers):
    """A learner with the weights of `net`, biases included."""
    return eqx.tree_at(
        lambda one: one.net, new_learner(rule, net, optimisers, x, signal, jax.random.key(0)), net
    )


def _learnt(rule, net, x, signal, optimisers=SGD, batches=1, **options):
    step = jax.jit(lambda learner: learn(rule, optimisers, learner, x, signal, **options))
    learner = _learner(rule, net, x, signal, optimisers)
    for _ in range(batches):
        learner, scores = step(learner)
    return learner, scores


def _online(net, x, target, weight, rate, every):
    """Online RTRL of one tanh layer in NumPy, index by index: an influence for each weight, carried
    over its changes.
    """
    into, again, read = "input-hidden1", "hidden1-hidden1", "hidden1-output"
    names = [(into, "weight"), (into, "bias"), (again, "weight"), (read, "weight"), (read, "bias")]
    theta = [np.array(net.theta[name][part]) for name, part in names]
    (batch, steps, inputs), n = x.shape, theta[1].size
    h = np.zeros((batch, n))
    J_in, J_rec, J_bias = (
        np.zeros((batch, n, inputs, n)),
        np.zeros((batch, n, n, n)),
        np.zeros((batch, n, n)),
    )
    sums = [np.zeros_like(a) for a in theta]
    for t in range(steps):
        win, bias, rec, out, out_bias = theta
        before, h = h, np.tanh(x[:, t] @ win + h @ rec + bias)
        slope = 1 - h**2
        carried = [
            np.einsum("jk,b...k->b...j", rec.T, np.moveaxis(J, 1, -1))
            for J in (J_in, J_rec, J_bias)
        ]
        J_in, J_rec, J_bias = (np.moveaxis(J, -1, 1) for J in carried)
        for unit in range(n):
            J_in[:, unit, :, unit] += x[:, t]
            J_rec[:, unit, :, unit] += before
            J_bias[:, unit, unit] += 1
        J_in, J_rec, J_bias = (
            J_in * slope[:, :, None, None],
            J_rec * slope[:, :, None, None],
            J_bias * slope[:, :, None],
        )
        error = (h @ out + out_bias - target[:, t]) * weight[:, t, None] / batch
        reached = error @ out.T
        new = [np.einsum("bu,bu...->...", reached, J) for J in (J_in, J_bias, J_rec)] + [
            h.T @ error,
            error.sum(0),
        ]
        sums = [total + one for total, one in zip(sums, new, strict=True)]
        if (t + 1) % every == 0:
            theta = [a - rate * total for a, total in zip(theta, sums, strict=True)]
            sums = [np.zeros_like(a) for a in theta]
    learnt = {name: {} for name, _ in names}
    for (name, part), a in zip(names, theta, strict=True):
        learnt[name][part] = jnp.asarray(a)
    return learnt


@pytest.mark.parametrize("every", [1, 2, 6])
def test_with_several_updates_a_sequence_it_is_online_rtrl_with_its_stale_influence(every):
    net = by_hand.with_biases(rnn(3, 5, 2, key=4))
    x, target, weight = by_hand.sequences(3, 2, steps=6)
    expected = _online(net, *(np.asarray(a) for a in (x, target, weight)), 0.3, every)
    learner, _ = _learnt(RTRL(), net, x, Signal(target, SquaredError(), weight), every=every)
    assert by_hand.largest_gap(learner.net.theta, expected) < 1e-12
    assert int(learner.step) == 1, "a batch counts once, however many updates it makes"
    moved = by_hand.largest_gap(learner.net.theta, net.theta)
    stale = by_hand.largest_gap(
        learner.net.theta, _online(net, *(np.asarray(a) for a in (x, target, weight)), 0.3, 6)
    )
    assert moved > 1e-2
    assert (stale > 1e-4) == (every < 6), "several updates are not one"


@pytest.mark.parametrize(
    ("optimiser", "every"),
    [(optax.sgd(0.1, momentum=0.9), None), (optax.adam(0.01), 4)],
    ids=["momentum", "adam"],
)
def test_one_update_a_sequence_is_a_step_of_bptt(optimiser, every):
    """Through the same optimiser, for several batches: nothing of a sequence is carried into the
    next.
    """
    net, x, signal, _ = by_hand.in_time("two layers")
    optimisers = Optimisers(optimiser, optimiser)
    mine, _ = _learnt(RTRL(), net, x, signal, optimisers, batches=3, every=every)
    other, _ = _learnt(BPTT(), net, x, signal, optimisers, batches=3)
    assert by_hand.largest_gap(mine.net.theta, other.net.theta) < 1e-10
    assert int(mine.step) == int(other.step) == 3
    assert jax.tree.leaves((mine.memory, other.memory)) == [], (
        "each sequence starts from rest, and leaves nothing behind"
    )


def test_scores_are_means_over_the_batch_of_sums_over_the_sequence():
    """The same for a rule that sees steps and one that sees sequences, however often it updates
    between.
    """
    net, x, signal, value = by_hand.in_time("one unit, one output")

    def score(output, signal):
        return {
            "loss": signal.criterion.value(output, signal.target) * signal.weight,
            "ones": signal.weight,
        }

    still = Optimisers(optax.sgd(0.0), optax.sgd(0.0))
    for rule, every in ((BPTT(), None), (Frozen(), None), (RTRL(), 2)):
        _, scores = _learnt(rule, net, x, signal, still, score=score, every=every)
        assert float(scores["loss"]) == pytest.approx(float(value(net.theta)), rel=1e-12)
        assert float(scores["ones"]) == pytest.approx(1, rel=1e-12)


class Measuring(RTRL):
    """A test rule that measures how large its activity is."""

    def f(self, gamma, net, state, x, signal, key):
        state, record = super().f(gamma, net, state, x, signal, key)
        return state, Record(
            record.phases, record.output, {}, {"size": jnp.sum(record["free"].post["hidden1"] ** 2)}
        )


@pytest.mark.parametrize("every", [None, 2])
def test_measures_of_a_sequence_are_means_over_its_steps(every):
    net = rnn(3, 5, 2, bias=False, key=4)
    x, target, weight = by_hand.sequences(3, 2)
    win, rec = (
        np.asarray(net.theta[name]["weight"]) for name in ("input-hidden1", "hidden1-hidden1")
    )
    h, sizes = np.zeros((len(x), 5)), []
    for t in range(x.shape[1]):
        h = np.tanh(np.asarray(x[:, t]) @ win + h @ rec)
        sizes.append(np.sum(h**2))
    still = Optimisers(optax.sgd(0.0), optax.sgd(0.0))
    _, scores = _learnt(
        Measuring(), net, x, Signal(target, SquaredError(), weight), still, every=every
    )
    assert float(scores["size"]) == pytest.approx(np.mean(sizes), rel=1e-12)


def test_on_samples_of_one_step_it_is_backprop():
    net = by_hand.with_biases(mlp(6, 5, 4, 3, activation="tanh"))
    x, target = by_hand.sample(6, 3)
    _, mine, _ = by_hand.taught(RTRL(), net, x, target)
    _, other, _ = by_hand.taught(BP(), net, x, target)
    assert by_hand.largest_gap(mine.net, other.net) < 1e-12


def _looped(net, name):
    """The network with a projection from a population to itself."""
    shape, size = net[name].shape, net[name].size
    loop = Dense(
        src=name,
        dst=name,
        src_shape=shape,
        dst_shape=shape,
        weight=jnp.zeros((size, size)),
        bias=None,
    )
    return Network(net.populations, (*net.projections, loop), net.input, net.output)


CANNOT = {
    "a convolution": (_looped(convnet((4, 4, 1), (2,), 3), "conv1"), "input-conv1"),
    "a normalised layer": (rnn(3, 4, 2, norm=True), "input, hidden1"),
    "nothing to carry": (mlp(3, 4, 2), "a network without recurrent projections"),
}


@pytest.mark.parametrize(("net", "said"), CANNOT.values(), ids=CANNOT)
def test_what_it_cannot_carry_is_refused_by_name(net, said):
    with pytest.raises(RuleError, match=f"rtrl was given {said}"):
        RTRL().accepts(net)


def _held(rule, steps, every=None):
    """The bytes that one compiled batch of sequences needs besides its arguments and results."""
    net, x = rnn(2, 4, 1), jnp.zeros((3, steps, 2))
    signal = Signal(jnp.zeros((3, steps, 1)), SquaredError(), jnp.full((3, steps), 1 / steps))

    def score(output, signal):
        return {"loss": signal.criterion.value(output, signal.target) * signal.weight}

    step = jax.jit(lambda learner, x, signal: learn(rule, SGD, learner, x, signal, score, every))
    return (
        step.lower(_learner(rule, net, x, signal, SGD), x, signal)
        .compile()
        .memory_analysis()
        .temp_size_in_bytes
    )


@pytest.mark.parametrize(
    ("rule", "every"),
    [(RTRL(), None), (RTRL(), 1), (Frozen(), None)],
    ids=lambda v: str(getattr(v, "id", v)),
)
def test_memory_does_not_grow_with_the_length_of_a_sequence(rule, every):
    held = [
        _held(rule, steps, every)
        for steps in ((64, 256, 1024, 4096) if every is None else (64, 4096))
    ]
    assert len(set(held)) == 1, held


def test_memory_of_bptt_grows_with_the_length_of_a_sequence():
    """The control: what the test above would see. At least the activity of each step, 3 samples of
    4 units in 8 bytes.
    """
    held = np.array([_held(BPTT(), steps) for steps in (64, 256, 1024)])
    assert np.all(np.diff(held) >= np.diff([64, 256, 1024]) * 3 * 4 * 8)
