"""How each rule does class by class: balanced accuracy, confusion, and scores of each class."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from byway.metrics.predictions import BALANCED, Confusion
from byway.report.charts import LETTER
from byway.report.table import NONE, signed
from byway.runs import statistics
from byway.runs.outcomes import Outcomes
from byway.runs.predictions import predictions_of
from byway.runs.statistics import mean_and_spread

# Classes in a picture, classes whose cells hold their numbers, and rows of a table.
MOST, NUMBERED, MOST_ROWS = 30, 12, 50
WIDTH, LONGEST = 340.0, 13
# The strongest colour of a cell: what stands on it can still be read.
STRONG = 0.45
# Mistakes worth a sentence.
WORST = 3


@dataclasses.dataclass(frozen=True)
class Cell:
    """One class taken for another, or for what it is; its colour is more or less see-through."""

    x: float
    y: float
    right: bool
    opacity: float
    text: str
    said: str


@dataclasses.dataclass(frozen=True)
class Matrix:
    """A confusion, laid out on a canvas of `width` by `height`.

    Attributes:
        label: what a reader who cannot see it should know.
        side: of a cell.
        marks: where each class stands, from the left and from the top, and what it is called.
        turned: whether the names below stand on end.
    """

    label: str
    width: float
    height: float
    left: float
    top: float
    right: float
    bottom: float
    side: float
    cells: list[Cell]
    marks: list[tuple[float, float, str]]
    turned: bool


@dataclasses.dataclass(frozen=True)
class ByClass:
    """One rule.

    Attributes:
        balanced: its balanced accuracy.
        difference: that minus backprop's, with the interval.
        worst: the class that it answers right least often, and how often.
        matrix: its confusion; None of too many classes.
        rows: of each class its name, its test samples, recall, precision and f1.
        shown: how many classes there are, where only those it does worst on have a row; else 0.
    """

    balanced: str
    difference: str
    worst: str
    matrix: Matrix | None
    rows: list[tuple[str, ...]]
    shown: int


def by_class(run: Outcomes) -> dict[str, ByClass]:
    """Each finished rule whose answers are classes, and were kept."""
    held = {label: predictions_of(run, label) for label in run.finished}
    found = {label: one.confusion() for label, one in held.items() if one and one.labels}
    shares = {label: mean_and_spread(one.shares)[0] for label, one in found.items()}
    mistakes = [np.nanmax(_mistakes(share), initial=0) for share in shares.values()]
    most = float(max(mistakes, default=0))
    return {label: _rule(run, label, one, shares[label], most) for label, one in found.items()}


def _rule(
    run: Outcomes,
    label: str,
    confusion: Confusion,
    share: Float[np.ndarray, "classes classes"],
    most: float,
) -> ByClass:
    names = [str(name) for name in confusion.labels]
    spread = statistics.spread({BALANCED.name: confusion.balanced_accuracy}, BALANCED)
    difference = NONE
    if label == run.baseline:
        difference = "baseline"
    elif run.baseline in run.finished:
        d = statistics.difference(run[label], run[run.baseline], BALANCED)
        if d is not None:
            difference = f"{signed(d.mean)} ({signed(d.low)} to {signed(d.high)})"
    recall = np.diagonal(share)
    worst = NONE
    if np.isfinite(recall).any():
        at = int(np.nanargmin(recall))
        worst = f"{names[at]}: {_percent(recall[at])}"
    measured = [mean_and_spread(one) for one in (confusion.recall, confusion.precision)]
    measured.append(mean_and_spread(confusion.f1))
    order = range(len(names))
    if len(names) > MOST_ROWS:
        order = np.argsort(np.nan_to_num(recall, nan=2.0), kind="stable")[:MOST_ROWS].tolist()
    rows = [
        (names[i], f"{confusion.samples[i]:,}", *(_spread(m[i], s[i]) for m, s in measured))
        for i in order
    ]
    balanced = _plus(spread.mean, spread.deviation)
    said = f"Balanced accuracy of {label}: {balanced}{_and(share, names)}"
    few = len(names) <= MOST and np.isfinite(share).any()
    return ByClass(
        balanced,
        difference,
        worst,
        _matrix(share, names, most, said) if few else None,
        rows,
        len(names) if len(names) > MOST_ROWS else 0,
    )


def _matrix(
    share: Float[np.ndarray, "classes classes"], names: Sequence[str], most: float, label: str
) -> Matrix:
    """Rows are the truth, columns the answers."""
    short = [name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…" for name in names]
    longest = LETTER * max(map(len, short))
    left, top, right = 30 + longest, 6.0, WIDTH - 6
    side = (right - left) / len(names)
    turned = longest > side
    bottom = top + side * len(names)
    height = bottom + (longest if turned else 16) + 32
    cells = []
    for truth, row in enumerate(share):
        for answer, one in enumerate(row):
            if not one >= 0.0005:
                continue
            strength = one if truth == answer else math.sqrt(one / most)
            number = f"{100 * one:.0f}" if len(names) <= NUMBERED and one >= 0.005 else ""
            taken = "answered right" if truth == answer else f"taken for {names[answer]}"
            cells.append(
                Cell(
                    round(left + answer * side, 1),
                    round(top + truth * side, 1),
                    truth == answer,
                    round(STRONG * strength, 3),
                    number,
                    f"{names[truth]} {taken}: {_percent(one)}",
                )
            )
    places = [(i + 0.5) * side for i in range(len(names))]
    marks = [
        (round(left + at, 1), round(top + at, 1), name)
        for at, name in zip(places, short, strict=True)
    ]
    return Matrix(
        label,
        WIDTH,
        round(height, 1),
        left,
        top,
        right,
        round(bottom, 1),
        round(side, 2),
        cells,
        marks if side >= 1.1 * LETTER else [],
        turned,
    )


def _mistakes(share: Float[np.ndarray, "classes classes"]) -> Float[np.ndarray, "classes classes"]:
    return np.where(np.eye(len(share), dtype=bool), 0.0, np.nan_to_num(share))


def _and(share: Float[np.ndarray, "classes classes"], names: Sequence[str]) -> str:
    """The most frequent mistakes, in words."""
    wrong = _mistakes(share)
    places = np.argsort(-wrong, axis=None, kind="stable")[:WORST]
    pairs = [(int(at) // len(names), int(at) % len(names)) for at in places]
    said = [f"{names[i]} for {names[j]} ({_percent(wrong[i, j])})" for i, j in pairs if wrong[i, j]]
    return f". Most often it takes {', '.join(said)}." if said else ". It makes no mistake."


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _spread(mean: float, deviation: float) -> str:
    if not math.isfinite(mean):
        return NONE
    return _plus(100 * mean, 100 * deviation, 1)


def _plus(mean: float, deviation: float, digits: int = 2) -> str:
    if not math.isfinite(mean):
        return NONE
    spread = f" ± {deviation:.{digits}f}" if math.isfinite(deviation) else ""
    return f"{mean:.{digits}f}{spread}"
