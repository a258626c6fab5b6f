"""Backprop's recursion is the gradient that autodiff takes of a forward pass and a loss written out
in the tests.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import by_hand
from byway.network.activations import ACTIVATIONS
from byway.network.builders import convnet, graph, mlp
from byway.rules.backprop.bp import BP

EXACT = 1e-12


@pytest.mark.parametrize("loss", by_hand.LOSSES)
@pytest.mark.parametrize("phi", [name for name, a in ACTIVATIONS.items() if a.slope is not None])
def test_recursion_is_the_gradient_for_every_activation_and_loss(phi, loss):
    net = by_hand.with_biases(mlp(6, 5, 4, 3, activation=phi))
    x, target = by_hand.sample(6, 3)
    criterion, by_eye = by_hand.LOSSES[loss]
    _, update, _ = by_hand.taught(BP(), net, x, target, criterion)
    gradient = jax.jit(jax.grad(lambda theta: by_eye(by_hand.mlp_output(theta, x, phi), target)))(
        net.theta
    )
    assert by_hand.largest_gap(update.net, gradient) < EXACT


@pytest.mark.parametrize("phi", ["relu", "tanh"])
def test_recursion_passes_back_through_normalisation(phi):
    net = by_hand.with_biases(mlp(6, 5, 4, 3, activation=phi, norm=True))
    x, target = by_hand.sample(6, 3)
    _, update, _ = by_hand.taught(BP(), net, x, target)
    gradient = jax.jit(
        jax.grad(
            lambda theta: by_hand.cross_entropy(
                by_hand.mlp_output(theta, x, phi, norm=True), target
            )
        )
    )(net.theta)
    assert by_hand.largest_gap(update.net, gradient) < EXACT


@pytest.mark.parametrize("norm", [False, True])
def test_deltas_of_a_layer_that_feeds_two_others_add_up(norm):
    every = (0, 1, 2)
    net = by_hand.with_biases(mlp(6, 5, 4, 7, 3, activation="tanh", readout_from=every, norm=norm))
    x, target = by_hand.sample(6, 3)
    _, update, _ = by_hand.taught(BP(), net, x, target)
    output = lambda theta: by_hand.mlp_output(theta, x, "tanh", norm, every)
    gradient = jax.jit(jax.grad(lambda theta: by_hand.cross_entropy(output(theta), target)))(
        net.theta
    )
    assert by_hand.largest_gap(update.net, gradient) < EXACT


@pytest.mark.parametrize(
    ("stride", "padding", "pool"),
    [
        (1, "SAME", 1),
        (1, "SAME", 2),
        (2, "SAME", 1),
        (1, "VALID", 2),
        (2, "VALID", 1),
        (1, "VALID", 3),
    ],
)
def test_recursion_is_the_gradient_of_a_convnet(stride, padding, pool):
    shape = (9, 8, 2)
    net = convnet(
        shape, (3,), 4, hidden=(5,), stride=stride, padding=padding, pool=pool, activation="tanh"
    )
    net = by_hand.with_biases(net)
    x, target = by_hand.sample(shape, 4)

    def loss(theta):
        conv, hidden, out = theta["input-conv1"], theta["conv1-hidden1"], theta["hidden1-output"]
        h = jnp.tanh(
            by_hand.convolution(x, conv["weight"], conv["bias"], stride, padding, pool)
        ).reshape(len(x), -1)
        h = jnp.tanh(h @ hidden["weight"] + hidden["bias"][None, :])
        return by_hand.cross_entropy(h @ out["weight"] + out["bias"][None, :], target)

    _, update, _ = by_hand.taught(BP(), net, x, target)
    assert by_hand.largest_gap(update.net, jax.jit(jax.grad(loss))(net.theta)) < EXACT


def test_recursion_is_the_gradient_of_two_normalised_convolutions():
    shape = (8, 8, 1)
    net = by_hand.with_biases(convnet(shape, (2, 3), 4, norm=True))
    x, target = by_hand.sample(shape, 4)

    def loss(theta):
        h = x
        for name in ("input-conv1", "conv1-conv2"):
            h = jnp.maximum(
                by_hand.convolution(by_hand.rms_normalised(h), **theta[name], pool=2), 0
            )
        out = theta["conv2-output"]
        flat = by_hand.rms_normalised(h).reshape(len(x), -1)
        return by_hand.cross_entropy(flat @ out["weight"] + out["bias"][None, :], target)

    _, update, _ = by_hand.taught(BP(), net, x, target)
    assert by_hand.largest_gap(update.net, jax.jit(jax.grad(loss))(net.theta)) < EXACT


def test_recursion_is_the_gradient_of_a_graph_whose_output_is_not_linear():
    """The output's own slope belongs in delta_L; a recursion that starts at the error would forget
    it.
    """
    sizes, edges = (
        {"input": 4, "a": 3, "b": 5, "output": 2},
        [("input", "a"), ("input", "b"), ("a", "b"), ("b", "output"), ("a", "output")],
    )
    net = by_hand.with_biases(
        graph(sizes, edges, activation={"a": "tanh", "b": "sigmoid", "output": "tanh"})
    )
    x, target = by_hand.sample(4, 2)

    def loss(theta):
        current = {
            name: lambda h, w=w: h @ w["weight"] + w.get("bias", jnp.zeros(1))[None, :]
            for name, w in theta.items()
        }
        a = jnp.tanh(current["input-a"](x))
        b = 1 / (1 + jnp.exp(-current["input-b"](x) - current["a-b"](a)))
        return by_hand.squared_error(
            jnp.tanh(current["b-output"](b) + current["a-output"](a)), target
        )

    _, update, _ = by_hand.taught(BP(), net, x, target, by_hand.SquaredError())
    assert by_hand.largest_gap(update.net, jax.jit(jax.grad(loss))(net.theta)) < EXACT


def test_update_is_the_mean_over_the_batch_not_the_sum():
    net = by_hand.with_biases(mlp(6, 5, 3, activation="tanh"))
    x, target = by_hand.sample(6, 3, batch=4)
    _, whole, _ = by_hand.taught(BP(), net, x, target)
    parts = [by_hand.taught(BP(), net, x[i : i + 1], target[i : i + 1])[1].net for i in range(4)]
    mean = jax.tree.map(lambda *a: np.mean(np.stack(a), 0), *parts)
    assert by_hand.largest_gap(whole.net, jax.tree.map(jnp.asarray, mean)) < EXACT


def test_a_step_along_the_update_climbs_the_loss_at_the_rate_of_its_squared_length():
    """Finite differences, which need no autodiff: dC = <update, step>, so the sign contract holds
    too.
    """
    net = by_hand.with_biases(mlp(6, 5, 3, activation="tanh"))
    x, target = by_hand.sample(6, 3)
    _, update, _ = by_hand.taught(BP(), net, x, target)
    squared = sum(float(jnp.sum(a**2)) for a in jax.tree.leaves(update.net))
    h = 1e-5

    def loss(distance):
        theta = jax.tree.map(lambda w, d: w + distance * d, net.theta, update.net)
        return float(by_hand.cross_entropy(by_hand.mlp_output(theta, x, "tanh"), target))

    assert (loss(h) - loss(-h)) / (2 * h) == pytest.approx(squared, rel=1e-7)


def test_a_population_that_leads_nowhere_gets_no_update():
    """Its gradient is zero, whatever its activation."""
    sizes, edges = {"input": 3, "dead": 4, "output": 2}, [("input", "dead"), ("input", "output")]
    x, target = by_hand.sample(3, 2)
    for phi in ("relu", "identity"):
        _, update, _ = by_hand.taught(
            BP(), graph(sizes, edges, activation={"dead": phi}), x, target
        )
        assert not np.any(update.net["input-dead"]["weight"])
