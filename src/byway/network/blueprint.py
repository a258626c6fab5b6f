"""A network as plain values, from which it can be built again elsewhere: what its populations and
projections are, and beside it its arrays by name.

Arrays are called PROJECTION.PART, "input-hidden1.weight" for example, and "position/POPULATION".
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from byway.core.errors import ConfigError
from byway.core.hyper import hypers
from byway.network.activations import ACTIVATIONS, Activation, Leak, Levels, leaky_relu, quantised
from byway.network.blocks import BlockFanIn
from byway.network.cell import Cell
from byway.network.cells import CELLS
from byway.network.convolutions import Conv, LocallyConnected
from byway.network.network import Network
from byway.network.orthogonal import Orthogonal
from byway.network.populations import Population
from byway.network.projections import Dense, Offset, Projection, Skip
from byway.network.sparse import FixedFanIn

# The projections that can be built again.
KINDS: dict[str, type[Projection]] = {
    kind.__name__: kind
    for kind in (Dense, Conv, LocallyConnected, FixedFanIn, BlockFanIn, Skip, Offset, Orthogonal)
}
PLAIN = str | int | float | bool | None


def arrays_of(net: Network) -> dict[str, jax.Array]:
    """Every array of a network by name."""
    held = [*net.theta.items(), *net.structure.items()]
    named = {f"{name}.{part}": a for name, parts in held for part, a in parts.items()}
    return named | {f"position/{p.name}": p.position for p in net.populations}


def filled(net: Network, arrays: Mapping[str, Any]) -> Network:
    """The network with these weights and this wiring; positions are left as they are."""

    def of(tree: dict[str, dict[str, jax.Array]]) -> dict[str, dict[str, jax.Array]]:
        return {
            name: {part: jnp.asarray(arrays[f"{name}.{part}"]) for part in parts}
            for name, parts in tree.items()
        }

    return net.with_theta(of(net.theta)).with_structure(of(net.structure)).as_learnt()


def blueprint(net: Network) -> dict[str, Any]:
    """What a network is, without its arrays.

    Raises:
        ConfigError: it has parts that are Python code: a projection of one's own or of Equinox, an
            activation of one's own, a black box.
    """
    return {
        "input": net.input,
        "output": net.output,
        "populations": [
            {"name": p.name, "shape": list(p.shape), "norm": p.norm, "cell": _cell(p.cell)}
            | ({} if p.born is None else {"born": p.born})
            for p in net.populations
        ],
        "projections": [_projection(p) for p in net.projections],
    }


def built(held: Mapping[str, Any], arrays: Mapping[str, Any]) -> Network:
    """The network of a blueprint with its arrays.

    Raises:
        ConfigError: a cell or a kind of projection that is not known here.
        BywayError, LookupError, TypeError, ValueError: it is no blueprint, or of other arrays.
    """
    populations = [
        Population(
            str(one["name"]),
            tuple(int(n) for n in one["shape"]),
            _cell_of(one["cell"]),
            bool(one["norm"]),
            jnp.asarray(arrays[f"position/{one['name']}"]),
            one.get("born"),
        )
        for one in held["populations"]
    ]
    projections = [_projection_of(one, arrays) for one in held["projections"]]
    return Network(populations, projections, str(held["input"]), str(held["output"]), learnt=True)


def _projection(projection: Projection) -> dict[str, Any]:
    kind = type(projection)
    if KINDS.get(kind.__name__) is not kind:
        raise _code(f"{projection.name}, a {kind.__name__}")
    fixed = {field.name for field in dataclasses.fields(kind) if field.metadata.get("static")}
    values = {name: getattr(projection, name) for name in sorted(fixed)}
    parts = [*projection.theta, *projection.structure]
    plain = {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
    return {"kind": kind.__name__, "name": projection.name, "arrays": parts, **plain}


def _projection_of(held: Mapping[str, Any], arrays: Mapping[str, Any]) -> Projection:
    if held["kind"] not in KINDS:
        raise ConfigError(
            f"a projection of the kind {held['kind']!r}",
            f"one of {', '.join(KINDS)}",
            "read it with the Byway that wrote it, or a later one",
        )
    kind = KINDS[held["kind"]]
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}
    made: dict[str, Any] = {}
    for name, field in fields.items():
        if field.metadata.get("static"):
            if name in held:
                value = held[name]
                made[name] = tuple(value) if isinstance(value, list) else value
        else:
            there = name in held["arrays"]
            made[name] = jnp.asarray(arrays[f"{held['name']}.{name}"]) if there else None
    return kind(**made)


def _cell(cell: Cell) -> dict[str, Any]:
    if isinstance(cell, Activation):
        if isinstance(cell.phi, Levels):
            return {"name": cell.name, "settings": cell.phi._asdict()}
        if isinstance(cell.phi, Leak):
            return {"name": cell.name, "settings": {"negative_slope": cell.phi.below}}
        known = ACTIVATIONS.get(cell.name)
        if known is None or (known.phi, known.slope) != (cell.phi, cell.slope):
            raise _code(f"the activation {cell.name!r}")
        return {"name": cell.name, "settings": {}}
    if cell.name not in CELLS.ids() or CELLS.get(cell.name) is not type(cell):
        raise _code(f"the cell {cell.name!r}")
    values = {field.name: getattr(cell, field.name) for field in hypers(type(cell))}
    settings = {k: _cell(v) if isinstance(v, Cell) else v for k, v in values.items()}
    for name, value in settings.items():
        if not isinstance(value, PLAIN | dict):
            raise _code(f"the cell {cell.name!r} with {name} = {value}")
    return {"name": cell.name, "settings": settings}


def _cell_of(held: Mapping[str, Any]) -> Cell:
    name, settings = held["name"], dict(held["settings"])
    if name == "quantised":
        return quantised(**settings)
    if name == "leaky_relu":
        return leaky_relu(**settings)
    if name in ACTIVATIONS:
        return ACTIVATIONS[name]
    if name not in CELLS.ids():  # `get` would run a file that is named
        raise ConfigError(
            f"a cell called {name!r}, which is not known here",
            f"one of {', '.join([*ACTIVATIONS, *CELLS.ids()])}",
            "import the module that defines it and give it to byway.register, then read it again",
        )
    made = {k: _cell_of(v) if isinstance(v, Mapping) else v for k, v in settings.items()}
    cell: Any = CELLS.get(name)
    return cell(**made)


def _code(part: str) -> ConfigError:
    return ConfigError(
        f"{part}, which is Python code of one's own",
        "projections, activations and cells that Byway knows by name",
        "write the code where the network is to be used, and hand the network over beside the file",
    )
