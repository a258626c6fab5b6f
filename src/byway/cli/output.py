"""Where a command's words go: to an output of any encoding, and to one that nobody reads any
more.
"""

import codecs
import contextlib
import errno
import io
import os
import sys
import unicodedata
from collections.abc import Iterator

from byway.core.errors import RunError

# What stands for a character that the output's encoding does not have; any other is written as its
# number.
LOOK_ALIKE = {
    "−": "-",
    "–": "-",
    "±": "+/-",
    "°": " deg",
    "’": "'",
    "′": "'",
    "²": "^2",
    "≤": "<=",
    "≥": ">=",
    "φ": "phi",
    "…": "...",
}


@contextlib.contextmanager
def spoken() -> Iterator[None]:
    """Let what is printed in this context be printed whatever the encoding of the output is, and
    come out of it whole.

    Raises:
        BrokenPipeError: nobody reads it any more.
        RunError: it cannot be written, as on a disk that is full.
    """
    codecs.register_error("byway", _in_its_place)
    streams = {
        stream: stream.errors
        for stream in (sys.stdout, sys.stderr)
        if isinstance(stream, io.TextIOWrapper)
    }
    for stream in streams:
        stream.reconfigure(errors="byway")
    try:
        try:
            yield
            for stream in streams:
                stream.flush()
        except OSError as problem:  # files that are written say so by their names
            if problem.errno != errno.ENOSPC or problem.filename:
                raise
            raise RunError(
                f"the output cannot be written: {problem.strerror}",
                "room for it",
                "write it elsewhere",
            ) from problem
    finally:
        for stream, errors in streams.items():
            with contextlib.suppress(OSError):  # what is left in it goes nowhere
                stream.reconfigure(errors=errors)


def forget() -> None:
    """Let go of outputs that cannot be written: Python writes out the rest as it ends, and would
    complain.
    """
    for stream in filter(None, (sys.stdout, sys.stderr)):  # a process without a console has neither
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _in_its_place(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(
        _ascii(character) for character in error.object[error.start : error.end]
    ), error.end


def _ascii(character: str) -> str:
    name = unicodedata.name(character, "")
    if name.startswith("BOX DRAWINGS"):
        return "-" if name.endswith("HORIZONTAL") else "|" if name.endswith("VERTICAL") else "+"
    plain = LOOK_ALIKE.get(character) or unicodedata.normalize("NFKD", character).encode(
        "ascii", "ignore"
    ).decode("ascii")
    return plain or character.encode("ascii", "backslashreplace").decode("ascii")
