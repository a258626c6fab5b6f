"""Any graph."""

import dataclasses
from collections.abc import Iterable, Mapping

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from byway.core.errors import ShapeError, unknown_name
from byway.core.given import (
    require,
)
from byway.network.builders.assembly import (
    Phi,
    Shape,
    as_shape,
    check_sizes,
    dense,
    drawn,
    placed,
)
from byway.network.network import Network
from byway.network.populations import Population
from byway.network.projections import Projection


def graph(
    sizes: Mapping[str, Shape],
    edges: Iterable[tuple[str, str] | Projection],
    *,
    input: str = "input",
    output: str = "output",
    activation: Phi | Mapping[str, Phi] = "relu",
    norm: bool = False,
    bias: bool = True,
    positions: Mapping[str, np.ndarray] | None = None,
    born: Mapping[str, int] | None = None,
    key: Key[Array, ""] | int = 0,
) -> Network:
    """Any directed graph; cycles and self-loops are allowed.

    Args:
        sizes: the populations, by name, upstream first: a size or a shape each.
        edges: (src, dst) pairs of population names, for a dense projection each; or projections of
            any kind.
        input: the population that inputs are clamped to.
        output: the population that predictions are read from; it is linear unless `activation`
            names it.
        activation: what the units of the hidden populations do, one for all or by name: an
            activation or a cell.
        norm: whether input and hidden populations send their activity divided by its root mean
            square.
        bias: whether the first projection into each population has a bias (a second one would only
            repeat it).
        positions: where the units of a population sit, by its name, "units 3" [um]; each population
            on a sheet of its own by default.
        born: how many units of a population there are when wiring is drawn, by its name, the first
            ones; the other places are for units that growth lets be born. All by default.
        key: draws the weights; a whole number is a seed.

    Raises:
        UnknownNameError: an edge, input or output that is not in `sizes`.
        ShapeError: positions that are not finite, coincide, or are of another number of units.
    """
    require(
        Mapping,
        "sizes",
        sizes,
        "the populations by name, with a size or a shape each",
        'for example {"input": 4, "output": 2}',
    )
    check_sizes(list(sizes.values()))
    populations = placed(
        list(sizes), [as_shape(s) for s in sizes.values()], activation, norm, input, output
    )
    populations = _moved(populations, positions or {}, born or {})
    return drawn(Network(populations, dense(populations, edges, bias), input, output), key)


def _moved(populations, positions, born) -> list[Population]:
    """The populations, those that `positions` names where it says, with the units that `born`
    says.
    """
    for name in (*positions, *born):
        if name not in (known := [p.name for p in populations]):
            raise unknown_name("population", name, known)
    moved = {name: np.asarray(a, np.float32) for name, a in positions.items()}
    for name, places in moved.items():
        if not np.all(np.isfinite(places)):
            raise ShapeError(
                f"positions of {name!r} that are not finite", "numbers [um]", "mend them"
            )
        if len(np.unique(places, axis=0)) < len(places):
            raise ShapeError(
                f"positions of {name!r} that coincide", "a place for each unit", "move some"
            )
    return [
        dataclasses.replace(
            p,
            position=jnp.asarray(moved[p.name]) if p.name in moved else p.position,
            born=born.get(p.name),
        )
        for p in populations
    ]
