"""What wiring costs and looks like: how many synapses there are, how long and how late, from where
to where, and what shape they make.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float, Int
from typing_extensions import override

from byway.core.errors import ConfigError, RuleError
from byway.core.given import is_number, require_whole, shown
from byway.network.graph import Form, Graph, form
from byway.network.network import Network
from byway.network.projections import Dense, Projection
from byway.network.sparse import FixedFanIn


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Wiring:
    """The synapses of a network.

    Attributes:
        source: of each synapse the unit that it comes from, counted over all populations in order,
            "synapses".
        target: of each the unit that it goes to.
        weight: of each.
        length: of each, as the crow flies [um].
        delay: of each [time steps]; 0 for none.
        pairs: how many synapses dense projections in place of all would have.
        populations: the numbers of each population's units, by its name.
        hidden: the populations between input and output.
        position: where each unit sits, "units 3" [um].
    """

    source: Int[np.ndarray, " synapses"]
    target: Int[np.ndarray, " synapses"]
    weight: Float[np.ndarray, " synapses"]
    length: Float[np.ndarray, " synapses"]
    delay: Int[np.ndarray, " synapses"]
    pairs: int
    populations: Mapping[str, range]
    hidden: tuple[str, ...]
    position: Float[np.ndarray, "units 3"]

    @property
    def synapses(self) -> int:
        """How many there are."""
        return len(self.source)

    @property
    def sparsity(self) -> float:
        """The share of pairs that no synapse joins."""
        return 1 - self.synapses / self.pairs

    @property
    def cost(self) -> float:
        """The length of all together [mm]."""
        return float(self.length.sum()) / 1000

    @property
    def in_degree(self) -> Int[np.ndarray, " units"]:
        """How many synapses end at each unit."""
        return np.bincount(self.target, minlength=len(self.position))

    @property
    def out_degree(self) -> Int[np.ndarray, " units"]:
        """How many start at each unit."""
        return np.bincount(self.source, minlength=len(self.position))

    @property
    def inner(self) -> Bool[np.ndarray, " units"]:
        """Which units are hidden."""
        mask = np.zeros(len(self.position), bool)
        for name in self.hidden:
            mask[self.populations[name]] = True
        return mask

    @property
    def joined(self) -> Bool[np.ndarray, " units"]:
        """Which units are hidden, read others and are read."""
        return self.inner & (self.in_degree > 0) & (self.out_degree > 0)

    def only(self, which: Bool[np.ndarray, " synapses"]) -> "Wiring":
        """That of some synapses."""
        parts = ("source", "target", "weight", "length", "delay")
        return dataclasses.replace(self, **{name: getattr(self, name)[which] for name in parts})

    def between_hidden(self) -> "Wiring":
        """That of the synapses between hidden units, or from one to itself."""
        return self.only(self.inner[self.source] & self.inner[self.target])

    def strongest(self, share: float) -> "Wiring":
        """That of the synapses of largest weight, by size, a share of them; of equals the first."""
        if not is_number(share) or not 0 < share <= 1:
            raise ConfigError(f"share = {shown(share)}", "a number above 0, at most 1", "try 0.1")
        best = np.argsort(-np.abs(self.weight), kind="stable")[: round(share * self.synapses)]
        return self.only(np.isin(np.arange(self.synapses), best))

    def form(self, *, share: float = 1.0, draws: int = 5, seed: int = 0) -> Form:
        """The shape that the synapses between hidden units make: modules, triangles, short paths;
        each beside wiring drawn by chance, which keeps degrees or lengths (`network/graph.py`).

        Args:
            share: of dense wiring the share that counts, largest weights first: 0.1, for example.
            draws: how often chance draws, of each kind.
            seed: of chance.

        Raises:
            RuleError: no two hidden units are joined.
        """
        require_whole("draws", draws, 1)
        inner = self.between_hidden().strongest(share)
        units = np.flatnonzero(self.inner)
        place = np.cumsum(self.inner) - 1
        graph = Graph.of(len(units), place[inner.source], place[inner.target])
        if not len(graph.source):
            raise RuleError(
                "the shape of a network in which no synapse joins two hidden units",
                "hidden units that read each other",
                "look at a deeper network, or at one with cycles",
            )
        groups = [range(*place[[r.start, r.stop - 1]] + (0, 1))
                  for r in (self.populations[name] for name in self.hidden)]  # fmt: skip
        return form(graph, groups, self.position[units], draws, seed)

    @override
    def __str__(self) -> str:
        if not self.synapses:
            return f"no synapses of {self.pairs:,}"
        into, out = self.in_degree[self.inner], self.out_degree[self.inner]
        said = [
            f"{self.synapses:,} synapses of {self.pairs:,} ({100 * self.sparsity:.1f} % sparse), "
            f"{self.cost:,.0f} mm in all, {self.length.mean():.0f} um on average"
        ]
        if into.size:
            said.append(
                f"{np.count_nonzero(self.joined):,} of {into.size:,} hidden units are joined: each "
                f"reads {_span(into)} and is read by {_span(out)}"
            )
        if self.delay.any():
            said.append(
                f"they take {_span(self.delay)} time steps, {self.delay.mean():.1f} on average"
            )
        return "; ".join(said)

    @override
    def __repr__(self) -> str:
        return f"<Wiring: {self}>"


def wiring(net: Network) -> Wiring:
    """The synapses of a network of dense projections and of such with a fixed fan-in. A dense
    projection has none where a place is empty.

    Args:
        net: the network of one seed, such as `result.learner().net`.

    Raises:
        RuleError: a projection whose weights many places share, or that has none.
    """
    first, at = {}, 0
    for p in net.populations:
        first[p.name], at = range(at, at + p.size), at + p.size
    position = np.concatenate([np.asarray(p.position, float) for p in net.populations])
    parts, pairs = [], 0
    there = {p.name: np.asarray(net.alive(p.name)) for p in net.populations}
    for p in net.projections:
        post, pre, weight = _ends(p)
        if isinstance(p, Dense):
            real = there[p.src][pre] & there[p.dst][post]
            post, pre, weight = post[real], pre[real], weight[real]
        source, target = first[p.src].start + pre, first[p.dst].start + post
        length = np.linalg.norm(position[target] - position[source], axis=1)
        late = np.full(len(post), net.topology.delays.get(p.name, 0))
        if isinstance(p, FixedFanIn) and p.late is not None:
            late = np.asarray(p.late)[np.asarray(p.alive)]
        parts.append((source, target, weight, length, late))
        pairs += net[p.src].size * net[p.dst].size
    source, target, weight, length, delay = map(np.concatenate, zip(*parts, strict=True))
    hidden = tuple(p.name for p in net.hidden)
    return Wiring(source, target, weight, length, delay, pairs, first, hidden, position)


def _span(values: np.ndarray) -> str:
    low, high = values.min(), values.max()
    return f"{low}" if low == high else f"{low} to {high}"


def _ends(p: Projection) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Postsynaptic unit, presynaptic unit and weight of each synapse of a projection."""
    if isinstance(p, FixedFanIn):
        alive, index, weight = (np.asarray(a) for a in (p.alive, p.index, p.weight))
        post, slot = np.nonzero(alive)
        return post, index[post, slot], weight[post, slot]
    if isinstance(p, Dense) and p.weight.shape == (
        int(np.prod(p.src_shape)),
        int(np.prod(p.dst_shape)),
    ):
        pre, post = np.indices(p.weight.shape).reshape(2, -1)
        return post, pre, np.asarray(p.weight).ravel()
    raise RuleError(
        f"the wiring of {p.name}, a {type(p).__name__}",
        "a weight of its own for each pair of units",
        "look at a network of dense projections or of fixed fan-ins",
    )
