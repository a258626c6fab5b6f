"""Activity and states on a grid, so that few bits can say which of its points one is on.

A unit's step is as it was, and what comes of it is rounded to a multiple of 2^-bits. Rounding has
no derivative, and the derivatives of a cell are those that it has without.
"""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
from typing_extensions import override

from byway.network.cell import Cell, Like
from byway.network.network import Network


class OnGrid(Like, Cell):
    """A cell whose state and activity are multiples of 2^-bits.

    Attributes:
        cell: the cell itself.
        bits: how many of them stand after the point.
    """

    cell: Cell
    bits: int = eqx.field(static=True)

    @override
    def rest(self, like):
        return jax.tree.map(self._rounded, self.cell.rest(like))

    @override
    def step(self, state, u):
        return jax.tree.map(self._rounded, self.cell.step(state, u))

    @override
    def local(self, state, u):
        return self.cell.local(state, u)

    def _rounded(self, a):
        return jnp.round(a * 2.0**self.bits) * 2.0**-self.bits


def on_grid(net: Network, bits: int) -> Network:
    """The same network, where all that keeps the past has its activity and its state on a grid of
    2^-bits.
    """
    keep = {p.src for p in net.projections if p.name in net.recurrent} - {net.input}
    populations = tuple(
        dataclasses.replace(p, cell=OnGrid(p.cell, bits)) if p.name in keep or p.cell.carries else p
        for p in net.populations
    )
    return eqx.tree_at(lambda n: n.populations, net, populations)
