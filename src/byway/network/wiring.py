"""What wiring costs: how many synapses there are, how long, and from where to where."""

import dataclasses

import numpy as np
from typing_extensions import override

from byway.core.errors import RuleError
from byway.network.network import Network
from byway.network.projections import Dense, Projection
from byway.network.sparse import FixedFanIn


@dataclasses.dataclass(frozen=True, eq=False)
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
    """

    source: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    length: np.ndarray
    delay: np.ndarray
    pairs: int

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

    @override
    def __str__(self) -> str:
        return (
            f"{self.synapses:,} synapses of {self.pairs:,} ({100 * self.sparsity:.1f} % sparse), "
            f"{self.cost:,.0f} mm in all, {self.length.mean():.0f} um on average"
        )


def wiring(net: Network) -> Wiring:
    """The synapses of a network of dense projections and of such with a fixed fan-in.

    Args:
        net: the network of one seed, such as `result.learner().net`.

    Raises:
        RuleError: a projection whose weights many places share, or that has none.
    """
    first, at = {}, 0
    for p in net.populations:
        first[p.name], at = at, at + p.size
    parts, pairs = [], 0
    for p in net.projections:
        post, pre, weight = _ends(p)
        here, there = (np.asarray(net[end].position, float) for end in (p.dst, p.src))
        length = np.linalg.norm(here[post] - there[pre], axis=1)
        late = np.full(len(post), net.topology.delays.get(p.name, 0))
        parts.append((first[p.src] + pre, first[p.dst] + post, weight, length, late))
        pairs += net[p.src].size * net[p.dst].size
    source, target, weight, length, delay = map(np.concatenate, zip(*parts, strict=True))
    return Wiring(source, target, weight, length, delay, pairs)


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
