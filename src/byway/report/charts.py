"""Lays charts out: numbers to places on a small canvas. The markup is in `charts.svg.j2`, the
colours in `page.css`.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

from byway.core.metric import BestScale, LogScale, Metric, SignedLogScale
from byway.runs.outcomes import BASELINES, CONTROL, Outcomes

HUES = 7  # the classes s0 to s6 of page.css: Okabe and Ito's colours
# 7 and 5 have no common divisor: 35 different lines.
DASHES = (
    "",
    "7 3",
    "2 2.5",
    "9 3 2 3",
    "4 3",
)
MOST_POINTS, MOST_DOTS = 200, 31  # of one line; more cannot be seen, and would make the page heavy
DIGITS = (1, 5, 2, 3, 8, 4, 7, 6, 1.5, 9)  # of ticks on a logarithmic scale, the most wanted first
LETTER = 8.0  # width of one letter of a label, at most


@dataclasses.dataclass(frozen=True)
class Style:
    """How a rule looks everywhere: a colour, as a CSS class, and a dash, so that colour is never
    the only mark.
    """

    hue: str
    dash: str


def styles(run: Outcomes) -> dict[str, Style]:
    """A style for each rule: ink for backprop, grey for controls, the rest in order."""
    rules = {label: outcome.rule_id for label, outcome in run.outcomes.items()}
    fixed = {**dict.fromkeys(BASELINES, Style("ink", "")), CONTROL: Style("grey", "2 2.5")}
    others = [label for label, rule in rules.items() if rule not in fixed]
    made = {label: Style(f"s{i % HUES}", DASHES[i % len(DASHES)]) for i, label in enumerate(others)}
    matched = [label for label, rule in rules.items() if rule == CONTROL != label]
    made |= {label: Style("grey", DASHES[3 - i % 3]) for i, label in enumerate(matched)}
    return {label: made.get(label) or fixed[rule] for label, rule in rules.items()}


def line_styles(names: Sequence[str]) -> dict[str, Style]:
    """A style for each of some lines that are not rules."""
    return {n: Style(f"s{i % HUES}", DASHES[i % len(DASHES)]) for i, n in enumerate(names)}


@dataclasses.dataclass(frozen=True)
class Axis:
    """One axis.

    Attributes:
        title: what is on it, with its unit.
        low: where it starts.
        high: where it ends.
        ticks: values worth a tick, the most wanted first; those that would crowd are dropped.
        warp: an increasing function that is even along the axis.
    """

    title: str
    low: float
    high: float
    ticks: Sequence[float]
    warp: Callable[[float], float] = float

    def at(self, value: float, start: float, end: float) -> float:
        """Where `value` lies on the canvas; what is off the axis lies on its end."""
        low, high = self.warp(self.low), self.warp(self.high)
        share = (self.warp(min(max(value, self.low), self.high)) - low) / (high - low)
        return round(start + share * (end - start), 1)

    def marks(self, start: float, end: float, gap: float) -> list[tuple[float, str]]:
        """Ticks at least `gap` apart, as places and labels."""
        places: dict[float, str] = {}
        for value in self.ticks:
            place = self.at(value, start, end)
            if self.low <= value <= self.high and all(
                abs(place - other) >= gap for other in places
            ):
                places[place] = f"{value:g}".replace("-", "−")
        return sorted(places.items())


@dataclasses.dataclass(frozen=True)
class Series:
    """One rule's line: mean and spread over seeds at each x."""

    name: str
    x: Float[np.ndarray, " points"]
    mean: Float[np.ndarray, " points"]
    spread: Float[np.ndarray, " points"]

    @property
    def low(self) -> Float[np.ndarray, " points"]:
        """Lower edge of the band; the line itself where there is no spread."""
        return self.mean - np.nan_to_num(self.spread)

    @property
    def high(self) -> Float[np.ndarray, " points"]:
        """Upper edge of the band."""
        return self.mean + np.nan_to_num(self.spread)


@dataclasses.dataclass(frozen=True)
class Drawn:
    """One line on the canvas: SVG paths, and dots that say their numbers when pointed at."""

    name: str
    style: Style
    line: str
    band: str
    dots: list[tuple[float, float, str]]
    label: tuple[float, float] | None  # where its name goes
    leader: str  # the path from the line to its name, where the name had to move


@dataclasses.dataclass(frozen=True)
class Chart:
    """A chart, laid out on a canvas of `width` by `height`."""

    label: str
    width: float
    height: float
    left: float
    top: float
    right: float
    bottom: float
    x_title: str
    y_title: str
    x_marks: list[tuple[float, str]]
    y_marks: list[tuple[float, str]]
    lines: list[Drawn]
    level: float | None


def line_chart(
    series: Sequence[Series],
    style: dict[str, Style],
    x: Axis,
    y: Axis,
    label: str,
    *,
    names: bool = False,
    level: float | None = None,
    size: tuple[float, float] = (440, 310),
) -> Chart:
    """Lines with bands.

    Args:
        series: one for each line.
        style: by rule.
        x: the horizontal axis.
        y: the vertical axis.
        label: what a reader who cannot see it should know.
        names: whether to write each line's name at its end.
        level: a y worth a line of its own.
        size: of the canvas.
    """
    width, height = size
    margin = 22 + LETTER * max((len(s.name) for s in series), default=0) if names else 20
    left, top, right, bottom = 58.0, 12.0, width - margin, height - 50
    thin = [_thin(s) for s in series]
    heights = (
        _spread_out([y.at(float(s.mean[-1]), bottom, top) for s in thin], top + 4, bottom - 4)
        if names
        else [0.0] * len(thin)
    )
    lines = [
        _draw(s, style[s.name], x, y, (left, top, right, bottom), place if names else None)
        for s, place in zip(thin, heights, strict=True)
    ]
    return Chart(
        label,
        width,
        height,
        left,
        top,
        right,
        bottom,
        x.title,
        y.title,
        x.marks(left, right, 38),
        y.marks(bottom, top, 24),
        lines,
        None if level is None else y.at(level, bottom, top),
    )


def _draw(
    s: Series,
    style: Style,
    x: Axis,
    y: Axis,
    frame: tuple[float, float, float, float],
    name_at: float | None,
) -> Drawn:
    left, top, right, bottom = frame
    across = [x.at(v, left, right) for v in s.x]
    mean, low, high = ([y.at(v, bottom, top) for v in values] for values in (s.mean, s.low, s.high))
    step = max(1, math.ceil(len(across) / MOST_DOTS))
    kept = sorted({*range(0, len(across), step), len(across) - 1})
    dots = [
        (across[i], mean[i], f"{s.name}, {s.x[i]:.4g}: {s.mean[i]:.4g}" + _plus_minus(s.spread[i]))
        for i in kept
    ]
    edge = [*zip(across, high, strict=True), *reversed([*zip(across, low, strict=True)])]
    band = _path(edge) + "Z" if np.isfinite(s.spread).any() else ""
    label, leader = None, ""
    # A rule that stopped early: a leader would look like more of its line.
    if name_at is not None and across[-1] < right - 1:
        label = (across[-1] + 7, mean[-1])
    elif name_at is not None:
        label, leader = (
            (right + 14, name_at),
            _path([(across[-1], mean[-1]), (right + 10, name_at)]),
        )
    line = [*zip(across, mean, strict=True)]
    if len(line) == 1:  # a line of one point could not be seen
        line = [(across[0] - 4, mean[0]), (across[0] + 4, mean[0])]
    return Drawn(s.name, style, _path(line), band, dots, label, leader)


def _plus_minus(spread: float) -> str:
    return f" ± {spread:.2g}" if np.isfinite(spread) else ""


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points)


def _thin(s: Series) -> Series:
    """Only points with a mean, and no more of them than can be seen; the first and the last
    stay.
    """
    good = np.flatnonzero(np.isfinite(s.x) & np.isfinite(s.mean))
    keep = good[
        np.unique(np.linspace(0, good.size - 1, min(good.size, MOST_POINTS)).round().astype(int))
    ]
    return Series(s.name, s.x[keep], s.mean[keep], s.spread[keep])


def _spread_out(places: Sequence[float], low: float, high: float, gap: float = 16) -> list[float]:
    """Move labels apart by as little as a pass down and a pass up can, inside the frame."""
    order = sorted(range(len(places)), key=lambda i: places[i])
    moved = [places[i] for i in order]
    for i in range(len(moved)):
        moved[i] = max(moved[i], low if i == 0 else moved[i - 1] + gap)
    for i in reversed(range(len(moved))):
        moved[i] = min(moved[i], high if i == len(moved) - 1 else moved[i + 1] - gap)
    return [round(moved[order.index(i)], 1) for i in range(len(places))]


def epoch_axis(series: Sequence[Series]) -> Axis:
    """From the start of training to its end, with whole epochs at the ticks."""
    last = max((float(s.x[-1]) for s in series if s.x.size), default=1.0)
    return Axis("epoch", 0, max(last, 1), even_ticks(0, max(last, 1), whole=True))


def seconds_axis(series: Sequence[Series]) -> Axis:
    """Logarithmic, so that a rule that is twice as slow lies the same step to the right at any
    time.
    """
    x = np.concatenate([s.x for s in series] or [np.ones(1)])
    x = x[np.isfinite(x) & (x > 0)]
    low, high = (x.min() / 1.1, x.max() * 1.1) if x.size else (0.5, 2.0)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [digit * 10.0**power for digit in (1, 3, 2, 5) for power in powers]
    return Axis("training time of all seeds [s], log scale", low, high, ticks, math.log)


def update_axis(series: Sequence[Series]) -> Axis:
    """Even in the square root of the number of updates: alignment changes early, and the microscope
    looks more often then.
    """
    last = max((float(s.x[-1]) for s in series if s.x.size), default=1.0)
    return Axis(
        "update, square-root scale",
        0,
        max(last, 1),
        [0, last, *_decades(0, max(last, 1))],
        math.sqrt,
    )


def metric_axis(metric: Metric, series: Sequence[Series], of: str = "") -> Axis:
    """The axis of a metric, divided as it declares; values are as they are printed.

    Args:
        metric: the metric.
        series: its lines.
        of: what it is of, before its title: "validation".
    """
    title = f"{of} {metric.heading}".strip()
    if isinstance(metric.axis, BestScale):
        return _best_axis(metric, series, title)
    if isinstance(metric.axis, LogScale):
        return _log_axis(metric, series, title)
    if isinstance(metric.axis, SignedLogScale):
        return _signed_axis(metric, series, title)
    return _even_axis(metric, series, title)


def _limits(metric: Metric) -> tuple[float, float]:
    """Where the metric says that its axis starts and ends; NaN where it does not say."""
    ends = (metric.axis.low, metric.axis.high)
    low, high = (math.nan if end is None else end for end in ends)
    return low, high


def _even_axis(metric: Metric, series: Sequence[Series], title: str) -> Axis:
    """From end to end; further where a line is beyond."""
    low, high = _extent(series)
    start, end = _limits(metric)
    pad = 0.04 * (high - low) or 0.5
    start = (low - pad) if math.isnan(start) or low < start else start
    end = (high + pad) if math.isnan(end) or high > end else end
    level = [] if metric.level is None else [metric.scale * metric.level]
    return Axis(title, start, end, [*level, *even_ticks(start, end)])


def _log_axis(metric: Metric, series: Sequence[Series], title: str) -> Axis:
    """Logarithmic."""
    low, high = _extent(series, positive=True)
    start, end = _limits(metric)
    low, high = np.nanmin([low / 1.15, start]).item(), np.nanmax([high * 1.15, end]).item()
    level = [] if metric.level is None else [metric.scale * metric.level]
    ticks = [digit * 10.0**power for digit in (1, 3, 2, 5) for power in _powers(low, high)]
    return Axis(f"{title}, log scale", low, high, [*level, *ticks], math.log)


def _signed_axis(metric: Metric, series: Sequence[Series], title: str) -> Axis:
    """Logarithmic on either side of zero, and even where it is less than a three-hundredth of the
    largest.
    """
    low, high = _extent(series)
    start, end = _limits(metric)
    low, high = np.nanmin([low * 1.1, start]).item(), np.nanmax([high * 1.1, end]).item()
    small = (max(high, -low) or 1.0) / 300
    if not low < high:
        high = 1.0
    ticks = [0.0, *_decades(small, high), *(-tick for tick in _decades(small, -low))]
    return Axis(title, low, high, ticks, lambda v: math.asinh(v / small))


def _extent(series: Sequence[Series], *, positive: bool = False) -> tuple[float, float]:
    """The least and the largest mean; of those above zero if only they count."""
    values = np.concatenate([s.mean for s in series] or [np.zeros(0)])
    values = values[np.isfinite(values) & ((values > 0) | (not positive))]
    return (float(values.min()), float(values.max())) if values.size else (1.0, 1.0)


def _powers(low: float, high: float) -> range:
    return range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)


def _decades(low: float, high: float) -> list[float]:
    """Powers of ten above zero, then five and two times them, the largest first."""
    if high <= 0:
        return [0.0]
    powers = [*reversed(_powers(max(low, high / 1e4), high))]
    return [0.0, *(digit * 10.0**power for digit in (1, 5, 2) for power in powers)]


def _best_axis(score: Metric, series: Sequence[Series], title: str) -> Axis:
    """Even in the logarithm of what is missing to the best there is, or just even.

    Of an accuracy, 90 to 95 per cent is as far as 98 to 99: what matters near the best stays
    visible, and so does a rule at chance. The best itself would be infinitely far: where a line
    reaches it the axis ends there, half the smallest other distance away; elsewhere a little beyond
    that distance.
    """
    mean, low, high = (
        np.concatenate([getattr(s, edge) for s in series] or [np.zeros(0)])
        for edge in ("mean", "low", "high")
    )
    mean, low, high = (a[np.isfinite(a)] for a in (mean, low, high))
    sign = 1 if score.higher else -1
    best = math.nan if score.best is None else score.scale * score.best
    missing = sign * (best - mean)
    if not (missing >= 0).all() or not missing.size:
        start, end = (low.min().item(), high.max().item()) if mean.size else (0.0, 1.0)
        pad = 0.04 * (end - start) or 0.5
        return Axis(title, start - pad, end + pad, even_ticks(start - pad, end + pad))
    some = missing[missing > 0]
    least = some.min() / 1.15 if some.size else 0.005 * score.scale
    # Of the bands.
    near, far = (sign * (best - edge) for edge in ((high, low) if score.higher else (low, high)))
    least = max(least / 2, min(least, near.min()))  # room for a band, within reason
    most = max(far.max().item(), 1.3 * least)
    if score.higher and (mean >= 0).all():
        most = min(most, best)
    ticks = [
        best - sign * digit * 10.0**power for digit in DIGITS for power in _powers(least / 2, most)
    ]
    nearest = least / 2 if (missing == 0).any() else least
    warp = lambda v: -sign * math.log(max(sign * (best - v), nearest))
    start, end = best - sign * most, best if (missing == 0).any() else best - sign * least
    return Axis(title, min(start, end), max(start, end), (best, *ticks), warp)


def even_ticks(low: float, high: float, *, whole: bool = False, most: int = 6) -> list[float]:
    """Round numbers at even steps from `low` to `high`, no more than `most` and a few."""
    rough = max((high - low) / most, 1.0 if whole else 1e-9)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(digit * power for digit in (1, 2, 5, 10) if digit * power >= rough * 0.999)
    return [i * step for i in range(math.ceil(low / step), math.floor(high / step + 1e-9) + 1)]
