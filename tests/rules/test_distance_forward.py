"""Learning by distance: predictions by centres, on feature maps too."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import by_hand
from byway.core.errors import RuleError
from byway.network.builders import convnet, mlp
from byway.rules.local.distance_forward import DistanceForward


def _gamma(rule, net):
    draw = np.random.default_rng(2)
    return {
        name: jnp.asarray(draw.normal(size=c.shape))
        for name, c in rule.init(net, jax.random.key(0)).items()
    }


def test_centres_read_an_image_by_its_distance_from_each():
    rule, net = DistanceForward(), by_hand.with_biases(convnet((6, 6, 1), (3,), 4, hidden=(5,)))
    x, _ = by_hand.sample((6, 6, 1), 4)
    gamma = _gamma(rule, net)
    record = rule.f(gamma, net, (), x, None, jax.random.key(0))[1]
    wanted = np.zeros((len(x), 4))
    for h in net.hidden:
        post = np.asarray(record["free"].post[h.name])
        for i in range(len(x)):
            for k in range(4):
                wanted[i, k] -= np.mean((post[i] - np.asarray(gamma[h.name])[k]) ** 2)
    np.testing.assert_allclose(record.readouts["centres"], wanted, rtol=1e-12)


def test_a_sample_far_beyond_the_margin_teaches_nothing():
    """Its own centre is where it is, all others are far away."""
    rule = DistanceForward()
    net = by_hand.with_biases(mlp(8, 6, 3, activation="tanh"))
    x, target = by_hand.sample(8, 3, batch=1)
    here = np.asarray(net.forward(x).post["hidden1"])[0]
    right = int(np.argmax(np.asarray(target)[0]))
    far = np.stack([here if k == right else here + 50.0 for k in range(3)])
    _, update, _ = by_hand.taught(rule, net, x, target, gamma={"hidden1": jnp.asarray(far)})
    assert np.max(np.abs(update.net["input-hidden1"]["weight"])) < 1e-12


def test_one_class_has_no_other():
    with pytest.raises(RuleError, match="1 output"):
        DistanceForward().accepts(mlp(4, 3, 1))
