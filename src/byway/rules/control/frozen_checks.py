"""The control: the readout's gradient, and nothing elsewhere."""

from byway.core.check import Check
from byway.verify.oracle import EXACT, Problem, gap, in_time, layered, taught

SOURCE = "Widrow and Hoff 1960"


def checks(rule):
    return [
        Check(
            "mlp: readout's update = autodiff",
            lambda: _readout(rule, layered(6, 5, 4, 3)),
            EXACT,
            SOURCE,
        ),
        Check(
            "rnn: readout's update = autodiff",
            lambda: _readout(rule, in_time(3, 5, 4, 2)),
            EXACT,
            SOURCE,
        ),
        Check(
            "other projections that learn",
            lambda: _others(rule, layered(6, 5, 4, 3)),
            0.0,
            "the control's definition",
        ),
    ]


def _readout(rule, problem: Problem) -> float:
    update = taught(rule, problem.net, problem.x, problem.signal)
    return gap(*({"": tree["hidden2-output"]} for tree in (update, problem.gradient())))


def _others(rule, problem: Problem) -> float:
    return float(
        len(taught(rule, problem.net, problem.x, problem.signal).keys() - {"hidden2-output"})
    )
