"""How far back each rule of a run assigns credit, what memory that takes, and by how much states
are missed where a rule goes back instead of storing, as charts.
"""

import math

import numpy as np

from byway.core.metric import LogScale, Metric
from byway.report.charts import Axis, Chart, Series, Style, line_chart, metric_axis
from byway.runs.outcomes import Outcomes
from byway.runs.reach import reach_of

CREDIT = Metric("credit", "credit, last step = 1", axis=LogScale())
MEMORY = Metric("memory", "memory of an update", unit="MB", axis=LogScale())
DRIFT = Metric("drift", "drift, states = 1", axis=LogScale())


def reach_charts(run: Outcomes, style: dict[str, Style]) -> list[tuple[str, Chart]]:
    """The charts, each with what it shows; none where it was not measured."""
    found = reach_of(run)
    if found is None:
        return []
    rules = [rule for rule in found.credit if rule in style]

    def chart(x, values, title, metric, said):
        series = []
        for rule in rules:
            y = values.get(rule, np.zeros(len(x)))
            seen = np.where(y > 0, y, np.nan)
            if np.isfinite(seen).any():
                nothing = np.full(len(x), np.nan)
                series.append(Series(rule, np.asarray(x, float), seen, nothing))
        across = Axis(f"{title}, log scale", x[0], max(x[-1], x[0] + 1), list(x), math.log)
        return said, line_chart(series, style, across, metric_axis(metric, series), said)

    megabytes = {rule: a / 1e6 for rule, a in found.memory.items()}
    kept = [rule for rule in rules if rule in found.drift and not found.drift[rule].any()]
    exact = f" To the bit: {', '.join(kept)}." if kept else ""
    nowhere = [rule for rule in rules if not found.credit[rule].any()]
    none = f" None in hidden layers: {', '.join(nowhere)}." if nowhere else ""
    charts = [
        chart(
            found.lags,
            found.credit,
            "steps before the error",
            CREDIT,
            "What a step so long before the error adds to the update of the hidden layers." + none,
        ),
        chart(
            found.lengths,
            megabytes,
            "length of a sequence [steps]",
            MEMORY,
            "What the compiled update needs for activity and traces, by the length of a sequence.",
        ),
    ]
    if any(found.drift[rule].any() for rule in rules if rule in found.drift):
        said = "By how much states are missed on the way back, by the length of a sequence."
        title = "length of a sequence [steps]"
        charts.append(chart(found.lengths, found.drift, title, DRIFT, said + exact))
    return charts
