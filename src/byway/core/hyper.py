"""Hyper-parameters: fields that become flags, config keys and rows in the docs."""

import dataclasses
from typing import Any

import equinox as eqx

from byway.core.errors import ConfigError


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
    """Raise `ConfigError` where a hyper-parameter of `owner` lies outside its range."""
    for field in dataclasses.fields(owner):
        low, high = field.metadata.get("low"), field.metadata.get("high")
        value = getattr(owner, field.name)
        if (low is not None and not value >= low) or (high is not None and not value <= high):
            wanted = f"at least {low}" if high is None else f"at most {high}" if low is None else f"from {low} to {high}"
            raise ConfigError(f"{type(owner).__name__}.{field.name} = {value}", wanted, field.metadata["doc"])
