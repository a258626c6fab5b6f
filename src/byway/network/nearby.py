"""Drawing a few of very many units by odds that fall with distance, without looking at them all.

    P(j next) = p_j / sum of p over those not drawn yet,   p_j = exp(-d_ij / reach)

Units lie in cells. Of each cell a bound is known, q >= p for all of its units: that of the nearest
point of the box around them. A cell is drawn by its units times q, one of its units evenly, and is
kept with the chance p / q; what is drawn already is thrown away like what is not kept. So each next
unit is drawn by p, and the drawing is that of the Gumbel numbers of all units, in another way. A
unit looks at all cells and at a few units.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

# Units in a cell, about; cells along a side, at most; units drawn at once for each that draws, and
# how often, before all units are looked at; and how many draw together.
CELL, SIDE, THROWN, ROUNDS, TOGETHER = 16, 16, 32, 64, 512


class Cells(NamedTuple):
    """Units by where they are.

    Attributes:
        unit: the units, those of one cell together, "pre".
        first: of each cell, the place of its first unit, "cells".
        count: how many units it has.
        low: the corner of the box around them, "cells 3".
        high: the other corner.
    """

    unit: Int[Array, " pre"]
    first: Int[Array, " cells"]
    count: Int[Array, " cells"]
    low: Float[Array, "cells 3"]
    high: Float[Array, "cells 3"]


def cells(position: Float[Array, "pre 3"], there: Bool[Array, " pre"]) -> Cells:
    """The cells of units, those that are not there left out."""
    side = min(SIDE, max(1, round((len(position) / CELL) ** (1 / 3))))
    low, high = jnp.min(position, 0), jnp.max(position, 0)
    width = jnp.maximum(high - low, jnp.finfo(position.dtype).tiny)
    place = ((position - low[None]) / width[None] * side).astype(jnp.int32)
    x, y, z = jnp.clip(place, 0, side - 1).T
    cell = jnp.where(there, (x * side + y) * side + z, side**3)
    unit = jnp.argsort(cell).astype(jnp.int32)
    count = jnp.zeros(side**3, jnp.int32).at[cell].add(1, mode="drop")
    box = jnp.full((side**3, 3), jnp.inf, position.dtype)
    return Cells(
        unit,
        jnp.cumsum(count) - count,
        count,
        box.at[cell].min(position, mode="drop"),
        (-box).at[cell].max(position, mode="drop"),
    )


def drawn_near(
    key: Key[Array, ""],
    here: Float[Array, "post 3"],
    there: Float[Array, "pre 3"],
    near: Cells,
    reach: float,
    barred: Int[Array, "post some"],
    count: int,
) -> Int[Array, "post count"]:
    """For some units, others without replacement by their odds, in the order in which they were
    drawn; `pre` where nothing was found in time.

    Args:
        key: the randomness.
        here: where those are that draw.
        there: where those are that are drawn.
        near: the cells of these.
        reach: over which the odds fall by e [um]; infinite for the same odds everywhere.
        barred: whom each may not draw.
        count: how many each draws.
    """
    none, rows = len(there), jnp.arange(len(here))[:, None]
    outside = jnp.maximum(near.low[None] - here[:, None], here[:, None] - near.high[None])
    # How far the box of a cell is; infinitely where a cell is empty.
    least = jnp.sqrt(jnp.sum(jnp.maximum(outside, 0) ** 2, 2))
    bound = jnp.where(near.count[None] > 0, -least / reach, -jnp.inf)
    bound = bound - jnp.max(bound, 1, keepdims=True)
    mass = jnp.cumsum(near.count.astype(bound.dtype)[None] * jnp.exp(bound), 1)

    def throw(held):
        turn, found, have = held
        which, one, keep = jax.random.uniform(
            jax.random.fold_in(key, turn), (3, len(here), THROWN), here.dtype
        )
        cell = jax.vmap(lambda m, u: jnp.searchsorted(m, u * m[-1], side="right"))(mass, which)
        cell = jnp.minimum(cell, mass.shape[1] - 1)
        inside = near.count[cell]
        place = jnp.minimum((one * inside.astype(one.dtype)).astype(jnp.int32), inside - 1)
        unit = near.unit[near.first[cell] + place]
        far = jnp.sqrt(jnp.sum((there[unit] - here[:, None]) ** 2, 2))
        # p / q; a cell of no units has no chance, but for rounding.
        kept = (jnp.log(keep) < (least[rows, cell] - far) / reach) & (inside > 0)
        taken = jnp.concatenate([barred, found], 1)
        kept = kept & ~jnp.any(unit[:, :, None] == taken[:, None], 2)
        earlier = jnp.tril(jnp.ones((THROWN, THROWN), bool), -1)[None]
        same = (unit[:, :, None] == unit[:, None]) & kept[:, None] & earlier
        kept = kept & ~jnp.any(same, 2)
        slot = jnp.where(kept, have[:, None] + jnp.cumsum(kept, 1) - 1, count)
        found = found.at[rows, slot].set(unit, mode="drop")
        return turn + 1, found, jnp.minimum(have + jnp.sum(kept, 1), count)

    start = jnp.int32(0), jnp.full((len(here), count), none, jnp.int32), jnp.zeros(len(here), int)
    short = lambda held: (held[0] < ROUNDS) & jnp.any(held[2] < count)
    return jax.lax.while_loop(short, throw, start)[1]
