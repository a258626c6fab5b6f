"""What each rule answers over time, beside the truth: a few sequences of the test split, or the
last rows of a series.
"""

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np
from jaxtyping import Float

from byway.metrics.predictions import Predictions
from byway.report.charts import Axis, Chart, Series, Style, even_ticks, line_chart
from byway.runs.outcomes import Outcomes
from byway.runs.predictions import predictions_of
from byway.runs.statistics import mean_and_spread
from byway.training.outcome import SAMPLES, STEPS

TRUTH, TRUTH_STYLE = "truth", Style("truth", "")
# Steps of a picture, as many as can be told apart; sequences, and outputs of each; pictures.
MOST_STEPS, MOST_SEQUENCES, MOST_OUTPUTS, MOST_PICTURES = 150, 3, 3, 6
# Axes that a truth may have, by what it follows in time: the last one of outputs may be missing.
AXES = {STEPS: (2, 3), SAMPLES: (1, 2)}
# How far beyond the truth an axis reaches for answers, as a share of what the truth spans.
BEYOND = 0.5


@dataclasses.dataclass(frozen=True)
class OverTime:
    """The section of the report.

    Attributes:
        style: of the truth and of each rule that is drawn.
        charts: what each shows, and the chart.
        cut: whether a chart is part of what there is.
    """

    style: Mapping[str, Style]
    charts: list[tuple[str, Chart]]
    cut: bool


def over_time(run: Outcomes, style: Mapping[str, Style]) -> OverTime | None:
    """The answers of each finished rule whose answers are numbers that follow each other in time
    and were kept; None where there are none.
    """
    kinds = {label: one.over_time for label, one in run.finished.items() if one.over_time in AXES}
    held = {label: predictions_of(run, label) for label in kinds}
    kept = {
        label: one
        for label, one in held.items()
        if one is not None and one.truth.ndim in AXES[kinds[label]] and one.truth.size
    }
    if not kept:
        return None
    first = next(iter(kept))
    kept = {k: v for k, v in kept.items() if _like(v, kept[first]) and kinds[k] == kinds[first]}
    styles = {TRUTH: TRUTH_STYLE} | {label: style[label] for label in kept}
    drawn = list(_pictures(kept, kinds[first], dict(styles)))
    if not drawn:
        return None
    return OverTime(styles, [(what, chart) for what, chart, _ in drawn], any(c for *_, c in drawn))


def _pictures(
    kept: dict[str, Predictions], kind: str, style: dict[str, Style]
) -> Iterator[tuple[str, Chart, bool]]:
    """What each picture shows, the picture, and whether it is cut."""
    truth = next(iter(kept.values())).truth
    # "sequences time outputs": a series is one sequence, of which each sample is a step.
    shape = (1, *truth.shape) if kind == SAMPLES else truth.shape
    shape = (*shape, 1) if len(shape) == 2 else shape
    outputs = range(min(shape[-1], MOST_OUTPUTS))
    if kind == SAMPLES and shape[-1] > 1:
        outputs = (0, shape[-1] - 1)  # the nearest forecast and the farthest
    sequences = range(min(shape[0], MOST_SEQUENCES, max(MOST_PICTURES // len(outputs), 1)))
    for number in sequences:
        for output in outputs:
            wanted = truth.reshape(shape)[number, :, output].astype(float)
            counted = np.flatnonzero(np.isfinite(wanted))
            steps = counted[-MOST_STEPS:]
            if not len(steps):
                continue
            said = {
                label: one.values.reshape(-1, *shape)[:, number, steps, output].astype(float)
                for label, one in kept.items()
            }
            name = f"output {output + 1}" if shape[-1] > 1 else "answer"
            at = f"sequence {number + 1}" if kind == STEPS else "the series"
            what = f"{at[0].upper()}{at[1:]}" + (f", {name}" if shape[-1] > 1 else "")
            x = "time step" if kind == STEPS else "sample of the test split, in the order of time"
            chart = _chart(steps.astype(float), wanted[steps], said, style, (x, name), what)
            yield what, chart, len(steps) < len(counted)


def _chart(
    steps: Float[np.ndarray, " steps"],
    wanted: Float[np.ndarray, " steps"],
    said: Mapping[str, Float[np.ndarray, "seeds steps"]],
    style: dict[str, Style],
    titles: tuple[str, str],
    what: str,
) -> Chart:
    lines = [Series(TRUTH, steps, wanted, np.full(len(steps), np.nan))]
    for label, values in said.items():
        mean, spread = mean_and_spread(values)
        if np.isfinite(mean).any():
            lines.append(Series(label, steps, mean, spread))
    span = max(float(np.ptp(wanted)), 1e-9)
    least, most = float(wanted.min()), float(wanted.max())
    means = np.concatenate([line.mean[np.isfinite(line.mean)] for line in lines])
    low = max(float(means.min()), least - BEYOND * span) - 0.05 * span
    high = min(float(means.max()), most + BEYOND * span) + 0.05 * span
    first, last = float(steps[0]), float(max(steps[-1], steps[0] + 1))
    return line_chart(
        lines,
        style,
        Axis(titles[0], first, last, even_ticks(first, last, whole=True)),
        Axis(titles[1], low, high, even_ticks(low, high)),
        f"{what}: {titles[1]} against {titles[0]}, of the truth and of {', '.join(said)}",
        size=(560, 250),
    )


def _like(one: Predictions, other: Predictions) -> bool:
    """Whether two rules were asked the same."""
    return np.array_equal(one.truth, other.truth, equal_nan=True)
