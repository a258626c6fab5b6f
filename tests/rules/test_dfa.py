"""Direct feedback alignment: one fixed matrix from the output error to each hidden layer, and no
chain.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import by_hand
from byway.core.signal import CrossEntropy, Signal, SquaredError
from byway.network.builders import convnet, mlp
from byway.rules.backprop.bp import BP
from byway.rules.feedback.dfa import DFA


def _gradient(net, x, target, phi, loss=by_hand.cross_entropy):
    return jax.jit(jax.grad(lambda theta: loss(by_hand.mlp_output(theta, x, phi), target)))(
        net.theta
    )


def _products(net):
    """W_L ... W_{l+1} for each hidden layer, in the shape "out units"."""
    weights = [p.weight for p in net.projections]
    return {
        h.name: jnp.asarray(np.linalg.multi_dot([*weights[i:], np.eye(len(weights[-1].T))]).T)
        for i, h in enumerate(net.hidden, 1)
    }


@pytest.mark.parametrize("phi", ["tanh", "relu", "sigmoid"])
def test_one_hidden_layer_fed_by_the_transpose_is_backprop(phi):
    net = by_hand.with_biases(mlp(6, 5, 4, activation=phi))
    x, target = by_hand.sample(6, 4)
    gamma = {"hidden1": net.projections[1].weight.T}
    _, update, _ = by_hand.taught(DFA(), net, x, target, gamma=gamma)
    assert by_hand.largest_gap(update.net, _gradient(net, x, target, phi)) < 1e-12


def test_deep_linear_net_fed_by_the_products_of_weights_is_backprop():
    net = by_hand.with_biases(mlp(6, 5, 7, 4, 3, activation="identity"))
    x, target = by_hand.sample(6, 3)
    _, update, _ = by_hand.taught(DFA(), net, x, target, SquaredError(), gamma=_products(net))
    assert (
        by_hand.largest_gap(
            update.net, _gradient(net, x, target, "identity", by_hand.squared_error)
        )
        < 1e-12
    )


def test_deep_net_that_is_not_linear_is_not_backprop():
    """Equality here would mean that the code chains from layer to layer in secret."""
    net = by_hand.with_biases(mlp(6, 5, 7, 4, 3, activation="tanh"))
    x, target = by_hand.sample(6, 3)
    _, update, _ = by_hand.taught(DFA(), net, x, target, gamma=_products(net))
    true = _gradient(net, x, target, "tanh")
    gap = {name: by_hand.apart(update.net[name]["weight"], true[name]["weight"]) for name in true}
    assert gap["hidden3-output"] < 1e-12
    assert gap["hidden2-hidden3"] < 1e-12
    assert gap["hidden1-hidden2"] > 0.01
    assert gap["input-hidden1"] > 0.01


@pytest.mark.parametrize(("rule", "isolated"), [(DFA(), True), (BP(), False)])
def test_changing_a_later_weight_with_the_error_held_fixed_leaves_earlier_updates_alone(
    rule, isolated
):
    """Backprop is the control: there the same change must show."""
    net = mlp(6, 5, 4, 3, activation="tanh")
    other = net.with_theta({"hidden2-output": {"weight": 2 * net.projections[2].weight + 1}})
    x, target = by_hand.sample(6, 3)
    signal = Signal(target, CrossEntropy())

    def updates(net, output=None):
        record = by_hand.recorded(rule, net, x, signal)
        if output is not None:
            record = eqx.tree_at(lambda r: r.output, record, output)
        return record.output, by_hand.learned(rule, net, record, signal).net

    output, before = updates(net)
    _, after = updates(other, output)
    for name in ("input-hidden1", "hidden1-hidden2"):
        assert np.array_equal(before[name]["weight"], after[name]["weight"]) is isolated


def test_update_of_every_layer_written_out_in_numpy():
    net = by_hand.with_biases(mlp(6, 5, 4, 3, activation="sigmoid"))
    x, target = (np.asarray(a) for a in by_hand.sample(6, 3))
    draw = np.random.default_rng(2)
    b = {"hidden1": draw.normal(size=(3, 5)), "hidden2": draw.normal(size=(3, 4))}
    h, hidden = x, []
    for p in net.projections[:2]:
        h = 1 / (1 + np.exp(-h @ np.asarray(p.weight) - np.asarray(p.bias)))
        hidden.append(h)
    y = h @ np.asarray(net.projections[2].weight) + np.asarray(net.projections[2].bias)
    e = np.exp(y) / np.exp(y).sum(1, keepdims=True) - target
    deltas = [(e @ b[f"hidden{i + 1}"]) * h * (1 - h) for i, h in enumerate(hidden)] + [e]
    expected = {
        p.name: {"weight": jnp.asarray(pre.T @ delta / len(x)), "bias": jnp.asarray(delta.mean(0))}
        for p, pre, delta in zip(net.projections, [x, *hidden], deltas, strict=True)
    }
    gamma = {name: jnp.asarray(a) for name, a in b.items()}
    _, update, _ = by_hand.taught(DFA(), net, jnp.asarray(x), jnp.asarray(target), gamma=gamma)
    assert by_hand.largest_gap(update.net, expected) < 1e-12


def test_convnet_whose_only_convolution_is_fed_by_the_transpose_is_backprop():
    net = by_hand.with_biases(convnet((6, 6, 2), (3,), 4, activation="tanh"))
    x, target = by_hand.sample((6, 6, 2), 4)

    def loss(theta):
        h = jnp.tanh(by_hand.convolution(x, **theta["input-conv1"], pool=2)).reshape(len(x), -1)
        return by_hand.cross_entropy(
            h @ theta["conv1-output"]["weight"] + theta["conv1-output"]["bias"][None, :], target
        )

    _, update, _ = by_hand.taught(
        DFA(), net, x, target, gamma={"conv1": net.projections[1].weight.T}
    )
    assert by_hand.largest_gap(update.net, jax.jit(jax.grad(loss))(net.theta)) < 1e-12


def test_feedback_is_uniform_with_standard_deviation_one_over_root_outputs():
    gamma = DFA().init(mlp(3, 90, 70, 12), jax.random.key(0))
    assert {name: b.shape for name, b in gamma.items()} == {
        "hidden1": (12, 90),
        "hidden2": (12, 70),
    }
    bound = np.sqrt(3 / 12)
    for b in gamma.values():
        assert (
            stats.kstest(np.asarray(b).ravel(), stats.uniform(-bound, 2 * bound).cdf).pvalue > 1e-3
        )
    a, b = (np.asarray(gamma[name])[:, :70].ravel() for name in ("hidden1", "hidden2"))
    assert abs(np.corrcoef(a, b)[0, 1]) < 4 / np.sqrt(a.size)


def test_layers_of_one_size_have_feedback_of_their_own():
    """Independent entries correlate by less than 4 / root n; feedback drawn from one key would be
    the same.
    """
    gamma = DFA().init(mlp(3, 80, 80, 80, 12), jax.random.key(0))
    drawn = np.corrcoef([np.asarray(b).ravel() for b in gamma.values()])
    assert np.abs(drawn - np.eye(3)).max() < 4 / np.sqrt(80 * 12)
