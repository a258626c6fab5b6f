"""Neurogenesis: units are born where there is room, whenever learning has come to a plateau.

    fall = (L_before - L) / L_before                   every so many updates

L is the mean loss of the updates since the last look, L_before that of those between the two looks
before. Where the loss fell by less than `least` learning is on a plateau, and up to `units` empty
places of each population are taken by units. Each reads as many others as the wiring gives every
unit, drawn by its odds, among those that there are; their weights are drawn as at the start, its
bias is 0. The dense projections out of it begin at 0, and nothing else reads it yet, so the answers
of the network stay as they were. Rewiring policies draw it like any other unit from then on.

Where no place is empty any more nothing is born, learning goes on, and the end of the run says so.

Shapes   total, before, full ""; weight, index "post slots"
Claims   reads the loss, to know when, and the weights, which stay but for those drawn anew; no
         activity
Limits   of hidden populations that fixed fan-ins alone enter. A unit that no dense projection
         leaves is of use only beside a policy that rewires
Source   Draelos et al., Neurogenesis deep learning, IJCNN 2017, for birth where learning is stuck;
         Dohare et al., Loss of plasticity in deep continual learning, Nature 632:768, 2024, for
         weights of 0 out of what is new; differs in: a plateau of the loss in place of the error of
         a reconstruction, places in space
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from typing_extensions import override

from byway.core.hyper import hyper
from byway.growths._units import no_room, places, require_places, wired
from byway.learning.growth import Growth, Source
from byway.network.network import Network
from byway.network.projections import Dense
from byway.network.sparse import FixedFanIn


class Neurogenesis(Growth):
    """Birth on a plateau."""

    claims: ClassVar[frozenset[Source]] = frozenset({"loss", "weights"})
    every: int = hyper(200, "updates from one look at the loss to the next", low=1, high=2**31 - 1)
    least: float = hyper(
        0.02, "share by which the loss has to fall from look to look, or units are born", low=0.0
    )
    units: int = hyper(4, "units born at a time in each population", low=1, high=2**20)
    until: float = hyper(
        0.75, "share of a run after which no unit is born", low=0.0, high=1.0, live=False
    )

    @override
    def accepts(self, net):
        """It takes some hidden population that fixed fan-ins alone enter."""
        require_places(net, self.id)

    @override
    def start(self, net):
        """The loss since the last look, summed; its mean before that; whether a plateau found no
        place.
        """
        zero = jnp.zeros((), net.dtype)
        return {"total": zero, "before": zero + jnp.inf, "full": jnp.zeros((), bool)}

    @override
    def scored(self, memory, loss):
        return memory | {"total": memory["total"] + loss.astype(memory["total"].dtype)}

    @override
    def grow(self, memory, net, key, done):
        mean, before = memory["total"] / self.every, memory["before"]
        # The first look has nothing to compare with: infinite before it, it is no plateau.
        stuck = before - mean < self.least * before
        empty = {h.name: ~net.alive(h.name) for h in places(net)}
        full = ~jnp.any(jnp.concatenate(list(empty.values())))
        memory = {
            "total": jnp.zeros_like(mean),
            "before": mean,
            "full": memory["full"] | (stuck & full),
        }
        born = {
            name: none & (jnp.cumsum(none) <= self.units) & stuck for name, none in empty.items()
        }
        return memory, *_with(net, born, key)

    @override
    def advice(self, memory):
        return no_room(self.id) if memory["full"] else None


def _with(net: Network, born, key):
    """The network with units born, and which of its weights began anew."""
    theta, structure, fresh = {}, {}, {}
    for p, k in zip(net.projections, jax.random.split(key, len(net.projections)), strict=True):
        wiring, weights = jax.random.split(k)
        if p.dst in born and isinstance(p, FixedFanIn):
            new = born[p.dst][:, None]
            found = wired(p, net, wiring, net.alive(p.src))
            weight = jnp.where(found < p.sources, p.drawn(weights, net[p.dst]), 0)
            structure[p.name] = {"index": jnp.where(new, found, p.index)}
            theta[p.name] = {"weight": jnp.where(new, weight, p.weight)}
            fresh[p.name] = {"weight": jnp.broadcast_to(new, p.weight.shape)}
            if p.bias is not None:
                theta[p.name]["bias"] = jnp.where(new[:, 0], 0, p.bias)
                fresh[p.name]["bias"] = new[:, 0]
        elif p.src in born and isinstance(p, Dense):
            new = jnp.broadcast_to(born[p.src][:, None], p.weight.shape)
            theta[p.name] = {"weight": jnp.where(new, 0, p.weight)}
            fresh[p.name] = {"weight": new}
    return net.with_theta(theta).with_structure(structure), fresh
