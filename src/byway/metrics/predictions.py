"""What each learner answers to every sample of the test split, and how good that is class by
class.
"""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped
from typing_extensions import override

from byway.core.errors import ConfigError, unknown_name
from byway.core.score import Score

BALANCED = Score(
    "balanced_accuracy",
    "balanced accuracy",
    unit="%",
    scale=100.0,
    best=1.0,
    meaning="Balanced accuracy is the share of each class that is answered right, averaged over "
    "classes: each counts the same, however many samples it has.",
)
# Classes are taken to be imbalanced where the largest has so many times the samples of the
# smallest.
IMBALANCED = 2


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Confusion:
    """How often each class was taken for each other. `np.asarray(confusion)` is
    `confusion.counts`.

    Of a seed that failed all counts are 0, and all shares NaN.

    Attributes:
        counts: test samples, or steps of sequences, "seeds truth answer".
        labels: the label of each class.
        seeds: the seed of each row.
    """

    counts: Int[np.ndarray, "seeds classes classes"]
    labels: tuple[Any, ...]
    seeds: tuple[int, ...]

    @property
    def samples(self) -> Int[np.ndarray, " classes"]:
        """How many test samples each class has."""
        return self.counts.sum(2).max(0)

    @property
    def recall(self) -> Float[np.ndarray, "seeds classes"]:
        """The share of each class that is answered right; NaN of a class without samples."""
        return _over(self._right, self.counts.sum(2))

    @property
    def precision(self) -> Float[np.ndarray, "seeds classes"]:
        """The share of right ones among the answers of each class; 0 of a class that is never
        answered.
        """
        answered = self.counts.sum(1)
        found = np.where(answered > 0, _over(self._right, answered), 0.0)
        return np.where(answered.sum(1, keepdims=True) > 0, found, np.nan)

    @property
    def f1(self) -> Float[np.ndarray, "seeds classes"]:
        """The harmonic mean of precision and recall; NaN of a class that is neither there nor
        answered.
        """
        return _over(2 * self._right, self.counts.sum(1) + self.counts.sum(2))

    @property
    def balanced_accuracy(self) -> Float[np.ndarray, " seeds"]:
        """The mean recall of the classes that have samples."""
        recall = self.recall
        return _over(np.nansum(recall, 1), np.isfinite(recall).sum(1))

    @property
    def shares(self) -> Float[np.ndarray, "seeds classes classes"]:
        """Of each class, the share that was taken for each other; NaN of one without samples."""
        return _over(self.counts, self.counts.sum(2, keepdims=True))

    def of(self, label: Any) -> dict[str, Float[np.ndarray, " seeds"]]:
        """The recall, precision and f1 of one class, "seeds" each.

        Raises:
            UnknownNameError: no such class.
        """
        if label not in self.labels:
            raise unknown_name("class", str(label), list(map(str, self.labels)))
        at = self.labels.index(label)
        return {name: getattr(self, name)[:, at] for name in ("recall", "precision", "f1")}

    @property
    def _right(self) -> Int[np.ndarray, "seeds classes"]:
        return np.diagonal(self.counts, axis1=1, axis2=2)

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return np.array(self.counts, dtype, copy=copy)

    @override
    def __repr__(self) -> str:
        return f"<Confusion of {len(self.labels)} classes by {len(self.seeds)} seeds>"


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Predictions:
    """What each learner answers to every sample of the test split, by the weights that its test
    score is of. `np.asarray(predictions)` is `predictions.values`.

    Attributes:
        values: answers, "seeds samples"; of sequences with an answer at each step "seeds samples
            time". Of classes it is the number of the label; elsewhere the numbers that were to be
            predicted, in their own units, on a last axis where there are several. -1, or NaN, for
            a seed that failed and at steps that do not count.
        truth: what would have been right, shaped as the answers of one seed.
        labels: the label of each class; empty where answers are numbers.
        seeds: the seed of each row.
    """

    values: Shaped[np.ndarray, "seeds samples *rest"]
    truth: Shaped[np.ndarray, "samples *rest"]
    labels: tuple[Any, ...]
    seeds: tuple[int, ...]

    def confusion(self) -> Confusion:
        """How often each class was taken for each other.

        Raises:
            ConfigError: answers are no classes.
        """
        if not self.labels:
            raise ConfigError(
                "the confusion of answers that are numbers",
                "classes",
                "compare values with truth",
            )
        classes, truth = len(self.labels), self.truth.ravel()
        counts = []
        for said in self.values.reshape(len(self.values), -1):
            asked = (truth >= 0) & (said >= 0)
            pairs = truth[asked].astype(int) * classes + said[asked]
            counts.append(np.bincount(pairs, minlength=classes**2).reshape(classes, classes))
        return Confusion(np.stack(counts), self.labels, self.seeds)

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return np.array(self.values, dtype, copy=copy)

    @override
    def __repr__(self) -> str:
        kind = f"{len(self.labels)} classes" if self.labels else "numbers"
        samples, seeds = self.values.shape[1], self.values.shape[0]
        return f"<Predictions of {kind}: {seeds} seeds, {samples:,} samples>"


def _over(
    part: Shaped[np.ndarray, "*rest"], whole: Shaped[np.ndarray, "*whole"]
) -> Float[np.ndarray, "*rest"]:
    """A share; NaN of nothing."""
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)
