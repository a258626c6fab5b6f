"""The figure of yin and yang, told by spike times."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import byway
from byway.core.errors import ConfigError
from byway.tasks.yin_yang import which


def test_parts_of_the_figure_lie_where_it_is_drawn():
    """Lobes, dots and halves, and what lies outside."""
    known = {
        (0.25, 0.5): 2,  # dots
        (0.75, 0.5): 2,
        (0.25, 0.65): 1,  # the left lobe around its dot, above and below the middle
        (0.25, 0.35): 1,
        (0.75, 0.65): 0,  # the right one
        (0.75, 0.35): 0,
        (0.5, 0.9): 1,  # halves
        (0.5, 0.1): 0,
        (0.05, 0.05): -1,
        (0.99, 0.7): -1,
    }
    assert which(np.array(list(known))).tolist() == list(known.values())


def test_the_figure_is_the_same_upside_down_but_for_its_colours():
    points = np.random.default_rng(0).uniform(size=(10_000, 2))
    turned = which(1 - points)
    assert np.array_equal(np.array([1, 0, 2, -1])[turned], which(points))


def test_samples_are_times_of_points_in_equal_classes():
    task = byway.task("yin_yang", samples=3_000, early=1.0, late=3.0)
    splits = task.load()
    assert {name: split.size for name, split in splits.items()} == {
        "train": 3_000,
        "validation": 1_000,
        "test": 1_000,
    }
    x, signal = task.batch(splits["train"], jnp.arange(3_000), jax.random.key(0))
    points = (np.asarray(x) - 1) / 2
    np.testing.assert_allclose(points[:, :2] + points[:, 2:], 1, atol=1e-6)
    assert points.min() > 0 and points.max() < 1
    np.testing.assert_array_equal(which(points[:, :2]), np.argmax(signal.target, 1))
    assert np.abs(np.mean(signal.target, 0) - 1 / 3).max() < 0.03
    first = {name: tuple(np.asarray(split.x[0])) for name, split in splits.items()}
    assert len(set(first.values())) == 3, "no split repeats another"


def test_times_that_are_in_no_order_are_refused():
    with pytest.raises(ConfigError, match="early = 2 and late = 2"):
        byway.task("yin_yang", early=2.0)
