"""Backpropagation through time is the gradient of the unrolled loop."""

from byway.core.check import Check
from byway.verify.oracle import EXACT, from_autodiff, from_differences, in_time

SOURCE = "Werbos 1990"


def checks(rule, source: str = SOURCE):
    return [
        Check(
            "one layer: update = autodiff of the unrolled loop",
            lambda: from_autodiff(rule, in_time(3, 5, 4)),
            EXACT,
            source,
        ),
        Check(
            "two layers: update = autodiff of the unrolled loop",
            lambda: from_autodiff(rule, in_time(3, 5, 4, 2)),
            EXACT,
            source,
        ),
        Check(
            "two layers: update = central differences",
            lambda: from_differences(rule, in_time(3, 5, 4, 2)),
            1e-6,
            source,
        ),
    ]
