"""Run the checks of a rule in float64: what was measured, and whether it will do."""

import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any

import jax
from typing_extensions import override

from byway.core.check import Check
from byway.core.errors import BywayError
from byway.learning.rule import Rule

# What code that somebody else wrote raises when it is wrong. The machine's own troubles (memory,
# files) are not among them.
FAULTS = (
    BywayError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NameError,
    RuntimeError,
    TypeError,
    ValueError,
)


@dataclasses.dataclass(frozen=True)
class Result:
    """One check, run.

    Attributes:
        rule: the rule's id.
        check: what was run.
        measured: what it measured; not a number where it could not be run.
        seconds: how long it took, compilation included.
        problem: what was raised instead, or empty.
    """

    rule: str
    check: Check
    measured: float
    seconds: float
    problem: str = ""

    @property
    def holds(self) -> bool:
        """Whether the rule does what it should."""
        return not self.problem and self.check.holds(self.measured)

    @override
    def __str__(self) -> str:
        """For example "bp, mlp: update = autodiff: measured 0.31, wanted ≤ 1e-12 (Rumelhart, Hinton
        and Williams 1986)".
        """
        found, check = self.problem or f"measured {self.measured:.3g}", self.check
        return f"{self.rule}, {check.name}: {found}, wanted {wanted(check)} ({check.source})"

    def to_json(self) -> dict[str, Any]:
        """Plain strings, numbers and bools; what is not finite is null."""
        check = {
            f.name: getattr(self.check, f.name)
            for f in dataclasses.fields(Check)
            if f.name not in ("name", "measure")
        }
        measured = self.measured if math.isfinite(self.measured) else None
        found = {
            "measured": measured,
            "holds": self.holds,
            "problem": self.problem,
            "seconds": round(self.seconds, 3),
        }
        return {"rule": self.rule, "check": self.check.name, **found, **check}


def wanted(check: Check) -> str:
    """What is wanted in one short phrase, such as "≤ 1e-12", "-0.5 ± 0.06" or "≥ 0.01"."""
    if check.least:
        return f"≥ {check.bound:.3g}" + (f" from {check.wanted:g}" if check.wanted else "")
    return (
        f"{check.wanted:g} ± {check.bound:.3g}"
        if check.wanted
        else f"≤ {check.bound:.3g}"
        if check.bound
        else "0"
    )


def verify(rule: Rule, on_result: Callable[[Result], None] | None = None) -> list[Result]:
    """Run every check that a rule brings along, in float64.

    A check that raises has failed; the others are run all the same.

    Args:
        rule: the rule; its checks are of this instance, hyper-parameters included.
        on_result: called after each check.
    """
    results = []
    with jax.enable_x64(True):
        for check in rule.checks():
            results.append(_run(rule, check))
            if on_result is not None:
                on_result(results[-1])
    return results


def _run(rule: Rule, check: Check) -> Result:
    start, measured, problem = time.perf_counter(), math.nan, ""
    try:
        measured = float(check.measure())
    except FAULTS as raised:
        problem = f"raised {type(raised).__name__}: {str(raised).partition(chr(10))[0]}"
    return Result(rule.id, check, measured, time.perf_counter() - start, problem)
