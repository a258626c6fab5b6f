"""`byway report`: the table and the page of a run folder."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from byway.cli.table import print_table, terminal
from byway.experiment.run import Run
from byway.report.table import Table
from byway.report.words import reading
from byway.runs.folder import read

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
    folder = tyro.cli(Report, args=list(argv), prog="byway report").folder
    show(Run.of(read(folder, finished=True)))


def show(run: Run) -> None:
    """Print the comparison table of a run and what it says, write its page, and say where it is."""
    table, console = Table(run), terminal()
    columns = table.filled()
    cells = [[column.cell(row) for column in columns] for row in table.rows.values()]
    words = [i for i, column in enumerate(columns) if column.words]
    print_table(console, [column.heading for column in columns], cells, words)
    console.print(" ".join(reading(table)), width=min(console.width, READABLE), markup=False)
    console.print(f"report: {run.report()}", soft_wrap=True, markup=False)
