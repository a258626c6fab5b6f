"""What each part of a network answers on its own, as the rule reads it: a layer by its goodness or
its own scores, a head.
"""

import numpy as np

from byway.report.charts import (
    Chart,
    Series,
    Style,
    epoch_axis,
    line_chart,
    line_styles,
    metric_axis,
)
from byway.runs.outcomes import Outcomes
from byway.runs.statistics import mean_and_spread

WHOLE, WHOLE_STYLE = "prediction", Style("ink", "")


def read_alone(run: Outcomes) -> list[tuple[str, Chart]]:
    """For each rule that reads parts of its network alone, what its chart shows, and the chart: the
    main score on validation of each part, and of the prediction.
    """
    score, charts = next(iter(run.scores), None), []
    if score is None:
        return []
    name = f"validation/{score.name}"
    for label, outcome in run.finished.items():
        curves = {WHOLE: outcome.history.get(name)} | dict(outcome.history.group(name))
        series = [
            Series(part, curve.epochs, *mean_and_spread(score.scale * curve.values))
            for part, curve in curves.items()
            if curve is not None
        ]
        series = [s for s in series if np.isfinite(s.mean).any()]
        if len(series) < 2:
            continue
        last = ", ".join(f"{s.name} {s.mean[np.isfinite(s.mean)][-1]:.4g}" for s in series)
        said = f"{label}: validation {score.title} of each part alone against epoch."
        chart = line_chart(
            series,
            {**line_styles([s.name for s in series]), WHOLE: WHOLE_STYLE},
            epoch_axis(series),
            metric_axis(score, series, "validation"),
            f"{said} After the last one: {last}.",
            names=True,
        )
        charts.append((said, chart))
    return charts
