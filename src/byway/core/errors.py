"""Errors that say what was given, what was wanted, and what to do."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from typing_extensions import override

T = TypeVar("T")


class BywayError(Exception):
    """Base of every error that Byway raises on purpose.

    Args:
        given: what the caller handed in, in the caller's own words.
        wanted: what would have been right.
        fix: the next thing to do.
    """

    def __init__(self, given: str, wanted: str, fix: str):
        super().__init__(f"{given}\n  wanted: {wanted}\n  do: {fix}")
        self.given, self.wanted, self.fix = given, wanted, fix

    @override
    def __reduce__(self):
        return type(self), (self.given, self.wanted, self.fix), self.__dict__


class ShapeError(BywayError):
    """Arrays, populations or weights whose shapes do not fit together."""


class UnknownNameError(BywayError):
    """A name that nothing answers to."""


class RuleError(BywayError):
    """A rule that cannot train the network it was given."""


class BlackBoxError(BywayError):
    """A black box that raised, or returned what cannot be the activity of its units."""


class DataError(BywayError):
    """A data file that is missing, broken or out of range."""


class ConfigError(BywayError):
    """A setting outside its range, or one that does not exist."""


class RunError(BywayError):
    """A run folder that cannot be written or read."""


class BywayWarning(UserWarning):
    """What works, but not as well as it could."""


def not_installed(package: str, extra: str) -> ConfigError:
    """The error for an optional package that is not there."""
    return ConfigError(
        f"{package} is not installed",
        f"{package}, which only this needs",
        f"pip install 'byway[{extra}]'",
    )


def unknown_name(kind: str, given: Any, known: Iterable[str]) -> UnknownNameError:
    """The error for a name that does not exist, with the nearest names that do."""
    known = sorted(known)
    near = difflib.get_close_matches(str(given), known, n=3, cutoff=0.4)
    fix = f"did you mean {' or '.join(repr(n) for n in near)}?" if near else "choose one of these"
    return UnknownNameError(
        f"there is no {kind} called {given!r}", f"one of: {', '.join(known)}", fix
    )


def look_up(kind: str, name: Any, known: Mapping[str, T]) -> T:
    """What goes by a name; an unknown one raises, with the nearest ones."""
    if not isinstance(name, str) or name not in known:
        raise unknown_name(kind, name, known)
    return known[name]
