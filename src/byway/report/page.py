"""The report of a run as one page: no script, no request, no other file."""

import dataclasses
import datetime
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from byway.core.score import Score
from byway.report.charts import (
    Axis,
    Chart,
    Series,
    Style,
    angle_axis,
    descent_axis,
    epoch_axis,
    line_chart,
    ratio_axis,
    score_axis,
    seconds_axis,
    share_axis,
    styles,
    update_axis,
)
from byway.report.forest import forest
from byway.report.pictures import pictures
from byway.report.run import CONFIG, Run, read_run
from byway.report.summary import CONTROL, baseline, columns, compare, mean_and_spread
from byway.report.words import MICROSCOPE, VERDICTS, join, reading

PAGE = "report.html"

# Of each quantity of the microscope: its unit, what it is multiplied by, the level worth a line,
# and its axis.
LENSES: dict[str, tuple[str, float, float, Callable[[Sequence[Series]], Axis]]] = {
    "angle": ("°", 1, 90, angle_axis),
    "norm_ratio": ("", 1, 1, ratio_axis),
    "sign_agreement": (" %", 100, 50, share_axis),
    "descent": ("", 1, 0, descent_axis),
}


@dataclasses.dataclass(frozen=True)
class Lens:
    """One quantity of the microscope.

    Attributes:
        quantity: its name in the run folder.
        title: its name on the page.
        meaning: how to read it.
        charts: by projection, from the input on.
    """

    quantity: str
    title: str
    meaning: str
    charts: list[tuple[str, Chart]]


def write_page(folder: Path) -> Path:
    """Write `report.html` into a run folder.

    Args:
        folder: the folder of a run, finished or cut short.

    Returns:
        Where the page is.

    Raises:
        RunError: the folder cannot be read, or no rule in it has finished.
    """
    run, path = read_run(folder), folder / PAGE
    path.write_text(rendered("page.html.j2", **_view(run)), encoding="utf-8")
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


def _view(run: Run) -> dict[str, Any]:
    """All that the template shows."""
    rows, style = compare(run), styles(run.rules)
    networks: dict[str, list[str]] = {}
    for rule, finished in run.finished.items():
        networks.setdefault(finished.network, []).append(rule)
    return {
        "run": run,
        "seeds": max(len(finished.seeds) for finished in run.finished.values()),
        "date": _date(run),
        "columns": columns(rows),
        "rows": rows,
        "style": style,
        "reading": reading(rows),
        "forest": forest(run, rows, style),
        "curves": [
            found
            for score in run.scores
            if (found := score_charts(run, score, style, timed=score == run.scores[0]))
        ],
        "lenses": _lenses(run, style),
        "look_cost": _cost(run),
        "verdicts": VERDICTS,
        "pictures": pictures(run),
        "networks": networks,
        "command": (
            f"byway {'compare' if 'rules' in run.settings else 'train'} --config {CONFIG} --out "
            "again"
        ),
        # The page is there to be sent around: where its folder lay is nobody's business, and no
        # setting of the experiment.
        "config": re.sub(r"^(out|overwrite) = .*\n", "", run.config, flags=re.MULTILINE),
        "control": CONTROL,
        "baseline": baseline(run.rules),
        "score": next(iter(run.scores), None),
        "join": join,
    }


def _date(run: Run) -> str:
    """When the run began; the age of its configuration where the run did not write that down."""
    if "started" in run.versions:
        return str(run.versions["started"])[:16].replace("T", " ")
    return datetime.datetime.fromtimestamp((run.folder / CONFIG).stat().st_mtime).strftime(
        "%Y-%m-%d %H:%M"
    )


def score_charts(
    run: Run, score: Score, style: dict[str, Style], timed: bool = False
) -> list[tuple[str, Chart]]:
    """A score on validation against epochs; if you like also against training time, without the
    start, which has none.

    Returns:
        What each shows, and the chart.
    """
    curves = {rule: c for rule, c in run.curves.items() if score.name in c.validation}
    scores = {
        rule: mean_and_spread(score.scale * c.validation[score.name]) for rule, c in curves.items()
    }
    epochs = [Series(rule, curves[rule].epochs.astype(float), *scores[rule]) for rule in curves]
    seconds = [
        Series(rule, curves[rule].seconds[1:], *(part[1:] for part in scores[rule]))
        for rule in curves
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
                    epochs, style, epoch_axis(epochs), score_axis(score, epochs), label, names=True
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
                    seconds, style, seconds_axis(seconds), score_axis(score, seconds), label
                ),
            )
        )
    return charts


def _lenses(run: Run, style: dict[str, Style]) -> list[Lens]:
    """For each quantity of the microscope a chart for each projection, from the input on; all of
    its charts share their axes.
    """
    lenses = []
    for quantity, (title, meaning) in MICROSCOPE.items():
        unit, scale, level, axis = LENSES[quantity]
        names = _in_order({name for looks in run.looks.values() for name in looks.seen[quantity]})
        found = {
            name: [s for s in _seen(run, quantity, name, scale) if np.isfinite(s.mean).any()]
            for name in names
        }
        found = {name: series for name, series in found.items() if series}
        every = [s for series in found.values() for s in series]
        charts = []
        for name, series in found.items():
            label = f"{title} of {name} against update. At the last look: {ends(series, unit)}."
            charts.append(
                (
                    name,
                    line_chart(
                        series,
                        style,
                        update_axis(every),
                        axis(every),
                        label,
                        level=level,
                        size=(340, 215),
                    ),
                )
            )
        if charts:
            lenses.append(Lens(quantity, title, meaning, charts))
    return lenses


def _seen(run: Run, quantity: str, projection: str, scale: float) -> list[Series]:
    """A line for each rule that changes the projection."""
    return [
        Series(
            rule,
            looks.steps.astype(float),
            *mean_and_spread(scale * looks.seen[quantity][projection]),
        )
        for rule, looks in run.looks.items()
        if projection in looks.seen[quantity]
    ]


def _cost(run: Run) -> str:
    """How long the looks took."""
    return join(
        [
            f"{rule} {finished.look_seconds:.2g}\u00a0s"
            for rule, finished in run.finished.items()
            if finished.looks
        ]
    )


def ends(series: list[Series], unit: str) -> str:
    """The last mean of each line, in words."""
    last = [(s.name, s.mean[np.isfinite(s.mean)][-1]) for s in series]
    return join([f"{name} {value:.3g}{unit}" for name, value in last])


def _in_order(projections: set[str]) -> list[str]:
    """Projections by their distance from the input: the files that name them are in alphabetical
    order.
    """
    edges = {name: name.partition("-")[::2] for name in sorted(projections)}
    depth = {"input": 0}
    for _ in edges:
        for src, dst in edges.values():
            if src in depth:
                depth.setdefault(dst, depth[src] + 1)
    return sorted(
        edges,
        key=lambda name: (
            depth.get(edges[name][0], len(edges)),
            depth.get(edges[name][1], len(edges)),
            name,
        ),
    )
