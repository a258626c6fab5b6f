"""Projections: the edges of a network.

A projection is linear in its weights and in its input, so it has just three operations, and every rule works on every
architecture through them:

    forward(pre)         current = W . pre + b
    backward(delta)      W^T . delta                 only rules that admit to weight transport use their own W here
    outer(pre, delta)    mean over the batch of delta pre^T, shaped like theta
"""

import math
from abc import abstractmethod

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from byway.core.errors import ConfigError, ShapeError


class Projection(eqx.Module):
    """Abstract base. `weight` and `bias` are its theta; everything else is static."""

    src: eqx.AbstractVar[str]
    dst: eqx.AbstractVar[str]
    src_shape: eqx.AbstractVar[tuple[int, ...]]
    dst_shape: eqx.AbstractVar[tuple[int, ...]]
    weight: eqx.AbstractVar[Array]
    bias: eqx.AbstractVar[Array | None]

    @property
    def name(self) -> str:
        """`src-dst`."""
        return f"{self.src}-{self.dst}"

    @property
    def theta(self) -> dict[str, Array]:
        """What a rule may train: "weight", and "bias" if there is one."""
        return {"weight": self.weight} if self.bias is None else {"weight": self.weight, "bias": self.bias}

    def with_theta(self, theta: dict[str, Array]) -> "Projection":
        """The same projection with other weights."""
        return eqx.tree_at(lambda p: [getattr(p, k) for k in theta], self, list(theta.values()))

    def redraw(self, key: Key[Array, ""], gain: float) -> "Projection":
        """Fresh weights, normal with variance gain / fan_in; the bias is zero. He et al. 2015, LeCun et al. 1998."""
        weight = jax.random.normal(key, self.weight.shape, self.weight.dtype) * np.sqrt(gain / self.fan_in).item()
        fresh = {"weight": weight}
        if self.bias is not None:
            fresh["bias"] = jnp.zeros_like(self.bias)
        return self.with_theta(fresh)

    @property
    @abstractmethod
    def fan_in(self) -> int:
        """How many inputs one unit of `dst` sums."""

    @property
    @abstractmethod
    def fan_out(self) -> int:
        """How many units of `dst` one unit of `src` reaches, before pooling."""

    @property
    @abstractmethod
    def offset(self) -> Array | float:
        """The current that it causes when nothing arrives: the bias, "1 *post", or the number 0.0."""

    @abstractmethod
    def forward(self, pre: Float[Array, "batch *pre"]) -> Float[Array, "batch *post"]:
        """The current that `pre` causes."""

    @abstractmethod
    def backward(self, delta: Float[Array, "batch *post"], weight: Array | None = None) -> Float[Array, "batch *pre"]:
        """The transpose applied to `delta`, with this projection's own weight or with `weight`, shaped like it."""

    @abstractmethod
    def outer(self, pre: Float[Array, "batch *pre"], delta: Float[Array, "batch *post"]) -> dict[str, Array]:
        """The update of theta: delta times pre, averaged over the batch."""


class Dense(Projection):
    """All to all. Weight "pre post", bias "post"; populations of any shape are flattened.

    Attributes:
        src: the presynaptic population.
        dst: the postsynaptic population.
        src_shape: its shape.
        dst_shape: its shape.
        weight: "pre post".
        bias: "post", or None.
    """

    src: str = eqx.field(static=True)
    dst: str = eqx.field(static=True)
    src_shape: tuple[int, ...] = eqx.field(static=True)
    dst_shape: tuple[int, ...] = eqx.field(static=True)
    weight: Float[Array, "pre post"]
    bias: Float[Array, " post"] | None

    @property
    def fan_in(self) -> int:
        """See `Projection.fan_in`."""
        return self.weight.shape[0]

    @property
    def fan_out(self) -> int:
        """See `Projection.fan_out`."""
        return self.weight.shape[1]

    @property
    def offset(self):
        """See `Projection.offset`."""
        return 0.0 if self.bias is None else self.bias.reshape(1, *self.dst_shape)

    def forward(self, pre):
        """See `Projection.forward`."""
        current = pre.reshape(pre.shape[0], -1) @ self.weight
        return current.reshape(pre.shape[0], *self.dst_shape) + self.offset

    def backward(self, delta, weight=None):
        """See `Projection.backward`."""
        weight = self.weight if weight is None else weight
        return (delta.reshape(delta.shape[0], -1) @ weight.T).reshape(delta.shape[0], *self.src_shape)

    def outer(self, pre, delta):
        """See `Projection.outer`."""
        batch = pre.shape[0]
        delta = delta.reshape(batch, -1) / batch
        update = {"weight": pre.reshape(batch, -1).T @ delta}
        if self.bias is not None:
            update["bias"] = delta.sum(0)
        return update


class Transposed(Projection):
    """A projection known by its current alone: its other two operations are the transposes of that, in its input and in its weight."""

    @abstractmethod
    def linear(self, weight: Array, pre: Float[Array, "batch *pre"]) -> Float[Array, "batch *post"]:
        """The current that `pre` causes through `weight`, without the bias."""

    def backward(self, delta, weight=None):
        """See `Projection.backward`."""
        weight = self.weight if weight is None else weight
        pre = jax.ShapeDtypeStruct((delta.shape[0], *self.src_shape), delta.dtype)
        return jax.linear_transpose(lambda pre: self.linear(weight, pre), pre)(delta)[0]

    def outer(self, pre, delta):
        """See `Projection.outer`."""
        delta = delta / pre.shape[0]
        update = {"weight": jax.linear_transpose(lambda w: self.linear(w, pre), self.weight)(delta)[0]}
        if self.bias is not None:
            update["bias"] = self.outer_bias(delta)
        return update

    @abstractmethod
    def outer_bias(self, delta: Float[Array, "batch *post"]) -> Array:
        """The transpose of what the bias adds, applied to `delta`, summed over the batch."""


class Conv(Transposed):
    """2-D convolution, then mean pooling, which keeps it linear. Weight "height width in out", bias "out".

    Attributes:
        src: the presynaptic population, of shape (height, width, channels).
        dst: the postsynaptic population.
        src_shape: the shape of `src`.
        weight: "height width in out".
        bias: "out", or None.
        stride: step of the kernel, in units of `src`.
        padding: "SAME" or "VALID".
        pool: side of the mean-pooling window, 1 for none.
    """

    src: str = eqx.field(static=True)
    dst: str = eqx.field(static=True)
    src_shape: tuple[int, ...] = eqx.field(static=True)
    weight: Float[Array, "height width in out"]
    bias: Float[Array, " out"] | None
    stride: int = eqx.field(static=True, default=1)
    padding: str = eqx.field(static=True, default="SAME")
    pool: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        if self.padding not in ("SAME", "VALID"):
            raise ConfigError(f"padding {self.padding!r}", "'SAME' or 'VALID'", "choose one of the two")
        if self.stride < 1 or self.pool < 1:
            raise ConfigError(f"stride {self.stride} and pool {self.pool}", "whole numbers from 1", "use 1 for no effect")
        if len(self.src_shape) != 3:
            raise ShapeError(
                f"a convolution from {self.src!r} of shape {self.src_shape}", "(height, width, channels)", "give the input as an image"
            )
        if min(self.dst_shape) < 1:
            raise ShapeError(
                f"{self.src!r} of shape {self.src_shape} shrinks to {self.dst_shape}",
                "at least one unit on each axis",
                "use fewer layers, less pooling, or padding 'SAME'",
            )

    @property
    def dst_shape(self) -> tuple[int, ...]:
        """The shape of what it makes of `src`."""
        pre = jax.ShapeDtypeStruct((1, *self.src_shape), self.weight.dtype)
        return jax.eval_shape(self.linear, self.weight, pre).shape[1:]

    @property
    def fan_in(self) -> int:
        """See `Projection.fan_in`."""
        return math.prod(self.weight.shape[:3])

    @property
    def fan_out(self) -> int:
        """See `Projection.fan_out`."""
        return math.prod(self.weight.shape[:2]) * self.weight.shape[3] // self.stride**2 or 1

    @property
    def offset(self):
        """See `Projection.offset`."""
        return 0.0 if self.bias is None else self.bias[None, None, None, :]

    def forward(self, pre):
        """See `Projection.forward`."""
        return self.linear(self.weight, pre) + self.offset

    def outer_bias(self, delta):
        """See `Transposed.outer_bias`."""
        return delta.sum((0, 1, 2))

    def linear(self, weight, pre):
        """See `Transposed.linear`."""
        current = jax.lax.conv_general_dilated(
            pre, weight, (self.stride, self.stride), self.padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        if self.pool == 1:
            return current
        window = (1, self.pool, self.pool, 1)
        return jax.lax.reduce_window(current, 0.0, jax.lax.add, window, window, "VALID") / self.pool**2
