"""Units left out by chance: which, how loud the others are, and their slopes."""

import jax
import jax.numpy as jnp
import numpy as np

from byway.network.builders import convnet, mlp, rnn
from byway.network.thinned import thinned

DROPOUT = 0.2


def test_a_share_of_hidden_units_is_silent_and_the_mean_stays():
    """Each sample has units of its own; input and output have all of theirs."""
    net, batch = mlp(3, 40, 30, 2, activation="tanh"), 500
    x = jnp.ones((batch, 3))
    whole = net.forward(x)
    left = {}
    for name in ("hidden1", "hidden2"):
        post = thinned(net, DROPOUT, batch, jax.random.key(0)).forward(x).post
        left[name] = np.asarray(post[name]) != 0
        share = left[name].mean()
        assert abs(share - (1 - DROPOUT)) < 5 * np.sqrt(DROPOUT * (1 - DROPOUT) / left[name].size)
        assert len(np.unique(left[name], axis=0)) > batch / 2
    louder = np.asarray(whole.post["hidden1"]) / (1 - DROPOUT)
    np.testing.assert_allclose(post["hidden1"], louder * left["hidden1"], rtol=1e-12)
    below = np.asarray(post["hidden1"]) @ np.asarray(net.projections[1].weight)
    np.testing.assert_allclose(
        post["hidden2"], np.tanh(below) * left["hidden2"] / (1 - DROPOUT), rtol=1e-12
    )
    assert post["input"].shape == (batch, 3) and np.all(np.asarray(post["input"]) == 1)
    assert not np.any(np.asarray(post["output"]) == 0)


def test_slopes_are_those_of_what_is_left():
    net = thinned(convnet((6, 6, 2), (3,), 4, activation="tanh"), DROPOUT, 5, jax.random.key(1))
    maps = net["conv1"]
    u = jnp.asarray(np.random.default_rng(0).normal(size=(5, *maps.shape)))
    true = jax.grad(lambda u: jnp.sum(maps.activate(u)))(u)
    np.testing.assert_allclose(maps.slope(u), true, rtol=1e-12)


def test_of_a_cell_with_a_state_all_that_is_sent_is_scaled():
    """By autodiff of a step, by its drive and by its state."""
    net = thinned(rnn(2, 6, 1, activation="leaky"), DROPOUT, 5, jax.random.key(1))
    units, draw = net.hidden[0], np.random.default_rng(0)
    u, held = (jnp.asarray(draw.normal(size=(5, 6))) for _ in range(2))
    part = units.cell.carries[0]
    step = lambda u, s: jnp.sum(units.cell.step({part: s}, u)[1])
    by_drive, by_state = jax.grad(step, (0, 1))(u, held)
    local = units.local({part: held}, u)
    zeros = jnp.zeros((5, 6))
    np.testing.assert_allclose(local.slope + zeros, by_drive, rtol=1e-12)
    np.testing.assert_allclose(local.read[part] + zeros, by_state, rtol=1e-12)
