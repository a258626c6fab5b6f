"""What the pages have in common: docstrings taken apart, tables, hyper-parameters."""

import dataclasses
import itertools
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from byway.core.hyper import hypers
from byway.pages.tex import equations, formulas
from byway.system.docstring import docstring

FACT = re.compile(r"(Shapes|Units|Claims|Limits|Source|Verified|Differs|Miss)\s+(.*)")


@dataclasses.dataclass(frozen=True)
class Card:
    """The docstring of a rule's or a task's file, taken apart.

    Attributes:
        headline: its first line.
        body: what follows: Markdown, with equations in blocks that are indented by four.
        facts: what is said under each of its last labels, such as "Limits" and "Source".
    """

    headline: str
    body: str
    facts: dict[str, str]


def card(owner: type) -> Card:
    """The card of a rule's or a task's class, from the docstring of its file."""
    text = docstring(sys.modules[owner.__module__])
    headline, _, rest = text.partition("\n\n")
    headline = " ".join(headline.split())
    body, facts, label = [], {}, ""
    for line in rest.splitlines():
        if found := FACT.fullmatch(line):
            label, facts[found[1]] = found[1], found[2]
        elif label:
            facts[label] += " " + line.strip()
        else:
            body.append(line)
    return Card(headline, "\n".join(body).strip("\n"), facts)


def body(about: Card) -> list[str]:
    """What follows the headline of a card, as Markdown, with its equations typeset."""
    lines, parts = [], [part for part in about.body.split("\n\n") if part]
    for indented, run in itertools.groupby(parts, lambda part: part.startswith("    ")):
        if indented:
            block = "\n".join(run).split("\n")
            lines += equations([line.removeprefix("    ") for line in block])
        else:
            lines += [line for part in run for line in (formulas(part), "")]
    return lines


def sentences(about: Card, *labels: str) -> list[str]:
    """What a card says under some of its labels, each as a paragraph."""
    said = [(label, about.facts[label].rstrip(".")) for label in labels if label in about.facts]
    return [
        line
        for label, text in said
        for line in (f"**{label}.** {formulas(text[:1].upper() + text[1:])}.", "")
    ]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table, line by line, and an empty line after it."""
    lines = [
        f"| {' | '.join(cells)} |"
        for cells in (head, ["---"] * len(head), *([_cell(c) for c in row] for row in rows))
    ]
    return [*lines, ""]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def settings(owner: Any, flags: bool = True) -> list[str]:
    """The hyper-parameters of a rule or a task: what each does, its default, its range and, where
    it has one, its flag.
    """
    rows = []
    for field in hypers(type(owner)):
        flag = [f"`--{owner.id}.{field.name}`".replace("_", "-")] if flags else []
        unit = f" [{field.metadata['unit']}]" if field.metadata["unit"] else ""
        rows.append(
            [
                f"`{field.name}`",
                field.metadata["doc"] + unit,
                f"`{field.default}`",
                _range(field.metadata),
                *flag,
            ]
        )
    return (
        table(["name", "what it is", "default", "range", "flag"][: 5 if flags else 4], rows)
        if rows
        else ["None.", ""]
    )


def _range(metadata: Any) -> str:
    low, high = metadata["low"], metadata["high"]
    if low is None:
        return "any" if high is None else f"at most {high:g}"
    return f"at least {low:g}" if high is None else f"{low:g} to {high:g}"
