"""One step of learning: f, g, and what optax makes of the update."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import by_hand
from byway.core.signal import CrossEntropy, Signal
from byway.learning.rule import Update
from byway.network.builders import mlp
from byway.rules.backprop.bp import BP
from byway.rules.control.frozen import Frozen
from byway.rules.feedback.dfa import DFA
from byway.rules.feedback.fa import FA
from byway.training.step import GAMMA, NOISE, ORDER, WEIGHTS, Optimisers, branch, learn, new_learner

OPTIMISERS = {
    "sgd": optax.sgd(0.3),
    "adam": optax.adam(0.05),
    "momentum": optax.sgd(0.1, momentum=0.9),
}


@pytest.fixture(autouse=True)
def _as_optax_wants_it():
    """optax raises its decays to an int32 step count, which strict promotion refuses."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def _start(rule, net, optimisers, key=0):
    x, target = by_hand.sample(net["input"].shape, net["output"].size)
    return new_learner(
        rule, net, optimisers, x, Signal(target, CrossEntropy()), jax.random.key(key)
    )


def _trained(rule, learner, optimisers, steps=4):
    step = jax.jit(
        lambda learner, x, target: learn(
            rule, optimisers, learner, x, Signal(target, CrossEntropy())
        )[0]
    )
    for seed in range(steps):
        learner = step(
            learner,
            *by_hand.sample(learner.net["input"].shape, learner.net["output"].size, seed=seed),
        )
    return learner


@pytest.mark.parametrize("name", OPTIMISERS)
def test_learning_is_optax_on_the_gradient(name):
    net, chosen = mlp(6, 5, 3, activation="tanh"), OPTIMISERS[name]
    start = _start(BP(), net, Optimisers(chosen, chosen))
    theta, moments = start.net.theta, chosen.init(start.net.theta)
    gradient = jax.jit(
        jax.grad(
            lambda theta, x, target: by_hand.cross_entropy(
                by_hand.mlp_output(theta, x, "tanh"), target
            )
        )
    )
    for seed in range(4):
        change, moments = chosen.update(
            gradient(theta, *by_hand.sample(6, 3, seed=seed)), moments, theta
        )
        theta = optax.apply_updates(theta, change)
    end = _trained(BP(), start, Optimisers(chosen, chosen))
    assert by_hand.largest_gap(end.net.theta, theta) < 1e-10
    assert (int(start.step), int(end.step), int(end.failed)) == (0, 4, -1)


def test_sgd_with_weight_decay_written_out():
    decayed = optax.chain(optax.add_decayed_weights(0.2), optax.sgd(0.1))
    start = _start(BP(), mlp(6, 3), Optimisers(decayed, decayed))
    x, target = (np.asarray(a) for a in by_hand.sample(6, 3))
    w, b = (np.asarray(start.net.theta["input-output"][k]) for k in ("weight", "bias"))
    y = x @ w + b
    e = np.exp(y) / np.exp(y).sum(1, keepdims=True) - target
    end = _trained(BP(), start, Optimisers(decayed, decayed), steps=1).net.theta["input-output"]
    np.testing.assert_allclose(end["weight"], w - 0.1 * (x.T @ e / len(x) + 0.2 * w), rtol=1e-12)
    np.testing.assert_allclose(end["bias"], b - 0.1 * (e.mean(0) + 0.2 * b), rtol=1e-12)


@pytest.mark.parametrize("rule", [FA(), DFA(), Frozen()], ids=lambda r: r.id)
def test_weight_decay_reaches_neither_feedback_nor_what_does_not_learn(rule):
    decayed = optax.chain(optax.add_decayed_weights(0.5), optax.sgd(0.1))
    start = _start(rule, mlp(6, 5, 4, 3), Optimisers(decayed, decayed))
    end = _trained(rule, start, Optimisers(decayed, decayed))
    jax.tree.map(np.testing.assert_array_equal, end.gamma, start.gamma)
    if rule.id == "frozen":
        for name in ("input-hidden1", "hidden1-hidden2"):
            jax.tree.map(np.testing.assert_array_equal, end.net.theta[name], start.net.theta[name])


class LearnedFeedback(FA):
    """A test rule whose own parameters learn: they are pulled to zero."""

    def g(self, gamma, net, memory, record, signal):
        memory, update = super().g(gamma, net, memory, record, signal)
        return memory, Update(update.net, gamma)


def test_the_rules_own_parameters_learn_by_their_own_optimiser():
    optimisers = Optimisers(optax.sgd(0.0), optax.sgd(0.25))
    rule = LearnedFeedback()
    start = _start(rule, mlp(6, 5, 3), optimisers)
    end = _trained(rule, start, optimisers, steps=3)
    jax.tree.map(np.testing.assert_array_equal, end.net.theta, start.net.theta)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, 0.75**3 * b, rtol=1e-12), end.gamma, start.gamma
    )


def test_every_rule_starts_one_seed_with_the_same_weights():
    """Rules are compared on the same start; only the order of data and the weights count, not what
    a rule draws.
    """
    optimisers = Optimisers(optax.sgd(0.1), optax.sgd(0.1))
    starts = [
        _start(rule, mlp(6, 5, 4, 3, key=11), optimisers, key=5)
        for rule in (BP(), FA(), DFA(), Frozen())
    ]
    for other in starts[1:]:
        jax.tree.map(np.testing.assert_array_equal, other.net.theta, starts[0].net.theta)
    moved = _start(BP(), mlp(6, 5, 4, 3, key=11), optimisers, key=6)
    assert not np.array_equal(
        moved.net.theta["input-hidden1"]["weight"], starts[0].net.theta["input-hidden1"]["weight"]
    )


def test_branches_of_a_key_never_meet():
    """Weights, gamma, order and noise of any step are drawn from keys of their own."""
    key = jax.random.key(3)
    keys = [
        jax.random.key_data(branch(key, which, step)).tobytes()
        for which in (WEIGHTS, GAMMA, ORDER, NOISE)
        for step in range(50)
    ]
    keys.append(jax.random.key_data(key).tobytes())
    assert len(set(keys)) == len(keys)


class Noted(BP):
    """A test rule that keeps the noise it was given, to be looked at."""

    def start(self, gamma, net, batch):
        return (), jnp.zeros(3)

    def f(self, gamma, net, state, x, signal, key):
        state, record = super().f(gamma, net, state, x, signal, key)
        return state, dataclasses.replace(record, readouts={"noise": jax.random.normal(key, (3,))})

    def g(self, gamma, net, memory, record, signal):
        return record.readouts["noise"], super().g(gamma, net, memory, record, signal)[1]


def test_each_step_brings_noise_of_its_own():
    optimisers, rule = Optimisers(optax.sgd(0.1), optax.sgd(0.1)), Noted()
    learner, seen = _start(rule, mlp(4, 2), optimisers), []
    x, target = by_hand.sample(4, 2)
    step = jax.jit(
        lambda learner: learn(rule, optimisers, learner, x, Signal(target, CrossEntropy()))[0]
    )
    for number in range(3):
        learner = step(learner)
        expected = jax.random.normal(
            jax.random.fold_in(jax.random.fold_in(jax.random.key(0), 3), number), (3,)
        )
        np.testing.assert_array_equal(learner.memory, expected)
        seen.append(np.asarray(expected).tobytes())
    assert len(set(seen)) == 3
    assert jnp.array_equal(jax.random.key_data(learner.key), jax.random.key_data(jax.random.key(0)))
