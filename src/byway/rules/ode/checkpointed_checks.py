"""The gradient is that of the solver, from few of its states."""

from byway.core.check import Check
from byway.verify.oracle import (
    EXACT,
    by_midpoint,
    flowing,
    from_autodiff,
    from_differences,
    memory_of_a_step,
)

SOURCE = "Gholami et al. 2019"


def checks(rule):
    return [
        Check(
            "rk4: update = autodiff of the solver",
            lambda: from_autodiff(rule, flowing(5, 4, 3)),
            EXACT,
            SOURCE,
        ),
        Check(
            "midpoint, two layers, normalised: update = autodiff of the solver",
            lambda: from_autodiff(
                rule, flowing(5, 4, 6, 5, 3, solve=by_midpoint, method="midpoint", norm=True)
            ),
            EXACT,
            SOURCE,
        ),
        Check(
            "update = central differences",
            lambda: from_differences(rule, flowing(5, 4, 3)),
            1e-6,
            SOURCE,
        ),
        Check(
            "memory of a step more, between 64 and 1,024 [states]",
            lambda: memory_of_a_step(rule, 64, 1024),
            0.1,
            "the root of the steps, twice: 48 states for 960 steps",
        ),
    ]
