"""`byway verify`: the exact tests of every rule, run on this machine."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Annotated

import jax
import tyro
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from byway.core.errors import RuleError
from byway.rules import RULES
from byway.training.progress import bar
from byway.verify.run import Result, verify, wanted


@dataclasses.dataclass(frozen=True)
class Verify:
    """Run the exact tests that rules bring along, on this machine, in float64.

    Each line is an equality that the rule must have: with autodiff of a forward pass written out
    again, with a closed form or with a limit. It says what was measured, what was wanted and who
    says so. Exits with 2 if one does not hold.

    Attributes:
        rules: the rules to verify; all of them by default.
        json: print JSON instead of a table.
    """

    rules: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    json: bool = False


def run(argv: Sequence[str]) -> None:
    """Run the verb with its flags."""
    asked = tyro.cli(Verify, args=list(argv), prog="byway verify")
    rules = [RULES.get(name)() for name in asked.rules or RULES.ids()]
    results: list[Result] = []

    def tell(result: Result) -> None:
        results.append(result)
        advance(len(results), f"{result.rule}: {result.check.name}")

    with bar(
        "verify", sum(len(rule.checks()) for rule in rules), False if asked.json else None
    ) as advance:
        for rule in rules:
            verify(rule, tell)
    without = sorted({rule.id for rule in rules} - {result.rule for result in results})
    if asked.json:
        where = {"jax": jax.__version__, "backend": jax.default_backend(), "precision": "float64"}
        print(
            json.dumps(
                {**where, "results": [r.to_json() for r in results], "without_checks": without},
                indent=1,
            )
        )
    else:
        _print(results, without)
    if wrong := [r for r in results if not r.holds]:
        raise RuleError(
            f"{len(wrong)} of {len(results)} checks do not hold:\n  "
            + "\n  ".join(map(str, wrong)),
            "equations that hold on this machine",
            "mend the rule; if it is one of Byway's own, report what 'byway verify --json' says "
            "of this machine",
        )


def _print(results: list[Result], without: list[str]) -> None:
    console = Console()
    if not console.is_terminal:  # in a file nothing has to fit a window
        console.width = 150
    table = Table(header_style="bold", pad_edge=False)
    table.add_column("rule and check", overflow="fold")
    for heading in ("measured", "wanted"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("holds", no_wrap=True)
    table.add_column("source", overflow="fold")
    table.add_column("s", justify="right", no_wrap=True)
    for rule in dict.fromkeys(r.rule for r in results):
        table.add_section()
        table.add_row(f"[bold]{rule}[/]")
        for r in results:
            if r.rule == rule:
                measured = "–" if r.problem else f"{r.measured:.3g}"
                holds = "yes" if r.holds else "[red bold]NO[/]"
                table.add_row(
                    Padding(escape(r.check.name), (0, 0, 0, 2)),
                    measured,
                    wanted(r.check),
                    holds,
                    escape(r.check.source),
                    f"{r.seconds:.1f}",
                )
    if results:
        console.print(table)
        seconds, good = sum(r.seconds for r in results), sum(r.holds for r in results)
        console.print(
            f"{good} of {len(results)} checks hold, in float64; {seconds:.0f} s", highlight=False
        )
    for name in without:
        console.print(f"{name} brings no checks along", highlight=False)
