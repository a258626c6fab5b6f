"""Migration: units move towards those that they are strongly joined to.

    pull_i = sum_j a_ij x_j / sum_j a_ij - x_i,   a_ij = |w_ij| + |w_ji|
    push_i = sum_j gap^2 (x_i - x_j) / |x_i - x_j|^2,  over those nearer than 2 gap
    x_i += rate (pull_i + push_i), `most` at most

every so often, where x is a place. Alone, pull leads to where the sum of a_ij |x_i - x_j|^2 is
least; push keeps units from meeting. Input and output stay where they are, as a body's surfaces,
and no unit leaves the box in which all of them lay at the start. An empty place stays where it is
and moves nobody, until a unit is born there.

What the network computes stays the same. What comes later does not: the odds of new synapses go by
places as they are then, so policies that draw by distance find other units.

Shapes   x "units 3" by population
Units    x, gap and most in um
Claims   reads the weights, and places: no activity, no signal
Limits   of hidden populations that dense projections or fixed fan-ins alone enter and leave. Delays
         stay as they were, and so do regions: a unit belongs to its own wherever it goes. A ball or
         a sheet does not keep its form. Forces between all pairs are worked out at once, for up to
         some thousands of units
Source   Chen, Hall and Chklovskii, Wiring optimization can relate neuronal structure and function,
         PNAS 103:4723, 2006 (pull: a quadratic cost of wiring, between sensors and muscles that are
         fixed); Fruchterman and Reingold, Graph drawing by force-directed placement, Software:
         Practice and Experience 21:1129, 1991 (push, its range, longest step and frame); differs
         in: weights in place of numbers of synapses, steps in place of the solution, in 3-D
"""

from typing import ClassVar

import jax.numpy as jnp
from typing_extensions import override

from byway.core.errors import RuleError
from byway.core.hyper import hyper
from byway.learning.growth import Growth, Source
from byway.network.network import Network
from byway.network.populations import Population
from byway.network.projections import Dense
from byway.network.sparse import FixedFanIn


class Migration(Growth):
    """Places that follow the weights."""

    claims: ClassVar[frozenset[Source]] = frozenset({"weights"})
    every: int = hyper(20, "updates from one move to the next", low=1, high=2**31 - 1)
    until: float = hyper(
        1.0, "share of a run after which nothing moves", low=0.0, high=1.0, live=False
    )
    rate: float = hyper(0.1, "share of the way that a unit goes", low=0.0, high=1.0)
    gap: float = hyper(10.0, "distance that units keep", unit="um", low=0.0)
    most: float = hyper(10.0, "longest way of a unit in one move", unit="um", low=0.0)

    @override
    def accepts(self, net):
        """It takes some hidden population each of whose synapses has a weight of its own."""
        if not _moving(net):
            raise RuleError(
                "migration was given a network without hidden units that dense projections or "
                "fixed fan-ins alone enter and leave",
                "units joined by a weight for each pair",
                "use byway.grownet(...) or byway.mlp(...)",
            )

    @override
    def start(self, net):
        """The corners of the box in which all units lie."""
        places = jnp.concatenate([p.position for p in net.populations])
        return {"low": places.min(0), "high": places.max(0)}

    @override
    def grow(self, memory, net, key, done):
        towards = {p.name: jnp.zeros_like(p.position) for p in net.populations}
        weight = {name: a[:, :1] for name, a in towards.items()}
        there = {p.name: net.alive(p.name) for p in net.populations}
        for p in net.projections:
            if isinstance(p, Dense | FixedFanIn):
                src, dst = net[p.src], net[p.dst]
                size = jnp.abs(p.by_entries().weight).astype(src.position.dtype)
                # Dense projections have weights at empty places too.
                size = jnp.where(there[p.src][:, None] & there[p.dst][None], size, 0)
                for here, other, a in ((dst, src, size.T), (src, dst, size)):
                    towards[here.name] += a @ other.position
                    weight[here.name] += jnp.sum(a, 1, keepdims=True)
        every, moved = jnp.concatenate([p.position for p in net.populations]), {}
        real = jnp.concatenate(list(there.values()))[None, :, None]
        for one in _moving(net):
            x, sum_ = one.position, weight[one.name]
            pull = jnp.where(sum_ > 0, towards[one.name] / jnp.where(sum_ > 0, sum_, 1) - x, 0)
            apart = x[:, None] - every[None]
            square = jnp.sum(apart**2, 2, keepdims=True)
            near = real & (square > 0) & (square < (2 * self.gap) ** 2)
            push = jnp.sum(jnp.where(near, self.gap**2 * apart / jnp.where(near, square, 1), 0), 1)
            step = self.rate * (pull + push)
            length = jnp.sqrt(jnp.sum(step**2, 1, keepdims=True))
            step = step * jnp.minimum(1, self.most / jnp.maximum(length, 1e-9))
            gone = jnp.clip(x + step, memory["low"][None], memory["high"][None])
            moved[one.name] = jnp.where(there[one.name][:, None], gone, x)
        return memory, net.with_positions(moved), {}


def _moving(net: Network) -> list[Population]:
    return [
        h
        for h in net.hidden
        if all(
            isinstance(p, Dense | FixedFanIn)
            for p in (*net.incoming(h.name), *net.outgoing(h.name))
        )
    ]
