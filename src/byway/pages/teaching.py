"""The page that sorts the rules by what teaches a hidden layer: a difference, or something else."""

import dataclasses
from collections.abc import Iterable, Sequence

from byway.audit.networks import tiny
from byway.audit.verdict import Reads, Verdict
from byway.learning.rule import Rule
from byway.network.network import Network
from byway.pages.words import card, table

# What teaches, in the order of the page, and what that means.
KINDS = {
    "A vector of errors": (
        "A hidden layer gets a number for each of its units, made of the error of each output, or "
        "of a head of its own. It says what would have been better, unit by unit."
    ),
    "The target": (
        "It gets the target as it is, and nothing that says how far the output was from it: what "
        "follows from the target it has to guess."
    ),
    "A contrast of phases": (
        "The network runs more than once, and a layer compares its own activity. What is different "
        "between the runs (a label, a nudge, the error added to the input) is the teaching; no "
        "error arrives."
    ),
    "Activity that was moved": (
        "Target or error move the activity while the network runs. A layer learns from where its "
        "own activity came to be; by then there is no error left to read."
    ),
    "One number, the loss": (
        "The same number for all units: how bad it was. Which unit is to blame has to come from "
        "what each of them tried."
    ),
    "One number, a reward": (
        "How good it was, of what was tried. Nothing says what would have been better."
    ),
    "Times of spikes": (
        "What the loss owes is owed to the moments at which units spiked, and a weight is taught "
        "by moving them."
    ),
    "Its own activity": (
        "Nothing that is said of the answer reaches a hidden layer. It is taught by how active, "
        "how alike or how predictable it is."
    ),
    "Nothing": "Hidden layers stay as they were drawn. These are controls.",
}
COLUMNS = ("rule", "what it is", "read by hidden updates", "by way of", "waits")
HEAD = """# Errors that are not differences

Backprop teaches by a difference, output less target, and carries it back to every unit. Few of the
rules need so much. This page sorts them by what reaches a *hidden* layer as its teaching. It is
made from the verdicts of [the audit](audit.md) each time the docs are built: what an update reads
is read from its program, on the first kind of network that the rule accepts.

- **read by hidden updates**: the parts of the teaching signal and the phases of a run that such an
  update takes in itself.
- **by way of**: the rule's own parameters that it takes in, fixed or learned; and the weights of
  other projections, where they reach it backwards.
- **waits**: whether it depends on what lies downstream, on the same sample.
"""


@dataclasses.dataclass(frozen=True)
class TeachingPart:
    """What the page says of one rule.

    Attributes:
        kind: what teaches, a key of `KINDS`.
        row: its row of the table.
    """

    kind: str
    row: list[str]


def teaching_page(parts: Sequence[TeachingPart]) -> str:
    """The page, as Markdown, of the parts of all rules."""
    lines = [HEAD]
    for kind, meaning in KINDS.items():
        rows = [part.row for part in parts if part.kind == kind]
        if rows:
            lines += [f"## {kind}", "", meaning, ""]
            lines += table(
                ["rule", "what it is", "read by hidden updates", "by way of", "waits"], rows
            )
    return "\n".join(lines)


def teaching_part(rule: Rule, verdicts: Sequence[tuple[str, Verdict]]) -> TeachingPart:
    """What the page says of a rule.

    Args:
        rule: the rule.
        verdicts: what the audit found on each kind of network that it accepts.
    """
    kind, verdict = verdicts[0]
    hidden = _hidden(tiny(kind, rule), verdict)
    row = [
        f"[`{rule.id}`](rules/{rule.id}.md)",
        card(type(rule)).headline,
        ", ".join([*_signals(hidden), *(f"phase *{name}*" for name in _phases(hidden))]) or "none",
        ", ".join(_ways(verdict, hidden)) or "nothing",
        "yes" if any(one.waits_for for one in hidden) else "no",
    ]
    return TeachingPart(teaching(rule, verdict, hidden), row)


def teaching(rule: Rule, verdict: Verdict, hidden: Sequence[Reads]) -> str:
    """What teaches a hidden layer, a key of `KINDS`."""
    said, phases = set(_signals(hidden)), _phases(hidden)
    if not hidden:
        return "Nothing"
    if rule.in_events:
        return "Times of spikes"
    for need, kind in (
        ("reward", "One number, a reward"),
        ("loss", "One number, the loss"),
        ("error", "A vector of errors"),
        ("target", "The target"),
    ):
        if need in said:
            return kind
    if len(phases) > 1:
        return "A contrast of phases"
    return (
        "Activity that was moved"
        if any(one.waits_for for one in hidden) or verdict.found.future == "yes"
        else "Its own activity"
    )


def _hidden(net: Network, verdict: Verdict) -> list[Reads]:
    return [
        verdict.updates[p.name]
        for p in net.projections
        if p.name in verdict.updates and p.dst != net.output
    ]


def _signals(hidden: Iterable[Reads]) -> list[str]:
    read = {name for one in hidden for name in one.reads}
    return [need for need in ("target", "error", "loss", "reward") if f"signal.{need}" in read]


def _phases(hidden: Iterable[Reads]) -> list[str]:
    read = {name for one in hidden for name in one.reads if name.startswith("record.")}
    return sorted({name.split(".")[1] for name in read} - {"output"})


def _ways(verdict: Verdict, hidden: Sequence[Reads]) -> list[str]:
    own = {name for one in hidden for name in one.reads if name.startswith("gamma")}
    ways = []
    if own:
        ways.append("learned parameters" if own & verdict.learned.keys() else "fixed parameters")
    if any(one.transported for one in hidden):
        ways.append("weights backwards")
    return ways
