"""Sparse projections: each unit reads a few others, and which ones is an array, so that it can be
drawn, saved and grown.
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from typing_extensions import override

from byway.core.errors import ShapeError
from byway.core.given import require_whole
from byway.network.populations import Population
from byway.network.projections import Projection

# What one entry gathered costs beside one multiplication of a dense product, and what a dense
# matrix costs to build, in samples; measured by `python -m benchmarks.sparse`.
GATHERED, BUILT = 430, 80


class FixedFanIn(Projection):
    """Each unit of `dst` reads the same number of units of `src`. Weight "post fan", bias "post".

    Products run over a dense matrix with zeros in it, or over what was gathered, whichever takes
    less time for the sizes at hand.

    Attributes:
        src: the presynaptic population.
        dst: the postsynaptic population.
        src_shape: its shape.
        dst_shape: its shape.
        weight: "post fan".
        bias: "post", or None.
        index: "post fan", the unit of `src`, counted flat, that each weight reads; in a row each at
            most once.
    """

    src: str = eqx.field(static=True)
    dst: str = eqx.field(static=True)
    src_shape: tuple[int, ...] = eqx.field(static=True)
    dst_shape: tuple[int, ...] = eqx.field(static=True)
    weight: Float[Array, "post fan"]
    bias: Float[Array, " post"] | None
    index: Int[Array, "post fan"]

    axes: ClassVar[tuple[str, ...]] = ("post", "pre")

    @classmethod
    def between(
        cls,
        src: Population,
        dst: Population,
        fan_in: int,
        *,
        bias: bool = True,
        index: Array | np.ndarray | None = None,
        **more,
    ) -> "FixedFanIn":
        """One with weights of zero; `Network.redraw` draws weights and wiring.

        Args:
            src: the presynaptic population.
            dst: the postsynaptic population.
            fan_in: how many units of `src` each unit reads.
            bias: whether each unit has one.
            index: which ones, to begin with, "post fan".
            more: label and delay, see `Projection`.

        Raises:
            ShapeError: more units to read than there are, or a table out of range.
        """
        require_whole("fan_in", fan_in, 1, 2**28)
        if fan_in > src.size:
            raise ShapeError(
                f"a fan-in of {fan_in} from {src.name!r}",
                f"at most its {src.size} units",
                "choose a smaller one",
            )
        if index is None:
            index = jnp.broadcast_to(jnp.arange(fan_in)[None], (dst.size, fan_in))
        held = np.asarray(index)
        if held.shape != (dst.size, fan_in) or held.dtype.kind not in "iu":
            raise ShapeError(
                f"a wiring table of {held.dtype} and shape {held.shape}",
                f"whole numbers, {(dst.size, fan_in)}",
                "reshape it",
            )
        if held.min() < 0 or held.max() >= src.size:
            raise ShapeError(
                f"a wiring table with entries from {held.min()} to {held.max()}",
                f"units of {src.name!r}, 0 to {src.size - 1}",
                "mend it",
            )
        if np.any(np.diff(np.sort(held, 1), axis=1) == 0):
            raise ShapeError(
                "a wiring table in which a unit reads another twice",
                "each at most once in a row",
                "mend it",
            )
        b = jnp.zeros(dst.size) if bias else None
        weight = jnp.zeros((dst.size, fan_in))
        return cls(
            src.name,
            dst.name,
            src.shape,
            dst.drive,
            weight,
            b,
            jnp.asarray(index, jnp.int32),
            **more,
        )

    @property
    @override
    def structure(self):
        return {"index": self.index}

    @property
    @override
    def note(self) -> str:
        return ", ".join(filter(None, [f"{self.fan_in} of {self.sources} each", super().note]))

    @property
    @override
    def fan_in(self) -> int:
        return self.weight.shape[1]

    @property
    @override
    def fan_out(self) -> int:
        """How many units one unit of `src` reaches on average."""
        return max(1, round(self.weight.size / self.sources))

    @property
    @override
    def offset(self):
        return 0.0 if self.bias is None else self.bias.reshape(1, *self.dst_shape)

    @override
    def redraw(self, key, src, dst):
        """The wiring is drawn too, each set of units equally likely."""
        wiring, weights = jax.random.split(key)
        chance = jax.random.uniform(wiring, (len(self.weight), self.sources))
        index = jnp.sort(jax.lax.top_k(chance, self.fan_in)[1], axis=1).astype(self.index.dtype)
        return super().redraw(weights, src, dst).with_structure({"index": index})

    @override
    def forward(self, pre):
        flat = pre.reshape(len(pre), -1)
        current = (
            flat @ self._dense(self.weight)
            if self._by_matrix(len(flat))
            else jnp.sum(self.at_pre(pre) * self.weight[None], 2)
        )
        return current.reshape(len(pre), *self.dst_shape) + self.offset

    @override
    def backward(self, delta, weight=None):
        weight, flat = self.weight if weight is None else weight, delta.reshape(len(delta), -1)
        if self._by_matrix(len(flat)):
            back = flat @ self._dense(weight).T
        else:
            back = (
                jnp.zeros((len(flat), self.sources), flat.dtype)
                .at[:, self.index]
                .add(flat[:, :, None] * weight[None])
            )
        return back.reshape(len(delta), *self.src_shape)

    @override
    def outer(self, pre, delta):
        flat, post = pre.reshape(len(pre), -1), delta.reshape(len(delta), -1) / len(pre)
        if self._by_matrix(len(flat)):
            update = {"weight": jnp.take_along_axis(post.T @ flat, self.index, 1)}
        else:
            update = {"weight": jnp.sum(self.at_pre(pre) * post[:, :, None], 0)}
        return update if self.bias is None else update | {"bias": post.sum(0)}

    @override
    def at_pre(self, pre):
        """Of shape "batch post fan"."""
        return pre.reshape(len(pre), -1)[:, self.index]

    @override
    def at_post(self, delta):
        """Of shape "batch post 1"."""
        return delta.reshape(len(delta), -1, 1)

    @property
    def sources(self) -> int:
        """How many units `src` has."""
        return int(np.prod(self.src_shape))

    def _dense(self, weight: Float[Array, "post fan"]) -> Float[Array, "pre post"]:
        rows = jnp.arange(len(weight))[:, None]
        return (
            jnp.zeros((len(weight), self.sources), weight.dtype).at[rows, self.index].add(weight).T
        )

    def _by_matrix(self, batch: int) -> bool:
        return self.sources * (batch + BUILT) < GATHERED * self.fan_in * batch
