"""Hyper-parameters: fields that become flags, config keys and rows in the docs."""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx

from byway.core.errors import ConfigError
from byway.core.given import is_number, is_whole, shown

# By the type of a hyper-parameter, whether a value is of that kind, and what it should be in words.
KINDS: dict[Any, tuple[Callable[[Any], bool], str]] = {
    int: (is_whole, "a whole number"),
    float: (is_number, "a finite number"),
    str: (lambda value: isinstance(value, str), "a word"),
    bool: (lambda value: isinstance(value, bool), "True or False"),
}


def hyper(
    default: Any,
    doc: str,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    search: tuple[float, float] | None = None,
) -> Any:
    """Declare a hyper-parameter of a rule or a task: a static field with all that a user should know of it.

    Args:
        default: its value when nobody says otherwise.
        doc: one line on what it does.
        unit: its unit, empty if dimensionless.
        low: the smallest value allowed.
        high: the largest value allowed.
        search: where tuning looks for a better value; it leaves a field without a range as it is.
    """
    return eqx.field(static=True, default=default, metadata={"doc": doc, "unit": unit, "low": low, "high": high, "search": search})


def check_ranges(owner: Any) -> None:
    """Raise `ConfigError` where a hyper-parameter of `owner` is of the wrong kind or lies outside its range."""
    for field in hypers(type(owner)):
        low, high, doc = (field.metadata[part] for part in ("low", "high", "doc"))
        value, name = getattr(owner, field.name), f"{type(owner).__name__}.{field.name}"
        wanted = f"at least {low}" if high is None else f"at most {high}" if low is None else f"from {low} to {high}"
        limits = "" if low is None and high is None else f", {wanted}"
        good, kind = KINDS.get(field.type, (lambda value: True, ""))
        if not good(value):
            raise ConfigError(f"{name} = {shown(value)}", f"{kind}{limits}", doc)
        if (low is not None and not value >= low) or (high is not None and not value <= high):
            raise ConfigError(f"{name} = {value}", wanted, doc)


def hypers(kind: type) -> list[dataclasses.Field]:
    """The fields of a rule or a task that are hyper-parameters."""
    return [field for field in dataclasses.fields(kind) if "doc" in field.metadata]
