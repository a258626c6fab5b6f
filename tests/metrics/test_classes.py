"""Confusion, balanced accuracy and scores by class, against scikit-learn; and where nothing can be
said.
"""

import numpy as np
import pytest
from sklearn.metrics import (
    balanced_accuracy_score,
    confusion_matrix,
    precision_recall_fscore_support,
)

from byway.core.errors import ConfigError, UnknownNameError
from byway.metrics.predictions import Predictions

LABELS = ("cat", "dog", "eel", "fox")
DRAW = np.random.default_rng(0)
TRUTH = np.repeat(np.arange(4, dtype=np.int32), (50, 20, 5, 1))
SAID = np.where(DRAW.random((2, 76)) < 0.6, TRUTH, DRAW.integers(0, 4, (2, 76))).astype(np.int32)
SAID[1][SAID[1] == 3] = 0  # the second seed never answers the last class
LOST = np.full((1, 76), -1, np.int32)


def confusion(values=SAID, truth=TRUTH):
    return Predictions(values, truth, LABELS, tuple(range(len(values)))).confusion()


def test_it_is_what_scikit_learn_has():
    found = confusion()
    for seed, said in enumerate(SAID):
        np.testing.assert_array_equal(found.counts[seed], confusion_matrix(TRUTH, said))
        wanted = precision_recall_fscore_support(TRUTH, said, zero_division=0)
        for part, one in zip(("precision", "recall", "f1"), wanted, strict=False):
            np.testing.assert_allclose(getattr(found, part)[seed], one, rtol=1e-12)
            assert found.of("eel")[part][seed] == pytest.approx(one[2], rel=1e-12)
        balanced = balanced_accuracy_score(TRUTH, said)
        assert found.balanced_accuracy[seed] == pytest.approx(balanced, rel=1e-12)
        share = confusion_matrix(TRUTH, said, normalize="true")
        np.testing.assert_allclose(found.shares[seed], share, rtol=1e-12)
    assert found.samples.tolist() == [50, 20, 5, 1]


def test_of_a_seed_that_failed_nothing_is_said():
    found = confusion(np.concatenate([LOST, SAID]))
    assert not found.counts[0].any() and found.samples.tolist() == [50, 20, 5, 1]
    for part in ("recall", "precision", "f1", "balanced_accuracy", "shares"):
        value = getattr(found, part)
        assert np.isnan(value[0]).all()
        np.testing.assert_array_equal(value[1:], getattr(confusion(), part))


def test_a_class_without_samples_does_not_count():
    """As in scikit-learn, the balanced accuracy is of the others."""
    some = TRUTH != 3
    found = confusion(SAID[:, some], TRUTH[some])
    assert np.isnan(found.recall[:, 3]).all() and found.precision[0, 3] == 0
    with pytest.warns(UserWarning, match="y_pred contains classes"):
        wanted = balanced_accuracy_score(TRUTH[some], SAID[0, some])
    assert found.balanced_accuracy[0] == pytest.approx(wanted, rel=1e-12)


def test_of_sequences_each_step_that_counts_is_one():
    values = np.concatenate([SAID, np.full_like(SAID, -1)], 1).reshape(2, 2, 76)
    truth = np.concatenate([TRUTH, np.full_like(TRUTH, -1)]).reshape(2, 76)
    np.testing.assert_array_equal(confusion(values, truth), confusion())


def test_what_cannot_be_asked():
    numbers = Predictions(np.zeros((1, 3)), np.zeros(3), (), (0,))
    with pytest.raises(ConfigError, match="numbers"):
        numbers.confusion()
    with pytest.raises(UnknownNameError, match="'cow'"):
        confusion().of("cow")
