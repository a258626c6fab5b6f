"""Feedback alignment: backprop with B in place of the transpose, and B never moves."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats

import by_hand
from byway.core.signal import CrossEntropy, Signal, SquaredError
from byway.network.builders import convnet, mlp
from byway.network.grown import grownet
from byway.network.sparse import FixedFanIn
from byway.rules.backprop.bp import BP
from byway.rules.feedback.fa import FA
from byway.training.step import Optimisers, learn, new_learner


def _own_weights(net):
    return {p.name: p.weight for p in net.projections if p.src != net.input}


def _learner(net, rate=0.1, seed=3, criterion=None):
    x, target = by_hand.sample(net["input"].shape, net["output"].size, seed=seed)
    optimisers = Optimisers(optax.sgd(rate), optax.sgd(rate))
    signal = Signal(target, criterion or CrossEntropy())
    return new_learner(FA(), net, optimisers, x, signal, jax.random.key(seed)), optimisers


def test_feedback_set_to_the_transpose_each_step_is_gradient_descent():
    theta = by_hand.with_biases(mlp(6, 5, 4, 3, activation="tanh")).theta
    net, expected = mlp(6, 5, 4, 3, activation="tanh").with_theta(theta), theta
    gradient = jax.jit(
        jax.grad(
            lambda theta, x, target: by_hand.cross_entropy(
                by_hand.mlp_output(theta, x, "tanh"), target
            )
        )
    )
    for step in range(6):
        x, target = by_hand.sample(6, 3, seed=step)
        _, update, _ = by_hand.taught(FA(), net, x, target, gamma=_own_weights(net))
        net = net.with_theta(jax.tree.map(lambda w, d: w - 0.5 * d, net.theta, update.net))
        expected = jax.tree.map(lambda w, d: w - 0.5 * d, expected, gradient(expected, x, target))
    assert by_hand.largest_gap(net.theta, expected) < 1e-12


def test_feedback_set_to_the_transpose_is_the_gradient_of_a_convnet():
    net = by_hand.with_biases(convnet((6, 6, 1), (2, 3), 4, activation="tanh"))
    x, target = by_hand.sample((6, 6, 1), 4)

    def loss(theta):
        h = x
        for name in ("input-conv1", "conv1-conv2"):
            h = jnp.tanh(by_hand.convolution(h, **theta[name], pool=2))
        out = theta["conv2-output"]
        return by_hand.cross_entropy(
            h.reshape(len(x), -1) @ out["weight"] + out["bias"][None, :], target
        )

    _, update, _ = by_hand.taught(FA(), net, x, target, gamma=_own_weights(net))
    assert by_hand.largest_gap(update.net, jax.jit(jax.grad(loss))(net.theta)) < 1e-12


def test_recursion_written_out_in_numpy():
    net = by_hand.with_biases(mlp(6, 5, 4, 3, activation="tanh"))
    x, target = (np.asarray(a) for a in by_hand.sample(6, 3))
    draw = np.random.default_rng(5)
    b2, b3 = draw.normal(size=(5, 4)), draw.normal(size=(4, 3))
    (w1, w2, w3), (c1, c2, c3) = (
        [np.asarray(p.theta[k]) for p in net.projections] for k in ("weight", "bias")
    )
    h1 = np.tanh(x @ w1 + c1)
    h2 = np.tanh(h1 @ w2 + c2)
    y = h2 @ w3 + c3
    delta3 = np.exp(y) / np.exp(y).sum(1, keepdims=True) - target
    delta2 = np.einsum("ij,bj->bi", b3, delta3) * (1 - h2**2)
    delta1 = np.einsum("ij,bj->bi", b2, delta2) * (1 - h1**2)
    expected = {
        name: {
            "weight": jnp.asarray(np.einsum("bi,bj->ij", pre, delta) / len(x)),
            "bias": jnp.asarray(delta.mean(0)),
        }
        for name, pre, delta in (
            ("input-hidden1", x, delta1),
            ("hidden1-hidden2", h1, delta2),
            ("hidden2-output", h2, delta3),
        )
    }
    gamma = {"hidden1-hidden2": jnp.asarray(b2), "hidden2-output": jnp.asarray(b3)}
    _, update, _ = by_hand.taught(FA(), net, jnp.asarray(x), jnp.asarray(target), gamma=gamma)
    assert by_hand.largest_gap(update.net, expected) < 1e-12


@pytest.mark.parametrize("seed", range(4))
def test_feedback_starts_unrelated_to_the_weights(seed):
    """A key used twice would make B a copy of W in all but the distribution, and FA suspiciously
    good.

    The cosine of two independent random matrices of N entries is about normal with standard
    deviation 1 / sqrt(N).
    """
    learner, _ = _learner(mlp(10, 30, 20, 10), seed=seed)
    for p in learner.net.projections:
        if p.name in learner.gamma:
            b = learner.gamma[p.name]
            cosine = float(jnp.sum(b * p.weight) / (jnp.linalg.norm(b) * jnp.linalg.norm(p.weight)))
            assert abs(cosine) < 4 / np.sqrt(b.size)


def test_feedback_drawn_with_the_key_of_the_weights_is_unrelated_to_them():
    """`mlp(..., key=0)` and `FA().init(net, jax.random.key(0))` is what a user writes first."""
    net = mlp(10, 30, 20, 10, key=0)
    gamma = FA().init(net, jax.random.key(0))
    for p in net.projections[1:]:
        b = gamma[p.name]
        cosine = float(jnp.sum(b * p.weight) / (jnp.linalg.norm(b) * jnp.linalg.norm(p.weight)))
        assert abs(cosine) < 4 / np.sqrt(b.size)


def test_feedback_is_uniform_with_standard_deviation_one_over_root_fan_out():
    gamma = FA().init(mlp(3, 60, 40, 20), jax.random.key(0))
    assert gamma.keys() == {"hidden1-hidden2", "hidden2-output"}
    for name, fan_out in (("hidden1-hidden2", 40), ("hidden2-output", 20)):
        bound = np.sqrt(3 / fan_out)
        assert (
            stats.kstest(
                np.asarray(gamma[name]).ravel(), stats.uniform(-bound, 2 * bound).cdf
            ).pvalue
            > 1e-3
        )


def test_feedback_never_changes_while_weights_do():
    learner, optimisers = _learner(mlp(6, 5, 4, 3, activation="tanh"))
    start = learner
    step = jax.jit(
        lambda learner, x, target: learn(
            FA(), optimisers, learner, x, Signal(target, CrossEntropy())
        )[0]
    )
    for seed in range(5):
        learner = step(learner, *by_hand.sample(6, 3, seed=seed))
    for name, b in start.gamma.items():
        np.testing.assert_array_equal(learner.gamma[name], b)
        assert not np.array_equal(
            learner.net.theta[name]["weight"], start.net.theta[name]["weight"]
        )


def test_weights_come_to_align_with_the_feedback_in_a_linear_net():
    """Lillicrap et al. 2016: e^T W B e > 0 after training, and the angle of B e to W^T e falls
    below 90 degrees.
    """
    draw = np.random.default_rng(0)
    teacher = draw.normal(size=(10, 4))
    x = jnp.asarray(draw.normal(size=(200, 10)))
    target = x @ jnp.asarray(teacher)
    net = mlp(10, 20, 4, activation="identity", bias=False)
    net = net.with_theta(jax.tree.map(lambda w: 0.01 * w, net.theta))
    gamma = {"hidden1-output": jnp.asarray(draw.normal(size=(20, 4)) / 2)}

    def angle_and_overlap(net):
        w1, w2 = (np.asarray(p.weight) for p in net.projections)
        e = np.asarray(x) @ w1 @ w2 - np.asarray(target)
        true, fed = e @ w2.T, e @ np.asarray(gamma["hidden1-output"]).T
        overlap = np.sum(true * fed, 1)
        cosine = overlap / (np.linalg.norm(true, axis=1) * np.linalg.norm(fed, axis=1))
        return np.degrees(np.arccos(cosine)).mean(), overlap

    angles = [angle_and_overlap(net)[0]]
    for step in range(60):
        _, update, _ = by_hand.taught(FA(), net, x, target, SquaredError(), gamma=gamma)
        net = net.with_theta(jax.tree.map(lambda w, d: w - 0.02 * d, net.theta, update.net))
        if step in (19, 59):
            angles.append(angle_and_overlap(net)[0])
    assert angles[0] > 80
    assert angles[0] - 10 > angles[1] > angles[2]
    assert angles[2] < 45
    assert np.all(angle_and_overlap(net)[1] > 0)


@pytest.mark.slow
def test_feedback_with_a_wiring_of_its_own_goes_its_own_way():
    """Against NumPy, by dense matrices; as many synapses as W, between other units."""
    net = by_hand.with_biases(grownet(9, 24, 2, regions=3, fan_in=6, activation="tanh"))
    rule = FA(own_wiring=True)
    gamma = rule.init(net, jax.random.key(1))
    sparse = [p for p in net.projections if isinstance(p, FixedFanIn) and p.src != "input"]
    assert sparse
    dense = {p.name: np.asarray(gamma[p.name]) for p in net.incoming("output")}
    for p in sparse:
        b = gamma[p.name]
        assert isinstance(b, FixedFanIn)
        assert b.index.shape == p.index.shape and np.any(np.asarray(b.index != p.index))
        held = np.zeros((p.sources, len(p.weight)))
        for i, (row, weights) in enumerate(zip(b.index, b.weight, strict=True)):
            held[np.asarray(row), i] = weights
        assert np.std(held[held != 0]) == pytest.approx(p.fan_out**-0.5, rel=0.4)
        dense[p.name] = held
    x, target = by_hand.sample(9, 2)
    _, update, _ = by_hand.taught(rule, net, x, target, gamma=gamma, criterion=SquaredError())
    post = {name: np.asarray(a) for name, a in net.forward(x).post.items()}
    delta = {"output": post["output"] - np.asarray(target)}
    for dst in ("region3", "region2", "region1"):
        back = sum(delta[p.dst] @ dense[p.name].T for p in net.outgoing(dst))
        delta[dst] = back * (1 - post[dst] ** 2)
    for p in net.projections:
        met = post[p.src].T @ delta[p.dst] / len(x)
        if isinstance(p, FixedFanIn):
            index = np.asarray(p.index)
            met = met[index, np.arange(len(index))[:, None]]
        np.testing.assert_allclose(update.net[p.name]["weight"], met, rtol=1e-9, atol=1e-12)


def test_feedback_along_the_wiring_of_the_weights_is_the_gradient_where_it_is_the_transpose():
    net = grownet(9, 24, 2, regions=3, fan_in=6, activation="tanh")
    x, target = by_hand.sample(9, 2)
    mine = {p.name: p if isinstance(p, FixedFanIn) else p.weight for p in net.projections}
    ways = [by_hand.taught(FA(), net, x, target, gamma=g)[1].net for g in (mine, _own_weights(net))]
    exact = by_hand.taught(BP(), net, x, target)[1].net
    assert by_hand.largest_gap(ways[0], exact) < 1e-12
    assert by_hand.largest_gap(ways[1], exact) < 1e-12
