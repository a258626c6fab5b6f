"""What a notebook shows of a result, a network and a verdict of the audit: HTML in the ink of
whatever theme it stands in, without script.

It is made of the parts of the report: the same table, charts and words.
"""

from pathlib import Path

import jax
import numpy as np

from byway.audit.verdict import Verdict
from byway.core.display import drawn
from byway.network.describe import describe
from byway.network.network import Network
from byway.pages.drawing import MOST, network_svg
from byway.report.charts import Chart, Series, angle_axis, line_chart, styles, update_axis
from byway.report.page import ends, rendered, score_charts
from byway.report.run import Curves, Finished, Looks, Run
from byway.report.summary import columns, compare, mean_and_spread
from byway.report.words import MICROSCOPE, VERDICTS
from byway.training.result import Result


@drawn.register
def result_html(result: Result) -> str:
    """What was trained, how well, what went wrong, and the curves of its main score and of angles
    over training.
    """
    run, rule = _as_run(result), result.rule.id
    rows = compare(run)
    band = " Line and band: mean ± standard deviation over seeds." if len(result.seeds) > 1 else ""
    charts = [
        (chart, f"{what}{band}")
        for score in run.scores[:1]
        for what, chart in score_charts(run, score, styles([rule]))
    ]
    charts += [
        (chart, f"{MICROSCOPE['angle'][1]}{band}") for chart in _angles(result, run.looks[rule])
    ]
    return rendered(
        "result.html.j2",
        rule=rule,
        task=run.task,
        network=run.finished[rule].network,
        epochs=result.rows[-1].epoch,
        seeds=len(result.seeds),
        facts=[(column.heading, column.cell(rows[0])) for column in columns(rows) if column.alone],
        failures=result.failures,
        advice=result.advice,
        charts=charts,
    )


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


def _as_run(result: Result) -> Run:
    """The result as the report reads a run folder with one rule."""
    rule = result.rule.id
    finished = Finished(
        seeds=result.seeds,
        test=result.test,
        seconds=result.seconds,
        compile_seconds=result.compile_seconds,
        looks=len(result.looks),
        look_seconds=result.look_seconds,
        step_bytes=result.step_bytes,
        failures=result.failures,
        network=describe(result.learners.net),
        others=result.others,
        scores=result.task.scores,
    )
    rows, looks = result.rows, result.looks
    validation = {
        name: np.stack([row.validation[name] for row in rows], 1) for name in rows[-1].validation
    }
    curves = Curves(
        result.seeds,
        np.array([r.epoch for r in rows]),
        np.array([r.seconds for r in rows], float),
        validation,
    )
    angles = {
        name: np.stack([look.seen["angle"][name] for look in looks], 1)
        for name in (looks[-1].seen["angle"] if looks else ())
    }
    seen = Looks(np.array([look.step for look in looks], int), {"angle": angles})
    return Run(
        Path(),
        result.task.id,
        result.task.scores,
        "",
        {},
        {},
        {rule: finished},
        [],
        {rule: curves},
        {rule: seen},
        {},
        {},
    )


def _angles(result: Result, looks: Looks) -> list[Chart]:
    """A chart with a line for each projection, from the input on; none where the angle was never
    defined.
    """
    seen, names = looks.seen["angle"], [p.name for p in result.learners.net.projections]
    series = [
        Series(name, looks.steps.astype(float), *mean_and_spread(seen[name]))
        for name in names
        if name in seen
    ]
    series = [s for s in series if np.isfinite(s.mean).any()]
    if not series:
        return []
    label = f"{MICROSCOPE['angle'][0]} against update. At the last look: {ends(series, '°')}."
    return [
        line_chart(
            series,
            styles([s.name for s in series]),
            update_axis(series),
            angle_axis(series),
            label,
            names=True,
            level=90,
        )
    ]
