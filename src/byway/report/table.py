"""The comparison table of a run: a row a rule, the same for the terminal, the page and a notebook.

A column is found by its name. Those of metrics and costs are there because these declare
themselves worth one (`Metric.column`).
"""

import dataclasses
import math
from collections.abc import Callable
from functools import partial

import numpy as np

from byway.core.metric import Metric
from byway.core.score import Score
from byway.metrics.growing import WHOLE
from byway.metrics.predictions import BALANCED
from byway.runs import statistics
from byway.runs.outcomes import BASELINES, CONTROL, Outcomes
from byway.runs.statistics import Interval, Spread, Wins
from byway.training.outcome import COSTS, HIDDEN, Outcome

NONE = "–"
# What the audit found that tables show.
FOUND = ("transport", "locking", "derivative", "signal")


@dataclasses.dataclass(frozen=True)
class Row:
    """One rule's row.

    Attributes:
        outcome: what it left.
        measured: by split and score, each score on the test split, the main one first, and that one
            on each further split.
        difference: to backprop on the same seeds; None for backprop itself and with fewer than two
            common seeds.
        control: what it is held against: the label of frozen layers in the same network.
        wins: against that; None for a control itself and with no common seed.
        means: of each metric that is worth a column, its last mean over hidden projections and
            seeds.
    """

    outcome: Outcome
    measured: dict[tuple[str, Score], Spread]
    difference: Interval | None
    control: str | None
    wins: Wins | None
    means: dict[Metric, float]

    @property
    def label(self) -> str:
        """The rule."""
        return self.outcome.label

    @property
    def score(self) -> Score | None:
        """By which rules are compared: the task's main score, or None where it has none."""
        return self.outcome.score

    @property
    def each(self) -> str:
        """What is compared one by one: a seed, or a fold."""
        return self.outcome.each

    @property
    def survived(self) -> int:
        """How many seeds finished."""
        return self.outcome.survived

    @property
    def seeds(self) -> int:
        """How many began."""
        return len(self.outcome.seeds)

    @property
    def added(self) -> bool:
        """Whether it is here only as the control of a rule with a network of its own."""
        return self.outcome.rule_id == CONTROL != self.label

    @property
    def main(self) -> Spread:
        """The main score on the test split."""
        return next(iter(self.measured.values()), Spread(math.nan, math.nan))


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of the table.

    Attributes:
        name: what it holds.
        cell: a row's cell, in words.
        unit: of its numbers.
        words: whether it holds words, which are set to the left.
        alone: whether a rule that is compared with none can fill it.
    """

    name: str
    cell: Callable[[Row], str]
    unit: str = ""
    words: bool = False
    alone: bool = False

    @property
    def heading(self) -> str:
        """Its name and unit."""
        return f"{self.name} [{self.unit}]" if self.unit else self.name


class Table:
    """The table of a run, with a row for each finished rule.

    Args:
        run: the run.

    Attributes:
        rows: by label.
        columns: by name, from the left.
    """

    def __init__(self, run: Outcomes):
        self.rows = {label: _row(run, one) for label, one in run.finished.items()}
        self.baseline = run.baseline
        rows = list(self.rows.values())
        columns = [
            Column("rule", lambda row: row.label, words=True),
            *self._scored(rows),
            *(Column(cost.title, partial(_cost, cost), _unit(cost), alone=True) for cost in COSTS),
            *_of_metrics(rows),
            *(Column(name, partial(_verdict, name), words=True) for name in FOUND),
        ]
        self.columns = {column.name: column for column in columns}

    def cell(self, label: str, name: str) -> str:
        """What stands in the row of a rule, in the column of a name."""
        return self.columns[name].cell(self.rows[label])

    def filled(self) -> list[Column]:
        """The columns in which something stands."""
        rows = self.rows.values()
        return [one for one in self.columns.values() if any(one.cell(row) != NONE for row in rows)]

    def _scored(self, rows: list[Row]) -> list[Column]:
        """The main score and what it is compared with, then the others."""
        if not rows or rows[0].score is None:
            return []
        score, made = rows[0].score, []
        for split, one in dict.fromkeys(key for row in rows for key in row.measured):
            found = [row.measured[split, one].mean for row in rows if (split, one) in row.measured]
            digits = one.digits(found)
            if one != score:  # of the others a figure less will do
                digits = max(digits - 1, 0)
            cell = partial(_measured, split=split, score=one, digits=digits)
            made.append(Column(f"{split} {one.title}", cell, one.unit, alone=True))
        digits = score.digits(row.main.mean for row in rows)
        compared = [
            Column(
                f"difference to {self.baseline}", partial(_difference, digits=digits), score.step
            ),
            Column(f"beats {CONTROL}", _wins, f"{rows[0].each}s"),
        ]
        return [made[0], *compared, *made[1:]]


def signed(value: float, digits: int = 2) -> str:
    """A number with its sign, and a true minus."""
    text = f"{value:+.{digits}f}".replace("-", "−")
    return text[1:] if float(f"{value:.{digits}f}") == 0 else text


def size(count: float) -> str:
    """A number of bytes in the largest unit that keeps it above one: 474228 -> "474 kB"."""
    value, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while value >= 999.5 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.3g} {units[0]}"


def _row(run: Outcomes, mine: Outcome) -> Row:
    score, base = mine.score, run.finished.get(run.baseline)
    control = run.control_of(mine.label)
    difference = wins = None
    if score is not None and base is not None and base is not mine:
        difference = statistics.difference(mine, base, score)
    if score is not None and control is not None and control is not mine:
        wins = statistics.wins(mine, control, score)
    means = {m: _hidden_mean(mine, m) for m in mine.metrics if m.column}
    return Row(
        outcome=mine,
        measured=_all_scores(mine),
        difference=difference,
        control=None if wins is None or control is None else control.label,
        wins=wins,
        means={metric: mean for metric, mean in means.items() if math.isfinite(mean)},
    )


def _all_scores(outcome: Outcome) -> dict[tuple[str, Score], Spread]:
    spread = statistics.spread
    balanced = not outcome.imbalanced  # then it says what the accuracy says
    scores = [one for one in outcome.scores if one.name != BALANCED.name or not balanced]
    found = {("test", score): spread(outcome.test, score) for score in scores}
    others = outcome.others.items()
    return found | {(split, one): spread(held, one) for split, held in others for one in scores[:1]}


def measured_of(outcome: Outcome, name: str) -> bool:
    """Whether tables show what a metric is of: the whole network, or a hidden projection."""
    return name == WHOLE or outcome.projections.get(name) == HIDDEN


def _hidden_mean(outcome: Outcome, metric: Metric) -> float:
    """As it is printed. Projections into the output are left out: nearly every rule gives these the
    true gradient.
    """
    curves = outcome.history.group(metric.name)
    last = [c.last for name, c in curves.items() if measured_of(outcome, name)]
    values = np.concatenate(last or [np.zeros(0)])
    values = values[np.isfinite(values)]
    return metric.scale * float(values.mean()) if values.size else math.nan


def _of_metrics(rows: list[Row]) -> list[Column]:
    metrics = dict.fromkeys(metric for row in rows for metric in row.outcome.metrics)
    return [
        Column(metric.title, partial(_mean, metric), metric.unit, alone=True)
        for metric in metrics
        if metric.column
    ]


def _mean(metric: Metric, row: Row) -> str:
    if metric not in row.means:
        return NONE
    value = row.means[metric]
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.1f}"


def _cost(cost: Metric, row: Row) -> str:
    value = getattr(row.outcome, cost.name)
    if not value:  # nothing is free: this one was not measured
        return NONE
    return size(value) if cost.unit == "B" else f"{value:.3g}"


def _unit(cost: Metric) -> str:
    """Of bytes each cell has a unit of its own."""
    return "" if cost.unit == "B" else cost.unit


def _verdict(name: str, row: Row) -> str:
    verdict = row.outcome.audit.get("verdict", {})
    if name not in verdict:
        return NONE
    found = verdict[name]
    return (", ".join(found) or "none") if isinstance(found, list) else str(found)


def _measured(row: Row, split: str, score: Score, digits: int) -> str:
    main = (split, score) == next(iter(row.measured), None)
    found = row.measured.get((split, score))
    if not row.survived and main:
        return f"no {row.each} of {row.seeds} finished"
    if found is None or not math.isfinite(found.mean):
        return NONE
    spread = f" ± {found.deviation:.{digits}f}" if math.isfinite(found.deviation) else ""
    lost = (
        f" ({row.survived} of {row.seeds} {row.each}s)" if main and row.survived < row.seeds else ""
    )
    return f"{found.mean:.{digits}f}".replace("-", "−") + spread + lost


def _difference(row: Row, digits: int) -> str:
    d = row.difference
    if row.outcome.rule_id in BASELINES or d is None:
        return "baseline" if row.outcome.rule_id in BASELINES else NONE
    return f"{signed(d.mean, digits)} ({signed(d.low, digits)} to {signed(d.high, digits)})"


def _wins(row: Row) -> str:
    if row.outcome.rule_id == CONTROL:
        return "control"
    return NONE if row.wins is None else f"{row.wins.won} of {row.wins.of}"
