"""Networks in space: units with places between an input and an output surface, wired by distance.

A region of space is a population, so what is near and what is far stays visible to rules, to the
audit and to growth.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Key
from scipy import spatial

from byway.core.errors import ConfigError, ShapeError, look_up
from byway.core.given import is_number, is_whole, require_whole, shown
from byway.network.builders import graph
from byway.network.builders.assembly import Phi, Shape, as_shape, placed
from byway.network.network import Network
from byway.network.space import sheet
from byway.network.sparse import DRAWN, FixedFanIn

# The side of the cube that holds all units, and the length over which synapses become rare [um].
SIDE, REACH = 400.0, 80.0


def _ball(draw: np.random.Generator, units: int) -> np.ndarray:
    """Uniform in a ball as wide as the cube."""
    way = draw.normal(size=(units, 3))
    radius = draw.uniform(size=(units, 1)) ** (1 / 3)
    return 0.5 + 0.5 * radius * way / np.linalg.norm(way, axis=1, keepdims=True)


def _plane(draw: np.random.Generator, units: int) -> np.ndarray:
    """Uniform on a plane across the middle, which stands on the input surface."""
    places = draw.uniform(size=(units, 3))
    places[:, 1] = 0.5
    return places


FORMS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "volume": lambda draw, units: draw.uniform(size=(units, 3)),
    "ball": _ball,
    "sheet": _plane,
}


def grownet(
    inputs: Shape,
    units: int,
    outputs: Shape,
    *,
    regions: int = 4,
    form: str = "volume",
    fan_in: int = 32,
    spare: int = 0,
    born: float = 1.0,
    reach: float = REACH,
    cycles: bool = False,
    speed: float | None = None,
    own_delays: bool = False,
    readout_from: Sequence[int] | None = None,
    activation: Phi = "relu",
    norm: bool = False,
    bias: bool = True,
    key: Key[Array, ""] | int = 0,
) -> Network:
    """Units in a cube of 400 um between an input and an output surface, each of which reads a few
    others, near ones most likely.

    Units are drawn evenly in space and cut across into regions of as many units each, from the
    input's side to the output's; a region is a population. How many of a unit's synapses come from
    which region is what the odds exp(-d / reach) give its region on average; which units they come
    from is drawn for each unit by those odds, for each seed anew.

    Args:
        inputs: the input, a size or a shape; on the lower surface.
        units: how many units there are between.
        outputs: the output; on the upper surface. Each reads all units of some regions.
        regions: into how many regions the units are cut.
        form: "volume" for the whole cube, "ball", or "sheet" for a plane that stands between the
            surfaces.
        fan_in: how many synapses each unit has.
        spare: how many free slots more each has, into which it can grow; less where there are not
            as many others to read.
        born: the share of units of each region that there are at the start; the other places are
            empty until a growth policy lets units be born.
        reach: lambda, the length over which the odds of a synapse fall by e [um]; infinite for the
            same odds at any distance.
        cycles: whether regions read themselves and those beyond them too, not only those before.
        speed: of conduction [um a time step]: a projection is late by what its synapses take on
            average, a step at least. None for no delays but those of cycles.
        own_delays: whether each synapse is late by what it takes itself, a step at least; then each
            projection brings what was sent in all steps up to its longest delay, and memory and
            time grow with that.
        readout_from: which regions the output reads, as indices from 0; all by default.
        activation: what units do, an activation or a cell; the output is linear.
        norm: whether input and units send their activity divided by its root mean square.
        bias: whether units have a bias.
        key: draws places and weights; a whole number is a seed.

    Raises:
        ShapeError: fewer units than regions, more synapses for a unit than there are others to
            read, or so few that no unit would read the input.
        UnknownNameError: a form that there is not.
        ConfigError: a reach or a speed that is no length, delays without one, no unit at the start,
            or a region to read that there is not.
    """
    require_whole("units", units, 1)
    require_whole("regions", regions, 1)
    require_whole("fan_in", fan_in, 1)
    require_whole("spare", spare, 0)
    for name, value in (("reach", reach), ("speed", math.inf if speed is None else speed)):
        if not (value == math.inf or (is_number(value) and value > 0)):
            raise ConfigError(
                f"{name} = {shown(value)}", "a length above 0 [um]", f"leave {name} out"
            )
    if own_delays and speed is None:
        raise ConfigError(
            "delays of each synapse's own and no speed",
            "the speed of conduction too [um a time step]",
            "give speed, or leave own_delays out",
        )
    if not (is_number(born) and 0 < born <= 1):
        raise ConfigError(f"born = {shown(born)}", "a share, above 0 and up to 1", "leave born out")
    read = tuple(range(regions) if readout_from is None else readout_from)
    if (
        not read
        or len({*read}) < len(read)
        or not all(is_whole(i) and 0 <= i < regions for i in read)
    ):
        raise ConfigError(
            f"readout_from = {shown(read)}",
            f"regions, from 0 to {regions - 1}, each once",
            "leave it out for all of them",
        )
    if units < regions:
        raise ShapeError(
            f"{units} units in {regions} regions", "one in each at least", "use fewer regions"
        )
    names = [f"region{i}" for i in range(1, regions + 1)]
    draw = _generator(key)
    places = look_up("form", form, FORMS)(draw, units) * SIDE
    layers = np.array_split(places[np.argsort(places[:, 2], kind="stable")], regions)
    if born < 1:  # those that there are at first lie anywhere in their region
        layers = [draw.permutation(layer) for layer in layers]
    positions = {
        "input": _surface(as_shape(inputs), 0.0),
        **dict(zip(names, layers, strict=True)),
        "output": _surface(as_shape(outputs), SIDE),
    }
    sizes = {"input": inputs, **{n: len(positions[n]) for n in names}, "output": outputs}
    first = {n: math.ceil(born * len(positions[n])) for n in names} if born < 1 else {}
    populations = {
        p.name: p
        for p in placed(list(sizes), [as_shape(s) for s in sizes.values()], activation, norm)
    }
    edges = []
    for i, dst in enumerate(names):
        before = ["input", *(names if cycles else names[:i])]
        odds = [
            _odds(positions[dst], positions[src], reach, src == dst, first.get(src))
            for src in before
        ]
        counts = _shares(odds, fan_in)
        if sum(counts) < fan_in:
            raise ShapeError(
                f"{fan_in} synapses for each unit of {dst}",
                f"at most {sum(counts)}, which is all that it can read",
                "lower fan_in",
            )
        into = [one for one in zip(before, counts, odds, strict=True) if one[1]]
        edges += [
            FixedFanIn.between(
                populations[src],
                populations[dst],
                count,
                bias=bias and src == into[0][0],
                spare=min(round(spare * count / fan_in), chance.most - count),
                reach=reach,
                among=fan_in,
                **_late(speed, own_delays, chance),
            )
            for src, count, chance in into
        ]
    if not any(edge.src == "input" for edge in edges):
        raise ShapeError(
            f"{positions['input'].shape[0]} inputs among {units} units, of which {fan_in} are read",
            "a share of a unit's synapses for the input",
            "raise fan_in or reach, or take fewer units",
        )
    edges += [(names[i], "output") for i in read]
    return graph(
        sizes,
        edges,
        activation=activation,
        norm=norm,
        bias=bias,
        positions=positions,
        born=first,
        key=key,
    )


def _generator(key) -> np.random.Generator:
    """What places are drawn by."""
    return np.random.default_rng(key if is_whole(key) else np.asarray(jax.random.key_data(key)))


def _surface(shape: tuple[int, ...], height: float) -> np.ndarray:
    """Places on a sheet across the cube, at some height."""
    places = sheet(shape, 0)[:, :2]
    width = max(np.ptp(places, axis=0).max(), 1.0)
    return np.column_stack([SIDE / 2 + places * SIDE / width, np.full(len(places), height)])


def _late(speed: float | None, own: bool, chance: "_Odds") -> dict[str, Any]:
    """What makes a projection late, and its synapses by their own lengths."""
    if speed is None:
        return {}
    steps = max(1, math.ceil((chance.longest if own else chance.far) / speed))
    return {"delay": steps, "speed": speed} if own and steps > 1 else {"delay": steps}


class _Odds(NamedTuple):
    """The odds exp(-d / reach) of all pairs of two populations.

    Attributes:
        mass: the sum of them.
        most: how many units each has to read, at least.
        far: how far they are on average over their odds [um].
        longest: how far the ends of a synapse may be, at most [um].
    """

    mass: float
    most: int
    far: float
    longest: float


def _odds(here: np.ndarray, there: np.ndarray, reach: float, same: bool, born: int | None) -> _Odds:
    """Those of units with others; none of a unit with itself, or with one that is not born.

    Of more than `DRAWN` pairs those of some units are looked at, from end to end.
    """
    rows = np.arange(0, len(here), math.ceil(len(here) * len(there) / DRAWN))
    apart = spatial.distance.cdist(here[rows], there)
    odds = np.exp(-apart / reach)
    odds[:, len(there) if born is None else born :] = 0
    if same:
        odds[np.arange(len(rows)), rows] = 0
    apart *= odds
    mass = odds.sum()
    far = apart.sum() / mass if mass else 0.0
    # Across the box around both.
    both = np.concatenate([here, there])
    longest = float(np.linalg.norm(np.ptp(both, axis=0)))
    return _Odds(mass * len(here) / len(rows), int(np.sum(odds > 0, 1).min()), far, longest)


def _shares(odds: list[_Odds], fan_in: int) -> list[int]:
    """How many of a unit's synapses come from each source, by the odds of all pairs: largest
    remainders, and at most as many as every unit has to choose from.
    """
    most, weight = np.array([one.most for one in odds]), np.array([one.mass for one in odds])
    share = np.zeros(len(odds))
    # What one source has no units for goes to the others.
    while (left := fan_in - share.sum()) > 1e-9 and np.any(room := share < most):
        share = np.minimum(share + left * np.where(room, weight, 0) / weight[room].sum(), most)
    counts = np.floor(share + 1e-9).astype(int)
    order = np.argsort(counts - share, kind="stable")
    counts[order[: round(share.sum()) - counts.sum()]] += 1
    return counts.tolist()
