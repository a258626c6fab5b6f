"""The docs page of the audit, made by the audit: every rule on every kind of network that it
accepts.
"""

import dataclasses
import sys
from collections.abc import Iterable, Iterator, Sequence

from byway.audit.verdict import Verdict
from byway.core.words import QUESTIONS
from byway.learning.rule import Claims, Rule
from byway.system.docstring import headline

HEAD = """# What each rule reads

This page is made by the audit itself each time the docs are built: nothing on it was typed by
hand but these lines. Each rule is traced on a tiny network of every kind that it accepts, and
the verdicts are read from the program. `byway audit RULE` does the same on your machine; `byway
audit RULE --json` for programs.

{words}

What a rule learns besides the weights, in gamma, is audited with them. What it carries is judged by
how it grows with the network.

**What the audit cannot see.** It knows arrays, or parts of them: if one entry depends on a
weight, all do. Where it cannot tell how a weight was used it assumes the worst. A dependence
through a discrete choice, such as a sampled label, is found by the trace and has no derivative.
[Architecture](/architecture.md#the-audit) lists the limits. And the audit judges the program, not
the physics: an exact sum over a million synapses is as local to it as a product of two numbers.
"""
COLUMNS = tuple(QUESTIONS)


@dataclasses.dataclass(frozen=True)
class AuditPart:
    """What the page says of one rule.

    Attributes:
        rows: its rows of the table, one for each kind of network.
        section: its updates, one by one.
    """

    rows: list[str]
    section: list[str]


def audit_page(parts: Sequence[AuditPart]) -> str:
    """The page, as Markdown, of the parts of all rules."""
    head = [f"| rule | network | {' | '.join(COLUMNS)} |", "|---|---|" + "---|" * len(COLUMNS)]
    rows = [row for part in parts for row in part.rows]
    sections = [line for part in parts for line in part.section]
    words = "\n".join(f"- **{name}**: {text}" for name, text in QUESTIONS.items())
    return "\n".join([HEAD.replace("{words}", words), *head, *rows, *sections]) + "\n"


def audit_part(rule: Rule, verdicts: Sequence[tuple[str, Verdict]]) -> AuditPart:
    """What the page says of a rule.

    Args:
        rule: the rule.
        verdicts: what the audit found on each kind of network that it accepts.
    """
    rows = [
        f"| [`{rule.id}`](#{rule.id}) | {kind} | {' | '.join(cells(verdict.found))} |"
        for kind, verdict in verdicts
    ]
    section = [f"\n## {rule.id}\n\n{headline(sys.modules[type(rule).__module__])}\n"]
    for kind, verdict in verdicts:
        section += _one(kind, verdict)
    return AuditPart(rows, section)


def cells(claims: Claims) -> list[str]:
    """Claims, or what was found in their stead, in words: one for each of `COLUMNS`."""
    return [_say(getattr(claims, column)) for column in COLUMNS]


def _one(kind: str, verdict: Verdict) -> Iterator[str]:
    yield f"\n**On {kind}.** " + " ".join(_why(verdict)) + "\n"
    yield "| update of | what g reads for it |\n|---|---|"
    for name, update in verdict.updates.items():
        yield f"| `{name}` | {', '.join(f'`{read}`' for read in update.reads)} |"
    notes = verdict.disagreements + verdict.findings
    if notes:
        yield "\n" + "\n".join(f"- {note}" for note in notes)


def _why(verdict: Verdict) -> Iterator[str]:
    """The verdict in sentences, each with an update that shows it."""
    updates = verdict.updates.items()
    moved = next(((name, u.transported) for name, u in updates if u.transported), None)
    yield (
        "No update reads or was reached backwards through the weights of another projection: no "
        "transport."
        if moved is None
        else f"Transport: the update of `{moved[0]}` takes in the weights of {_names(moved[1])}."
    )
    waits = next(((name, u.waits_for) for name, u in updates if u.waits_for), None)
    yield (
        "No update waits for what is downstream of it."
        if waits is None
        else f"Locking: the update of `{waits[0]}` depends on {_names(waits[1])}, downstream of it."
    )
    slopes = [name for name, u in updates if any(".slope." in read for read in u.reads)]
    if verdict.found.derivative == "yes":
        yield f"Derivative: phi' enters {_names(slopes) if slopes else 'on the way, in f'}."
    yield f"Signal: {_say(verdict.found.signal)}."


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _say(value) -> str:
    return " and ".join(sorted(value)) or "none" if isinstance(value, frozenset) else str(value)
