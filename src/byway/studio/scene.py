"""The scene: the units of a network as one list, and where each is drawn.

A network whose units were given places keeps them. Others, of which a builder has put each
population on the same axis, are laid out: by how many projections a population is from the input, z
grows; what stands side by side, as the two streams of a revnet, does so along x. Images keep their
grid, feature map by feature map; a population that projects to itself is a ball, so that its
synapses have room inside; other units are a disc, and outputs a row.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt8

from byway.network.network import Network
from byway.network.populations import Population
from byway.network.projections import Projection, Skip
from byway.network.segments import CODE
from byway.network.space import LAYER_PITCH, UNIT_PITCH, sheet
from byway.network.sparse import FixedFanIn

# Units in a row at most, its length, how far apart they are at most, and how far those of a ball
# [um]; feature maps that are drawn as one row, at most; and units that gaps between them are wide.
ROW, SPAN, WIDE, ROOMY, MAPS, BETWEEN = 32, 220.0, 40.0, 16.0, 4, 2
# Between two layers so much of the wider one's width, or LAYER_PITCH; in networks of more layers
# than this so far, and no further; and between what stands side by side [um].
GAP, DEEP, NEAR, ASIDE = 0.5, 10, 35.0, 60.0
# The angle by which each unit of a disc or a ball is turned from the one before.
GOLDEN = math.pi * (3 - math.sqrt(5))

Places = Float[np.ndarray, "units 3"]


class Placed(NamedTuple):
    """A population of the scene.

    Attributes:
        name: its own.
        start: the number of its first unit among all.
        count: how many units it has.
        shape: their shape.
        role: input, hidden or output.
    """

    name: str
    start: int
    count: int
    shape: tuple[int, ...]
    role: str


@dataclasses.dataclass(frozen=True, eq=False)
class _Laid:
    """Where a population is drawn.

    Attributes:
        places: of its units, at first [um].
        own: its own positions then [um].
        sign: by which way of its own a unit moves, as it is drawn.
    """

    places: np.ndarray
    own: np.ndarray
    sign: np.ndarray


Seen = tuple[Places, UInt8[np.ndarray, " units"]]


class Scene:
    """The units of a network, counted over all populations in order.

    Args:
        net: the network; shapes and positions are taken of it, not its weights.

    Attributes:
        populations: in the order of `net.populations`.
        size: how many units there are in all.
        hidden: which of them are hidden ones.
    """

    def __init__(self, net: Network):
        made, at = [], 0
        for p in net.populations:
            role = {net.input: "input", net.output: "output"}.get(p.name, "hidden")
            made.append(Placed(p.name, at, p.size, p.shape, role))
            at += p.size
        self.populations: tuple[Placed, ...] = tuple(made)
        self.size: int = at
        roles = [np.full(p.count, p.role == "hidden") for p in made]
        self.hidden: Bool[np.ndarray, " units"] = np.concatenate(roles)
        self._numbers = {p.name: i for i, p in enumerate(made)}
        self._projections = [self._said(net, p) for p in net.projections]
        self._laid = _laid_out(net)
        self._drawn: tuple[list[np.ndarray], Seen] | None = None

    def head(self) -> dict[str, Any]:
        """Populations and projections in plain values, as the frame `scene` has them."""
        populations = [{**p._asdict(), "shape": list(p.shape)} for p in self.populations]
        return {"populations": populations, "projections": self._projections}

    def number(self, name: str) -> int:
        """Which of the populations is called so, from 0."""
        return self._numbers[name]

    def units(self, name: str) -> slice:
        """The units of a population."""
        p = self.populations[self._numbers[name]]
        return slice(p.start, p.start + p.count)

    def flat(self, name: str, index: int) -> int:
        """The number of a unit, of its population and its number in it, counted flat."""
        return self.populations[self._numbers[name]].start + index

    def where(self, unit: int) -> tuple[str, int]:
        """The population of a unit, and its number in it, counted flat."""
        p = next(p for p in self.populations if unit < p.start + p.count)
        return p.name, unit - p.start

    def places(self, net: Network) -> Seen:
        """Where each unit is drawn [um], and whether it exists: a place may be empty. Units that
        moved since the scene was made are drawn as far away. As long as none moves, is born or
        goes, the very same arrays.

        Args:
            net: the network as it is now.
        """
        there = [alive(net, p.name) for p in net.populations]
        given = [np.asarray(p.position) for p in net.populations] + there
        if self._drawn is not None and all(map(np.array_equal, given, self._drawn[0])):
            return self._drawn[1]
        drawn = []
        for p in net.populations:
            laid = self._laid[p.name]
            drawn.append(laid.places + laid.sign * (np.asarray(p.position) - laid.own))
        exists = np.concatenate(there).astype(np.uint8)
        places = np.concatenate(drawn).astype(np.float32), exists
        self._drawn = given, places
        return places

    def within(
        self, net: Network, centre: Float[np.ndarray, "3"], radius: float
    ) -> Bool[np.ndarray, " units"]:
        """Which hidden units there are in a ball.

        Args:
            net: the network as it is now.
            centre: of the ball, where units are drawn [um].
            radius: of the ball [um].
        """
        places, exists = self.places(net)
        away = np.linalg.norm(places - np.asarray(centre), axis=1)
        return self.hidden & (exists > 0) & (away <= radius)

    def _said(self, net: Network, p: Projection) -> dict[str, Any]:
        return {
            "name": p.name,
            "src": self._numbers[p.src],
            "dst": self._numbers[p.dst],
            "kind": KINDS.get(type(p).__name__, type(p).__name__.lower()),
            "recurrent": p.name in net.recurrent,
            "weights": weights(p),
        }


# What a reader is told of a projection, by its class.
KINDS: Mapping[str, str] = {
    "Dense": "dense",
    "FixedFanIn": "sparse",
    "FanOut": "sparse",
    "BlockFanIn": "sparse",
    "Conv": "convolution",
    "LocallyConnected": "local",
    "Skip": "one to one",
    "Offset": "bias",
    "Orthogonal": "rotation",
}


def weights(p: Projection) -> int:
    """How many weights a projection has: of one with a fixed fan-in, how many synapses."""
    if isinstance(p, FixedFanIn):
        return int(np.count_nonzero(np.asarray(p.index) < p.sources))
    return 0 if p.weight is None else math.prod(p.weight.shape)


def alive(net: Network, name: str) -> Bool[np.ndarray, " units"]:
    """`Network.alive` in NumPy, which asks nothing of a device that may be busy; of the input, all
    units.
    """
    there = np.zeros(net[name].size, bool)
    into = () if name == net.input else net.incoming(name)
    for p in into:
        if not isinstance(p, FixedFanIn):
            return np.ones_like(there)
        there |= (np.asarray(p.index) < p.sources).any(1)
    return there if into else np.ones_like(there)


def _laid_out(net: Network) -> dict[str, _Laid]:
    own = {p.name: np.asarray(p.position, float) for p in net.populations}
    same = np.ones(3)
    if any(_as_built(p) for p in net.populations[1:]) or _coincide(own):
        places = _layers(net)
        return {name: _Laid(places[name], own[name], same) for name in own}
    # An image is the right way up where its rows go down: the scene is drawn as in a mirror if not.
    image = net[net.input]
    every = np.concatenate(list(own.values()))
    if len(image.shape) < 3 or not _rows_go_up(image):
        return {name: _Laid(a, a, same) for name, a in own.items()}
    sign, middle = np.array([1.0, -1.0, 1.0]), every[:, 1].min() + every[:, 1].max()
    shift = np.array([0.0, middle, 0.0])
    return {name: _Laid(sign * a + shift, a, sign) for name, a in own.items()}


def _as_built(p: Population) -> bool:
    """Whether its units are where a builder puts those that have no places."""
    at = np.asarray(p.position, float)
    flat = sheet(p.shape, 0)
    return bool(np.allclose(at[:, :2], flat[:, :2]) and np.allclose(at[:, 2], at[0, 2]))


def _coincide(own: Mapping[str, np.ndarray]) -> bool:
    every = np.round(np.concatenate(list(own.values())), 3)
    return len(np.unique(every, axis=0)) < len(every)


def _rows_go_up(image: Population) -> bool:
    row = np.indices(image.shape)[0].ravel()
    y = np.asarray(image.position, float)[:, 1]
    return bool(np.sum((row - row.mean()) * (y - y.mean())) > 0)


def _layers(net: Network) -> dict[str, np.ndarray]:
    """Places of all units, by population."""
    rank, lane = _ranks(net), _lanes(net)
    shapes = {p.name: _shape(net, p) for p in net.populations}
    width = {name: np.ptp(a, axis=0) for name, a in shapes.items()}
    places, z, before = {}, 0.0, None
    deep = max(rank.values()) > DEEP
    for now in sorted(set(rank.values())):
        here = [name for name, r in rank.items() if r == now]
        across = max(float(width[name][:2].max()) for name in here)
        deepest = max(float(width[name][2]) for name in here)
        if before is not None:
            wide, half = before
            apart = NEAR if deep else max(LAYER_PITCH, GAP * max(wide, across))
            z += half + apart + deepest / 2
        before = across, deepest / 2
        for line in sorted({lane[name] for name in here}):
            beside = [name for name in here if lane[name] == line]
            spans = [float(width[name][0]) for name in beside]
            x = -(sum(spans) + ASIDE * (len(spans) - 1)) / 2
            for name, span in zip(beside, spans, strict=True):
                offset = np.array([x + span / 2, 0.0, z])
                places[name] = shapes[name] + offset
                x += span + ASIDE
    # Lanes are as far apart as what stands in them is wide, over all the depth.
    most = max((float(width[p.name][0]) for p in net.hidden), default=0.0)
    for name, a in places.items():
        a[:, 0] += lane[name] * (most + ASIDE)
    return places


def _ranks(net: Network) -> dict[str, int]:
    """How many projections each population is from the input, by the longest way that does not go
    backwards; populations that drive one another and read the same stand side by side, and the
    output stands alone at the end.
    """
    place = net.topology.place
    before = {
        p.name: {e.src for e in net.incoming(p.name) if place[e.src] < place[p.name]}
        for p in net.populations
    }
    pairs = {(e.src, e.dst) for e in net.projections}
    rank: dict[str, int] = {}
    for p in net.populations:
        name = p.name
        rank[name] = 1 + max((rank[src] for src in before[name]), default=-1)
        for other in before[name]:
            if (name, other) in pairs and before[name] - {other} == before[other]:
                rank[name] = rank[other]
    rest = [r for name, r in rank.items() if name != net.output]
    rank[net.output] = 1 + max(rest)
    return rank


def _lanes(net: Network) -> dict[str, float]:
    """How far each population is aside, in lanes: streams, which go on by skips, have one each, and
    codes stand beside what they are between.
    """
    stream: dict[str, int] = {}
    for e in net.projections:
        if isinstance(e, Skip) and e.units is None and e.src != net.input:
            known = stream.get(e.src, stream.get(e.dst, len(set(stream.values()))))
            stream |= {e.src: known, e.dst: known}
    count = len(set(stream.values()))
    lane = {}
    for p in net.populations:
        name = p.name
        if name in (net.input, net.output):
            lane[name] = 0.0
        elif name in stream:
            lane[name] = stream[name] - (count - 1) / 2
        elif p.cell.name == CODE:
            lane[name] = 0.75
        else:  # beside a stream that is alone, between those that are several
            lane[name] = 1.0 if count == 1 else 0.5 if count % 2 and count else 0.0
    return lane


def _shape(net: Network, p: Population) -> np.ndarray:
    """The units of a population around the origin, "units 3" [um]."""
    if len(p.shape) == 3:
        return _maps(p.shape)
    units = np.arange(p.size)
    if (p.name == net.output or p.cell.name == CODE) and p.size <= ROW:
        apart = min(WIDE, max(UNIT_PITCH, SPAN / p.size))
        x = (units - (p.size - 1) / 2) * apart
        return np.stack([x, np.zeros_like(x), np.zeros_like(x)], 1)
    if p.name == net.input or len(p.shape) == 2:
        return _grid(p)
    angle = units * GOLDEN
    if any(e.src == p.name for e in net.incoming(p.name)):
        radius = ROOMY * math.sqrt(p.size / (4 * math.pi))
        z = 1 - (2 * units + 1) / p.size
        out = np.sqrt(1 - z**2)
        return radius * np.stack([out * np.cos(angle), out * np.sin(angle), z], 1)
    radius = UNIT_PITCH * np.sqrt((units + 0.5) / math.pi)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), np.zeros(p.size)], 1)


def _grid(p: Population) -> np.ndarray:
    """Rows from above, the first at the top; of a shape that is given, else as square as can be."""
    columns = p.shape[1] if len(p.shape) == 2 else math.ceil(math.sqrt(p.size))
    row, column = np.divmod(np.arange(p.size), columns)
    return _centred(column, row)


def _maps(shape: tuple[int, ...]) -> np.ndarray:
    """The maps of an image side by side, each a sheet with its first row at the top."""
    height, width, channels = shape
    side = channels if channels <= MAPS else math.ceil(math.sqrt(channels))
    row, column, channel = np.indices(shape).reshape(3, -1)
    return _centred(
        column + (channel % side) * (width + BETWEEN),
        row + (channel // side) * (height + BETWEEN),
    )


def _centred(column: np.ndarray, row: np.ndarray) -> np.ndarray:
    x, y = column - column.max() / 2, row.max() / 2 - row
    return np.stack([x, y, np.zeros(len(x))], 1) * UNIT_PITCH
