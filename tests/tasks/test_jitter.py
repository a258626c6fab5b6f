"""Shifted training images: by how much, how often, and never where something is scored."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import byway
from byway.core.errors import ConfigError
from byway.core.task import Split
from byway.tasks._classes import SomeClasses


def _split(count):
    """Images with one bright pixel in the middle, at another level for each."""
    x = np.zeros((count, 8, 8, 1), np.uint8)
    x[:, 4, 4, 0] = 1 + np.arange(count) % 16
    return Split(jnp.asarray(x), jnp.asarray(np.arange(count) % 10, jnp.uint8))


def _places(x):
    flat = np.asarray(x).reshape(len(x), -1).argmax(1)
    return np.stack(np.unravel_index(flat, (8, 8)), 1) - 4


def test_two_pixels_are_25_shifts_each_as_likely():
    task, split = byway.task("digits", jitter=2), _split(5000)
    x, signal = task.lesson(split, jnp.arange(5000), jax.random.key(1))
    places = _places(x)
    assert places.min() == -2 and places.max() == 2
    counts = np.bincount((places[:, 0] + 2) * 5 + places[:, 1] + 2, minlength=25)
    assert stats.chisquare(counts).pvalue > 1e-3
    np.testing.assert_array_equal(np.argmax(signal.target, 1), split.y)


def test_shifted_images_are_the_ones_that_were_asked_for():
    task, split, index = byway.task("digits", jitter=1), _split(50), jnp.asarray([7, 3, 40])
    x, signal = task.lesson(split, index, jax.random.key(0))
    np.testing.assert_allclose(np.asarray(x).max((1, 2, 3)) * 16, 1 + np.asarray(index) % 16)
    np.testing.assert_array_equal(np.argmax(signal.target, 1), np.asarray(index) % 10)


def test_what_comes_in_repeats_the_edge():
    x = jnp.asarray(np.arange(64, dtype=np.uint8).reshape(1, 8, 8, 1) // 4)
    task, plain = byway.task("digits", jitter=1), np.asarray(x)[0, :, :, 0] / 16
    padded = np.pad(plain, 1, mode="edge")
    wanted = [padded[i : i + 8, j : j + 8] for i in range(3) for j in range(3)]
    for seed in range(20):
        got, _ = task.lesson(Split(x, jnp.zeros(1, jnp.uint8)), jnp.arange(1), jax.random.key(seed))
        assert any(np.allclose(np.asarray(got)[0, :, :, 0], one) for one in wanted)


def test_a_batch_that_is_scored_is_not_shifted():
    task, split = byway.task("digits", jitter=2), _split(20)
    x, _ = task.batch(split, jnp.arange(20), jax.random.key(0))
    assert not np.any(_places(x))


def test_none_is_as_it_was():
    task, split = byway.task("digits"), _split(20)
    key, index = jax.random.key(3), jnp.arange(5)
    for one, other in zip(
        jax.tree.leaves(task.lesson(split, index, key)),
        jax.tree.leaves(task.batch(split, index, key)),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


def test_sequences_of_rows_are_read_off_shifted_images():
    task = byway.task("mnist_rows", jitter=2)
    x = np.zeros((20, 28, 28, 1), np.uint8)
    x[:, 10, 10] = 255
    split = Split(jnp.asarray(x), jnp.zeros(20, jnp.uint8))
    got, _ = task.lesson(split, jnp.arange(20), jax.random.key(0))
    places = np.argwhere(np.asarray(got) == 1)[:, 1:] - 10
    assert len(places) == 20 and np.abs(places).max() == 2


def test_some_classes_are_shifted_as_all_are():
    whole = byway.task("digits", jitter=2)
    some = SomeClasses(whole, (0, 1, 2))
    split, index, key = _split(30), jnp.arange(12), jax.random.key(4)
    np.testing.assert_array_equal(
        some.lesson(split, index, key)[0], whole.lesson(split, index, key)[0]
    )


def test_images_of_one_s_own_are_shifted_and_tables_are_refused():
    x = np.random.default_rng(0).integers(0, 256, (40, 6, 6)).astype(np.uint8)
    task = byway.Data(x, np.arange(40) % 2, jitter=1)
    split = task.load()["train"]
    one, other = (
        np.asarray(made(split, jnp.arange(8), jax.random.key(0))[0])
        for made in (task.lesson, task.batch)
    )
    assert one.shape == other.shape and not np.array_equal(one, other)
    with pytest.raises(ConfigError, match="jitter = 1"):
        byway.Data(x.reshape(40, -1), np.arange(40) % 2, jitter=1)
    with pytest.raises(ConfigError, match="jitter = 1"):
        byway.Data(x, np.arange(40) % 2, jitter=1, sequences=True)


@pytest.mark.slow
def test_rules_that_train_a_seed_see_the_same_shifts_and_splits_are_scored_unshifted():
    """Where nothing is learned, scores of training tell the images apart and those of validation do
    not.
    """
    options = {"epochs": 2, "batch": 32, "seeds": 1, "lr": 1e-30, "looks": 0, "progress": False}
    seen = {}
    for name, jitter in (("bp", 0), ("bp", 2), ("dfa", 2)):
        task = byway.task("digits", jitter=jitter)
        net = byway.mlp(task.input_shape, 16, task.outputs)
        seen[name, jitter] = byway.fit(net, byway.rule(name), task, **options).history
    losses = {k: np.asarray(h["train/loss"].values) for k, h in seen.items()}
    np.testing.assert_array_equal(losses["bp", 2], losses["dfa", 2])
    assert not np.array_equal(losses["bp", 0], losses["bp", 2])
    for k in (("bp", 2), ("dfa", 2)):
        np.testing.assert_array_equal(
            seen[k]["validation/loss"].values, seen["bp", 0]["validation/loss"].values
        )
