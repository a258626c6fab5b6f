"""Scores of whole splits against scikit-learn, and what cannot be a score."""

import json
import math

import numpy as np
import pytest
from sklearn.metrics import r2_score, root_mean_squared_error

from byway.core.errors import ConfigError
from byway.core.metric import Metric, Scale
from byway.core.score import ACCURACY, LOSS, NRMSE, R2, RMSE, Score
from byway.metrics.microscope import QUANTITIES

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_rmse_and_r2_are_scikit_learns(outputs, weighted):
    """Of several outputs the mean over them, its default; weights are those of the steps of
    sequences.
    """
    target = RNG.normal(size=(50, outputs)) * [1, 10, 0.1][:outputs] + 3
    output = target + RNG.normal(size=target.shape)
    weight = RNG.uniform(size=50) if weighted else np.ones(50)
    mean = lambda a: np.average(a, 0, weight)
    squares = (output - target) ** 2
    assert RMSE.of(mean(squares)) == pytest.approx(
        root_mean_squared_error(target, output, sample_weight=weight), rel=1e-12
    )
    parts = mean(np.stack([squares, target, target**2], -1))
    assert R2.of(parts) == pytest.approx(r2_score(target, output, sample_weight=weight), rel=1e-9)
    # Of one output its square is what R² leaves.
    shares = 1 - r2_score(target, output, sample_weight=weight, multioutput="raw_values")
    assert NRMSE.of(parts) == pytest.approx(np.sqrt(shares).mean(), rel=1e-9)


@pytest.mark.parametrize("exact", [True, False])
def test_r2_of_a_target_that_never_changes_is_scikit_learns(exact):
    target = np.stack([np.zeros(8), np.arange(8.0)], 1)
    output = target + np.array([0.0 if exact else 0.5, 0.25])
    parts = np.stack([(output - target) ** 2, target, target**2], -1).mean(0)
    assert R2.of(parts) == pytest.approx(r2_score(target, output), rel=1e-12)
    assert NRMSE.of(parts) == (pytest.approx(0.25 / 5.25**0.5 / 2) if exact else math.inf)


def test_a_mean_that_is_not_finite_is_no_score():
    assert math.isnan(R2.of(np.full((2, 3), np.nan))) and math.isnan(
        RMSE.of(np.array([1.0, np.inf]))
    )
    assert LOSS.of(2.5) == 2.5 and LOSS.of(np.inf) == np.inf and math.isnan(LOSS.of(np.nan))


@pytest.mark.parametrize(
    ("score", "value", "text"),
    [
        (ACCURACY, 0.93249, "accuracy 93.2 %"),
        (RMSE, 54.2345, "RMSE 54.2"),
        (R2, 0.48123, "R² 0.481"),
        (R2, -0.048123, "R² −0.0481"),
        (LOSS, 1234.5, "loss 1234"),
        (Score("f1", unit="mm", scale=1000.0), 0.0025, "f1 2.50 mm"),
    ],
)
def test_a_score_in_a_sentence(score, value, text):
    assert score.said(value) == text


def test_declarations_read_back_as_they_were_written_and_what_is_not_known_is_left_out():
    for score in (ACCURACY, RMSE, R2, Score("own", "Own", "m/s", 3.6, best=2.0, counts=True)):
        held = json.loads(json.dumps(score.to_json()))
        assert Score.from_json(held) == score
        assert Score.from_json(held | {"since": "a later version"}) == score
        assert Score.from_json(held | {"axis": {"kind": "Spiral", "turns": 3}}).axis == Scale()
    assert Score.from_json({"name": "own"}) == Score("own")
    for metric in QUANTITIES:
        assert Metric.from_json(json.loads(json.dumps(metric.to_json()))) == metric


@pytest.mark.parametrize(
    ("make", "given"),
    [
        (lambda: Score(""), "a score called ''"),
        (lambda: Score("accuracy/head"), "a score called 'accuracy/head'"),
        (lambda: Score("a", scale=0), "with scale 0"),
        (lambda: Score("a", scale=math.nan), "with scale nan"),
        (
            lambda: Score("a", finish=np.sqrt).of(np.ones(3)),
            "whose `finish` makes array([1., 1., 1.])",
        ),
        (lambda: Score("a", finish=lambda parts: "much").of(1.0), "whose `finish` makes"),
    ],
)
def test_what_cannot_be_a_score_is_refused(make, given):
    with pytest.raises(ConfigError) as caught:
        make()
    assert given in caught.value.given
