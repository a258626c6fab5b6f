"""Forward gradient of activity: groups, and noise of its own for each unit, sample and draw."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from byway.core.errors import ConfigError
from byway.core.signal import CrossEntropy, Signal
from byway.network.builders import mlp
from byway.rules.perturbation.activity_forward_gradient import (
    ActivityForwardGradient,
    grouped,
    ungrouped,
)
from byway.verify.oracle import recorded


@pytest.mark.parametrize(("shape", "size"), [((7,), 3), ((6,), 3), ((2, 3, 5), 2), ((4,), 100)])
def test_groups_are_units_in_a_row_of_one_place(shape, size):
    """By a loop over places and groups."""
    a = np.arange(2.0 * np.prod(shape)).reshape(2, *shape)
    groups = grouped(jnp.asarray(a), 1, size)
    wanted = [
        row[start : start + size]
        for row in a[0].reshape(-1, shape[-1])
        for start in range(0, shape[-1], size)
    ]
    assert len(groups[0]) == len(wanted)
    for group, units in zip(np.asarray(groups[0]), wanted, strict=True):
        np.testing.assert_array_equal(group, np.pad(units, (0, len(group) - len(units))))
    np.testing.assert_array_equal(ungrouped(groups, jnp.asarray(a)), a)


def test_noise_is_of_its_own_for_each_layer_sample_and_draw():
    """Independent draws correlate by less than 5 / root n; of one key they would be the same."""
    net, x = mlp(6, 500, 500, 3), jax.random.normal(jax.random.key(1), (4, 6))
    signal = Signal(jnp.eye(3)[jnp.arange(4) % 3], CrossEntropy())
    noise = recorded(ActivityForwardGradient(draws=2), net, x, signal)["free"].injected
    rows = np.concatenate([np.asarray(one).reshape(-1, 500) for one in noise.values()])
    assert rows.shape == (16, 500)
    assert np.abs(np.corrcoef(rows) - np.eye(16)).max() < 5 / np.sqrt(500)
    assert rows.std() == pytest.approx(1.0, abs=5 / np.sqrt(2 * rows.size))


@pytest.mark.parametrize("name", ["group", "draws"])
def test_none_at_all_is_refused(name):
    with pytest.raises(ConfigError, match=rf"ActivityForwardGradient\.{name} = 0"):
        ActivityForwardGradient(**{name: 0})
