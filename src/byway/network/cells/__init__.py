"""Cells with a state, one file each, found by listing this folder; and the activations, which are
cells without one.
"""

import sys
from typing import Any

from byway.core.errors import ConfigError, unknown_name
from byway.core.given import shown
from byway.core.registry import Registry
from byway.network.activations import ACTIVATIONS
from byway.network.cell import Cell, StatefulCell

CELLS = Registry(sys.modules[__name__], StatefulCell)


def cell(given: str | Cell) -> Cell:
    """The cell or activation called so, with its numbers as they stand, or the one given; an
    unknown name raises, with the nearest ones.
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
    if given not in CELLS.ids():
        raise unknown_name("cell", given, [*ACTIVATIONS, *CELLS.ids()])
    found: Any = CELLS.get(given)
    return found()
