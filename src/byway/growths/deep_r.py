"""DEEP R: synapses walk at random beside what they learn, and one whose weight would change its
sign gives way to another.

    w = s theta, where the sign s in {-1, 1} of a synapse never changes
    theta <- theta - rate alpha + sqrt(2 rate T) nu,   nu ~ N(0, 1)

in each update, after what the rule changes.

A synapse with theta < 0 goes dormant: its unit reads another one in its place, drawn by the odds of
the wiring among all that it does not read, with theta = 0 and a new s, each as likely. So there are
as many synapses after every update as before it, of the network and of each unit.

With SGD as optimiser and its rate as `rate`, this samples from the posterior of weights and wiring
at temperature T, with a prior that falls exponentially with the size of a weight.

Shapes   weight, index, s "post slots"
Claims   reads the weights alone: no activity, no signal
Limits   signs are held to at each rewiring: with `every` above 1 a weight may pass zero and come
         back between two
Source   Bellec et al., Deep rewiring: training very sparse deep networks, ICLR 2018, algorithm 1;
         differs in: a fan-in for each unit in place of one count for the network, a sign that is
         drawn when a synapse comes back in place of one for each pair of units, a rate of its own
         beside that of the optimiser
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from typing_extensions import override

from byway.core.errors import RuleError
from byway.core.hyper import hyper
from byway.learning.growth import Growth, Source
from byway.network.sparse import FixedFanIn


class DeepR(Growth):
    """Deep rewiring."""

    claims: ClassVar[frozenset[Source]] = frozenset({"weights"})
    every: int = hyper(
        1,
        "updates from one rewiring to the next, which makes up for all of them",
        low=1,
        high=2**31 - 1,
    )
    until: float = hyper(
        1.0, "share of a run after which nothing is rewired", low=0.0, high=1.0, live=False
    )
    rate: float = hyper(1e-3, "of drift and noise: that of SGD, to sample a posterior", low=0.0)
    alpha: float = hyper(0.03, "L1 coefficient: drift towards zero, beside the rate", low=0.0)
    temperature: float = hyper(1e-6, "T, of the noise", low=0.0)

    @override
    def accepts(self, net):
        """It takes some projection with a fixed fan-in, below the number of units there are."""
        if not _sparse(net):
            raise RuleError(
                "deep_r was given a network in which no unit could read others than it does",
                "projections with a fixed fan-in, below the size of what they read",
                "build it with fan_in, for example byway.mlp(784, 300, 10, fan_in=32)",
            )

    @override
    def start(self, net):
        """The sign of each synapse."""
        return {p.name: jnp.where(p.weight < 0, -1, 1).astype(net.dtype) for p in _sparse(net)}

    @override
    def told(self, memory, fresh):
        """What another policy lets begin anew has no sign before it has learnt."""
        began = lambda name: fresh.get(name, {}).get("weight", False)
        return {name: jnp.where(began(name), 0, sign) for name, sign in memory.items()}

    @override
    def grow(self, memory, net, key, done):
        signs, theta, structure, fresh = {}, {}, {}, {}
        for p, k in zip(sparse := _sparse(net), jax.random.split(key, len(sparse)), strict=True):
            walk, draw, flip = jax.random.split(k, 3)
            nu = jax.random.normal(walk, p.weight.shape, p.weight.dtype)
            span = self.every * self.rate
            held = memory[p.name]
            held = jnp.where(held == 0, jnp.sign(p.weight), held)
            moved = held * p.weight - span * self.alpha
            moved = moved + (2 * span * self.temperature) ** 0.5 * nu
            gone = p.alive & (held != 0) & (moved < 0)
            bare = p.with_structure({"index": jnp.where(gone, p.sources, p.index)})
            drawn = bare.proposed(draw, net[p.src], net[p.dst], p.slots, net.alive(p.src))
            found = jnp.take_along_axis(drawn, jnp.maximum(jnp.cumsum(gone, 1) - 1, 0), 1)
            sign = jax.random.rademacher(flip, p.weight.shape, p.weight.dtype)
            signs[p.name] = jnp.where(gone, sign, held)
            theta[p.name] = {"weight": jnp.where(p.alive & ~gone, held * moved, 0)}
            structure[p.name] = {"index": jnp.where(gone, found, p.index)}
            fresh[p.name] = {"weight": gone}
        return signs, net.with_theta(theta).with_structure(structure), fresh


def _sparse(net) -> list[FixedFanIn]:
    return [p for p in net.projections if isinstance(p, FixedFanIn) and p.choices > p.fan_in]
