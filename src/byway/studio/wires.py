"""The synapses of a projection as a flat list of entries: the weight of each, where it begins and
ends, and which are absent.
"""

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from typing_extensions import override

from byway.network.convolutions import Conv, LocallyConnected
from byway.network.fan_out import FanOut
from byway.network.network import Network
from byway.network.projections import Dense, Projection, Skip
from byway.network.sparse import FixedFanIn

# Weights without entries of their own are worked out for at most so many pairs of units.
MOST_PAIRS = 2**22


class Ends(NamedTuple):
    """Where synapses begin and end, as numbers in their populations.

    Attributes:
        src: the presynaptic units.
        dst: the postsynaptic units.
    """

    src: np.ndarray
    dst: np.ndarray


class Wires:
    """Abstract: the synapses of a projection as a flat list of entries; some may be absent.

    Args:
        p: the projection.
        units: how many units it joins, from and to.
    """

    def __init__(self, p: Projection, units: tuple[int, int]):
        self.units = units

    @abstractmethod
    def weights(self, p: Projection) -> Float[np.ndarray, " entries"]:
        """The weight of each entry."""

    @abstractmethod
    def ends(self, p: Projection, entry: np.ndarray) -> Ends:
        """Where some entries begin and end."""

    def absent(self, p: Projection) -> Bool[np.ndarray, " entries"] | None:
        """Which entries hold no synapse; None where all do."""
        return None


class AllPairs(Wires):
    """All pairs, row by row of the presynaptic units. Where a unit sends several numbers, or has
    several drives, the largest weight of a pair stands for all of them.
    """

    @override
    def weights(self, p):
        return strongest(host(p.weight), self.units).ravel()

    @override
    def ends(self, p, entry):
        return Ends(*np.divmod(entry, self.units[1]))


class _Sparse(Wires):
    """The slots of a fixed fan-in, row by row of the postsynaptic units."""

    @override
    def weights(self, p: Any):
        return host(p.weight).ravel()

    @override
    def ends(self, p: Any, entry):
        index = np.asarray(p.index)
        return Ends(index.ravel()[entry], entry // index.shape[1])

    @override
    def absent(self, p: Any):
        free = np.asarray(p.index).ravel() == self.units[0]
        return free if free.any() else None


class _BySource(Wires):
    """The synapses of a projection that only runs, sorted by source."""

    @override
    def weights(self, p: Any):
        return host(p.weight)

    @override
    def ends(self, p: Any, entry):
        first = np.asarray(p.first)
        src = np.searchsorted(first, entry, side="right") - 1
        return Ends(np.minimum(src, self.units[0] - 1), np.asarray(p.target)[entry])

    @override
    def absent(self, p: Any):
        count = int(np.asarray(p.first)[-1])
        return None if count == len(p.weight) else np.arange(len(p.weight)) >= count


class _Taps(Wires):
    """A convolution: what the units in the middle read, one of each map; with `everywhere`, what
    all units read.

    With mean pooling a unit reads the mean of several fields, each weighted by the same kernel.
    """

    def __init__(self, p: Conv, units: tuple[int, int], everywhere: bool = False):
        super().__init__(p, units)
        (height, width, channels), (rows, columns, maps) = p.src_shape, p.dst_shape
        places = (np.arange(rows), np.arange(columns))
        if not everywhere:
            places = places[0][[rows // 2]], places[1][[columns // 2]]
        taps = [
            _read(size, kernel, p, place)
            for size, kernel, place in zip((height, width), p.weight.shape[:2], places, strict=True)
        ]
        y, x = taps[0][:, None, :, None], taps[1][None, :, None, :]
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        at = np.where(inside, y * width + x, 0)[..., None, None] * channels
        shape = (*inside.shape, channels, maps)
        src = np.broadcast_to(at + np.arange(channels)[:, None], shape)
        place = places[0][:, None] * columns + places[1][None]
        dst = np.broadcast_to((place * maps)[:, :, None, None, None, None] + np.arange(maps), shape)
        self._inside = np.broadcast_to(inside[..., None, None], shape).ravel()
        self._ends = Ends(src.ravel(), dst.ravel())
        self._shape = shape

    @override
    def weights(self, p: Any):
        return np.broadcast_to(pooled(p), self._shape).ravel()

    @override
    def ends(self, p: Any, entry):
        return Ends(self._ends.src[entry], self._ends.dst[entry])

    @override
    def absent(self, p: Any):
        return None if self._inside.all() else ~self._inside


class _Fields(Wires):
    """Fields with weights of their own."""

    def __init__(self, p: LocallyConnected, units: tuple[int, int]):
        super().__init__(p, units)
        (height, width, channels), (rows, columns, fan, maps) = p.src_shape, p.weight.shape
        channel, row, column = np.indices((channels, p.kernel, p.kernel)).reshape(3, -1)
        first = [
            np.arange(count) * p.stride - _before(size, p.kernel, p.stride, p.padding)
            for size, count in ((height, rows), (width, columns))
        ]
        y, x = first[0][:, None, None] + row, first[1][None, :, None] + column
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        src = np.where(inside, (y * width + x) * channels + channel, 0)
        self._src = src.reshape(-1)
        self._outside = ~np.repeat(inside.reshape(-1), maps)
        self._sizes = fan, maps

    @override
    def weights(self, p):
        return host(p.weight).ravel()

    @override
    def ends(self, p, entry):
        fan, maps = self._sizes
        field, out = np.divmod(entry, maps)
        return Ends(self._src[field], field // fan * maps + out)

    @override
    def absent(self, p):
        return self._outside if self._outside.any() else None


class _OneToOne(Wires):
    """What brings units as they are: a weight of one each."""

    @override
    def weights(self, p):
        return np.ones(self.units[1], np.float32)

    @override
    def ends(self, p, entry):
        return Ends(entry, entry)


class _Matrix(AllPairs):
    """Any other linear map, such as a rotation: its matrix, worked out."""

    @override
    def weights(self, p):
        each = jnp.eye(math.prod(p.src_shape), dtype=p.weight.dtype)
        sent = p.forward(each.reshape(len(each), *p.src_shape)) - p.offset
        return strongest(host(sent).reshape(len(each), -1), self.units).ravel()


class _None(Wires):
    """No synapses: a bias alone, or too many pairs to work out."""

    @override
    def weights(self, p):
        return np.zeros(0, np.float32)

    @override
    def ends(self, p, entry):
        return Ends(entry, entry)


def wires(net: Network, p: Projection, everywhere: bool = False) -> Wires:
    """How the synapses of a projection are listed.

    Args:
        net: its network.
        p: the projection; of its arrays only the shapes matter.
        everywhere: whether those of a convolution are listed at all places, and not in the middle.
    """
    units = net[p.src].size, net[p.dst].size
    if isinstance(p, Conv):
        return _Taps(p, units, everywhere)
    for kind, listed in LISTED.items():
        if isinstance(p, kind):
            return listed(p, units)
    pairs = math.prod(p.src_shape) * math.prod(p.dst_shape)
    return _Matrix(p, units) if p.weight is not None and pairs <= MOST_PAIRS else _None(p, units)


LISTED: Mapping[type[Projection], Any] = {
    Dense: AllPairs,
    FixedFanIn: _Sparse,
    FanOut: _BySource,
    LocallyConnected: _Fields,
    Skip: _OneToOne,
}


def host(a: Array | np.ndarray) -> np.ndarray:
    """An array in NumPy, which has no functions for some types of half precision."""
    held = np.asarray(a)
    return held.astype(np.float32) if held.dtype.itemsize < 4 else held


def strongest(weight: Float[np.ndarray, "sent driven"], units: tuple[int, int]) -> np.ndarray:
    """A matrix with a row for each presynaptic unit and a column for each postsynaptic one, where a
    unit may send several numbers or have several drives: of the weights of a pair the largest.
    """
    if weight.shape == units:
        return weight
    parts = weight.reshape(-1, units[0], weight.shape[1] // units[1], units[1])
    parts = parts.transpose(0, 2, 1, 3).reshape(-1, *units)
    best = np.argmax(np.abs(parts), 0)
    return np.take_along_axis(parts, best[None], 0)[0]


def pooled(p: Conv) -> Float[np.ndarray, "height width in out"]:
    """The kernel by which a unit behind pooling reads: the mean of those in its window."""
    weight = host(p.weight)
    if p.pool == 1:
        return weight
    wide = (p.pool - 1) * p.stride
    out = np.zeros(
        (weight.shape[0] + wide, weight.shape[1] + wide, *weight.shape[2:]), weight.dtype
    )
    for i in range(p.pool):
        for j in range(p.pool):
            rows, columns = (
                slice(k * p.stride, k * p.stride + n)
                for k, n in ((i, weight.shape[0]), (j, weight.shape[1]))
            )
            out[rows, columns] += weight / p.pool**2
    return out


def _read(size: int, kernel: int, p: Conv, place: np.ndarray) -> np.ndarray:
    """Which rows (or columns) of `src` the units at some places read, "places taps"."""
    first = place * p.pool * p.stride - _before(size, kernel, p.stride, p.padding)
    return first[:, None] + np.arange(kernel + (p.pool - 1) * p.stride)


def _before(size: int, kernel: int, stride: int, padding: str) -> int:
    """How many rows of zeros a convolution puts in front of the first."""
    if padding == "VALID":
        return 0
    return max((math.ceil(size / stride) - 1) * stride + kernel - size, 0) // 2
