"""Error-driven input modulation: two passes in NumPy, what a small F makes of it, and what it says
of its alignment.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import by_hand
from byway.core.signal import SquaredError
from byway.network.builders import convnet, mlp
from byway.rules.feedback.pepita import Pepita


def test_every_layer_learns_from_what_it_lost_and_the_output_from_its_second_error():
    net = by_hand.with_biases(mlp(6, 5, 4, 3, activation="relu"))
    x, target = (np.asarray(a) for a in by_hand.sample(6, 3))
    f = np.random.default_rng(2).normal(size=(3, 6))

    def run(h):
        passed = [h]
        for i, p in enumerate(net.projections):
            u = passed[-1] @ np.asarray(p.weight) + np.asarray(p.bias)
            passed.append(u if i == 2 else np.maximum(u, 0))
        return passed

    free = run(x)
    moved = run(x + (free[-1] - target) @ f)
    deltas = [free[1] - moved[1], free[2] - moved[2], moved[3] - target]
    expected = {
        p.name: {"weight": jnp.asarray(pre.T @ d / len(x)), "bias": jnp.asarray(d.mean(0))}
        for p, pre, d in zip(net.projections, moved, deltas, strict=False)
    }
    _, update, _ = by_hand.taught(
        Pepita(), net, jnp.asarray(x), jnp.asarray(target), SquaredError(), gamma={"F": f}
    )
    assert by_hand.largest_gap(update.net, expected) < 1e-12


def test_without_f_hidden_layers_stay_and_the_readout_learns_by_the_delta_rule():
    net, (x, target) = convnet((6, 6, 2), (3,), 4), by_hand.sample((6, 6, 2), 4)
    _, update, record = by_hand.taught(Pepita(), net, x, target, gamma={"F": jnp.zeros((4, 72))})
    assert all(not np.any(a) for a in update.net["input-conv1"].values())
    error = jax.nn.softmax(record.output) - target
    np.testing.assert_allclose(update.net["conv1-output"]["bias"], error.mean(0), rtol=1e-12)


@pytest.mark.parametrize("sign", [1, -1])
def test_alignment_is_minus_one_where_the_weights_turn_an_error_round(sign):
    """A linear layer of weights (1 over the inputs) of which F is the pseudo-inverse, or minus
    that.
    """
    net = mlp(6, 3, activation="identity", bias=False)
    f = sign * np.linalg.pinv(np.asarray(net.projections[0].weight))
    x, target = by_hand.sample(6, 3)
    _, _, record = by_hand.taught(Pepita(), net, x, target, gamma={"F": f})
    np.testing.assert_allclose(record.measures["alignment"], sign, rtol=1e-12)


def test_f_is_uniform_within_its_size():
    rule, net = Pepita(size=0.5), mlp(300, 5, 40)
    f = np.asarray(rule.init(net, jax.random.key(0))["F"])
    bound = 0.5 * np.sqrt(6 / 300)
    assert f.shape == (40, 300) and np.abs(f).max() <= bound
    assert abs(f.std() / (bound / np.sqrt(3)) - 1) < 4 / np.sqrt(f.size)


def test_with_dropout_both_passes_lack_the_same_units_and_predictions_lack_none():
    net = by_hand.with_biases(mlp(6, 50, 40, 3, activation="tanh"))
    x, target = by_hand.sample(6, 3)
    rule, f = Pepita(dropout=0.3), jnp.ones((3, 6))
    _, _, record = by_hand.taught(rule, net, x, target, gamma={"F": f})
    free, modulated = record["free"], record["modulated"]
    for name in ("hidden1", "hidden2"):
        silent = np.asarray(free.post[name]) == 0
        assert 0.1 < silent.mean() < 0.5
        np.testing.assert_array_equal(np.asarray(modulated.post[name]) == 0, silent)
        np.testing.assert_allclose(
            modulated.post[name], np.where(silent, 0, np.tanh(modulated.u[name]) / 0.7), rtol=1e-12
        )
    predicted = rule.predict({"F": f}, net, x, jax.random.key(0)).output
    np.testing.assert_allclose(predicted, by_hand.mlp_output(net.theta, x, "tanh"), rtol=1e-12)
