"""Tables that fit the terminal: no figure is broken, and what has no room side by side follows in a
table of its own.
"""

import os
import sys
from collections.abc import Collection, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

# Columns stand this far apart; one of it is the box's own. A pipe or a file is taken to be so wide.
GAP, WIDE = 2, 180


def terminal() -> Console:
    """Where to print; a pipe or a file has no width to keep to, unless it is told one in
    COLUMNS.
    """
    # A process without a console has no output either.
    watched = sys.stdout is not None and sys.stdout.isatty()
    return Console(width=None if watched or "COLUMNS" in os.environ else WIDE, highlight=False)


def print_table(
    console: Console,
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    words: Collection[int],
    lead: int = 1,
) -> None:
    """Print a table, in several where the terminal is too narrow for one.

    Args:
        console: where.
        titles: of the columns; they wrap between words.
        rows: a cell for each column.
        words: columns that are set to the left; the others are numbers.
        lead: how many columns say what a row is of: every table begins with them.
    """
    widths = [
        max(len(part) for part in (*(row[i] for row in rows), *title.split()))
        for i, title in enumerate(titles)
    ]
    # A path may be long, and is folded.
    widths[0] = min(widths[0], max(console.width // 3, len(titles[0])))
    for columns in fitting(widths, console.width, lead):
        table = Table(
            header_style="bold",
            box=SIMPLE_HEAD,
            pad_edge=False,
            padding=(0, GAP - 1, 0, 0),
            show_edge=False,
        )
        for i in columns:
            side = "left" if i in words else "right"
            table.add_column(
                escape(titles[i]), justify=side, vertical="bottom", width=widths[i], overflow="fold"
            )
        for row in rows:
            table.add_row(*(escape(row[i]) for i in columns))
        console.print(table)
        console.print()


def fitting(widths: Sequence[int], width: int, lead: int = 1) -> list[list[int]]:
    """Which columns stand in which table: side by side while there is room.

    Args:
        widths: of the columns.
        width: of the terminal.
        lead: how many columns begin every table.
    """
    head = [*range(lead)]
    room = width - sum(widths[:lead]) - GAP * (lead - 1)
    tables, free = [list(head)], room
    for i, needed in enumerate(widths[lead:], lead):
        if free < GAP + needed and len(tables[-1]) > lead:
            tables.append(list(head))
            free = room
        tables[-1].append(i)
        free -= GAP + needed
    return tables
