"""The report of a run as one page: no script, no request, no other file."""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from byway.core.errors import RunError
from byway.core.metric import Metric
from byway.core.score import Score
from byway.metrics.growing import WHOLE
from byway.metrics.predictions import BALANCED
from byway.report.charts import (
    Chart,
    Series,
    Style,
    epoch_axis,
    line_chart,
    metric_axis,
    seconds_axis,
    styles,
    update_axis,
)
from byway.report.classes import by_class
from byway.report.forest import forest
from byway.report.in_space import in_space
from byway.report.over_time import over_time
from byway.report.pictures import pictures
from byway.report.reach import reach_charts
from byway.report.readouts import read_alone
from byway.report.table import Table
from byway.report.words import VERDICTS, join, reading
from byway.runs.folder import CONFIG
from byway.runs.outcomes import CONTROL, Outcomes
from byway.runs.statistics import mean_and_spread
from byway.training.outcome import Outcome


@dataclasses.dataclass(frozen=True)
class Lens:
    """One metric of the microscope.

    Attributes:
        metric: which.
        charts: by projection, from the input on.
    """

    metric: Metric
    charts: list[tuple[str, Chart]]


def write_page(run: Outcomes, path: Path) -> Path:
    """Write the page of a run.

    Args:
        run: the run, finished or cut short.
        path: the file.

    Returns:
        Where the page is.

    Raises:
        RunError: no rule in the run has finished, or the page cannot be written.
    """
    if not run.finished:
        raise RunError(
            "a run in which no rule has finished",
            "at least one finished rule",
            "resume it, and let it finish",
        )
    return write_rendered(path, "page.html.j2", **_view(run))


def write_rendered(path: Path, template: str, **view: Any) -> Path:
    """Write a page, from a template of this folder.

    Raises:
        RunError: it cannot be written.
    """
    try:
        path.write_text(rendered(template, **view), encoding="utf-8")
    except OSError as problem:
        raise RunError(
            f"{path} cannot be written: {problem.strerror}",
            "a file in a folder that is there",
            "choose another",
        ) from problem
    return path


def rendered(template: str, **view: Any) -> str:
    """A template of this folder, filled in; what it shows is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(view)


def _view(run: Outcomes) -> dict[str, Any]:
    """All that the template shows."""
    table, style, score = Table(run), styles(run), next(iter(run.scores), None)
    networks: dict[str, list[str]] = {}
    for label, outcome in run.finished.items():
        networks.setdefault(outcome.network, []).append(label)
    charts = [score_charts(run, one, style, timed=one == score) for one in run.scores]
    lenses = _lenses(run, style)
    grown = [lens for lens in lenses if [name for name, _ in lens.charts] == [WHOLE]]
    return {
        "run": run,
        "seeds": max(len(outcome.seeds) for outcome in run.finished.values()),
        "date": str(run.about.get("started", ""))[:16].replace("T", " "),
        "columns": list(table.columns.values()),
        "rows": list(table.rows.values()),
        "style": style,
        "reading": reading(table),
        "forest": forest(run, table, style),
        "curves": [found for found in charts if found],
        "readouts": read_alone(run),
        "reach": reach_charts(run, style),
        "classes": by_class(run),
        "over_time": over_time(run, style),
        "balanced": BALANCED,
        "lenses": [lens for lens in lenses if lens not in grown],
        "grown": grown,
        "in_space": in_space(run, style),
        "look_cost": _cost(run),
        "verdicts": VERDICTS,
        "audits": {label: one.audit for label, one in run.finished.items() if one.audit},
        "pictures": pictures(run),
        "networks": networks,
        "budget": _budget(run),
        "settings": {label: _settings(one) for label, one in run.finished.items()},
        "about": {name: v for name, v in run.about.items() if isinstance(v, str | int)},
        "command": f"byway {run.about.get('verb', 'compare')} --config {CONFIG} --out again",
        # The page is there to be sent around: where its folder lay is nobody's business, and no
        # setting of the experiment.
        "config": re.sub(r"^(out|overwrite) = .*\n", "", run.config, flags=re.MULTILINE),
        "control": CONTROL,
        "baseline": run.baseline,
        "score": score,
        "join": join,
    }


def _budget(run: Outcomes) -> str:
    """What every rule was given; empty where they differ."""
    given = {(one.settings.get("epochs"), one.settings.get("batch")) for one in run.values()}
    if len(given) > 1:
        return ""
    epochs, batch = given.pop()
    return "" if epochs is None else f"{epochs} epochs of batches of {batch}"


def _settings(outcome: Outcome) -> list[str]:
    """Every resolved setting of a rule, as NAME VALUE."""
    own = outcome.settings.get("rule", {})
    flat = {name: v for name, v in outcome.settings.items() if name != "rule"} | own
    said = {name: f"{v:g}" if isinstance(v, float) else str(v) for name, v in flat.items()}
    return [f"{name} {value}" for name, value in said.items() if value != "None"]


def score_charts(
    run: Outcomes, score: Score, style: dict[str, Style], timed: bool = False
) -> list[tuple[str, Chart]]:
    """A score on validation against epochs; if you like also against training time, without the
    start, which has none.

    Returns:
        What each shows, and the chart.
    """
    name = f"validation/{score.name}"
    curves = {label: one.history[name] for label, one in run.items() if name in one.history}
    scores = {label: mean_and_spread(score.scale * c.values) for label, c in curves.items()}
    epochs = [Series(label, c.epochs, *scores[label]) for label, c in curves.items()]
    seconds = [
        Series(label, c.seconds[1:], *(part[1:] for part in scores[label]))
        for label, c in curves.items()
    ]
    epochs, seconds = ([s for s in some if np.isfinite(s.mean).any()] for some in (epochs, seconds))
    charts = []
    if epochs:
        what = f"Validation {score.title} against epoch."
        label = (
            f"{what} After the last one: {ends(epochs, f' {score.unit}' if score.unit else '')}."
        )
        charts.append(
            (
                what,
                line_chart(
                    epochs,
                    style,
                    epoch_axis(epochs),
                    metric_axis(score, epochs, "validation"),
                    label,
                    names=True,
                ),
            )
        )
    if seconds and timed:
        what = f"Validation {score.title} against training time, from the first epoch on."
        label = f"{what} All epochs took: {join([f'{s.name} {s.x[-1]:.3g} s' for s in seconds])}."
        charts.append(
            (
                f"{what} Further left is faster.",
                line_chart(
                    seconds,
                    style,
                    seconds_axis(seconds),
                    metric_axis(score, seconds, "validation"),
                    label,
                ),
            )
        )
    return charts


def _lenses(run: Outcomes, style: dict[str, Style]) -> list[Lens]:
    """For each metric of the microscope a chart for each projection, from the input on; all of its
    charts share their axes.
    """
    metrics = dict.fromkeys(metric for one in run.values() for metric in one.metrics)
    projections = dict.fromkeys(name for one in run.values() for name in one.projections)
    return [lens for metric in metrics if (lens := _lens(run, metric, list(projections), style))]


def _lens(
    run: Outcomes, metric: Metric, projections: Sequence[str], style: dict[str, Style]
) -> Lens | None:
    there = dict.fromkeys(name for one in run.values() for name in one.history.group(metric.name))
    order = [*(name for name in projections if name in there), *there]
    found = {name: _seen(run, metric, name) for name in dict.fromkeys(order)}
    found = {name: series for name, series in found.items() if series}
    every = [s for series in found.values() for s in series]
    if not every:
        return None
    x, y = update_axis(every), metric_axis(metric, every)
    level = None if metric.level is None else metric.scale * metric.level
    charts = []
    for name, series in found.items():
        last = ends(series, _after(metric))
        label = f"{capital(metric.title)} of {name} against update. At the last look: {last}."
        chart = line_chart(series, style, x, y, label, level=level, size=(340, 215))
        charts.append((name, chart))
    return Lens(metric, charts)


def _seen(run: Outcomes, metric: Metric, projection: str) -> list[Series]:
    """A line for each rule that changes the projection."""
    name, lines = f"{metric.name}/{projection}", []
    for label, outcome in run.items():
        if name in outcome.history:
            curve = outcome.history[name]
            mean = mean_and_spread(metric.scale * curve.values)
            lines.append(Series(label, curve.steps.astype(float), *mean))
    return [line for line in lines if np.isfinite(line.mean).any()]


def _after(metric: Metric) -> str:
    """The unit as it follows a number."""
    return metric.unit if metric.unit == "°" else f" {metric.unit}".rstrip()


def capital(text: str) -> str:
    """With a capital first letter."""
    return text[:1].upper() + text[1:]


def _cost(run: Outcomes) -> str:
    """How long the looks took."""
    looked = {label: one for label, one in run.finished.items() if one.looks}
    return join([f"{label} {one.look_seconds:.2g}\u00a0s" for label, one in looked.items()])


def ends(series: list[Series], unit: str) -> str:
    """The last mean of each line, in words."""
    last = [(s.name, s.mean[np.isfinite(s.mean)][-1]) for s in series]
    return join([f"{name} {value:.3g}{unit}" for name, value in last])
