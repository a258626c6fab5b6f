"""A progress bar with time left, drawn only where a person is watching."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def bar(title: str, total: int, wanted: bool | None = None) -> Iterator[Callable[[int, str], None]]:
    """A context whose value is told how much is done, with a short note.

    Args:
        title: what is being trained.
        total: how much there is to do.
        wanted: draw it or not; None for only on a terminal.
    """
    if not (sys.stderr.isatty() if wanted is None else wanted):
        yield lambda done, note: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = [
        TextColumn("{task.description:>12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    ]
    with Progress(*columns, console=Console(stderr=True)) as progress:
        job = progress.add_task(title, total=total, note="compiling")

        yield lambda done, note: progress.update(job, completed=done, note=note)
