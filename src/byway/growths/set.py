"""Sparse evolutionary training (SET): each unit drops its weakest synapses and reads as many
others, drawn at random.

Every so many updates, in each projection with a fixed fan-in K, each unit drops the `share` of its
K weights that are smallest in size. It draws as many units that it did not read, by the odds of the
wiring: each equally likely, or near ones most where the network lies in space. Their weights begin
at 0.

The number of synapses stays the same, of the network and of each unit.

Shapes   weight "post fan", index "post fan"
Claims   reads the weights alone: no activity, no signal
Source   Mocanu et al., Scalable training of artificial neural networks with adaptive sparse
         connectivity inspired by network science, Nature Communications 9:2383, 2018; differs in: a
         fan-in for each unit in place of one density for a layer, the smallest |w| of both signs
         together, weights that begin at 0, no rewiring in the last part of a run
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from typing_extensions import override

from byway.core.errors import RuleError
from byway.core.hyper import hyper
from byway.learning.growth import Growth, Source
from byway.network.projections import Projection
from byway.network.sparse import FixedFanIn


class SET(Growth):
    """Sparse evolutionary training."""

    claims: ClassVar[frozenset[Source]] = frozenset({"weights"})
    every: int = hyper(200, "updates from one rewiring to the next", low=1, high=2**31 - 1)
    share: float = hyper(
        0.3, "share of each unit's synapses that is replaced", low=0.0, high=1.0, live=False
    )
    until: float = hyper(
        0.75, "share of a run after which nothing is rewired", low=0.0, high=1.0, live=False
    )

    @override
    def accepts(self, net):
        """It takes some projection with a fixed fan-in, below the number of units there are."""
        if not any(self._replaced(p) for p in net.projections):
            raise RuleError(
                "set was given a network in which no unit could read others than it does",
                "projections with a fixed fan-in, below the size of what they read",
                "build it with fan_in, for example byway.mlp(784, 300, 10, fan_in=32), or raise "
                "set.share",
            )

    @override
    def grow(self, memory, net, key, done):
        theta, structure, fresh = {}, {}, {}
        for p, k in zip(net.projections, jax.random.split(key, len(net.projections)), strict=True):
            if isinstance(p, FixedFanIn) and (replaced := self._replaced(p)):
                size = jnp.where(p.alive, jnp.abs(p.weight), jnp.inf)
                weakest = jax.lax.top_k(-size, replaced)[1]
                rows = jnp.arange(len(p.weight))[:, None]
                drawn = p.proposed(k, net[p.src], net[p.dst], replaced, net.alive(p.src))
                # What there is none for stays; and so do places without a unit.
                new = p.alive[rows, weakest] & (drawn < p.sources)
                index = jnp.where(new, drawn, p.index[rows, weakest])
                began = jnp.zeros(p.weight.shape, bool).at[rows, weakest].set(new)
                theta[p.name] = {"weight": jnp.where(began, 0, p.weight)}
                structure[p.name] = {"index": p.index.at[rows, weakest].set(index)}
                fresh[p.name] = {"weight": began}
        return memory, net.with_theta(theta).with_structure(structure), fresh

    def _replaced(self, p: Projection) -> int:
        """How many synapses of each unit of a projection are replaced at a time."""
        return (
            min(round(self.share * p.fan_in), p.choices - p.fan_in)
            if isinstance(p, FixedFanIn)
            else 0
        )
