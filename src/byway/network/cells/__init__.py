"""Cells with a state, one file each, found by listing this folder; and the activations, which are
cells without one.
"""

import sys
from typing import Any

from byway.core.errors import ConfigError, unknown_name
from byway.core.given import shown
from byway.core.hyper import hypers
from byway.core.registry import Registry
from byway.network.activations import ACTIVATIONS
from byway.network.cell import Cell, StatefulCell

# What is said of a number that is on or off.
SAID = {"true": True, "false": False}
CELLS = Registry(sys.modules[__name__], StatefulCell)


def cell(given: str | Cell) -> Cell:
    """The cell or activation called so, or the one given. A cell's numbers may follow its name,
    "lif:tau=20,threshold=0.5"; the others are as they stand.

    Raises:
        UnknownNameError: there is none of that name, or no number of one; with the nearest ones.
        ConfigError: a number is none, or out of its range.
    """
    if isinstance(given, Cell):
        return given
    if not isinstance(given, str):
        raise ConfigError(
            f"a cell {shown(given)}",
            "a name, an activation or a cell",
            'for example "relu", or byway.cell("lif", tau=20.0)',
        )
    if given in ACTIVATIONS:
        return ACTIVATIONS[given]
    name, colon, numbers = given.partition(":")
    if name not in CELLS.ids():
        if colon and name in ACTIVATIONS:
            raise ConfigError(given, f"{name}: an activation has no numbers", "leave them out")
        raise unknown_name("cell", name, [*ACTIVATIONS, *CELLS.ids()])
    found: Any = CELLS.get(name)
    return found(**_numbers(given, found, numbers) if colon else {})


def _numbers(given: str, kind: type[StatefulCell], numbers: str) -> dict[str, Any]:
    """The numbers that follow the name of a cell, each of the type that it has by default."""
    known, found = {field.name: field.default for field in hypers(kind)}, dict[str, Any]()
    for one in numbers.split(","):
        name, _, text = one.partition("=")
        if name not in known:
            raise unknown_name(f"number of {given.partition(':')[0]}", name, known)
        default = known[name]
        try:
            found[name] = (
                SAID[text.lower()]
                if isinstance(default, bool)
                else type(default)(text)
                if isinstance(default, int | float)
                else text
            )
        except (KeyError, ValueError):
            wanted = "true or false" if isinstance(default, bool) else type(default).__name__
            raise ConfigError(
                f"{name} = {text!r} in {given!r}", wanted, f"{name} is {default} by default"
            ) from None
    return found
