"""Readings and histories: what was measured, by name."""

import numpy as np
import pytest

from byway.training.history import Curve, History, Reading


def reading(step, **more):
    return Reading(
        step, step / 4, step / 2, {name.replace("_", "/"): v for name, v in more.items()}
    )


def test_a_reading_is_a_mapping_like_any_other():
    one, two = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    got = reading(4, train_loss=one, validation_loss=two)
    assert [*got] == [*got.keys()] == ["train/loss", "validation/loss"] and len(got) == 2
    assert [a.tolist() for a in got.values()] == [[1.0, 2.0], [3.0, 4.0]]
    assert dict(got.items()) == dict(got) and got["train/loss"] is one
    assert "train/loss" in got and got.get("train/f1") is None and not got.look
    with pytest.raises(TypeError, match="numbers"):
        Reading(0, 0.0, 0.0)


def test_a_history_has_a_curve_of_each_number_over_the_steps_at_which_it_was_measured():
    history = History(
        [
            reading(0, validation_loss=np.array([5.0, 6.0])),
            reading(8, validation_loss=np.array([1.0, 2.0]), train_loss=np.array([0.5, 0.6])),
            reading(4, angle_a=np.array([90.0, np.nan])),
            reading(8, validation_loss=np.array([1.5, 2.5])),  # told again: that counts
        ]
    )
    curve = history["validation/loss"]
    assert curve.steps.tolist() == [0, 8] and curve.epochs.tolist() == [0.0, 2.0]
    assert curve.seconds.tolist() == [0.0, 4.0]
    assert curve.values.tolist() == np.asarray(curve).tolist() == [[5.0, 1.5], [6.0, 2.5]]
    assert curve.last.tolist() == [1.5, 2.5]
    assert history["train/loss"].steps.tolist() == [8] and [*history.group("angle")] == ["a"]
    assert history.last("train").keys() == {"loss"} and history.last("nothing") == {}


def test_histories_of_other_seeds_are_joined_seeds_beside_seeds():
    """A job that has not come as far, or does not measure it, has no number; seconds add up."""
    one = History([reading(s, a_x=np.array([float(s), s + 1.0])) for s in (0, 4)])
    two = History([reading(0, a_x=np.array([7.0]), b_y=np.array([8.0]))])
    got = History.joined([one, two], [2, 1])
    nan = np.nan
    np.testing.assert_array_equal(got["a/x"].values, [[0.0, 4.0], [1.0, 5.0], [7.0, nan]])
    np.testing.assert_array_equal(got["b/y"].values, [[nan], [nan], [8.0]])
    assert got["a/x"].seconds.tolist() == [0.0, 2.0] and isinstance(got["a/x"], Curve)
