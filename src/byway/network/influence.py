"""Influence: whose activity made the output what it is, through how many synapses and how many
steps later; along which path most.

Of what drives unit i, unit j has the share

    p_ij = |w_ij| a_j / sum_k |w_ik| a_k      a_j: how much j sends on average; 1 where not measured

and a path from j to the output has the product of the shares along it. So one unit of influence
goes back from the output, divides at each unit among those that it reads, and ends at the input, or
in units that read nobody:

    v_0 = 1 / outputs at each output          v_n+1 = v_n P outside the input
    v_n(j)                                    what j has of the output through n synapses
    sum over the input of v_n                 what came from the input through n synapses

Where synapses are late their delays add up along a path. Signs and biases are left aside: it says
who has a say, not in which direction.

Sources  Garson, Interpreting neural-network connection weights, AI Expert 6, 1991 (shares of |w|,
         multiplied along paths); Kemeny and Snell, Finite Markov Chains, 1960 (what ends where).
         Differs in: any number of layers, cycles, delays, activity where it is measured
"""

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy import sparse
from typing_extensions import override

from byway.core.errors import RuleError, ShapeError
from byway.core.given import require, require_whole
from byway.network.network import Network
from byway.network.wiring import Wiring, wiring

# After so many synapses, or where so little is still on its way, nothing is followed further; and
# later than so many time steps nothing is told apart.
MOST, LEAST, LATEST = 200, 1e-3, 200


@dataclasses.dataclass(frozen=True)
class Path:
    """A path from an input to an output.

    Attributes:
        units: each as its population and its number in it, from the input on.
        weights: of its synapses.
        share: of the output's drive what comes along it, the product of the shares.
        steps: how many time steps it takes.
    """

    units: list[tuple[str, int]]
    weights: list[float]
    share: float
    steps: int

    @override
    def __str__(self) -> str:
        line = f"{self.units[0][0]} {self.units[0][1]}"
        for (name, unit), weight in zip(self.units[1:], self.weights, strict=True):
            line += f" –({weight:+.2g})→ {name} {unit}"
        return line


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Influence:
    """Who has a say in the output.

    Attributes:
        wiring: the synapses.
        share: p of each synapse.
        depth: v_n of each unit, "depth units", from n = 0 on.
        late: what came from the input so many time steps before, "steps"; the last counts all that
            is later.
        inputs: the units of the input.
        outputs: those of the output.
    """

    wiring: Wiring
    share: Float[np.ndarray, " synapses"]
    depth: Float[np.ndarray, "depth units"]
    late: Float[np.ndarray, " steps"]
    inputs: range
    outputs: range

    @property
    def arrived(self) -> Float[np.ndarray, " depth"]:
        """What came from the input through exactly n synapses."""
        return self.depth[:, self.inputs].sum(1)

    @property
    def lost(self) -> float:
        """What ends in units that read nobody, or was not followed further."""
        return float(1 - self.arrived.sum())

    @property
    def units(self) -> Float[np.ndarray, " units"]:
        """What of the output's influence goes through each unit, along paths of any length; more
        than 1 where a path goes through one repeatedly.
        """
        return self.depth.sum(0)

    def strongest(self, source: int | None = None, output: int | None = None) -> Path | None:
        """The path along which most comes to an output; None where there is none.

        Args:
            source: from this input, counted flat; from any by default.
            output: to this output, such as the class that was decided for; to any by default.
        """
        starts = _chosen("source", source, self.inputs)
        ends = _chosen("output", output, self.outputs)
        held, size = self.wiring, len(self.wiring.position)
        # Backwards from the output, the largest product is the least sum of -log p. A length of
        # zero would be no edge: all are lengthened alike by less than two shares differ.
        there = np.flatnonzero(self.share > 0)
        there = there[np.lexsort((self.share[there], held.source[there], held.target[there]))]
        codes = held.target[there] * size + held.source[there]
        there = there[np.append(codes[1:] != codes[:-1], True)]  # of several the strongest
        far = -np.log(np.minimum(self.share[there], 1.0)) + 1e-12
        graph = sparse.csr_array(
            (far, (held.target[there], held.source[there])), shape=(size, size)
        )
        length, before, _ = sparse.csgraph.dijkstra(
            graph, indices=ends, return_predecessors=True, min_only=True
        )
        start = starts[int(np.argmin(length[starts]))]
        if not np.isfinite(length[start]):
            return None
        path = [start]
        while path[-1] not in ends:
            path.append(int(before[path[-1]]))
        at = [self._synapse(a, b) for a, b in itertools.pairwise(path)]
        return Path(
            [self._named(unit) for unit in path],
            [float(held.weight[i]) for i in at],
            float(np.prod(self.share[at])),
            int(held.delay[at].sum()),
        )

    def _synapse(self, source: int, target: int) -> int:
        mine = (self.wiring.source == source) & (self.wiring.target == target)
        return int(np.argmax(np.where(mine, self.share, -1)))

    def _named(self, unit: int) -> tuple[str, int]:
        named = self.wiring.populations.items()
        return next((name, unit - r.start) for name, r in named if unit in r)


def influence(net: Network, x: Any = None) -> Influence:
    """Whose activity makes the output what it is, and how many synapses and time steps later.

    Args:
        net: the network of one seed, such as `result.learner().net`.
        x: samples, "batch *inputs", on which to measure how much each unit sends; by default all
            are taken to send the same. Of networks that one pass tells all of.

    Raises:
        RuleError: the wiring is shared, or samples are given for a network in time.
    """
    require(Network, "net", net, "a network", "for example result.learner().net")
    held = wiring(net)
    inputs, outputs = (held.populations[name] for name in (net.input, net.output))
    size = np.abs(held.weight)
    if x is not None:
        size = size * _sent(net, x)[held.source]
    drive = np.bincount(held.target, size, len(held.position))
    share = size / np.where(drive > 0, drive, 1)[held.target]
    late = held.delay.astype(int)
    each = {
        int(delay): _matrix(held, np.where(late == delay, share, 0)) for delay in np.unique(late)
    }
    # What arrives at the input stays there; by time too, in rows.
    front = np.zeros((min(LATEST, 1 + MOST * max(each)), len(held.position)))
    front[0, outputs] = 1 / len(outputs)
    depth, arrived = [front.sum(0)], np.zeros(len(front))
    while len(depth) <= MOST and front.sum() > LEAST:
        moved = np.zeros_like(front)
        upto = int(np.flatnonzero(front.any(1)).max()) + 1
        for delay, matrix in each.items():
            new = front[:upto] @ matrix
            room = max(len(front) - delay, 0)
            moved[delay : delay + upto] += new[:room]
            moved[-1] += new[room:].sum(0)
        depth.append(moved.sum(0))
        arrived += moved[:, inputs].sum(1)
        moved[:, inputs] = 0
        front = moved
    told = int(np.flatnonzero(arrived).max(initial=0)) + 1
    return Influence(held, share, np.stack(depth), arrived[:told], inputs, outputs)


def _matrix(held: Wiring, share: np.ndarray) -> sparse.csr_array:
    """Shares as a matrix "target source"."""
    size = len(held.position)
    there = share > 0
    ends = held.target[there], held.source[there]
    return sparse.csr_array((share[there], ends), shape=(size, size))


def _sent(net: Network, x: Any) -> Float[np.ndarray, " units"]:
    """The mean size of what each unit sends."""
    if not net.feedforward:
        raise RuleError(
            "samples for a network in time",
            "a network that one pass tells all of",
            "leave x out",
        )
    phase = net.forward(jnp.asarray(x, net.dtype))
    sent: Mapping[str, Any] = {p.name: p.send(phase.post[p.name]) for p in net.populations}
    return np.concatenate(
        [np.abs(np.asarray(sent[p.name], float)).mean(0).ravel() for p in net.populations]
    )


def _chosen(name: str, given: int | None, units: range) -> list[int]:
    if given is None:
        return list(units)
    require_whole(name, given, 0)
    if given >= len(units):
        raise ShapeError(
            f"{name} = {given}", f"a unit from 0 to {len(units) - 1}", "choose another"
        )
    return [units[given]]
