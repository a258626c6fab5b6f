"""Truncated backpropagation through time: BPTT where it looks back far enough, and else autodiff of
a loop that is cut.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import by_hand
import byway
from byway.core.errors import ConfigError, RuleError
from byway.core.signal import Signal, SquaredError
from byway.network.builders import mlp, rnn
from byway.network.network import Network
from byway.network.projections import Dense
from byway.rules.time.bptt import BPTT
from byway.rules.time.tbptt import TBPTT
from byway.training.step import Optimisers, learn, new_learner

STEPS = 7


@pytest.mark.parametrize("name", ["one linear layer, no bias", "two layers", "everything"])
def test_looking_back_to_the_start_it_is_bptt(name):
    """However the ways back overlap, each loss counts once."""
    net, x, signal, _ = by_hand.in_time(name)
    rule = TBPTT(k1=3, k2=5)  # of 4 steps
    assert (
        by_hand.largest_gap(
            by_hand.taught_in_time(rule, net, x, signal).net, by_hand.gradient_in_time(name)
        )
        < 1e-12
    )


@pytest.mark.parametrize("cell", ["gru", "alif"])
def test_through_cells_and_delays_too(cell):
    net = rnn(3, 4, 2, activation=cell, key=5)
    late = Dense("hidden1", "output", (4,), (2,), jnp.ones((4, 2)), None, label="late", delay=3)
    net = by_hand.with_biases(
        Network(net.populations, (*net.projections, late), net.input, net.output)
    )
    net = net.with_theta(jax.tree.map(lambda a: 2 * a, net.theta))
    x, target, weight = by_hand.sequences(3, 2, steps=STEPS)
    signal = Signal(target, SquaredError(), weight)
    expected = by_hand.taught_in_time(BPTT(), net, x, signal).net
    assert np.abs(expected["hidden1-hidden1"]["weight"]).max() > 1e-6
    for k1, k2 in ((1, STEPS), (4, STEPS + 2)):
        mine = by_hand.taught_in_time(TBPTT(k1=k1, k2=k2), net, x, signal).net
        assert by_hand.largest_gap(mine, expected) < 1e-12


def _cut(net, x, target, weight, k1, k2):
    """The gradient of one tanh layer in NumPy: every k1 steps errors of these steps go back,
    through k2 steps.
    """
    into, again, read = (
        np.asarray(net.theta[name]["weight"])
        for name in ("input-hidden1", "hidden1-hidden1", "hidden1-output")
    )
    (batch, steps, _), n = x.shape, len(again)
    h = [np.zeros((batch, n))]
    for t in range(steps):
        h.append(np.tanh(x[:, t] @ into + h[-1] @ again))
    sums, done = [np.zeros_like(a) for a in (into, again, read)], 0
    while done < steps:
        end = min(done + k1, steps)
        later = np.zeros((batch, n))
        for t in range(end - 1, max(end - k2, 0) - 1, -1):
            error = np.zeros_like(target[:, t])
            if t >= done:
                error = (h[t + 1] @ read - target[:, t]) * weight[:, t, None] / batch
            delta = (error @ read.T + later @ again.T) * (1 - h[t + 1] ** 2)
            sums[0] += x[:, t].T @ delta
            sums[1] += h[t].T @ delta
            sums[2] += h[t + 1].T @ error
            later = delta
        done = end
    names = ("input-hidden1", "hidden1-hidden1", "hidden1-output")
    return {name: {"weight": a} for name, a in zip(names, sums, strict=True)}


@pytest.mark.parametrize(("k1", "k2"), [(1, 1), (1, 3), (2, 3), (3, 3), (5, 6)])
def test_a_loss_goes_back_so_far_and_no_further(k1, k2):
    net = rnn(3, 5, 2, activation="tanh", bias=False, key=4)
    x, target, weight = by_hand.sequences(3, 2, steps=STEPS)
    mine = by_hand.taught_in_time(
        TBPTT(k1=k1, k2=k2), net, x, Signal(target, SquaredError(), weight)
    ).net
    expected = _cut(net, *(np.asarray(a) for a in (x, target, weight)), k1, k2)
    assert by_hand.largest_gap(mine, expected) < 1e-12
    whole = _cut(net, *(np.asarray(a) for a in (x, target, weight)), k1, STEPS)
    assert by_hand.largest_gap(mine, whole) > 1e-4, "something has to be lost"


def _step(rule, steps, every=None):
    net, x = rnn(2, 4, 1, key=1), by_hand.sequences(2, 1, steps=steps)[0]
    signal = Signal(x[..., :1], SquaredError(), jnp.full(x.shape[:2], 1 / steps))
    sgd = Optimisers(optax.sgd(0.3), optax.sgd(0.3))
    learner = new_learner(rule, net, sgd, x, signal, jax.random.key(0))
    return jax.jit(
        lambda learner, x, signal: learn(rule, sgd, learner, x, signal, every=every)[0]
    ), (learner, x, signal)


def test_with_an_update_after_each_way_back_it_is_bptt_piece_by_piece():
    learnt = []
    for rule in (TBPTT(k1=3, k2=3), BPTT()):
        step, args = _step(rule, 9, every=3)
        learnt.append(step(*args).net.theta)
        assert by_hand.largest_gap(learnt[-1], args[0].net.theta) > 1e-3
    assert by_hand.largest_gap(*learnt) < 1e-12


def test_memory_does_not_grow_with_the_length_of_a_sequence():
    held = []
    for steps in (64, 256, 1024):
        step, args = _step(TBPTT(k1=4, k2=8), steps)
        held.append(step.lower(*args).compile().memory_analysis().temp_size_in_bytes)
    assert len(set(held)) == 1, held


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ConfigError, match="k1 = 5 and k2 = 3"):
        byway.rule("tbptt", k1=5, k2=3)
    with pytest.raises(RuleError, match="without recurrent projections"):
        TBPTT().accepts(mlp(3, 4, 2))
