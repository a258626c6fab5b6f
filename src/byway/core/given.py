"""Whether what was handed in is of the kind that it should be: where it is not, an error says so
before any work is done.
"""

import math
import numbers
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from byway.core.errors import ConfigError

# The largest seed and half the range of a counter, both of which live in 32 bits.
LARGEST_SEED, LARGEST_COUNT = 2**32 - 1, 2**31 - 1


def is_whole(value: Any) -> bool:
    """Whether it is a whole number: an int of Python or NumPy, and not a bool."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool | np.bool)


def is_number(value: Any) -> bool:
    """Whether it is a finite real number, and not a bool."""
    return (
        isinstance(value, numbers.Real)
        and not isinstance(value, bool | np.bool)
        and math.isfinite(value)
    )


def require_whole(
    name: str, value: Any, low: int = 1, high: int = LARGEST_COUNT, fix: str = ""
) -> None:
    """Raise `ConfigError` unless `value` is a whole number from `low` to `high`."""
    if not is_whole(value) or not low <= value <= high:
        wanted = f"a whole number from {low}" + (
            f" to {high:,}" if high < LARGEST_COUNT or (is_whole(value) and value > high) else ""
        )
        raise ConfigError(
            f"{name} = {shown(value)}", wanted, fix or f"leave {name} out for its default"
        )


def require(kind: type | tuple[type, ...], name: str, value: Any, wanted: str, fix: str) -> None:
    """Raise `ConfigError` unless `value` is an instance of `kind`."""
    if not isinstance(value, kind):
        raise ConfigError(f"{name} = {shown(value)}", wanted, fix)


def require_several(name: str, value: Any, wanted: str, fix: str) -> None:
    """Raise `ConfigError` unless `value` is a list, a tuple or a range of whole numbers."""
    if not isinstance(value, Sequence) or not all(is_whole(v) for v in value):
        raise ConfigError(f"{name} = {shown(value)}", wanted, fix)


def require_folder(name: str, value: Any) -> None:
    """Raise `ConfigError` unless `value` names a folder."""
    require((str, os.PathLike), name, value, "a folder", 'for example "runs/demo"')


def require_listener(name: str, value: Any) -> None:
    """Raise `ConfigError` unless `value` can be called, or is None."""
    if value is not None and not callable(value):
        raise ConfigError(
            f"{name} = {shown(value)}",
            "a function, which is told what was measured",
            f"leave {name} out",
        )


def require_none(name: str, value: Any, why: str, instead: str) -> None:
    """Raise `ConfigError` where a setting is given (is not None) that has no effect, as in "lr =
    0.1 beside ...".
    """
    if value is not None:
        raise ConfigError(
            f"{name} = {shown(value)} {why}",
            f"no {name}: it has no effect there",
            f"leave {name} out, or {instead}",
        )


def shown(value: Any) -> str:
    """A value as it was written, cut short."""
    text = repr(value).partition("\n")[0]
    return text if len(text) <= 60 else f"{text[:57]}..."
