"""A network as subtasks: the parts that lie between its codes, each a network of its own.

A code is a population of "code" units, linear ones. Each segment ends at a code or at the output,
and begins at the input or at the codes that it reads; what it holds in between learns from nothing
beyond its end. So a chain of codes is a chain of subtasks, and a graph of codes a graph of them.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from byway.core.errors import RuleError
from byway.network.activations import ACTIVATIONS
from byway.network.network import Network
from byway.network.populations import Population
from byway.network.projections import Dense, Projection

CODE, IDENTITY = "code", ACTIVATIONS["identity"]
# Where a segment reads several populations, they are the parts of one input.
JOINED = "joined"

Theta = dict[str, dict[str, Array]]


class Segment(NamedTuple):
    """One subtask.

    Attributes:
        net: its network. Where it reads several populations, its input is all of them in a row, and
            what leaves one of them has no weights from the others: zeros stand for them.
        starts: what it reads: the input of the whole, or codes.
        end: the population that it is to say: a code, or the output of the whole.
        rows: by the name of a projection of the whole that leaves a start, its name here, and which
            of its weights "pre post" are its own; empty where there is one start.
    """

    net: Network
    starts: tuple[str, ...]
    end: str
    rows: Mapping[str, tuple[str, slice]]

    def reads(self, said: Mapping[str, Array]) -> Float[Array, "batch *inputs"]:
        """Its input, of what each population says, by name."""
        if len(self.starts) == 1:
            return said[self.starts[0]]
        return jnp.concatenate([said[s].reshape(len(said[s]), -1) for s in self.starts], 1)

    def parted(self, read: Float[Array, "batch *inputs"]) -> dict[str, Float[Array, "batch units"]]:
        """What belongs to each start, of something shaped like its input."""
        if len(self.starts) == 1:
            return {self.starts[0]: read}
        sizes = [rows.stop - rows.start for rows in _places(self.net, self.rows).values()]
        edges = [sum(sizes[: i + 1]) for i in range(len(sizes) - 1)]
        return dict(zip(self.starts, jnp.split(read, edges, 1), strict=True))

    def whole(self, theta: Theta) -> Theta:
        """Weights, or updates, of this network under their names in the whole."""
        names = {inner: name for name, (inner, _) in self.rows.items()}
        found = {}
        for inner, parts in theta.items():
            name = names.get(inner, inner)
            rows = self.rows[name][1] if name in self.rows else slice(None)
            found[name] = {
                k: a[rows] if k == "weight" and name in self.rows else a for k, a in parts.items()
            }
        return found


def codes(net: Network) -> tuple[Population, ...]:
    """The populations that are codes, upstream first."""
    return tuple(p for p in net.hidden if p.cell.name == CODE)


def segments(net: Network) -> list[Segment]:
    """The subtasks of a network, upstream first.

    Raises:
        RuleError: something of several starts leaves one of them by other than dense weights.
    """
    ends = [p.name for p in codes(net)]
    return [_segment(net, end, {net.input, *ends}) for end in [*ends, net.output]]


def _segment(net: Network, end: str, starts: set[str]) -> Segment:
    inside, edges, ahead = {end}, [], [end]
    while ahead:
        for p in net.incoming(ahead.pop()):
            edges.append(p.name)
            if p.src not in starts and p.src not in inside:
                inside.add(p.src)
                ahead.append(p.src)
    within = [p for p in net.projections if p.name in edges]
    found = tuple(p.name for p in net.populations if p.name in {q.src for q in within} & starts)
    # Within a subtask a code is linear units like any others.
    plain = lambda p: eqx.tree_at(lambda q: q.cell, p, IDENTITY) if p.cell.name == CODE else p
    between = [plain(p) for p in net.populations if p.name in inside]
    if len(found) == 1:
        return Segment(
            Network([plain(net[found[0]]), *between], within, found[0], end), found, end, {}
        )
    sizes = [math.prod(net[name].sent) for name in found]
    places = {name: slice(sum(sizes[:i]), sum(sizes[: i + 1])) for i, name in enumerate(found)}
    total = sum(sizes)
    joined = Population(JOINED, (total,), IDENTITY, False, jnp.zeros((total, 3), net.dtype))
    rows = {p.name: (f"{JOINED}-{p.dst}:{p.name}", places[p.src]) for p in within if p.src in found}
    projections = [_wider(p, places[p.src], total) if p.src in found else p for p in within]
    return Segment(Network([joined, *between], projections, JOINED, end), found, end, rows)


def _wider(p: Projection, rows: slice, total: int) -> Dense:
    """A dense projection from all starts that is one from some of their units."""
    if not isinstance(p, Dense):
        raise RuleError(
            f"{p.name}, which is not dense, into a subtask that reads several populations",
            "dense projections there",
            "let the subtask read one population, or make it dense",
        )
    weight = jnp.zeros((total, p.weight.shape[1]), p.weight.dtype).at[rows].set(p.weight)
    return Dense(
        src=JOINED,
        dst=p.dst,
        src_shape=(total,),
        dst_shape=p.dst_shape,
        weight=weight,
        bias=p.bias,
        ports=p.ports,
        label=p.name,
    )


def _places(net: Network, rows: Mapping[str, tuple[str, slice]]) -> dict[tuple[int, int], slice]:
    """The units of each start among those of the joined input, in order."""
    found = {(place.start, place.stop): place for _, place in rows.values()}
    return dict(sorted(found.items()))
