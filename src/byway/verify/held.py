"""Laws that were tried, and how that is told."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

from byway.core.errors import BywayError
from byway.verify.run import FAULTS


class ContractError(BywayError, AssertionError):
    """A rule or a task that breaks the contract: what was found, what was wanted, what to do."""


def demand(truth: bool, given: str, wanted: str, fix: str) -> None:
    """Raise `ContractError` unless `truth`."""
    if not truth:
        raise ContractError(given, wanted, fix)


@dataclasses.dataclass(frozen=True)
class Held:
    """One law, tried.

    Attributes:
        law: what has to hold, in words.
        on: the network or task, or empty.
        problem: what was found instead, or empty.
        seconds: how long it took.
    """

    law: str
    on: str
    problem: str
    seconds: float


def tried(law: Callable[..., None], on: str, *arguments: Any) -> Held:
    """Try a law, a function that raises where it is broken."""
    start, problem = time.perf_counter(), ""
    try:
        law(*arguments)
    except BywayError as broken:
        problem = str(broken)
    except FAULTS as raised:
        problem = (
            f"{on or 'by itself'}: raised {type(raised).__name__}: "
            f"{str(raised).partition(chr(10))[0]}"
        )
    return Held(law.__name__.replace("_", " "), on, problem, time.perf_counter() - start)


def told(laws: Sequence[Held]) -> list[str]:
    """A line for each law: whether it held wherever it was tried, and below it where it did not."""
    lines = []
    for law in dict.fromkeys(held.law for held in laws):
        problems = [held.problem for held in laws if held.law == law and held.problem]
        lines.append(f"  {'no ' if problems else 'yes'}  {law}")
        lines += [f"         {line}" for problem in problems for line in problem.splitlines()]
    return lines
