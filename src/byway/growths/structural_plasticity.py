"""Structural plasticity: each unit grows and loses synapses until it is as active as it should be.

    Ca += (<h> - Ca) / tau, the calcium of a unit
    z += growth (2 exp(-((Ca - xi) / zeta)^2) - 1),
    xi = (eta + eps) / 2,  zeta = (eps - eta) / (2 sqrt(log 2))

each update. A unit has elements of two kinds, whole ones of z: dendritic ones, each of which can
hold an excitatory synapse (w > 0) that it reads by, and axonal ones, each for one that it is read
by. There are more of them while its calcium lies between eta and eps, and fewer of them outside;
eps is where it comes to rest. Every so often

- a unit with fewer elements than such synapses loses some of them, any alike;
- elements that are vacant are paired: of the units with a vacant axonal element and a free slot on
  the way, a unit with vacant dendritic ones draws some by the odds of the wiring. Of those who drew
  the same, as many as there are elements are taken, any alike; others draw again the next time. The
  weight of a new synapse is `weight`;
- a share `decay` of what is still vacant is lost.

Inhibitory synapses stay. The input has axons enough, and no set point. Where a unit has no free
slot left, growth stops there, and training says so at its end.

Shapes   Ca "units", z "units" by kind, by population
Units    tau and growth in updates
Claims   reads the activity of units and the sign of each weight: no signal
Limits   of projections with a fixed fan-in and free slots; others neither grow nor count. A unit
         whose calcium is at eta or below does not grow: give eta below 0 for silent ones to
Source   Butz and van Ooyen, A simple rule for dendritic spine and axonal bouton formation can
         account for cortical reorganization after focal retinal lesions, PLoS Computational Biology
         9:e1003259, 2013, and its implementation in NEST (Diaz-Pier et al., Frontiers in
         Neuroanatomy 10:57, 2016); differs in: calcium is a running mean of the batch's mean
         activity, slots bound how many synapses a unit can have
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, Key
from typing_extensions import override

from byway.core.errors import ConfigError, RuleError
from byway.core.hyper import hyper
from byway.growths._units import activity
from byway.learning.growth import Growth, Source
from byway.network.network import Network
from byway.network.sparse import FixedFanIn

KINDS = "dendritic", "axonal"
# More elements than anything asks for.
ENOUGH = 2**30


class StructuralPlasticity(Growth):
    """Homeostatic structural plasticity."""

    claims: ClassVar[frozenset[Source]] = frozenset({"weights", "activity"})
    every: int = hyper(20, "updates from one rewiring to the next", low=1, high=2**31 - 1)
    until: float = hyper(
        0.75, "share of a run after which nothing is rewired", low=0.0, high=1.0, live=False
    )
    eps: float = hyper(0.5, "activity at which a unit comes to rest")
    eta: float = hyper(0.0, "activity from which on a unit grows; below it loses synapses")
    growth: float = hyper(0.02, "most elements that a unit grows in one update", low=0.0)
    tau: float = hyper(100.0, "time constant of calcium", unit="updates", low=1.0)
    decay: float = hyper(0.1, "share of vacant elements lost at each rewiring", low=0.0, high=1.0)
    weight: float = hyper(0.1, "of a new synapse", low=0.0)

    @override
    def __check_init__(self) -> None:
        super().__check_init__()
        if self.eta >= self.eps:
            raise ConfigError(
                f"structural_plasticity with eta = {self.eta} and eps = {self.eps}",
                "eta below eps: at eps a unit comes to rest, from eta on it grows towards it",
                "lower eta, or raise eps",
            )

    @override
    def accepts(self, net):
        """It takes some projection with a fixed fan-in and free slots."""
        if not any(p.spare for p in _sparse(net)):
            raise RuleError(
                "structural_plasticity was given a network in which no unit has a free slot",
                "projections with a fixed fan-in and room for more",
                "build it with spare, for example byway.grownet(784, 500, 10, spare=8)",
            )

    @override
    def start(self, net):
        """Calcium at its set point, elements for the synapses there are, and which units had no
        free slot for what they grew.
        """
        slots = _Slots(net)
        read, sent = (slots.count(slots.excitatory, at) for at in (slots.post, slots.pre))
        of = lambda counts, names: {
            name: counts[slots.units[name]].astype(net.dtype) for name in names
        }
        return {
            "calcium": {
                name: jnp.full(net[name].size, self.eps, net.dtype)
                for name in dict.fromkeys(slots.reading + slots.read)
            },
            "dendritic": of(read, slots.reading),
            "axonal": of(sent, slots.read),
            "full": {name: jnp.zeros(net[name].size, bool) for name in slots.reading},
        }

    @override
    def watch(self, memory, net, record, update):
        """Calcium, by the first phase of the record, and what grows by it."""
        phase, calcium = activity(record, self.id), dict(memory["calcium"])
        for name, held in calcium.items():
            mean = jnp.mean(phase.post[name].reshape(-1, net[name].size), 0)
            calcium[name] = held + (mean - held) / self.tau
        grown = lambda kind: {
            name: jnp.maximum(z + self.growth * self.curve(calcium[name]), 0)
            for name, z in memory[kind].items()
        }
        return memory | {"calcium": calcium} | {kind: grown(kind) for kind in KINDS}

    def curve(self, calcium: Array) -> Array:
        """How fast elements grow: 1 at most, half-way between eta and eps, where it is 0."""
        zeta = (self.eps - self.eta) / (2 * np.sqrt(np.log(2)).item())
        return 2 * jnp.exp(-(((calcium - (self.eta + self.eps) / 2) / zeta) ** 2)) - 1

    @override
    def grow(self, memory, net, key, done):
        slots, keys = _Slots(net), jax.random.split(key, 5)
        dendritic, axonal = (slots.elements(memory[kind]) for kind in KINDS)
        stays = _few(keys[0], slots.pre, slots.excitatory, axonal)
        stays = _few(keys[1], slots.post, stays, dendritic)
        dendritic = dendritic - slots.count(stays, slots.post)
        axonal = axonal - slots.count(stays, slots.pre)
        bare = slots.without(slots.excitatory & ~stays)
        drawn, post, pre = slots.drawn(keys[2], net, bare, axonal > 0)
        pairs = _few(keys[3], post, pre < slots.size, dendritic)
        pairs = _few(keys[4], pre, pairs, axonal)
        dendritic = dendritic - slots.count(pairs, post)
        axonal = axonal - slots.count(pairs, pre)

        theta, structure, fresh, at = {}, {}, {}, 0
        room = jnp.zeros(slots.size, jnp.int32)
        for p, q, found in zip(slots.sparse, bare, drawn, strict=True):
            chosen = pairs[at : at + found.size].reshape(found.shape)
            at += found.size
            # The pairs of each unit go into its free slots, in their order.
            first = jnp.take_along_axis(found, jnp.argsort(~chosen, axis=1, stable=True), 1)
            place = jnp.cumsum(~q.alive, 1) - 1
            new = ~q.alive & (place < jnp.sum(chosen, 1, keepdims=True))
            index = jnp.where(
                new,
                jnp.take_along_axis(first, jnp.clip(place, 0, found.shape[1] - 1), 1),
                q.index,
            )
            weight = jnp.where(q.alive, p.weight, jnp.where(new, self.weight, 0))
            theta[p.name], structure[p.name] = {"weight": weight}, {"index": index}
            fresh[p.name] = {"weight": new | (p.alive & ~q.alive)}
            room = room.at[slots.units[p.dst]].add(jnp.sum(index == p.sources, 1, dtype=jnp.int32))

        lost = {
            kind: {
                name: z - self.decay * jnp.maximum(left[slots.units[name]], 0).astype(z.dtype)
                for name, z in memory[kind].items()
            }
            for kind, left in zip(KINDS, (dendritic, axonal), strict=True)
        }
        full = (dendritic > 0) & (room == 0)
        lost["full"] = {name: full[slots.units[name]] for name in memory["full"]}
        return memory | lost, net.with_theta(theta).with_structure(structure), fresh

    @override
    def advice(self, memory):
        full = sum(int(jnp.sum(one)) for one in memory["full"].values())
        if not full:
            return None
        units = sum(one.size for one in memory["full"].values())
        return (
            f"{full} of {units} units had no free slot left for the synapses that they grew: give "
            "the network more (spare), or lower structural_plasticity.eps"
        )


class _Slots:
    """All slots of the projections that grow in a row, and all units that they join.

    Attributes:
        sparse: the projections.
        reading: the populations that read by them.
        read: those that are read by them, but for the input.
        units: by population, the places of its units.
        size: how many units there are.
        post: the unit that each slot is of.
        pre: the unit that it reads; `size` where it is free.
        excitatory: whether it holds an excitatory synapse.
    """

    def __init__(self, net: Network):
        self.sparse = _sparse(net)
        self.reading = list(dict.fromkeys(p.dst for p in self.sparse))
        self.read = list(dict.fromkeys(p.src for p in self.sparse if p.src != net.input))
        self.units, self.size = {}, 0
        for p in net.populations:
            self.units[p.name] = slice(self.size, self.size + p.size)
            self.size += p.size
        self.post = jnp.concatenate([self._posts(p, p.index) for p in self.sparse])
        self.pre = jnp.concatenate([self._pres(p, p.index) for p in self.sparse])
        self.excitatory = jnp.concatenate([(p.alive & (p.weight > 0)).ravel() for p in self.sparse])

    def _posts(self, p: FixedFanIn, index: Int[Array, "post some"]) -> Int[Array, " pairs"]:
        here = self.units[p.dst].start + jnp.arange(len(index), dtype=jnp.int32)
        return jnp.broadcast_to(here[:, None], index.shape).ravel()

    def _pres(self, p: FixedFanIn, index: Int[Array, "post some"]) -> Int[Array, " pairs"]:
        there = self.units[p.src].start + index
        return jnp.where(index < p.sources, there, self.size).astype(jnp.int32).ravel()

    def count(self, some: Bool[Array, " pairs"], at: Int[Array, " pairs"]) -> Int[Array, " units"]:
        """How many of some synapses, or pairs, each unit has."""
        return jnp.zeros(self.size, jnp.int32).at[at].add(some.astype(jnp.int32), mode="drop")

    def elements(self, z: dict[str, Array]) -> Int[Array, " units"]:
        """Whole elements of each unit; as many as it takes of units that `z` does not name."""
        whole = jnp.full(self.size, ENOUGH, jnp.int32)
        for name, a in z.items():
            whole = whole.at[self.units[name]].set(jnp.floor(a).astype(jnp.int32))
        return whole

    def without(self, gone: Bool[Array, " slots"]) -> list[FixedFanIn]:
        """The projections without some synapses."""
        bare, at = [], 0
        for p in self.sparse:
            free = gone[at : at + p.index.size].reshape(p.index.shape)
            bare.append(p.with_structure({"index": jnp.where(free, p.sources, p.index)}))
            at += p.index.size
        return bare

    def drawn(
        self,
        key: Key[Array, ""],
        net: Network,
        bare: list[FixedFanIn],
        open_: Bool[Array, " units"],
    ):
        """Of each projection what its units draw of those that are open, as many as they have free
        slots and not more than `spare`; the same in a row, as postsynaptic and presynaptic units.
        """
        found = []
        for p, k in zip(bare, jax.random.split(key, len(bare)), strict=True):
            only = open_[self.units[p.src]]
            one = p.proposed(k, net[p.src], net[p.dst], max(p.spare, 1), only)
            room = jnp.sum(~p.alive, 1, keepdims=True)
            found.append(jnp.where(jnp.arange(one.shape[1])[None] < room, one, p.sources))
        both = list(zip(bare, found, strict=True))
        post = jnp.concatenate([self._posts(p, one) for p, one in both])
        return found, post, jnp.concatenate([self._pres(p, one) for p, one in both])


def _sparse(net: Network) -> list[FixedFanIn]:
    return [p for p in net.projections if isinstance(p, FixedFanIn) and p.dst != net.output]


def _few(
    key: Key[Array, ""],
    at: Int[Array, " pairs"],
    some: Bool[Array, " pairs"],
    most: Int[Array, " units"],
) -> Bool[Array, " pairs"]:
    """Of some pairs so many at each unit at most, any alike."""
    group = jnp.where(some, at, len(most))
    order = jnp.lexsort((jax.random.uniform(key, at.shape), group))
    there = group[order]
    first = jnp.searchsorted(there, there).astype(jnp.int32)
    rank = jnp.arange(len(there), dtype=jnp.int32) - first
    kept = rank < most.at[there].get(mode="fill", fill_value=0)
    return jnp.zeros(some.shape, bool).at[order].set(kept)
