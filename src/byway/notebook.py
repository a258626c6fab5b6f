"""What a notebook shows of a result, a network and a verdict of the audit: HTML in the ink of
whatever theme it stands in, without script.

It is made of the parts of the report: the same table, charts and words.
"""

import jax
import numpy as np

from byway.audit.verdict import Verdict
from byway.core.display import drawn
from byway.core.metric import Metric
from byway.metrics.growing import WHOLE
from byway.network.describe import describe
from byway.network.network import Network
from byway.pages.drawing import MOST, network_svg
from byway.report.charts import (
    Chart,
    Series,
    line_chart,
    line_styles,
    metric_axis,
    styles,
    update_axis,
)
from byway.report.page import capital, ends, rendered, score_charts
from byway.report.study import view
from byway.report.table import Table
from byway.report.words import VERDICTS, reading
from byway.runs.outcomes import Outcomes
from byway.runs.statistics import mean_and_spread
from byway.runs.study import StudyOutcomes
from byway.training.outcome import Outcome
from byway.training.result import Result

BAND = " Line and band: mean ± standard deviation over seeds."


@drawn.register
def result_html(result: Result) -> str:
    """What was trained, how well, what went wrong, and the curves of its main score and of angles
    over training.
    """
    run = Outcomes({result.label: result})
    table, band = Table(run), BAND if len(result.seeds) > 1 else ""
    charts = [
        (chart, f"{what}{band}")
        for score in run.scores[:1]
        for what, chart in score_charts(run, score, styles(run))
    ]
    charts += [(chart, f"{what}{band}") for what, chart in _metric_charts(result)]
    return rendered(
        "result.html.j2",
        rule=result.label,
        task=result.task_id,
        network=result.network,
        epochs=result.epochs,
        seeds=len(result.seeds),
        facts=[
            (column.heading, table.cell(result.label, name))
            for name, column in table.columns.items()
            if column.alone
        ],
        failures=result.failures,
        advice=result.advice,
        charts=charts,
    )


@drawn.register
def run_html(run: Outcomes) -> str:
    """The comparison table, what it says, and the curves of the main score."""
    table, style = Table(run), styles(run)
    charts = [
        (chart, f"{what}{BAND}")
        for score in run.scores[:1]
        for what, chart in score_charts(run, score, style, timed=True)
    ]
    return rendered(
        "run.html.j2",
        task=run.task_id,
        columns=table.filled(),
        rows=list(table.rows.values()),
        reading=reading(table) if table.rows else [],
        unfinished=list(run.unfinished),
        charts=charts,
    )


@drawn.register
def study_html(study: StudyOutcomes) -> str:
    """What the runs of a study say together, and what each of them gave."""
    return rendered("study_cell.html.j2", **view(study))


@drawn.register
def network_html(net: Network) -> str:
    """A drawing, and the network in a line."""
    return rendered(
        "network.html.j2",
        drawing=network_svg(net),
        network=describe(net),
        weights=sum(np.size(leaf) for leaf in jax.tree.leaves(net.theta)),
        units=MOST if any(p.size > MOST for p in net.populations) else 0,
    )


@drawn.register
def verdict_html(verdict: Verdict) -> str:
    """What was found beside what is claimed, and what each update reads."""
    return rendered(
        "verdict.html.j2", rule=verdict.rule, entry=verdict.to_json(), verdicts=VERDICTS
    )


def _metric_charts(outcome: Outcome) -> list[tuple[str, Chart]]:
    """Of each metric worth a column a chart with a line for each projection, from the input on;
    none where it was never defined.
    """
    return [
        (metric.meaning, chart)
        for metric in outcome.metrics
        if metric.column and (chart := _metric_chart(outcome, metric)) is not None
    ]


def _metric_chart(outcome: Outcome, metric: Metric) -> Chart | None:
    curves = outcome.history.group(metric.name)
    series = [
        Series(name, c.steps.astype(float), *mean_and_spread(metric.scale * c.values))
        for name in (*outcome.projections, WHOLE)
        if (c := curves.get(name)) is not None
    ]
    series = [s for s in series if np.isfinite(s.mean).any()]
    if not series:
        return None
    said = f"{capital(metric.title)} against update. At the last look: {ends(series, metric.unit)}."
    return line_chart(
        series,
        line_styles([s.name for s in series]),
        update_axis(series),
        metric_axis(metric, series),
        said,
        names=True,
        level=None if metric.level is None else metric.scale * metric.level,
    )
