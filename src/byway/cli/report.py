"""`byway report`: the table and the page of a run folder."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from byway.cli.table import print_table, terminal
from byway.report.page import write_page
from byway.report.run import read_run
from byway.report.summary import NONE, columns, compare
from byway.report.words import reading

# Sentences are no wider than is good to read.
READABLE = 100


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
    """Print the comparison table of a run folder and what it says, write its page, and say where it
    is.
    """
    run = read_run(folder)
    compared = compare(run)
    kept = [
        column for column in columns(compared) if any(column.cell(row) != NONE for row in compared)
    ]
    console, cells = terminal(), [[column.cell(row) for column in kept] for row in compared]
    print_table(
        console,
        [column.heading for column in kept],
        cells,
        [i for i, column in enumerate(kept) if column.words],
    )
    console.print(" ".join(reading(compared)), width=min(console.width, READABLE), markup=False)
    console.print(f"report: {write_page(folder)}", soft_wrap=True, markup=False)
