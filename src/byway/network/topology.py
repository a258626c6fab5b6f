"""What is connected to what: everything that follows from the names alone, worked out once for each
network, in linear time.
"""

import functools
import graphlib
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from typing_extensions import override


class Edge(NamedTuple):
    """One projection, by name.

    Attributes:
        name: its own.
        src: where it starts.
        dst: where it ends.
        delay: how many steps later what is sent arrives; None where the order of the populations
            says: 0 forwards, 1 backwards.
        window: how many steps of it arrive at once, where synapses have delays of their own, up to
            `delay`; else None.
    """

    name: str
    src: str
    dst: str
    delay: int | None
    window: int | None = None


class Topology:
    """A directed graph, by names. Two of the same populations and edges are equal.

    Args:
        names: the populations.
        edges: the projections.
        holding: populations whose activity is a state that does not follow at once from what
            arrives (`flows`): a cycle through one is none.

    Attributes:
        order: the populations, upstream first where there is no cycle, else as given. What ends at
            a population that holds its own counts for neither.
        cyclic: whether some population can be reached from itself.
        delays: by projection that carries the past, how many steps what it sends takes.
        incoming: by population, the numbers of the edges that end there.
        outgoing: by population, the numbers of the edges that start there.
    """

    def __init__(self, names: Sequence[str], edges: Sequence[Edge], holding: Collection[str] = ()):
        ordering = [edge for edge in edges if edge.dst not in holding]
        order = _upstream_first(names, ordering)
        self.cyclic: bool = order is None
        if order is None:  # what takes time by its own word need not be put in order
            order = _upstream_first(names, [edge for edge in ordering if not edge.delay]) or tuple(
                names
            )
        self.order: tuple[str, ...] = order
        self.place: dict[str, int] = {name: i for i, name in enumerate(self.order)}
        self.edges: tuple[Edge, ...] = tuple(sorted(edges, key=lambda edge: self.place[edge.dst]))
        self.incoming: dict[str, tuple[int, ...]] = self._by_end("dst")
        self.outgoing: dict[str, tuple[int, ...]] = self._by_end("src")
        backwards = {
            e.name: 1
            for e in self.edges
            if e.delay is None and self.place[e.src] >= self.place[e.dst] and e.dst not in holding
        }
        self.delays: dict[str, int] = {
            e.name: e.delay or backwards[e.name]
            for e in self.edges
            if e.delay or e.name in backwards
        }
        self._key = (self.order, self.edges, frozenset(holding))
        self._upstream: dict[tuple[str, bool], frozenset[str]] = {}

    @override
    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Topology) and self._key == other._key)

    @override
    def __hash__(self) -> int:
        return self._hash

    @functools.cached_property
    def _hash(self) -> int:
        return hash(self._key)

    @functools.cached_property
    def horizon(self) -> dict[str, tuple[int, ...]]:
        """By population that a projection carries the past of, how many steps back it is needed:
        all delays, shortest first. What arrives as a window is left out.
        """
        found: dict[str, set[int]] = {}
        for edge in self.edges:
            if edge.name in self.delays and not edge.window:
                found.setdefault(edge.src, set()).add(self.delays[edge.name])
        return {name: tuple(sorted(delays)) for name, delays in sorted(found.items())}

    @functools.cached_property
    def windows(self) -> dict[str, int]:
        """By population of which windows arrive somewhere, the length of the longest."""
        found: dict[str, int] = {}
        for edge in self.edges:
            if edge.window:
                found[edge.src] = max(found.get(edge.src, 0), edge.window)
        return dict(sorted(found.items()))

    def upstream(self, population: str, recurrent: bool = True) -> frozenset[str]:
        """The populations that reach this one, itself included; along projections that carry the
        past too, unless told otherwise.
        """
        if (known := self._upstream.get((population, recurrent))) is not None:
            return known
        found, ahead = {population}, [population]
        while ahead:
            for i in self.incoming[ahead.pop()]:
                edge = self.edges[i]
                if edge.src not in found and (recurrent or edge.name not in self.delays):
                    found.add(edge.src)
                    ahead.append(edge.src)
        self._upstream[population, recurrent] = frozenset(found)
        return self._upstream[population, recurrent]

    def _by_end(self, end: str) -> dict[str, tuple[int, ...]]:
        found: dict[str, list[int]] = {name: [] for name in self.order}
        for i, edge in enumerate(self.edges):
            found[getattr(edge, end)].append(i)
        return {name: tuple(numbers) for name, numbers in found.items()}


def _upstream_first(names: Sequence[str], edges: Sequence[Edge]) -> tuple[str, ...] | None:
    """The names in topological order; None where there is a cycle."""
    sources: dict[str, list[str]] = {name: [] for name in names}
    for edge in edges:
        sources[edge.dst].append(edge.src)
    try:
        return tuple(graphlib.TopologicalSorter(sources).static_order())
    except graphlib.CycleError:
        return None


def strong_parts(
    names: Sequence[str], edges: Iterable[tuple[str, str]]
) -> tuple[tuple[str, ...], ...]:
    """The names by cycle: those that lead to each other and back stand together, and what leads to
    others stands before them.

    Args:
        names: what to sort.
        edges: from and to; those from or to anything else do not count.
    """
    import networkx as nx  # noqa: PLC0415  takes a while

    whole = nx.DiGraph()
    whole.add_nodes_from(names)
    whole.add_edges_from((src, dst) for src, dst in edges if src in whole and dst in whole)
    parts = nx.condensation(whole)
    members = {part: sorted(of, key=names.index) for part, of in parts.nodes(data="members")}
    first = lambda part: names.index(members[part][0])
    return tuple(tuple(members[n]) for n in nx.lexicographical_topological_sort(parts, key=first))
