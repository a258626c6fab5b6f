"""SymBa: patterns of classes, and wrong labels that are drawn blindly."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

import by_hand
from byway.network.builders import mlp
from byway.rules.local.symba import Symba


def _written(rule, net, x, label):
    gamma = rule.init(net, jax.random.key(7))
    return by_hand.rms_normalised(x) + rule.pattern * label @ gamma


def test_each_wrong_label_is_as_likely():
    classes, right, draws, rule = 5, 2, 4000, Symba()
    net = by_hand.with_biases(mlp(8, 6, classes, norm=True))
    x, _ = by_hand.sample(8, classes, batch=1)
    target = jnp.tile(jax.nn.one_hot(jnp.array([right]), classes, dtype=float), (draws, 1))
    _, _, record = by_hand.taught(rule, net, jnp.tile(x, (draws, 1)), target)
    drawn = np.asarray(record["negative"].post["input"])
    each = np.asarray(_written(rule, net, jnp.tile(x, (classes, 1)), jnp.eye(classes)))
    apart = np.abs(drawn[:, None] - each[None]).max(2)
    assert apart.min(1).max() < 1e-12
    counts = np.bincount(apart.argmin(1), minlength=classes)
    assert counts[right] == 0
    assert stats.chisquare(np.delete(counts, right)).pvalue > 1e-3


def test_the_first_layer_gets_the_same_current_as_if_nothing_were_shared():
    rule = Symba(pattern=0.6)
    net = by_hand.with_biases(mlp(8, 6, 5, 3, norm=True))
    x, target = by_hand.sample(8, 3)
    _, _, record = by_hand.taught(rule, net, x, target)
    alone = net.forward(_written(rule, net, x, target))
    for name in ("hidden1", "hidden2", "output"):
        np.testing.assert_allclose(record["positive"].post[name], alone.post[name], rtol=1e-12)


def test_patterns_are_unrelated_to_weights_drawn_with_the_same_key():
    net = mlp(200, 20, norm=True, key=jax.random.key(7))
    gamma = Symba().init(net, jax.random.key(7))
    across = np.corrcoef(np.asarray(gamma).ravel(), np.asarray(net.projections[0].weight).T.ravel())
    assert abs(across[0, 1]) < 0.06
