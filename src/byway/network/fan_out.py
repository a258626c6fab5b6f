"""Synapses in the order of the units that they come from: a step costs what was sent, and not what
might have been.

For networks that run and do not learn. Of spiking units perhaps two in a thousand spike in a step
of 0.1 ms; to ask every synapse whether its source was one of them would be nearly all of the work.
"""

import functools
import math
import operator
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int, UInt32
from typing_extensions import override

from byway.network.projections import Projection

# How many units are gone through in a turn: one for so many that there are, at least and at most.
RARE, FEWEST, MOST = 512, 8, 32
BITS, FEW = 32, 128


class FanOut(Projection):
    """The synapses of a `FixedFanIn`, sorted by source. Weight "synapses", bias "post".

    `forward` goes through the synapses of units that sent something and no others, some units a
    turn, until there are none left: however many send, the current is the same but for the order in
    which it is added up. It has no derivative.

    Attributes:
        src: the presynaptic population.
        dst: the postsynaptic population.
        src_shape: its shape.
        dst_shape: that of its drive.
        synapses: of each the unit of `dst` at which it ends, then the bits of its weight: they are
            asked for together, and memory is slow.
        bias: "post", or None.
        first: of each unit of `src`, which of its synapses comes first; at the end how many there
            are. What lies beyond are free slots.
    """

    src: str = eqx.field(static=True)
    dst: str = eqx.field(static=True)
    src_shape: tuple[int, ...] = eqx.field(static=True)
    dst_shape: tuple[int, ...] = eqx.field(static=True)
    synapses: Int[Array, " numbers"]
    bias: Float[Array, " post"] | None
    first: Int[Array, " bounds"]

    axes: ClassVar[tuple[str, ...]] = ("",)

    @property
    @override
    def weight(self) -> Float[Array, " synapses"]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return _weight(self.synapses[1::2])

    @property
    def target(self) -> Int[Array, " synapses"]:
        """The unit of `dst` at which each synapse ends."""
        return self.synapses[::2].astype(jnp.int32)

    @override
    def _with(self, parts):
        given = {"target": self.target, "weight": self.weight} | dict(parts)
        synapses = _side_by_side(given.pop("target"), given.pop("weight"))
        return super()._with(given | {"synapses": synapses})

    @property
    @override
    def structure(self):
        return {"target": self.target, "first": self.first}

    @property
    def sources(self) -> int:
        """How many units `src` has."""
        return math.prod(self.src_shape)

    @property
    def targets(self) -> int:
        """How many units `dst` has."""
        return math.prod(self.dst_shape)

    @property
    @override
    def fan_in(self) -> int:
        """How many slots a unit has."""
        return max(1, len(self.synapses) // 2 // self.targets)

    @property
    @override
    def fan_out(self) -> int:
        """How many units one unit of `src` reaches on average."""
        return max(1, len(self.synapses) // 2 // self.sources)

    @property
    @override
    def offset(self):
        return 0.0 if self.bias is None else self.bias.reshape(1, *self.dst_shape)

    @property
    def source(self) -> Int[Array, " synapses"]:
        """The unit of `src` that each synapse comes from; of a free slot how many units there
        are.
        """
        synapse = jnp.arange(len(self.synapses) // 2, dtype=self.first.dtype)
        return jnp.searchsorted(self.first, synapse, side="right").astype(jnp.int32) - 1

    @override
    def forward(self, pre):
        # The units of all samples stand in one row, and so do the currents.
        sent, size = pre.reshape(-1), len(pre) * self.targets
        # What a unit has beyond a window, which holds the synapses of most, takes more turns.
        window = 16 * math.ceil((self.fan_out + 2.5 * self.fan_out**0.5) / 16)
        some = min(MOST, max(FEWEST, sent.size // RARE))
        word = _packed(sent != 0)
        upto = jnp.cumsum(lax.population_count(word).astype(jnp.int32))

        def turn(held):
            current, done, begun = held
            rank = done + jnp.arange(some, dtype=jnp.int32)
            unit = jnp.where(rank < upto[-1], _ranked(word, upto, rank), 0)
            sample, source = jnp.divmod(unit, self.sources)
            start = self.first[source] + begun
            left = jnp.where(rank < upto[-1], self.first[source + 1] - start, 0)
            place = jnp.arange(window, dtype=jnp.int32)[None]
            at = 2 * (start[:, None] + place)
            end = self.synapses.at[at].get(mode="clip").astype(jnp.int32)
            end = sample[:, None] * self.targets + end
            end = jnp.where(place < left[:, None], end, size)
            weight = _weight(self.synapses.at[at + 1].get(mode="clip"))
            brought = sent[unit][:, None] * weight
            current = current.at[end.reshape(-1)].add(brought.reshape(-1), mode="drop")
            more = jnp.any(left > window)
            return (
                current,
                jnp.where(more, done, done + some),
                jnp.where(more, begun + window, 0),
            )

        start = jnp.zeros(size, pre.dtype), jnp.int32(0), jnp.int32(0)
        current = lax.while_loop(lambda held: held[1] < upto[-1], turn, start)[0]
        return current.reshape(len(pre), *self.dst_shape) + self.offset

    @override
    def backward(self, delta, weight=None):
        weight = self.weight if weight is None else weight
        back = jnp.zeros((len(delta), self.sources), delta.dtype)
        back = back.at[:, self.source].add(self.at_post(delta) * weight[None], mode="drop")
        return back.reshape(len(delta), *self.src_shape)

    @override
    def outer(self, pre, delta):
        update = {"weight": jnp.mean(self.at_pre(pre) * self.at_post(delta), 0)}
        if self.bias is not None:
            update["bias"] = jnp.mean(delta.reshape(len(delta), -1), 0)
        return update

    @override
    def at_pre(self, pre):
        """Of shape "batch synapses"; 0 where a slot is free."""
        return pre.reshape(len(pre), -1).at[:, self.source].get(mode="fill", fill_value=0)

    @override
    def at_post(self, delta):
        """Of shape "batch synapses"."""
        return delta.reshape(len(delta), -1)[:, self.target]


def by_source(
    source: Int[Array, "post slots"], weight: Float[Array, "post slots"], sources: int
) -> dict[str, Array]:
    """The synapses and first of a `FanOut`.

    Args:
        source: where each synapse comes from; `sources` where a slot is free.
        weight: of each.
        sources: how many units there are to come from.
    """
    target = jnp.broadcast_to(jnp.arange(len(source), dtype=jnp.int32)[:, None], source.shape)
    flat = source.reshape(-1), target.reshape(-1), weight.reshape(-1)
    source, target, weight = lax.sort(flat, num_keys=1, is_stable=True)
    units = jnp.arange(sources + 1, dtype=source.dtype)
    first = jnp.searchsorted(source, units).astype(jnp.int32)
    return {"synapses": _side_by_side(target, weight), "first": first}


def _side_by_side(
    target: Int[Array, " synapses"], weight: Float[Array, " synapses"]
) -> Int[Array, " numbers"]:
    size = max(4, weight.dtype.itemsize)
    wide = weight.astype(f"float{8 * size}")
    bits = lax.bitcast_convert_type(wide, jnp.dtype(f"int{8 * size}"))
    return jnp.stack([target.astype(bits.dtype), bits], 1).reshape(-1)


def _weight(bits: Int[Array, " *any"]) -> Float[Array, " *any"]:
    return lax.bitcast_convert_type(bits, jnp.dtype(f"float{8 * bits.dtype.itemsize}"))


def _packed(sends: Bool[Array, " units"]) -> UInt32[Array, " words"]:
    """Which units send, 32 to a word: unit i is bit i // words of word i % words."""
    words = -(-len(sends) // BITS)
    rows = jnp.pad(sends, (0, BITS * words - len(sends))).reshape(BITS, words)
    bits = [jnp.where(row, jnp.uint32(1 << j), jnp.uint32(0)) for j, row in enumerate(rows)]
    # Not once more for each that asks.
    return lax.optimization_barrier(functools.reduce(operator.or_, bits))


def _ranked(
    word: UInt32[Array, " words"], upto: Int[Array, " words"], rank: Int[Array, " some"]
) -> Int[Array, " some"]:
    """The units that send, by rank, from 0; `upto` counts them up to each word."""
    # To compare all is one loop, to halve one for each halving: of few words it is faster.
    method = "compare_all" if len(word) <= FEW else "scan_unrolled"
    at = jnp.searchsorted(upto, rank, side="right", method=method).astype(jnp.int32)
    at = jnp.minimum(at, len(word) - 1)
    mine = word[at]
    left = rank - upto[at] + lax.population_count(mine).astype(jnp.int32)
    bit = jnp.zeros_like(rank)
    for half in (16, 8, 4, 2, 1):
        low = mine >> bit.astype(jnp.uint32) & jnp.uint32((1 << half) - 1)
        below = lax.population_count(low).astype(jnp.int32)
        beyond = left >= below
        left, bit = jnp.where(beyond, left - below, left), jnp.where(beyond, bit + half, bit)
    return bit * len(word) + at
