"""What is measured while rules train, in one shape for `fit`, run folders, reports and trackers.

Every number has a name of two parts, "validation/accuracy" or "angle/input-hidden1": the split or
the metric, and of what it is.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int
from typing_extensions import override

Scores = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Reading(Mapping[str, np.ndarray]):
    """What was measured at one moment: `reading["validation/accuracy"]`, "seeds".

    Attributes:
        step: after how many updates; 0 is the start.
        epoch: the same in epochs.
        seconds: training time of all seeds together so far, without compiling, scoring and looking
            [s].
        numbers: by name; NaN for a seed that failed.
        look: whether it is a look through the microscope; else an epoch ended, or training began.
    """

    step: int
    epoch: float
    seconds: float
    numbers: Scores
    look: bool = False

    @override
    def __getitem__(self, name: str) -> np.ndarray:
        return self.numbers[name]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self.numbers)

    @override
    def __len__(self) -> int:
        return len(self.numbers)


def flat(groups: Mapping[str, Mapping[str, np.ndarray]]) -> Scores:
    """Numbers by group and member under names of two parts."""
    return {f"{group}/{name}": v for group, some in groups.items() for name, v in some.items()}


@dataclasses.dataclass(frozen=True)
class Curve:
    """One number over the time of training. `np.asarray(curve)` is `curve.values`.

    Attributes:
        steps: updates before each moment; 0 is the start.
        epochs: the same in epochs.
        seconds: training time so far [s].
        values: what was measured, "seeds time"; NaN where it is missing.
    """

    steps: Int[np.ndarray, " time"]
    epochs: Float[np.ndarray, " time"]
    seconds: Float[np.ndarray, " time"]
    values: Float[np.ndarray, "seeds time"]

    @property
    def last(self) -> Float[np.ndarray, " seeds"]:
        """What was measured last."""
        return self.values[:, -1]

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return np.array(self.values, dtype, copy=copy)


class History(Mapping[str, Curve]):
    """Curves by name, and groups of them: `history["validation/accuracy"]`, "seeds time".

    Args:
        readings: what was measured; of two at the same step the later counts, name by name.
    """

    def __init__(self, readings: Iterable[Reading] = ()):
        found: dict[str, dict[int, tuple[Reading, np.ndarray]]] = {}
        for reading in readings:
            for name, values in reading.items():
                found.setdefault(name, {})[reading.step] = reading, np.asarray(values, float)
        self._curves = {name: _curve(moments) for name, moments in found.items()}

    @classmethod
    def of(cls, curves: Mapping[str, Curve]) -> "History":
        """A history of these curves."""
        made = cls()
        made._curves = dict(curves)
        return made

    @classmethod
    def joined(cls, parts: Sequence["History"], seeds: Sequence[int]) -> "History":
        """That of several jobs, which trained other seeds of one rule.

        Args:
            parts: theirs, in the order of the seeds.
            seeds: how many seeds each has.
        """
        names = dict.fromkeys(name for part in parts for name in part)
        return cls.of({name: _beside([p.get(name) for p in parts], seeds) for name in names})

    def group(self, name: str) -> dict[str, Curve]:
        """The curves of one group, by what they are of: of "angle", by projection."""
        head = f"{name}/"
        return {n.removeprefix(head): c for n, c in self._curves.items() if n.startswith(head)}

    def last(self, group: str) -> Scores:
        """What was measured last of one group: of "train", by score, "seeds"."""
        return {name: curve.last for name, curve in self.group(group).items()}

    @override
    def __getitem__(self, name: str) -> Curve:
        return self._curves[name]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._curves)

    @override
    def __len__(self) -> int:
        return len(self._curves)

    @override
    def __repr__(self) -> str:
        return f"<History of {', '.join(self) or 'nothing'}>"


def _curve(moments: dict[int, tuple[Reading, np.ndarray]]) -> Curve:
    steps = sorted(moments)
    readings = [moments[step][0] for step in steps]
    return Curve(
        np.array(steps, int),
        np.array([reading.epoch for reading in readings], float),
        np.array([reading.seconds for reading in readings], float),
        np.stack([moments[step][1] for step in steps], 1),
    )


def _beside(curves: Sequence[Curve | None], seeds: Sequence[int]) -> Curve:
    """One curve of several, seeds beside seeds; NaN where one has no value. Jobs run at the same
    time, so what all seeds took so far is the sum.
    """
    there = [curve for curve in curves if curve is not None]
    steps = np.unique(np.concatenate([curve.steps for curve in there]))
    epochs, seconds = np.zeros(steps.size), np.zeros(steps.size)
    values = [np.full((count, steps.size), np.nan) for count in seeds]
    for curve, mine in zip(curves, values, strict=True):
        if curve is not None:
            at = np.searchsorted(steps, curve.steps)
            mine[:, at], epochs[at] = curve.values, curve.epochs
            seconds[at] += curve.seconds
    return Curve(steps, epochs, seconds, np.concatenate(values))
