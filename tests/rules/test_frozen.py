"""The frozen control: the delta rule at the readout, nothing elsewhere."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.linear_model import LogisticRegression

import by_hand
from byway.core.signal import CrossEntropy, Signal
from byway.network.builders import convnet, graph, mlp
from byway.rules.control.frozen import Frozen
from byway.training.step import Optimisers, learn, new_learner


@pytest.mark.parametrize("loss", by_hand.LOSSES)
def test_readout_gets_its_gradient_and_no_other_weight_an_update(loss):
    net = by_hand.with_biases(mlp(6, 5, 4, 3, activation="tanh"))
    x, target = by_hand.sample(6, 3)
    criterion, by_eye = by_hand.LOSSES[loss]
    _, update, _ = by_hand.taught(Frozen(), net, x, target, criterion)
    gradient = jax.jit(
        jax.grad(lambda theta: by_eye(by_hand.mlp_output(theta, x, "tanh"), target))
    )(net.theta)
    assert by_hand.largest_gap(update.net, {"hidden2-output": gradient["hidden2-output"]}) < 1e-12


def test_a_readout_that_is_not_linear_gets_its_gradient_too():
    net = graph(
        {"input": 6, "hidden1": 5, "output": 3},
        [("input", "hidden1"), ("hidden1", "output")],
        activation={"output": "tanh"},
    )
    net = by_hand.with_biases(net)
    x, target = by_hand.sample(6, 3)

    def loss(theta):
        h = jnp.maximum(
            x @ theta["input-hidden1"]["weight"] + theta["input-hidden1"]["bias"][None, :], 0
        )
        y = jnp.tanh(
            h @ theta["hidden1-output"]["weight"] + theta["hidden1-output"]["bias"][None, :]
        )
        return by_hand.cross_entropy(y, target)

    _, update, _ = by_hand.taught(Frozen(), net, x, target)
    gradient = jax.jit(jax.grad(loss))(net.theta)
    assert by_hand.largest_gap(update.net, {"hidden1-output": gradient["hidden1-output"]}) < 1e-12


def test_every_projection_into_the_output_is_readout():
    net = by_hand.with_biases(mlp(6, 5, 4, 3, readout_from=(0, 1)))
    x, target = by_hand.sample(6, 3)
    _, update, _ = by_hand.taught(Frozen(), net, x, target)
    gradient = jax.jit(
        jax.grad(
            lambda theta: by_hand.cross_entropy(
                by_hand.mlp_output(theta, x, "relu", False, (0, 1)), target
            )
        )
    )(net.theta)
    assert (
        by_hand.largest_gap(
            update.net, {name: gradient[name] for name in ("hidden1-output", "hidden2-output")}
        )
        < 1e-12
    )


def test_update_vanishes_at_the_logistic_regression_of_scikit_learn():
    """The optimum of the readout is someone else's: scikit-learn's on the random features."""
    net = mlp(6, 5, 3, activation="tanh")
    x, target = by_hand.sample(6, 3, batch=300)
    hidden, out = net.projections
    features = np.tanh(np.asarray(x) @ np.asarray(hidden.weight))
    best = LogisticRegression(C=np.inf, tol=1e-10, max_iter=2000).fit(
        features, np.argmax(target, 1)
    )
    optimal = net.with_theta(
        {out.name: {"weight": jnp.asarray(best.coef_.T), "bias": jnp.asarray(best.intercept_)}}
    )
    _, start, _ = by_hand.taught(Frozen(), net, x, target)
    _, end, _ = by_hand.taught(Frozen(), optimal, x, target)
    for k, update in end.net[out.name].items():
        assert np.abs(update).max() < 1e-6 < np.abs(start.net[out.name][k]).max()


def test_hidden_weights_stay_as_drawn_even_under_weight_decay():
    net, rule = convnet((6, 6, 1), (2,), 3, hidden=(4,)), Frozen()
    optimisers = Optimisers(
        optax.chain(optax.add_decayed_weights(0.5), optax.sgd(0.1)), optax.sgd(0.1)
    )
    x, target = by_hand.sample((6, 6, 1), 3)
    signal = Signal(target, CrossEntropy())
    start = new_learner(rule, net, optimisers, x, signal, jax.random.key(0))
    step, end = jax.jit(lambda learner: learn(rule, optimisers, learner, x, signal)[0]), start
    for _ in range(3):
        end = step(end)
    for p in start.net.projections:
        moved = not np.array_equal(p.weight, end.net.theta[p.name]["weight"])
        assert moved == (p.dst == "output")
