"""Scores in place of goodness: backprop where there is one layer, `predsim` where there are more,
and votes that are added up.
"""

import jax
import jax.numpy as jnp
import numpy as np

import by_hand
from byway.network.builders import convnet, mlp
from byway.rules.local.mono_forward import MonoForward
from byway.rules.local.predsim import Predsim


def test_one_hidden_layer_with_the_readout_as_its_scores_is_backprop():
    net, (x, target) = mlp(6, 5, 3, activation="softplus", bias=False), by_hand.sample(6, 3)
    gamma = {"hidden1": net.theta["hidden1-output"]}
    _, update, _ = by_hand.taught(MonoForward(), net, x, target, gamma=gamma)

    def loss(theta):
        h = by_hand.PHI["softplus"](x @ theta["input-hidden1"]["weight"])
        return by_hand.cross_entropy(h @ theta["hidden1-output"]["weight"], target)

    assert by_hand.largest_gap(update.net, jax.grad(loss)(net.theta)) < 1e-12


def test_with_one_head_it_is_predsim_without_similarity():
    """Predsim's heads have a bias; at zero the two say the same."""
    net, (x, target) = convnet((8, 8, 2), (5, 2), 3, hidden=(4,)), by_hand.sample((8, 8, 2), 3)
    pred = Predsim(beta=0.0)
    theirs = pred.init(net, jax.random.key(7))
    mine = {name: {"weight": head["pred"]["weight"]} for name, head in theirs.items()}
    _, other, _ = by_hand.taught(pred, net, x, target, gamma=theirs)
    _, update, _ = by_hand.taught(MonoForward(), net, x, target, gamma=mine)
    assert by_hand.largest_gap(update.net, other.net) < 1e-12
    heads = {name: {"weight": head["pred"]["weight"]} for name, head in other.gamma.items()}
    assert by_hand.largest_gap(update.gamma, heads) < 1e-12


def test_the_sum_is_that_of_the_readout_and_of_all_scores():
    net, (x, _) = by_hand.with_biases(mlp(6, 5, 4, 3)), by_hand.sample(6, 3)
    gamma = MonoForward().init(net, jax.random.key(7))
    record = MonoForward().predict(gamma, net, x, jax.random.key(0))
    h, total = np.asarray(x), np.asarray(record.output)
    for p in net.projections[:2]:
        h = np.maximum(h @ np.asarray(p.weight) + np.asarray(p.bias), 0)
        total = total + h @ np.asarray(gamma[p.dst]["weight"])
    np.testing.assert_allclose(record.readouts["sum"], total, rtol=1e-12)
    assert jnp.array_equal(record.output, net.forward(x).post["output"])
