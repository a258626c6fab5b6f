"""`byway report`: the table and the page of a run folder."""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from byway.report.page import write_page
from byway.report.run import read_run
from byway.report.summary import HEADINGS, compare, headings

# Columns from MEASURED on are the audit's; a terminal narrower than ONE_TABLE gets them as a table of their own.
MEASURED, ONE_TABLE = 7, 140


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
    """Print the comparison table of a run folder, write its page, and say where it is."""
    run = read_run(folder)
    rows, titles = [row.cells() for row in compare(run)], headings(run)
    # A pipe or a file has no width to keep to.
    console = Console(width=None if sys.stdout.isatty() else 160)
    parts = [range(len(HEADINGS))] if console.width >= ONE_TABLE else [range(MEASURED), (0, *range(MEASURED, len(HEADINGS)))]
    for columns in parts:
        table = Table(header_style="bold", pad_edge=False)
        for i in columns:
            widest = max(len(row[i]) for row in rows)  # a heading may wrap, a figure may not
            table.add_column(escape(titles[i]), justify="left" if i == 0 else "right", min_width=widest)
        for row in rows:
            table.add_row(*(row[i] for i in columns))
        console.print(table)
    console.print(f"report: {write_page(folder)}", highlight=False, soft_wrap=True)
