"""The stream of slowly changing regression, sample by sample."""

import jax
import jax.numpy as jnp
import numpy as np

import byway
from byway.tasks.slow_change import FAST, SLOW


def test_one_slow_bit_flips_at_each_block_and_fast_bits_are_drawn_anew():
    data = byway.task("slow_change", samples=2_000, block=100).load()
    x = np.asarray(data["train"].x, int)
    assert (
        x.shape == (2_000, SLOW + FAST + 1)
        and set(np.unique(x)) == {0, 1}
        and np.all(x[:, -1] == 1)
    )
    flips = np.abs(np.diff(x[:, :SLOW], axis=0)).sum(1)
    assert np.flatnonzero(flips).tolist() == list(range(99, 1_999, 100)) and set(flips) == {0, 1}
    assert np.all(np.abs(x[:, SLOW:-1].mean(0) - 0.5) < 0.05)
    for part in ("validation", "test"):
        assert np.all(np.asarray(data[part].x)[:, :SLOW] == x[-1, :SLOW]), (
            "the world as the stream leaves it"
        )


def test_targets_are_sums_of_threshold_units():
    """One by one, from the definition: a unit is on where its matching bits outnumber beta (m + 1)
    - S.
    """
    task = byway.task("slow_change", samples=50, block=10, units=7, beta=0.6, seed=3)
    draw, data = np.random.default_rng(3), task.load()
    weights, signs = draw.choice([-1.0, 1.0], (7, 21)), draw.choice([-1.0, 1.0], 7)
    for x, y in zip(np.asarray(data["train"].x, int), np.asarray(data["train"].y), strict=True):
        total = 0.0
        for w, s in zip(weights, signs, strict=True):
            reached = sum(int(bit) * weight for bit, weight in zip(x, w, strict=True))
            total += s * (reached > 0.6 * 21 - sum(weight == -1 for weight in w))
        assert y[0] == total


def test_samples_come_in_the_order_of_the_stream_one_after_another():
    task = byway.task("slow_change", samples=20, block=5)
    np.testing.assert_array_equal(task.order(jax.random.key(1), 20), np.arange(20))
    x, signal = task.batch(task.load()["train"], jnp.array([3]), jax.random.key(0))
    assert x.shape == (1, 21) and signal.target.shape == (1, 1)
    np.testing.assert_allclose(signal.loss(signal.target + 2.0), [2.0], rtol=1e-12)
