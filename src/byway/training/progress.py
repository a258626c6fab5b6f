"""A progress bar with time left, drawn only where a person is watching."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def bar(title: str, epochs: int, wanted: bool | None = None) -> Iterator[Callable]:
    """A context whose value is called after each epoch, or whatever is counted, with a short note.

    Args:
        title: what is being trained.
        epochs: how many calls to expect.
        wanted: draw it or not; None for only on a terminal.
    """
    if not (sys.stderr.isatty() if wanted is None else wanted):
        yield lambda note: None
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
        job = progress.add_task(title, total=epochs, note="compiling")

        yield lambda note: progress.update(job, advance=1, note=note)
