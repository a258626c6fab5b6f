"""The gradient comes to that of the equation as fast as the solver does, where going back does not
lose the way; and where it does, that is seen.
"""

import math

from byway.core.check import Check
from byway.verify.oracle import (
    by_midpoint,
    by_rk4,
    flowing,
    from_autodiff,
    memory_of_a_step,
)

SOURCE = "Chen et al. 2018"


def checks(rule):
    return [
        Check(
            "rk4: order at which update comes to autodiff of the solver, distance from 4",
            lambda: abs(order(rule, "rk4") - 4),
            0.1,
            SOURCE,
        ),
        Check(
            "midpoint: the same, distance from 2",
            lambda: abs(order(rule, "midpoint") - 2),
            0.1,
            SOURCE,
        ),
        Check(
            "memory of a step more, between 64 and 256 [states]",
            lambda: memory_of_a_step(rule, 64, 256),
            0.0,
            SOURCE,
        ),
    ]


def order(rule, method: str) -> float:
    """The binary logarithm of how much smaller the distance is for steps half as long."""
    solve = {"rk4": by_rk4, "midpoint": by_midpoint}[method]
    far, near = (
        from_autodiff(rule, flowing(5, 4, 3, solve=solve, method=method, steps=n)) for n in (16, 32)
    )
    return math.log2(far / near)
