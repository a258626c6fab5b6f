"""The chart of paired differences: a row a rule, a dot a seed, and the interval."""

import dataclasses

from byway.report.charts import LETTER, Axis, Style, even_ticks
from byway.report.table import Table, signed
from byway.runs.outcomes import Outcomes
from byway.runs.statistics import paired

WIDTH, STEP = 440.0, 32.0


@dataclasses.dataclass(frozen=True)
class Placed:
    """One rule on the canvas: its seeds, and its interval."""

    name: str
    style: Style
    y: float
    dots: list[tuple[float, str]]
    low: float
    mean: float
    high: float


@dataclasses.dataclass(frozen=True)
class Forest:
    """The chart, laid out."""

    label: str
    width: float
    height: float
    left: float
    right: float
    bottom: float
    zero: float
    x_title: str
    x_marks: list[tuple[float, str]]
    rows: list[Placed]
    worse: str  # which side of zero is worse


def forest(run: Outcomes, table: Table, style: dict[str, Style]) -> Forest | None:
    """Lay the chart out; None where no rule can be paired with backprop."""
    base, rows = run.baseline, list(table.rows.values())
    judged = [
        (row, row.difference, paired(row.outcome, run[base], row.score))
        for row in rows
        if row.difference and row.score
    ]
    if not judged:
        return None
    score = next(row.score for row in rows if row.score)
    digits, unit = score.digits([row.main.mean for row in rows]), f" {score.step}".rstrip()
    values = [0.0, *(v for _, d, seeds in judged for v in (d.low, d.high, *seeds.values()))]
    pad = 0.04 * (max(values) - min(values)) or 1.0
    low, high = min(values) - pad, max(values) + pad
    each = rows[0].each
    title = f"test {score.title} minus that of {base}, same {each}" + (
        f" [{score.step}]" if score.step else ""
    )
    axis = Axis(title, low, high, even_ticks(low, high, most=6))
    left, right = 18 + LETTER * max(len(row.label) for row, *_ in judged), WIDTH - 12
    placed = [
        Placed(
            name=row.label,
            style=style[row.label],
            y=STEP * (i + 0.5) + 6,
            dots=[
                (axis.at(v, left, right), f"{row.label}, {each} {seed}: {signed(v, digits)}{unit}")
                for seed, v in seeds.items()
            ],
            low=axis.at(d.low, left, right),
            mean=axis.at(d.mean, left, right),
            high=axis.at(d.high, left, right),
        )
        for i, (row, d, seeds) in enumerate(judged)
    ]
    said = [
        (row.label, *(signed(v, digits) for v in (d.mean, d.low, d.high))) for row, d, _ in judged
    ]
    label = "; ".join(
        f"{rule} {mean}, 95 % interval {least} to {most}" for rule, mean, least, most in said
    )
    bottom = STEP * len(placed) + 12
    return Forest(
        f"Difference in test {score.title} to {base}{f' in {score.step}' if score.step else ''}: "
        f"{label}.",
        WIDTH,
        bottom + 48,
        left,
        right,
        bottom,
        axis.at(0, left, right),
        axis.title,
        axis.marks(left, right, 40),
        placed,
        "Left" if score.higher else "Right",
    )
