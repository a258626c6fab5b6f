"""Scores: what a task measures of an output, how the samples' values become one number, and how
that is printed.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from jaxtyping import Float

from byway.core.errors import ConfigError
from byway.core.given import is_number, shown


@dataclasses.dataclass(frozen=True)
class Score:
    """A score that a task declares; the first that it declares is its main one, by which rules are
    judged.

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
        finish: the score, from the mean of its parts over all samples; by default that mean.
    """

    name: str
    title: str = ""
    unit: str = ""
    scale: float = 1.0
    higher: bool = True
    best: float | None = None
    finish: Callable[[Float[np.ndarray, "*parts"]], float] | None = dataclasses.field(
        default=None, compare=False
    )

    def __post_init__(self):
        words = all(isinstance(word, str) for word in (self.name, self.title, self.unit))
        if not words or not self.name or "/" in self.name:
            raise ConfigError(
                f"a score called {shown(self.name)}",
                "a word without a slash",
                "for example Score('f1', best=1.0)",
            )
        if (
            not is_number(self.scale)
            or self.scale <= 0
            or not (self.best is None or is_number(self.best))
        ):
            given = (
                f"the score {self.name} with scale {shown(self.scale)} and best {shown(self.best)}"
            )
            raise ConfigError(
                given,
                "a scale above 0, and a number or nothing as best",
                "a scale of 100 prints per cent",
            )
        if not isinstance(self.higher, bool) or not (self.finish is None or callable(self.finish)):
            given = (
                f"the score {self.name} with higher {shown(self.higher)} and finish "
                f"{shown(self.finish)}"
            )
            raise ConfigError(
                given,
                "True or False, and a function or nothing",
                "higher=False where less is better",
            )
        object.__setattr__(self, "title", self.title or self.name)

    @property
    def heading(self) -> str:
        """Its title and unit, for a column or an axis: "accuracy [%]"."""
        return f"{self.title} [{self.unit}]" if self.unit else self.title

    @property
    def step(self) -> str:
        """The unit of a difference between two of them: of per cent, points."""
        return "points" if self.unit == "%" else self.unit

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

    def digits(self, values: Iterable[float]) -> int:
        """How many decimals to print numbers with: two of per cent, else four figures of the
        largest.
        """
        largest = max((abs(v) for v in values if math.isfinite(v) and v), default=1.0)
        return 2 if self.unit == "%" else min(max(3 - math.floor(math.log10(largest)), 0), 9)

    def printed(self, value: float) -> str:
        """One in a sentence, scaled already, with its unit: three figures of it, or one decimal of
        per cent.
        """
        return f"{value:.{max(self.digits([value]) - 1, 0)}f} {self.unit}".rstrip().replace(
            "-", "−"
        )

    def said(self, value: float) -> str:
        """One with its title, as in "accuracy 93.2 %"."""
        return f"{self.title} {self.printed(self.scale * value)}"

    def to_json(self) -> dict[str, Any]:
        """All but `finish`, which no reader needs."""
        return {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name != "finish"
        }


def _root_mean_square(squares: Float[np.ndarray, " out"]) -> float:
    return float(np.sqrt(squares).mean())


def _explained(parts: Float[np.ndarray, "out 3"]) -> float:
    """From the means of the squared error, the target and the squared target: R² of each output,
    averaged over outputs.

    Of a target that never changes it is 1 where that is met to the bit, else 0, as in scikit-learn.
    """
    error, mean, square = np.moveaxis(parts, -1, 0)
    variance = np.maximum(square - mean**2, 0)
    exact = np.where(error > 0, 0.0, 1.0)
    return float(
        np.where(variance > 0, 1 - error / np.where(variance > 0, variance, 1.0), exact).mean()
    )


ACCURACY = Score("accuracy", unit="%", scale=100.0, best=1.0)
RMSE = Score("rmse", "RMSE", higher=False, best=0.0, finish=_root_mean_square)
R2 = Score("r2", "R²", best=1.0, finish=_explained)
LOSS = Score("loss", higher=False, best=0.0)
# What a name means where nothing declares it: in a run folder from before scores were declared.
STANDARD = {score.name: score for score in (ACCURACY, RMSE, R2, LOSS)}


def declared(held: Iterable[dict[str, Any]] | None, names: Iterable[str] = ()) -> tuple[Score, ...]:
    """The scores that a run folder declares; where it declares none, those among `names` whose
    meaning is known.

    Args:
        held: what `Score.to_json` gave, the main one first; None where it is not there.
        names: the scores that are there.
    """
    if held is not None:
        known = {field.name for field in dataclasses.fields(Score)}  # a later Byway may keep more
        return tuple(
            Score(**{name: value for name, value in one.items() if name in known}) for one in held
        )
    there = set(names)
    return tuple(score for name, score in STANDARD.items() if name in there)
