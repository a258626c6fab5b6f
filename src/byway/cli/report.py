"""`byway report`: the table and the page of a run folder, or of a study."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from byway.cli.table import print_table, terminal
from byway.core.errors import ConfigError
from byway.experiment.run import Run
from byway.experiment.study import Study
from byway.report.study import grids, sentences
from byway.report.table import Table
from byway.report.words import reading
from byway.runs.folder import is_study, read, read_study

# Sentences are no wider than is good to read.
READABLE = 100


@dataclasses.dataclass(frozen=True)
class Report:
    """Print the table of a run and draw its page again.

    Attributes:
        folder: the run folder, or that of a study.
        reach: of a run in time, measure how far back each rule assigns credit on the network that
            it trained, and what memory that takes; later pages of the run show it too.
    """

    folder: Annotated[Path, tyro.conf.Positional]
    reach: bool = False


def run(argv: Sequence[str]) -> None:
    """Run the verb with its flags."""
    asked = tyro.cli(Report, args=list(argv), prog="byway report")
    folder = asked.folder
    if is_study(folder):
        if asked.reach:
            raise ConfigError("reach of a study", "a run", "name one of the runs in its folder")
        show_study(Study.of(read_study(folder)))
        return
    found = Run.of(read(folder, finished=True))
    if asked.reach:
        found.reach()
    show(found)


def show(run: Run) -> None:
    """Print the comparison table of a run and what it says, write its page, and say where it is."""
    table, console = Table(run), terminal()
    columns = table.filled()
    cells = [[column.cell(row) for column in columns] for row in table.rows.values()]
    words = [i for i, column in enumerate(columns) if column.words]
    print_table(console, [column.heading for column in columns], cells, words)
    console.print(" ".join(reading(table)), width=min(console.width, READABLE), markup=False)
    console.print(f"report: {run.report()}", soft_wrap=True, markup=False)


def show_study(study: Study) -> None:
    """Print the tables of a study and what they say, write its page and those of its runs, and say
    where it is.
    """
    page, console = study.report(), terminal()
    for grid in grids(study):
        print_table(console, grid.headings, grid.rows, grid.words)
    console.print(" ".join(sentences(study)), width=min(console.width, READABLE), markup=False)
    if study.unfinished:
        console.print(f"unfinished: {'; '.join(study.unfinished)}", markup=False)
    console.print(f"report: {page}", soft_wrap=True, markup=False)
