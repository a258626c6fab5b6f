"""Angles between an update and the true gradient, where the answer is known beforehand."""

import by_hand
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from byway.core.rule import Update
from byway.core.signal import CrossEntropy, Signal
from byway.metrics.alignment import angles
from byway.network.builders import convnet, mlp
from byway.rules.bp import BP
from byway.rules.ff import FF
from byway.training.step import Optimisers, new_learner


class Turned(BP):
    """A test rule: backprop, with each weight update turned by 60 degrees and stretched."""

    def g(self, gamma, net, memory, record, signal):
        memory, update = super().g(gamma, net, memory, record, signal)

        def turn(true):
            across = jnp.ones_like(true) - true * jnp.sum(true) / jnp.sum(true**2)
            across = across * jnp.linalg.norm(true.ravel()) / jnp.linalg.norm(across.ravel())
            return 7 * (true * np.cos(np.pi / 3).item() + across * np.sin(np.pi / 3).item())

        return memory, Update(jax.tree.map(turn, update.net))


class Opposed(BP):
    """A test rule: backprop uphill."""

    def g(self, gamma, net, memory, record, signal):
        memory, update = super().g(gamma, net, memory, record, signal)
        return memory, Update(jax.tree.map(lambda a: -3 * a, update.net))


class Idle(BP):
    """A test rule that never learns."""

    def g(self, gamma, net, memory, record, signal):
        memory, update = super().g(gamma, net, memory, record, signal)
        return memory, Update(jax.tree.map(jnp.zeros_like, update.net))


def _angles(rule, net, x, target):
    optimisers = Optimisers(optax.sgd(0.1), optax.sgd(0.1))
    signal = Signal(target, CrossEntropy())

    @jax.jit
    def measured(x, target):
        learner = new_learner(rule, net, optimisers, x, signal, jax.random.key(0))
        return learner.net, angles(rule, learner, x, Signal(target, CrossEntropy()), jax.random.key(1))

    drawn, degrees = measured(x, target)
    return drawn, {name: float(a) for name, a in degrees.items()}


@pytest.mark.parametrize(("rule", "degrees"), [(BP(), 0), (Opposed(), 180), (Turned(), 60)], ids=str)
def test_angle_of_a_rule_made_for_it(rule, degrees):
    net = mlp(6, 5, 4, 3, activation="tanh", norm=True)
    _, found = _angles(rule, net, *by_hand.sample(6, 3))
    assert found.keys() == net.theta.keys()
    # arccos loses half the digits near 0 and 180
    assert list(found.values()) == pytest.approx([degrees] * 3, abs=1e-5)


def test_angle_of_backprop_in_a_convnet_is_zero():
    _, found = _angles(BP(), convnet((6, 6, 1), (2, 2), 3, norm=True), *by_hand.sample((6, 6, 1), 3))
    assert list(found.values()) == pytest.approx([0] * 3, abs=1e-5)


def test_angle_is_nan_where_there_is_no_update():
    assert np.all(np.isnan(list(_angles(Idle(), mlp(6, 5, 3), *by_hand.sample(6, 3))[1].values())))


def test_angle_of_backprop_is_zero_though_one_sample_silences_a_normalised_layer():
    """The root mean square has no slope at zero: autodiff of it makes NaN of the whole layer's true gradient."""
    net = mlp(6, 5, 4, 3, norm=True)
    x, target = by_hand.sample(6, 3)
    _, found = _angles(BP(), net, x.at[0].set(0), target)
    assert found["hidden2-output"] == pytest.approx(0, abs=1e-5)
    assert found["input-hidden1"] == pytest.approx(0, abs=1e-5)


def test_angle_of_forward_forward_is_to_the_gradient_of_its_goodness():
    """Its prediction is the goodness of each label, so that is what the true gradient descends."""
    net, classes = mlp(6, 5, 4, 3, norm=True), 3
    x, target = by_hand.sample(6, classes)
    drawn, found = _angles(FF(), net, x, target)

    def scores(theta):
        columns = []
        for label in range(classes):
            h = x.at[:, :classes].set(jnp.eye(classes)[label][None])
            for name in ("input-hidden1", "hidden1-hidden2"):
                h = jnp.maximum(by_hand.rms_normalised(h) @ theta[name]["weight"] + theta[name]["bias"][None, :], 0)
            columns.append(jnp.sum(h**2, 1))
        return jnp.stack(columns, 1)

    true = jax.jit(jax.grad(lambda theta: by_hand.cross_entropy(scores(theta), target)))(drawn.theta)
    _, update, _ = by_hand.taught(FF(), drawn, x, target, gamma={}, key=jax.random.key(1))
    for name in ("input-hidden1", "hidden1-hidden2"):
        a, b = (np.asarray(tree[name]["weight"]).ravel() for tree in (update.net, true))
        assert found[name] == pytest.approx(np.degrees(np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))), rel=1e-9)
    assert np.isnan(found["hidden2-output"])  # the head takes no part in the prediction
