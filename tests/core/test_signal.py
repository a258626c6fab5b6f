"""Losses against SciPy and scikit-learn, and their errors against differences of those."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special
from sklearn.metrics import log_loss, mean_squared_error

from byway.core.signal import CrossEntropy, Signal, SquaredError

DRAW = np.random.default_rng(0)
OUTPUT = DRAW.normal(scale=3, size=(6, 4))
LABELS = np.array([0, 1, 2, 3, 1, 1])
HARD, SOFT = np.eye(4)[LABELS], DRAW.dirichlet(np.ones(4), size=6)


def _signal(target, criterion):
    return Signal(jnp.asarray(target), criterion)


def test_mean_cross_entropy_is_log_loss_of_scikit_learn():
    mine = _signal(HARD, CrossEntropy()).loss(jnp.asarray(OUTPUT))
    assert float(jnp.mean(mine)) == pytest.approx(
        log_loss(LABELS, special.softmax(OUTPUT, 1)), rel=1e-12
    )


def test_cross_entropy_with_soft_targets_is_their_entropy_plus_the_divergence():
    mine = _signal(SOFT, CrossEntropy()).loss(jnp.asarray(OUTPUT))
    p = special.softmax(OUTPUT, 1)
    np.testing.assert_allclose(
        mine, special.entr(SOFT).sum(1) + special.rel_entr(SOFT, p).sum(1), rtol=1e-12
    )


def test_cross_entropy_of_huge_outputs_neither_overflows_nor_vanishes():
    output = jnp.array([[1e4, 0.0, -1e4]])
    target = jnp.array([[0.0, 0.0, 1.0]])
    assert float(_signal(target, CrossEntropy()).loss(output)[0]) == pytest.approx(2e4)
    np.testing.assert_allclose(
        _signal(target, CrossEntropy()).error(output), [[1, 0, -1]], atol=1e-300
    )


def test_squared_error_is_half_the_squared_distance():
    mine = _signal(HARD, SquaredError()).loss(jnp.asarray(OUTPUT))
    assert float(jnp.mean(mine)) == pytest.approx(
        mean_squared_error(HARD, OUTPUT) * 4 / 2, rel=1e-12
    )


CASES = {
    "cross-entropy": (CrossEntropy(), HARD, lambda y, t: -np.sum(t * special.log_softmax(y, 1), 1)),
    "cross-entropy, soft": (
        CrossEntropy(),
        SOFT,
        lambda y, t: -np.sum(t * special.log_softmax(y, 1), 1),
    ),
    "squared": (SquaredError(), SOFT, lambda y, t: np.sum((y - t) ** 2, 1) / 2),
}


@pytest.mark.parametrize("case", CASES)
def test_error_is_the_difference_quotient_of_the_loss(case):
    criterion, target, loss = CASES[case]
    h, differences = 1e-5, np.zeros_like(OUTPUT)
    for k in range(4):
        step = h * np.eye(4)[k]
        differences[:, k] = (loss(OUTPUT + step, target) - loss(OUTPUT - step, target)) / (2 * h)
    np.testing.assert_allclose(
        _signal(target, criterion).error(jnp.asarray(OUTPUT)), differences, atol=1e-8
    )


@pytest.mark.parametrize("case", CASES)
def test_error_is_the_gradient_of_the_loss_sample_by_sample(case):
    criterion, target, _ = CASES[case]
    signal = _signal(target, criterion)
    gradient = jax.grad(lambda y: jnp.sum(signal.loss(y)))(jnp.asarray(OUTPUT))
    np.testing.assert_allclose(signal.error(jnp.asarray(OUTPUT)), gradient, rtol=1e-12, atol=1e-14)


def test_error_points_uphill_away_from_the_target():
    """The sign contract: positive where the output is too high."""
    assert np.all(np.sign(_signal(HARD, CrossEntropy()).error(jnp.zeros((6, 4)))) == 1 - 2 * HARD)
