"""Curves drawn by matplotlib, for a paper."""

from typing import Any

import numpy as np

from byway.core.errors import not_installed
from byway.core.metric import BestScale, LogScale, Metric, SignedLogScale
from byway.runs.outcomes import BASELINES, CONTROL, Outcomes
from byway.runs.statistics import mean_and_spread

# Okabe and Ito's colours, which people tell apart whatever colours they see.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
SPLITS = ("train", "validation")


def plot_curves(run: Outcomes, name: str, ax: Any = None) -> Any:
    """Draw one curve of every rule that has it.

    Args:
        run: the run.
        name: of the curve.
        ax: axes of matplotlib; new ones by default.

    Returns:
        The axes.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        from matplotlib import pyplot as plt
    except ImportError:
        raise not_installed("matplotlib", "plot") from None
    ax = plt.subplots(layout="constrained")[1] if ax is None else ax
    metric, title = _declared(run, name)
    looks = not name.startswith(SPLITS)
    colours = iter(COLOURS * 9)
    for label, outcome in run.items():
        if name not in outcome.history:
            continue
        curve = outcome.history[name]
        x = curve.steps if looks else curve.epochs
        mean, spread = mean_and_spread(metric.scale * curve.values)
        dotted = ":" if label == CONTROL else "-."
        plain = {**dict.fromkeys(BASELINES, ("black", "-")), CONTROL: ("grey", dotted)}
        colour, dash = plain.get(outcome.rule_id) or (next(colours), "-")
        marker = "o" if len(x) == 1 else None
        ax.plot(x, mean, dash, color=colour, label=label, marker=marker)
        if np.isfinite(spread).any():
            low, high = mean - spread, mean + spread
            ax.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
    ax.set_xlabel("update" if looks else "epoch")
    ax.set_ylabel(title)
    ax.xaxis.get_major_locator().set_params(integer=True)
    if metric.level is not None:
        ax.axhline(metric.scale * metric.level, color="grey", linestyle=":", linewidth=1)
    _scale(ax, metric)
    ax.legend(frameon=False)
    return ax


def _declared(run: Outcomes, name: str) -> tuple[Metric, str]:
    """The metric of a curve, and the title of its axis."""
    head, _, tail = name.partition("/")
    scores = {score.name: score for score in run.scores}
    metrics = {metric.name: metric for one in run.values() for metric in one.metrics}
    if head in metrics:
        return metrics[head], f"{metrics[head].heading} of {tail}"
    metric = scores.get(tail, Metric(tail.replace("/", " ")))
    return metric, f"{head} {metric.heading}"


def _scale(ax: Any, metric: Metric) -> None:
    """Divide the axis as the metric declares, where matplotlib can."""
    if isinstance(metric.axis, LogScale):
        ax.set_yscale("log")
    elif isinstance(metric.axis, SignedLogScale):
        ax.set_yscale("symlog", linthresh=max(map(abs, ax.get_ylim())) / 300)
    elif isinstance(metric.axis, BestScale) and not metric.higher and metric.best == 0.0:
        lowest = min(line.get_ydata().min() for line in ax.get_lines())
        ax.set_yscale("log" if lowest > 0 else "linear")
