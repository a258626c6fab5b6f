"""Scores: what a task measures of an output, how the samples' values become one number, and how
that is printed.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float

from byway.core.errors import ConfigError
from byway.core.given import shown
from byway.core.metric import BestScale, Metric, Scale

TO_THE_BEST = BestScale()


@dataclasses.dataclass(frozen=True)
class Score(Metric):
    """A metric that a task declares of an output; the first is its main one, which judges rules.

    `Task.score` gives a number for each sample, or an array of parts. Their mean over all samples
    is what `finish` makes the score of: so a score of a whole split, such as R², needs no more than
    sums.

    Attributes:
        name: its key.
        title: what tables call it; the name by default.
        unit: of the number that is printed; empty if it has none.
        scale: what it is multiplied by to be printed in that unit.
        higher: whether more is better.
        best: the value that none can pass, where there is one: curves are even in the logarithm of
            the distance to it.
        counts: whether every sample counts as 0 or as 1, as in an accuracy: then the samples that
            there are say how far it can be trusted.
        finish: the score, from the mean of its parts over all samples; by default that mean.
    """

    axis: Scale = TO_THE_BEST
    counts: bool = False
    finish: Callable[[Float[np.ndarray, "*parts"]], float] | None = dataclasses.field(
        default=None, compare=False
    )

    def __post_init__(self):
        super().__post_init__()
        if not isinstance(self.higher, bool) or not (self.finish is None or callable(self.finish)):
            raise ConfigError(
                f"the score {self.name} with higher {shown(self.higher)} and finish "
                f"{shown(self.finish)}",
                "True or False, and a function or nothing",
                "higher=False where less is better",
            )

    def grain(self, size: int) -> float:
        """The smallest step of the score on so many samples; 0 where it has none that is known."""
        return 1 / size if self.counts and size else 0.0

    def error(self, value: float, size: int) -> float | None:
        """One standard error of a value that was measured on so many samples; None where that
        takes more than the value to know.
        """
        return math.sqrt(max(value * (1 - value), 0.0) / size) if self.counts else None

    def of(self, mean: Any) -> float:
        """The score, from the mean of its parts; NaN where they are not finite.

        Raises:
            ConfigError: there are parts, and `finish` makes no number of them.
        """
        parts = np.asarray(mean, float)
        if self.finish is None and parts.ndim:
            given = (
                f"the score {self.name}, of parts of shape {parts.shape} and nothing that puts "
                "them together"
            )
            raise ConfigError(
                given,
                "one number for each sample",
                "declare it with `finish`, or take a mean over its parts",
            )
        if self.finish is None or not np.isfinite(parts).all():
            return float(parts) if parts.ndim == 0 else math.nan
        value = np.asarray(self.finish(parts))
        if value.ndim or value.dtype.kind not in "biuf":
            given = (
                f"the score {self.name}, whose `finish` makes {shown(value)} of parts of shape "
                f"{parts.shape}"
            )
            raise ConfigError(given, "one number", "take a mean, or a sum, over what is left")
        return float(value)


def _root_mean_square(squares: Float[np.ndarray, " out"]) -> float:
    return float(np.sqrt(squares).mean())


def _unexplained(parts: Float[np.ndarray, "out 3"], never: float) -> Float[np.ndarray, " out"]:
    """From the means of the squared error, the target and the squared target: the error of each
    output as a share of the variance of its target.

    Args:
        parts: those means.
        never: what it is of a target that never changes, unless that is met to the bit.
    """
    error, mean, square = np.moveaxis(parts, -1, 0)
    variance = np.maximum(square - mean**2, 0)
    constant = np.where(error > 0, never, 0.0)
    return np.where(variance > 0, error / np.where(variance > 0, variance, 1.0), constant)


def _explained(parts: Float[np.ndarray, "out 3"]) -> float:
    """R² of each output, averaged over outputs. Of a target that never changes it is 1 where that
    is met to the bit, else 0, as in scikit-learn.
    """
    return float((1 - _unexplained(parts, 1.0)).mean())


def _relative(parts: Float[np.ndarray, "out 3"]) -> float:
    """The RMSE of each output over the deviation of its target, averaged over outputs."""
    return float(np.sqrt(_unexplained(parts, math.inf)).mean())


ACCURACY = Score("accuracy", unit="%", scale=100.0, best=1.0, counts=True)
RMSE = Score("rmse", "RMSE", higher=False, best=0.0, finish=_root_mean_square)
NRMSE = Score(
    "nrmse",
    "NRMSE",
    higher=False,
    best=0.0,
    finish=_relative,
    meaning="The NRMSE is the RMSE divided by the standard deviation of what was to be predicted: "
    "answering its mean scores 1.",
)
R2 = Score("r2", "R²", best=1.0, finish=_explained)
LOSS = Score("loss", higher=False, best=0.0)
