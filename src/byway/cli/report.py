"""`byway report`: the table and the page of a run folder."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from byway.cli.table import print_table, terminal
from byway.report.page import write_page
from byway.report.run import read_run
from byway.report.summary import NONE, compare, headings
from byway.report.words import reading

# The rule, and the audit's columns. Sentences are no wider than is good to read.
WORDS, READABLE = (0, 7, 8, 9, 10), 100


@dataclasses.dataclass(frozen=True)
class Report:
    """Print the table of a run and draw its page again.

    Attributes:
        folder: the run folder.
    """

    folder: Annotated[Path, tyro.conf.Positional]


def run(argv: Sequence[str]) -> None:
    """Run the verb with its flags."""
    show(tyro.cli(Report, args=list(argv), prog="byway report").folder)


def show(folder: Path) -> None:
    """Print the comparison table of a run folder and what it says, write its page, and say where it is."""
    run = read_run(folder)
    compared = compare(run)
    rows, titles = [row.cells() for row in compared], headings(run)
    kept = [i for i in range(len(titles)) if any(row[i] != NONE for row in rows)]
    console = terminal()
    print_table(console, [titles[i] for i in kept], [[row[i] for i in kept] for row in rows], [kept.index(i) for i in WORDS if i in kept])
    console.print(" ".join(reading(compared)), width=min(console.width, READABLE), markup=False)
    console.print(f"report: {write_page(folder)}", soft_wrap=True, markup=False)
