"""Metrics: what is measured, what it is called, and how it is printed, drawn and judged.

A metric is declared where it is computed. Whatever shows numbers (tables, charts, `byway runs`, the
docs) goes by the declaration, which is written into the run folder: a reader that has never heard
of a metric can show it all the same.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from byway.core.errors import ConfigError
from byway.core.given import is_number, shown

M = TypeVar("M", bound="Metric")


@dataclasses.dataclass(frozen=True)
class Scale:
    """How the axis of a chart is divided: evenly.

    Attributes:
        low: where the axis starts; where the smallest value lies by default.
        high: where it ends; where the largest value lies by default.
    """

    low: float | None = None
    high: float | None = None


@dataclasses.dataclass(frozen=True)
class LogScale(Scale):
    """Evenly in the logarithm of positive values."""


@dataclasses.dataclass(frozen=True)
class SignedLogScale(Scale):
    """Evenly in the logarithm on either side of zero."""


@dataclasses.dataclass(frozen=True)
class BestScale(Scale):
    """Evenly in the logarithm of the distance to the best value there is."""


SCALES = {kind.__name__: kind for kind in (Scale, LogScale, SignedLogScale, BestScale)}


EVEN = Scale()


@dataclasses.dataclass(frozen=True)
class Metric:
    """What is measured.

    Attributes:
        name: its key; a word without a slash.
        title: what tables and charts call it; the name by default.
        unit: of the number that is printed; empty if it has none.
        scale: what it is multiplied by to be printed in that unit.
        higher: whether more is better.
        best: the value that none can pass, where there is one.
        meaning: how to read it, in a sentence or two.
        level: a value worth a line in a chart, such as what chance gives.
        axis: how its axis is divided.
        column: whether tables show it, as it was last measured: of a metric by projection, its mean
            over those that are hidden.
    """

    name: str
    title: str = ""
    unit: str = ""
    scale: float = 1.0
    higher: bool = True
    best: float | None = None
    meaning: str = ""
    level: float | None = None
    axis: Scale = EVEN
    column: bool = False

    def __post_init__(self):
        kind = type(self).__name__.lower()
        words = all(isinstance(word, str) for word in (self.name, self.title, self.unit))
        if not words or not self.name or "/" in self.name:
            raise ConfigError(
                f"a {kind} called {shown(self.name)}",
                "a word without a slash",
                f"for example {type(self).__name__}('f1', best=1.0)",
            )
        right = self.best is None or is_number(self.best)
        if not is_number(self.scale) or self.scale <= 0 or not right:
            raise ConfigError(
                f"the {kind} {self.name} with scale {shown(self.scale)} and best "
                f"{shown(self.best)}",
                "a scale above 0, and a number or nothing as best",
                "a scale of 100 prints per cent",
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

    def digits(self, values: Iterable[float]) -> int:
        """How many decimals to print numbers with: two of per cent, else four figures of the
        largest.
        """
        if self.unit == "%":
            return 2
        largest = max((abs(v) for v in values if math.isfinite(v) and v), default=1.0)
        return min(max(3 - math.floor(math.log10(largest)), 0), 9)

    def printed(self, value: float) -> str:
        """One in a sentence, scaled already, with its unit: three figures of it, or one decimal of
        per cent.
        """
        digits = max(self.digits([value]) - 1, 0)
        return f"{value:.{digits}f} {self.unit}".rstrip().replace("-", "−")

    def said(self, value: float) -> str:
        """One with its title, as in "accuracy 93.2 %"."""
        return f"{self.title} {self.printed(self.scale * value)}"

    def to_json(self) -> dict[str, Any]:
        """What a reader needs to show it."""
        held = {field.name: getattr(self, field.name) for field in _shown(type(self))}
        axis = {"kind": type(self.axis).__name__, **dataclasses.asdict(self.axis)}
        return held | {"axis": axis}

    @classmethod
    def from_json(cls: "type[M]", held: Mapping[str, Any]) -> "M":
        """What `to_json` gave. What is not known is left out, as a later Byway may keep more."""
        known = {field.name for field in _shown(cls)}
        made = {name: value for name, value in held.items() if name in known}
        if isinstance(axis := made.pop("axis", None), Mapping):
            kind = SCALES.get(axis.get("kind", ""), Scale)
            made["axis"] = kind(axis.get("low"), axis.get("high"))
        return cls(**made)


def _shown(kind: type[Metric]) -> list[dataclasses.Field]:
    """The fields that are plain values."""
    return [field for field in dataclasses.fields(kind) if field.compare]
