"""A progress bar with time left, drawn only where a person is watching: on a terminal, or in a
notebook.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from html import escape
from typing import Any

from typing_extensions import override

# Seconds between two drawings in a notebook, at least [s].
REFRESH = 0.1


@contextmanager
def bar(
    title: str, total: int, wanted: bool | Callable[[int, int, str], None] | None = None
) -> Iterator[Callable[[int, str], None]]:
    """A context whose value is told how much is done, with a short note.

    Args:
        title: what is being trained.
        total: how much there is to do.
        wanted: draw it or not; None for only on a terminal or in a notebook. Or what draws it,
            which is told how much is done, of how much, and the note.
    """
    if callable(wanted):
        wanted(0, total, "compiling")
        yield lambda done, note: wanted(done, total, note)
        return
    with bars(wanted) as shown:
        shown.tell(title, 0, total, "compiling")
        yield lambda done, note: shown.tell(title, done, total, note)


class Bars:
    """Progress of several things at once, each by its title. This one draws nothing."""

    def tell(self, title: str, done: int, total: int, note: str) -> None:
        """Take note of how much is done of one of them."""

    def end(self, title: str) -> None:
        """Take one of them off the display."""


@contextmanager
def bars(wanted: bool | None = None) -> Iterator[Bars]:
    """A display of progress.

    Args:
        wanted: draw it or not; None for only on a terminal or in a notebook.
    """
    notebook = _in_notebook()
    # A process without a console has no stderr.
    watched = notebook or (sys.stderr is not None and sys.stderr.isatty())
    if not (watched if wanted is None else wanted):
        yield Bars()
        return
    if notebook:
        with ExitStack() as stack:
            yield _Lines(stack)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = [
        TextColumn("{task.description:>12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    ]
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield _Terminal(progress)


class _Terminal(Bars):
    """Lines of a terminal, drawn by `rich`."""

    def __init__(self, progress: Any):
        self._progress, self._jobs = progress, dict[str, Any]()

    @override
    def tell(self, title, done, total, note):
        if title not in self._jobs:
            self._jobs[title] = self._progress.add_task(title, total=total, note=note)
        self._progress.update(self._jobs[title], completed=done, total=total, note=note)

    @override
    def end(self, title):
        if title in self._jobs:
            self._progress.remove_task(self._jobs.pop(title))


class _Lines(Bars):
    """Lines below a cell of a notebook."""

    def __init__(self, stack: ExitStack):
        self._stack, self._lines = stack, dict[str, _Line]()

    @override
    def tell(self, title, done, total, note):
        if title not in self._lines:
            self._lines[title] = self._stack.enter_context(_Line(title, total))
            return
        self._lines[title].tell(done, note)


def _in_notebook() -> bool:
    """Whether this process is a notebook's kernel. Nobody who is in one has yet to import
    IPython.
    """
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return hasattr(shell, "kernel")


class _Line:
    """One line below a cell, written anew in its place, and kept in the saved notebook.

    What `rich` draws in a notebook needs ipywidgets, and leaves an empty cell where the notebook is
    opened again or converted.

    Args:
        title: what is being trained.
        total: how much there is to do.
    """

    def __init__(self, title: str, total: int):
        self._title, self._total, self._done, self._note = title, total, 0, "compiling"
        self._began, self._first, self._drawn = time.monotonic(), None, 0.0

    def __enter__(self):
        from IPython.display import display  # pyright: ignore[reportMissingImports]

        self._handle: Any = display(self._bundle(""), raw=True, display_id=True)
        return self

    def __exit__(self, kind, error, trace):
        if kind is None:
            self._done, self._note = self._total, "" if self._first is None else self._note
        ended = (
            f"{'after' if kind is None else 'stopped after'} "
            f"{_duration(time.monotonic() - self._began)}"
        )
        self._handle.update(self._bundle(ended), raw=True)

    def tell(self, done: int, note: str) -> None:
        """Take note of how much is done, and draw it unless that was done a moment ago."""
        now = time.monotonic()
        self._done, self._note = done, note
        if self._first is None:
            self._first = (now, done)
        if now - self._drawn >= REFRESH:
            self._drawn = now
            began, first = self._first
            left = (now - began) * (self._total - done) / (done - first) if done > first else None
            self._handle.update(
                self._bundle("" if left is None else f"{_duration(left)} left"), raw=True
            )

    def _bundle(self, clock: str) -> dict[str, str]:
        said = ", ".join(part for part in (self._note, clock) if part)
        bar = (
            f'<progress value="{self._done}" max="{self._total}" aria-label="{escape(self._title)}"'
        )
        style = "flex:0 1 16em;min-width:4em;accent-color:#0072b2"
        line = (
            f"<strong>{escape(self._title)}</strong>{bar} "
            f'style="{style}"></progress><span>{escape(said)}</span>'
        )
        row = "display:flex;align-items:center;gap:.8em;font-variant-numeric:tabular-nums"
        html = f'<div style="{row}">{line}</div>'
        return {
            "text/plain": f"{self._title}: {self._done} of {self._total}, {said}",
            "text/html": html,
        }


def _duration(seconds: float) -> str:
    """For example "0.8 s", "42 s", "3 min 05 s", "2 h 10 min"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return (
        f"{whole // 60} min {whole % 60:02} s"
        if whole < 3600
        else f"{whole // 3600} h {whole % 3600 // 60:02} min"
    )
