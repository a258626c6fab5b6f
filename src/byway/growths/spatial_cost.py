"""Spatial cost: long synapses shrink, most of all where much goes through them.

    cost = sum_ij |w_ij| D_ij C_ij,   C = exp(A) without its diagonal,
    A_ij = |w_ij| / sqrt(S_i S_j),   S_i = sum_j (|w_ij| + |w_ji|) / 2
    |w_ij| <- max(|w_ij| - strength G_ij, 0),   G = dCost/d(|w|)

for each update, beside what the rule changes. D is the distance of two units and C their
communicability: what goes from one to the other on all ways, of n synapses with a weight of 1 / n!.
No weight passes zero; one grows where that takes enough from the share of others. Without
`communicability` C is 1: an L1 cost by distance.

Shapes   w, D, C "units units", over all hidden units
Units    D in mm
Claims   reads the weights, and places: no activity, no signal; with communicability, all weights
         for each
Limits   of dense projections and fixed fan-ins between hidden units; synapses from the input and to
         the output cost nothing. C takes the cube of the number of hidden units, each time: a few
         hundred. Where D is the same for all, nothing is spatial
Source   Achterberg et al., Spatially embedded recurrent neural networks reveal widespread links
         between structural and functional neuroscience findings, Nature Machine Intelligence
         5:1369, 2023; communicability: Crofts and Higham, A weighted communicability measure
         applied to complex brain networks, Journal of the Royal Society Interface 6:411, 2009;
         differs in: S is the mean of what a unit sends and receives in place of what it sends,
         which is the same where |w| is symmetric, so that units that send to none have one; a step
         of its own beside that of the optimiser, which stops at zero
"""

from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from byway.core.errors import RuleError
from byway.core.hyper import hyper
from byway.learning.growth import Growth, Source
from byway.network.network import Network
from byway.network.projections import Dense, Projection
from byway.network.space import distances
from byway.network.sparse import FixedFanIn

Units = Float[Array, "units units"]
# Of a series: the rest of it is below 1e-10.
TERMS = 10


class SpatialCost(Growth):
    """The regulariser of spatially embedded recurrent networks."""

    claims: ClassVar[frozenset[Source]] = frozenset({"weights"})
    every: int = hyper(
        10, "updates from one time to the next, which makes up for all", low=1, high=2**31 - 1
    )
    until: float = hyper(
        1.0, "share of a run after which nothing shrinks", low=0.0, high=1.0, live=False
    )
    strength: float = hyper(0.01, "of one update, beside the cost's slope", low=0.0)
    communicability: bool = hyper(True, "whether what goes through a synapse counts")

    @override
    def accepts(self, net):
        """It takes some projection between hidden units, each of whose synapses has a weight of
        its own.
        """
        if not _within(net):
            raise RuleError(
                "spatial_cost was given a network without a weight for each pair of hidden units",
                "dense projections or fixed fan-ins between hidden units",
                "use byway.grownet(...), byway.rnn(...) or byway.mlp(...) with two hidden layers",
            )

    @override
    def grow(self, memory, net, key, done):
        units, at = {}, 0
        for h in net.hidden:
            units[h.name] = slice(at, at + h.size)
            at += h.size
        places = jnp.concatenate([h.position for h in net.hidden]).astype(net.dtype) / 1000
        slope = distances(places, places)
        if self.communicability:
            size = jnp.zeros((at, at), net.dtype)
            for p in _within(net):
                part = jnp.abs(p.by_entries().weight)
                size = size.at[units[p.src], units[p.dst]].add(part)
            slope = _slope(size, slope)
        theta = {}
        for p in _within(net):
            ours = slope[units[p.src], units[p.dst]]
            # Of a slope for each pair, those of the synapses that there are.
            here = p.outer(jnp.eye(len(ours), dtype=net.dtype), len(ours) * ours)["weight"]
            left = jnp.maximum(jnp.abs(p.weight) - self.every * self.strength * here, 0)
            theta[p.name] = {"weight": jnp.sign(p.weight) * left}
        return memory, net.with_theta(theta), {}


def _slope(size: Units, far: Units) -> Units:
    """dCost/d(|w|), where communicability counts."""
    strength = (size.sum(0) + size.sum(1)) / 2
    joined = strength > 0
    root = jnp.where(joined, 1 / jnp.sqrt(jnp.where(joined, strength, 1)), 0)
    pairs = root[:, None] * root[None]
    # Of <M, exp(A)> the slope by A is the derivative of exp(A^T) along M.
    ways, by_a = exponential((pairs * size).T, size * far)
    by_root = (by_a * size) @ root + root @ (by_a * size)
    by_strength = -(root**3) / 2 * by_root
    return far * ways.T + pairs * by_a + (by_strength[:, None] + by_strength[None]) / 2


def exponential(a: Units, along: Units) -> tuple[Units, Units]:
    """exp(a) and its derivative in the direction `along`, for a norm of `a` up to 2: a series of a
    quarter of it, squared twice.
    """
    a, along = a / 4, along / 4
    term, moved = jnp.eye(len(a), dtype=a.dtype), jnp.zeros_like(a)
    total, slope = term, moved
    for k in range(1, TERMS + 1):
        term, moved = term @ a / k, (moved @ a + term @ along) / k
        total, slope = total + term, slope + moved
    for _ in range(2):
        total, slope = total @ total, total @ slope + slope @ total
    return total, slope


def _within(net: Network) -> list[Projection]:
    hidden = {h.name for h in net.hidden}
    return [
        p
        for p in net.projections
        if isinstance(p, Dense | FixedFanIn)
        and {p.src, p.dst} <= hidden
        and p.by_entries().weight.shape == (net[p.src].size, net[p.dst].size)
    ]
