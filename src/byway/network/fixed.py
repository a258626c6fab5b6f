"""Reversal bit for bit: states as numbers with fixed point, and a buffer for what units forget.

A state s is a whole number of 2^-23, z one of 2^-10. Multiplying by z destroys -log2 z bits of s;
they are pushed onto a buffer of each unit, and popped on the way back:

    r = s mod 2^10,   push r among 2^10,   pop q among z,   s' = z floor(s / 2^10) + q + w
    back:   q = (s' - w) mod z,   push q among z,   pop r among 2^10,
            s = 2^10 floor((s' - w) / z) + r

Pushing a number among n multiplies the buffer by n and adds it; popping divides by n and leaves the
rest. The buffer is one whole number: a head of 32 bits is at hand, the rest is a stack of words of
16 bits (an asymmetric numeral system: none is wasted on where words begin). How large it can get
follows from the least z, and it is made as large as that.

z and w have to be the same bits both times, whatever program they are part of: they are computed
behind barriers. The drives that they follow from are as the compiler makes them, twice: with its
optimisations switched off they were seen to differ in last bits. Whether it worked is seen at the
start of the sequence, which is met to the bit or was missed.

Source   MacKay et al., Reversible recurrent neural networks, NeurIPS 2018, algorithm 1; Duda,
         Asymmetric numeral systems, 2013, arXiv 1311.2540, for the buffer
"""

import dataclasses
import functools
import math
import operator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from byway.network.cell import AffineCell, CellState, Like
from byway.network.network import Network, State

# Bits after the point of states and of gates, and those of a word of the buffer.
STATE, GATE, WORD = 23, 10, 16
ONE = 1 << GATE
LOW = 1 << WORD  # the head of a buffer is from here on, and below 2^32
# A state beyond this is said to be none: its sum might not fit into 32 bits.
LARGEST = 1 << 30
# Words below the first, as popping may borrow what it rounds.
SPARE = 4


class Buffer(NamedTuple):
    """A whole number for each unit, that may be very large.

    Attributes:
        head: its first 16 to 32 bits, "units".
        stack: the words below, "units depth", the lowest first.
        top: how many of them there are, "units".
    """

    head: Array
    stack: Array
    top: Array


def empty(units: int, bits: float) -> Buffer:
    """Buffers that hold so many bits each, besides what they start with."""
    depth = math.ceil(bits / WORD) + 2 * SPARE
    return Buffer(
        jnp.full(units, LOW, jnp.uint32),
        jnp.zeros((units, depth), jnp.uint16),
        jnp.full(units, SPARE, jnp.int32),
    )


def pushed(buffer: Buffer, number: Array, among: Array | int) -> Buffer:
    """With `number`, of `among` that it might have been, from 1 to 2^16."""
    buffer, low = _aligned(buffer, among)
    among = jnp.asarray(among, jnp.uint32)
    buffer = _spilled(buffer, (buffer.head >> WORD) >= low // among)
    return _usual(buffer._replace(head=buffer.head * among + number), low)


def popped(buffer: Buffer, among: Array | int) -> tuple[Buffer, Array]:
    """Without the number that was pushed last, among so many, and that number."""
    buffer, low = _aligned(buffer, among)
    among = jnp.asarray(among, jnp.uint32)
    number, buffer = buffer.head % among, buffer._replace(head=buffer.head // among)
    return _usual(_refilled(buffer, buffer.head < low), low), number


def size(buffer: Buffer) -> Float[Array, " units"]:
    """How many bits a buffer holds."""
    words = (buffer.top - SPARE).astype(jnp.float32)
    return WORD * words + jnp.log2(buffer.head.astype(jnp.float32) / LOW)


def _aligned(buffer: Buffer, among: Array | int) -> tuple[Buffer, Array]:
    """The head in [low, 2^16 low) in place of [2^16, 2^32), where `among` divides low: so what is
    spilled says what was refilled, and the other way round.
    """
    low = jnp.uint32(LOW) - jnp.uint32(LOW) % jnp.asarray(among, jnp.uint32)
    if isinstance(among, int) and LOW % among == 0:
        return buffer, low
    return _spilled(buffer, (buffer.head >> WORD) >= low), low


def _usual(buffer: Buffer, low: Array) -> Buffer:
    """The head in [2^16, 2^32) again, from [low, 2^16 low)."""
    return buffer if low.ndim == 0 else _refilled(buffer, buffer.head < LOW)


def _spilled(buffer: Buffer, where: Array) -> Buffer:
    """The last word of some heads on the stack. What lies above the top means nothing, so all write
    there.
    """
    word = (buffer.head & jnp.uint32(LOW - 1)).astype(jnp.uint16)
    stack = buffer.stack.at[jnp.arange(len(word)), buffer.top].set(word, unique_indices=True)
    head = jnp.where(where, buffer.head >> WORD, buffer.head)
    return Buffer(head, stack, buffer.top + where.astype(jnp.int32))


def _refilled(buffer: Buffer, where: Array) -> Buffer:
    """The last word of the stack in some heads."""
    word = buffer.stack[jnp.arange(len(buffer.top)), buffer.top - 1].astype(jnp.uint32)
    head = jnp.where(where, (buffer.head << WORD) | word, buffer.head)
    return Buffer(head, buffer.stack, buffer.top - where.astype(jnp.int32))


class Fixed(Like, AffineCell):
    """A cell whose state is whole numbers of 2^-23, and which keeps what it forgets where its state
    has a buffer.

    Attributes:
        cell: the cell in floats.
        dtype: the type of its activity.
    """

    cell: AffineCell
    dtype: Any = eqx.field(static=True)

    keeps = property(lambda self: self.cell.keeps)  # pyright: ignore[reportAssignmentType]

    @override
    def rest(self, like):
        return {part: _whole(a) for part, a in self.cell.rest(like).items()}

    def floats(self, state: CellState) -> CellState:
        """The state in numbers."""
        parts = [part for part in self.carries if part in state]
        return {part: state[part].astype(self.dtype) * 2.0**-STATE for part in parts}

    @override
    def read(self, state):
        """NaN where a part of the state is too large for its fixed point."""
        fits = functools.reduce(
            operator.and_,
            [(state[part] < LARGEST) & (state[part] > -LARGEST) for part in self.carries],
        )
        return jnp.where(fits, self.cell.read(self.floats(state)), jnp.nan)

    @override
    def gate(self, part, u, after):
        """In floats that are whole: z of 2^-10, w of 2^-23."""
        return self.cell.gate(part, u, self.floats(after))

    @override
    def step(self, state, u):
        after: CellState = {}
        for part in self.carries:
            z, w = self._gate(part, u, after)
            if z is None:
                after[part] = state[part] + w
                continue
            high, low = state[part] >> GATE, state[part] & (ONE - 1)
            if (buffer := _buffer(part, state)) is None:
                rest = (low * z) >> GATE
            else:
                buffer = pushed(buffer, low.ravel().astype(jnp.uint32), ONE)
                buffer, rest = popped(buffer, z.ravel().astype(jnp.uint32))
                after |= _parts(part, buffer, low.shape)
                rest = rest.reshape(low.shape).astype(jnp.int32)
            after[part] = high * z + rest + w
        return after, self.read(after)

    @override
    def back(self, after, u):
        before: CellState = {}
        for part in self.carries:
            z, w = self._gate(part, u, after)
            scaled = after[part] - w
            if z is None:
                before[part] = scaled
                continue
            high, rest, buffer = scaled // z, scaled % z, _buffer(part, after)
            if buffer is None:
                low = jnp.zeros_like(high)  # which is lost
            else:
                buffer = pushed(
                    buffer, rest.ravel().astype(jnp.uint32), z.ravel().astype(jnp.uint32)
                )
                buffer, low = popped(buffer, ONE)
                before |= _parts(part, buffer, high.shape)
                low = low.reshape(high.shape).astype(jnp.int32)
            before[part] = (high << GATE) | low
        return before

    @override
    def local(self, state, u):
        return self.cell.local(self.floats(state), u)

    def _gate(self, part: str, u: Array, after: CellState) -> tuple[Array | None, Array]:
        """Z as a whole number of 2^-10, None where it is one, and w as one of 2^-23: the same bits
        wherever it is computed.
        """
        held = jax.lax.optimization_barrier((u, {k: after[k] for k in self._before(part)}))
        z, w = jax.lax.optimization_barrier(self.gate(part, *held))
        return None if self.keeps == 1 else _among(z), _whole(w)

    def _before(self, part: str) -> tuple[str, ...]:
        return self.carries[: self.carries.index(part)]


def fixed(net: Network) -> Network:
    """The same network with states of fixed point."""
    populations = tuple(
        dataclasses.replace(p, cell=Fixed(p.cell, net.dtype))
        if isinstance(p.cell, AffineCell)
        else p
        for p in net.populations
    )
    return eqx.tree_at(lambda n: n.populations, net, populations)


def with_buffers(net: Network, state: State, steps: int) -> State:
    """A state of a network with fixed point, with room for what its units forget in so many
    steps.
    """
    cell = dict(state.cell)
    for p in net.stateful:
        if not isinstance(p.cell, Fixed) or p.cell.keeps == 1:
            continue
        # Popping may round up by as much as a number among 2^10 can be of one of 2^16.
        bits = steps * (GATE - math.log2(max(1, round(p.cell.keeps * ONE))) + 0.03)
        for part in p.cell.carries:
            shape = cell[p.name][part].shape
            cell[p.name] = cell[p.name] | _parts(part, empty(math.prod(shape), bits), shape)
    return state._replace(cell=cell)


def without_buffers(net: Network, state: State) -> State:
    """The state alone."""
    carried = {p.name: p.cell.carries for p in net.stateful}
    cell = {name: {i: parts[i] for i in carried[name]} for name, parts in state.cell.items()}
    return state._replace(cell=cell)


def stored(net: Network, state: State) -> list[Float[Array, " units"]]:
    """The bits in each buffer of a state."""
    found = [(part, state.cell[p.name]) for p in net.stateful for part in p.cell.carries]
    buffers = [_buffer(part, parts) for part, parts in found]
    return [size(buffer) for buffer in buffers if buffer is not None]


def _buffer(part: str, state: CellState) -> Buffer | None:
    if f"{part}_head" not in state:
        return None
    head, stack, top = (state[f"{part}_{name}"] for name in Buffer._fields)
    return Buffer(head.ravel(), stack.reshape(head.size, -1), top.ravel())


def _parts(part: str, buffer: Buffer, shape: tuple[int, ...]) -> CellState:
    return {
        f"{part}_{name}": a.reshape(*shape, *a.shape[1:]) for name, a in buffer._asdict().items()
    }


def _whole(a: Array) -> Array:
    return jnp.round(a * 2.0**STATE).astype(jnp.int32)


def _among(z: Array) -> Array:
    return jnp.clip(jnp.round(z * ONE), 1, ONE).astype(jnp.int32)
