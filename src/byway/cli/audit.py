"""`byway audit`: what each weight update of a rule reads."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Annotated, Any

import tyro

from byway.audit.jacobian import Jacobian, jacobian
from byway.audit.networks import accepted, tiny
from byway.audit.verdict import Verdict, audit
from byway.cli.table import print_table, terminal
from byway.core.errors import RuleError
from byway.rules import RULES

HEADINGS = [
    "rule",
    "network",
    "transport",
    "locking",
    "derivative",
    "signal",
    "phases",
    "memory",
    "past",
    "future",
    "as claimed",
]


@dataclasses.dataclass(frozen=True)
class Audit:
    """Compute what each weight update of a rule reads, and hold the rule to its claims.

    The verdicts come from the program, not from the rule's word: label sets are carried through the
    traced f and g. A Jacobian of each update by every weight, in float64, cross-checks them. Exits
    with 2 if a rule is not as it claims.

    Attributes:
        rules: the rules to audit; all of them by default.
        net: kinds of network to audit them on, separated by commas: mlp, convnet, rnn, cyclic ...;
            by default every kind that a rule accepts.
        json: print JSON instead of tables.
        numeric: measure the Jacobian too.
    """

    rules: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    net: str | None = None
    json: bool = False
    numeric: bool = True


def run(argv: Sequence[str]) -> None:
    """Run the verb with its flags."""
    asked = tyro.cli(Audit, args=list(argv), prog="byway audit")
    rules = [RULES.get(name)() for name in asked.rules or RULES.ids()]
    found = []
    for rule in rules:
        for kind in (
            accepted(rule) if asked.net is None else [k.strip() for k in asked.net.split(",")]
        ):
            verdict = audit(rule, net := tiny(kind, rule))
            found.append((kind, verdict, jacobian(rule, net, verdict) if asked.numeric else None))
    if asked.json:
        print(json.dumps([_json(*one) for one in found], indent=1))
    else:
        _print(found)
    wrong = sorted(
        {v.rule for _, v, numbers in found if v.disagreements or (numbers and numbers.missed)}
    )
    if wrong:
        raise RuleError(
            f"the audit contradicts {', '.join(wrong)}",
            "claims that the program bears out",
            "correct the rule or its claims",
        )


def _json(kind: str, verdict: Verdict, numbers: Jacobian | None) -> dict[str, Any]:
    measured = {} if numbers is None else {"jacobian": dataclasses.asdict(numbers)}
    return {"rule": verdict.rule, "network": kind, **verdict.to_json(), **measured}


def _print(found: list[tuple[str, Verdict, Jacobian | None]]) -> None:
    console, rows = terminal(), []
    for kind, verdict, _ in found:
        v = verdict.found
        signal = " and ".join(sorted(v.signal)) or "none"
        agrees = "no" if verdict.disagreements else "yes"
        rows.append(
            [
                verdict.rule,
                kind,
                v.transport,
                v.locking,
                v.derivative,
                signal,
                str(v.phases),
                v.memory,
                v.past,
                v.future,
                agrees,
            ]
        )
    print_table(console, HEADINGS, rows, range(len(HEADINGS)), lead=2)
    for kind, verdict, numbers in found:
        console.print(
            f"\n[bold]{verdict.rule}[/bold] on {kind}: what each update reads", highlight=False
        )
        for name, update in verdict.updates.items():
            console.print(f"  {name}: {', '.join(update.reads)}", highlight=False, soft_wrap=True)
        notes = (
            verdict.disagreements + verdict.findings + ([] if numbers is None else numbers.notes)
        )
        for note in notes:
            console.print(f"  ! {note}", highlight=False, soft_wrap=True)
