"""Sparse projections in blocks: units next to each other read the same few blocks of units next to
each other, all to all, so that what is sparse is multiplied as what is dense, a block at a time.
"""

import math
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
from typing_extensions import override

from byway.core.errors import ShapeError
from byway.core.given import require_whole
from byway.network.populations import Population
from byway.network.projections import Dense, Projection


class BlockFanIn(Projection):
    """Each block of units of `dst` reads the same number of blocks of units of `src`. Weight "rows
    blocks block block", pre before post, bias "units"; populations of any shape are flattened.

    Beside a `FixedFanIn` of as many synapses nothing is looked up for each of them, so it takes a
    fraction of the time; and units of a block have no choice of their own of what they read.

    Attributes:
        src: the presynaptic population.
        dst: the postsynaptic population.
        src_shape: its shape.
        dst_shape: that of its drive.
        weight: "rows blocks block block", pre before post: a row for each block of `dst`.
        bias: "units", or None.
        index: "rows blocks", the blocks of `src` that each row reads, each at most once.
    """

    src: str = eqx.field(static=True)
    dst: str = eqx.field(static=True)
    src_shape: tuple[int, ...] = eqx.field(static=True)
    dst_shape: tuple[int, ...] = eqx.field(static=True)
    weight: Float[Array, "rows blocks block block"]
    bias: Float[Array, " units"] | None
    index: Int[Array, "rows blocks"]

    axes: ClassVar[tuple[str, ...]] = ("post", "", "pre", "post")

    @classmethod
    def between(
        cls, src: Population, dst: Population, fan_in: int, block: int, *, bias: bool = True, **more
    ) -> "BlockFanIn":
        """One with weights of zero; `Network.redraw` draws weights and wiring.

        Args:
            src: the presynaptic population.
            dst: the postsynaptic population.
            fan_in: how many units of `src` each unit reads.
            block: how many units a block has, on either side.
            bias: whether each unit has one.
            more: label and delay, see `Projection`.

        Raises:
            ShapeError: more units to read than there are, or numbers of units that are not whole
                blocks.
        """
        require_whole("fan_in", fan_in, 1, 2**28)
        require_whole("block", block, 1, 2**28)
        sizes = {f"{src.name!r}": src.size, f"{dst.name!r}": dst.size, "the fan-in": fan_in}
        if odd := [f"{n} of {who}" for who, n in sizes.items() if n % block]:
            most = math.gcd(*sizes.values())
            raise ShapeError(
                f"blocks of {block} units and {', '.join(odd)}",
                "whole blocks",
                f"choose other numbers{f', or blocks of {most}' if most > 1 else ''}",
            )
        if fan_in > src.size:
            raise ShapeError(
                f"a fan-in of {fan_in} from {src.name!r}",
                f"at most its {src.size} units",
                "choose a smaller one",
            )
        rows, blocks = dst.size // block, fan_in // block
        return cls(
            src.name,
            dst.name,
            src.shape,
            dst.drive,
            jnp.zeros((rows, blocks, block, block)),
            jnp.zeros(dst.size) if bias else None,
            jnp.broadcast_to(jnp.arange(blocks, dtype=jnp.int32), (rows, blocks)),
            **more,
        )

    @property
    @override
    def structure(self):
        return {"index": self.index}

    @property
    @override
    def note(self) -> str:
        own = f"{self.fan_in} of {math.prod(self.src_shape)} each, in blocks of {self._pre}"
        return ", ".join(filter(None, [own, super().note]))

    @property
    @override
    def fan_in(self) -> int:
        return self.index.shape[1] * self._pre

    @property
    @override
    def fan_out(self) -> int:
        """How many units one unit of `src` reaches on average."""
        return max(1, self.weight.size // math.prod(self.src_shape))

    @property
    @override
    def offset(self):
        return 0.0 if self.bias is None else self.bias.reshape(1, *self.dst_shape)

    @override
    def redraw(self, key, src, dst):
        """The wiring is drawn too: for each row each set of blocks is equally likely."""
        wiring, weights = jax.random.split(key)
        rows, blocks = self.index.shape
        drawn = jax.random.uniform(wiring, (rows, math.prod(self.src_shape) // self._pre))
        index = jnp.sort(jax.lax.top_k(drawn, blocks)[1].astype(self.index.dtype), 1)
        return super().redraw(weights, src, dst).with_structure({"index": index})

    @override
    def by_entries(self):
        """The dense projection with zeros in it."""
        rows, _, pre, post = self.weight.shape
        bare = jnp.zeros((math.prod(self.src_shape) // pre, rows, pre, post), self.weight.dtype)
        dense = bare.at[self.index, jnp.arange(rows)[:, None]].set(self.weight)
        weight = dense.transpose(0, 2, 1, 3).reshape(-1, rows * post)
        ends = self.src, self.dst, self.src_shape, self.dst_shape
        return Dense(*ends, weight, self.bias, label=self.label, delay=self.delay)

    @override
    def forward(self, pre):
        rows, _, _, post = self.weight.shape
        current = jnp.einsum(
            "rbi,rij->brj", self._arriving(pre), self.weight.reshape(rows, -1, post)
        )
        return current.reshape(len(pre), *self.dst_shape) + self.offset

    @override
    def backward(self, delta, weight=None):
        weight = self.weight if weight is None else weight
        back = jnp.einsum("rbj,rkij->rkbi", self._told(delta), weight)
        sources = math.prod(self.src_shape) // self._pre
        whole = jnp.zeros((sources, len(delta), self._pre), back.dtype).at[self.index].add(back)
        return whole.swapaxes(0, 1).reshape(len(delta), *self.src_shape)

    @override
    def outer(self, pre, delta):
        told = self._told(delta) / len(pre)
        met = jnp.einsum("rbi,rbj->rij", self._arriving(pre), told)
        update = {"weight": met.reshape(self.weight.shape)}
        return update if self.bias is None else update | {"bias": told.sum(1).reshape(-1)}

    @override
    def at_pre(self, pre):
        """Of shape "batch rows blocks pre 1"."""
        return self._sent(pre)[self.index].transpose(2, 0, 1, 3)[..., None]

    @override
    def at_post(self, delta):
        """Of shape "batch rows 1 1 post"."""
        return self._told(delta).swapaxes(0, 1)[:, :, None, None]

    @property
    def _pre(self) -> int:
        return self.weight.shape[2]

    def _sent(self, pre: Array) -> Float[Array, "sources batch pre"]:
        """What each block of `src` sends."""
        return pre.reshape(len(pre), -1, self._pre).swapaxes(0, 1)

    def _arriving(self, pre: Array) -> Float[Array, "rows batch fan_in"]:
        """What arrives at each row, of all the blocks that it reads."""
        each = self._sent(pre)[self.index]
        return each.swapaxes(1, 2).reshape(len(each), len(pre), -1)

    def _told(self, delta: Array) -> Float[Array, "rows batch post"]:
        return delta.reshape(len(delta), len(self.index), -1).swapaxes(0, 1)
