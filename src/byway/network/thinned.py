"""Units left out by chance, as dropout does."""

import dataclasses

import equinox as eqx
import jax
from jaxtyping import Array, Float, Key
from typing_extensions import override

from byway.network.cell import Cell, Like
from byway.network.network import Network


class Thinned(Like, Cell):
    """A cell of which some units are silent, and the others louder by as much.

    Attributes:
        cell: the cell itself.
        left: by what the activity of each unit is multiplied, "batch *units".
    """

    cell: Cell
    left: Float[Array, "batch *units"]

    @override
    def rest(self, like):
        return self.cell.rest(like)

    @override
    def step(self, state, u):
        after, post = self.cell.step(state, u)
        return after, post * self.left

    @override
    def local(self, state, u):
        local = self.cell.local(state, u)
        scaled = lambda parts: {name: d * self.left for name, d in parts.items()}
        return local._replace(
            slope=None if local.slope is None else local.slope * self.left,
            read=scaled(local.read),
            after=None if local.after is None else scaled(local.after),
        )


def thinned(net: Network, dropout: float, batch: int, key: Key[Array, ""]) -> Network:
    """The same network for a batch of samples, in each of which a share `dropout` of the hidden
    units is silent and the rest sends 1 / (1 - dropout) times as much.

    Source   Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, Dropout, JMLR 15:1929,
             2014; scaled while learning, so that nothing is while predicting
    """
    keys = jax.random.split(key, max(len(net.hidden), 1))
    left = {
        h.name: jax.random.bernoulli(k, 1 - dropout, (batch, *h.shape)).astype(net.dtype)
        for h, k in zip(net.hidden, keys, strict=False)
    }
    populations = tuple(
        dataclasses.replace(p, cell=Thinned(p.cell, left[p.name] / (1 - dropout)))
        if p.name in left
        else p
        for p in net.populations
    )
    return eqx.tree_at(lambda n: n.populations, net, populations)
