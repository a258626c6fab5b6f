"""Kolen and Pollack's feedback, by an independent program: the recursion with B, both ends'
updates, and the decay of both.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import by_hand
from byway.core.signal import CrossEntropy, Signal
from byway.network.builders import convnet, mlp
from byway.rules.backprop.bp import BP
from byway.rules.feedback.fa import FA
from byway.rules.feedback.kolen_pollack import KolenPollack
from byway.training.step import Optimisers, learn, new_learner

RATE, STEPS = 0.3, 20


def _trained(
    rule, optimiser, build=lambda: mlp(6, 5, 4, 3, activation="tanh"), steps=STEPS, transposed=False
):
    """The learner at its start and after some batches, each another one; also every gap between."""
    net = by_hand.with_biases(build())
    x, target = by_hand.sample(net["input"].shape, 3)
    optimisers = Optimisers(optimiser, optimiser)
    start = new_learner(rule, net, optimisers, x, Signal(target, CrossEntropy()), jax.random.key(0))
    start = eqx.tree_at(lambda learner: learner.net, start, net)
    if transposed:
        start = eqx.tree_at(
            lambda learner: learner.gamma,
            start,
            {name: net.theta[name]["weight"] for name in start.gamma},
        )
    step = jax.jit(
        lambda learner, x, target: learn(
            rule, optimisers, learner, x, Signal(target, CrossEntropy())
        )[0]
    )
    learners = [start]
    for seed in range(steps):
        x, target = by_hand.sample(net["input"].shape, 3, seed=seed)
        learners.append(step(learners[-1], x, target))
    return learners


def _gaps(learner):
    return {
        name: np.asarray(learner.net.theta[name]["weight"] - b) for name, b in learner.gamma.items()
    }


@pytest.mark.parametrize(
    ("name", "optimiser", "left"),
    [
        ("sgd", optax.sgd(RATE), 1.0),
        ("momentum", optax.sgd(RATE, momentum=0.9), 1.0),
        ("adam", optax.adam(0.05), 1.0),
        ("rmsprop", optax.rmsprop(0.05), 1.0),
        ("adamw", optax.adamw(0.05, weight_decay=0.2), 1 - 0.05 * 0.2),
    ],
)
def test_the_gap_closes_at_the_pace_of_the_decay(name, optimiser, left):
    """W_n - B_n = (1 - decay)^n (W_0 - B_0), whatever was learnt on the way. AdamW's own decay is
    of both, and comes on top.
    """
    learners = _trained(KolenPollack(decay=0.1), optimiser)
    first = _gaps(learners[0])
    assert first.keys() == {"hidden1-hidden2", "hidden2-output"}
    for n, learner in enumerate(learners):
        for projection, gap in _gaps(learner).items():
            assert np.linalg.norm(gap - (0.9 * left) ** n * first[projection]) < 1e-14
    moved = {
        name: np.linalg.norm(learners[-1].gamma[name] - 0.9**STEPS * b)
        for name, b in learners[0].gamma.items()
    }
    assert all(by > 0.01 for by in moved.values()), "feedback learns, it does not just fade"


def test_the_gap_closes_in_a_convnet_too():
    learners = _trained(
        KolenPollack(decay=0.2),
        optax.adam(0.05),
        lambda: convnet((4, 4, 2), (2, 3), 3, activation="tanh"),
        steps=5,
    )
    first = _gaps(learners[0])
    for projection, gap in _gaps(learners[-1]).items():
        assert np.linalg.norm(gap - 0.8**5 * first[projection]) < 1e-14


def test_a_rate_of_gammas_own_keeps_them_apart():
    """What the docstring says does not work, does not: by a lot."""
    net, (x, target) = by_hand.with_biases(mlp(6, 5, 4, 3, activation="tanh")), by_hand.sample(6, 3)
    rule, optimisers = KolenPollack(decay=0.1), Optimisers(optax.sgd(RATE), optax.sgd(RATE / 2))
    signal = Signal(target, CrossEntropy())
    first = new_learner(rule, net, optimisers, x, signal, jax.random.key(0))
    second = learn(rule, optimisers, first, x, signal)[0]
    before, after = _gaps(first), _gaps(second)
    assert max(np.linalg.norm(after[name] - 0.9 * before[name]) for name in before) > 1e-2


def test_where_b_is_the_transpose_it_is_backprop_and_stays_it():
    """Without decay the weights are those of gradient descent for ever; with it, those of descent
    with that decay.
    """
    mine = _trained(KolenPollack(decay=0.0), optax.sgd(RATE), transposed=True)[-1]
    true = _trained(BP(), optax.sgd(RATE))[-1]
    assert by_hand.largest_gap(mine.net.theta, true.net.theta) < 1e-12


def test_without_decay_it_is_feedback_alignment_with_the_feedback_it_has():
    """One update: that of `fa` from the same key, and feedback takes the weights' own."""
    net, (x, target) = by_hand.with_biases(mlp(6, 5, 4, 3, activation="tanh")), by_hand.sample(6, 3)
    _, mine, _ = by_hand.taught(KolenPollack(), net, x, target)
    _, fixed, _ = by_hand.taught(FA(), net, x, target)
    assert by_hand.largest_gap(mine.net, fixed.net) < 1e-12
    assert mine.gamma.keys() == {"hidden1-hidden2", "hidden2-output"}
    for name, update in mine.gamma.items():
        np.testing.assert_array_equal(update, mine.net[name]["weight"])


def test_two_steps_by_an_independent_program():
    """The recursion, the updates of both ends and the decay of both, in NumPy; biases and the first
    layer do not decay.
    """
    decay, (x, target) = 0.25, by_hand.sample(6, 3)
    learners = _trained(KolenPollack(decay=decay), optax.sgd(RATE), steps=2)
    names = ("input-hidden1", "hidden1-hidden2", "hidden2-output")
    w = [np.asarray(learners[0].net.theta[name]["weight"]) for name in names]
    c = [np.asarray(learners[0].net.theta[name]["bias"]) for name in names]
    b = [None, *(np.asarray(learners[0].gamma[name]) for name in names[1:])]
    for seed in range(2):
        x, target = (np.asarray(a) for a in by_hand.sample(6, 3, seed=seed))
        h = [x]
        for i in (0, 1):
            h.append(np.tanh(h[-1] @ w[i] + c[i]))
        y = h[-1] @ w[2] + c[2]
        delta = [np.exp(y) / np.exp(y).sum(1, keepdims=True) - target]
        for i in (2, 1):
            delta.insert(0, (delta[0] @ b[i].T) * (1 - h[i] ** 2))
        up = [h[i].T @ delta[i] / len(x) for i in range(3)]
        c = [c[i] - RATE * delta[i].mean(0) for i in range(3)]
        w = [w[0] - RATE * up[0], *((1 - decay) * (w[i] - RATE * up[i]) for i in (1, 2))]
        b = [None, *((1 - decay) * (b[i] - RATE * up[i]) for i in (1, 2))]
    for i, name in enumerate(names):
        theta = learners[-1].net.theta[name]
        assert by_hand.apart(theta["weight"], jnp.asarray(w[i])) < 1e-12
        assert by_hand.apart(theta["bias"], jnp.asarray(c[i])) < 1e-12
        assert i == 0 or by_hand.apart(learners[-1].gamma[name], jnp.asarray(b[i])) < 1e-12
