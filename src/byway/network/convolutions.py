"""Projections of images: each unit sees a field of the image before it, by weights that all places
share, or by its own.
"""

import itertools
import math
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from byway.core.errors import ConfigError, ShapeError
from byway.network.convolution import Convolution
from byway.network.populations import Population
from byway.network.projections import Transposed


class Conv(Transposed):
    """2-D convolution, then mean pooling, which keeps it linear. Weight "height width in out", bias
    "out".

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

    axes: ClassVar[tuple[str, ...]] = ("", "", "pre", "post")

    @override
    def __check_init__(self):  # Equinox runs that of the base as well
        if self.padding not in ("SAME", "VALID"):
            raise ConfigError(
                f"padding {self.padding!r}", "'SAME' or 'VALID'", "choose one of the two"
            )
        if self.stride < 1 or self.pool < 1:
            raise ConfigError(
                f"stride {self.stride} and pool {self.pool}",
                "whole numbers from 1",
                "use 1 for no effect",
            )
        if len(self.src_shape) != 3:
            raise ShapeError(
                f"a convolution from {self.src!r} of shape {self.src_shape}",
                "(height, width, channels)",
                "give the input as an image",
            )
        if min(self.dst_shape) < 1:
            raise ShapeError(
                f"{self.src!r} of shape {self.src_shape} shrinks to {self.dst_shape}",
                "at least one unit on each axis",
                "use fewer layers, less pooling, or padding 'SAME'",
            )

    @property
    @override
    def dst_shape(self) -> tuple[int, ...]:
        """The shape of what it makes of `src`."""
        pre = jax.ShapeDtypeStruct((1, *self.src_shape), self.weight.dtype)
        return jax.eval_shape(self.linear, self.weight, pre).shape[1:]

    @property
    @override
    def fan_in(self) -> int:
        return math.prod(self.weight.shape[:3])

    @property
    @override
    def fan_out(self) -> int:
        return math.prod(self.weight.shape[:2]) * self.weight.shape[3] // self.stride**2 or 1

    @property
    @override
    def offset(self):
        return 0.0 if self.bias is None else self.bias[None, None, None, :]

    @override
    def forward(self, pre):
        return self.linear(self.weight, pre) + self.offset

    @override
    def outer_bias(self, delta):
        return delta.sum((0, 1, 2))

    @override
    def linear(self, weight, pre):
        return self._pooled(self._map.forward(pre, weight))

    @override
    def to_pre(self, weight, delta):
        return self._map.backward(self._spread(delta), weight, self.src_shape[:2])

    @override
    def to_weight(self, pre, delta):
        return self._map.outer(pre, self._spread(delta), self.weight.shape[:2])

    @property
    def _map(self) -> Convolution:
        return Convolution((self.stride, self.stride), self.padding, (1, 1))

    def _pooled(
        self, current: Float[Array, "batch height width out"]
    ) -> Float[Array, "batch row col out"]:
        if self.pool == 1:
            return current
        window = (1, self.pool, self.pool, 1)
        return (
            jax.lax.reduce_window(current, 0.0, jax.lax.add, window, window, "VALID") / self.pool**2
        )

    def _spread(
        self, delta: Float[Array, "batch row col out"]
    ) -> Float[Array, "batch height width out"]:
        """The transpose of pooling."""
        pre = jax.ShapeDtypeStruct((delta.shape[0], *self.src_shape), delta.dtype)
        current = jax.eval_shape(self._map.forward, pre, self.weight)
        return jax.linear_transpose(self._pooled, current)(delta)[0]


class LocallyConnected(Transposed):
    """Local receptive fields, as in a convolution, each with weights of its own. Weight "row col
    fan out", bias "row col out".

    Attributes:
        src: the presynaptic population, of shape (height, width, channels).
        dst: the postsynaptic population, of shape (row, col, out).
        src_shape: the shape of `src`.
        weight: "row col fan out", where fan counts the units of a field: channel, then row, then
            column.
        bias: "row col out", or None.
        kernel: side of a field.
        stride: how far apart fields are, in units of `src`.
        padding: "SAME" or "VALID".
    """

    src: str = eqx.field(static=True)
    dst: str = eqx.field(static=True)
    src_shape: tuple[int, ...] = eqx.field(static=True)
    weight: Float[Array, "row col fan out"]
    bias: Float[Array, "row col out"] | None
    kernel: int = eqx.field(static=True)
    stride: int = eqx.field(static=True, default=1)
    padding: str = eqx.field(static=True, default="VALID")

    axes: ClassVar[tuple[str, ...]] = ("post", "post", "pre", "post")

    @override
    def __check_init__(self):
        _check_image(self.src, self.src_shape, self.padding, self.stride)
        wanted = fields(self.src_shape, self.kernel, self.stride, self.padding)
        if self.weight.shape[:3] != wanted:
            raise ShapeError(
                f"weights of shape {self.weight.shape} for {self.name}",
                f"(row, col, fan) = {wanted}",
                "see `between`",
            )

    @classmethod
    def between(
        cls,
        src: Population,
        dst: str,
        out: int,
        kernel: int,
        stride: int = 1,
        padding: str = "VALID",
        bias: bool = True,
        **more,
    ):
        """One that leaves a population, with weights of zero.

        Args:
            src: the population.
            dst: the name of the one where it ends.
            out: units at each place.
            kernel: side of a field.
            stride: how far apart fields are.
            padding: "SAME" or "VALID".
            bias: whether each unit has one.
            more: label and delay, see `Projection`.
        """
        _check_image(src.name, src.shape, padding, stride)
        row, col, fan = fields(src.shape, kernel, stride, padding)
        b = jnp.zeros((row, col, out)) if bias else None
        return cls(  # pyright: ignore[reportCallIssue]  its dst_shape follows from the rest
            src=src.name,
            dst=dst,
            src_shape=src.shape,
            weight=jnp.zeros((row, col, fan, out)),
            bias=b,
            kernel=kernel,
            stride=stride,
            padding=padding,
            **more,
        )

    @property
    @override
    def dst_shape(self) -> tuple[int, ...]:
        """The shape of what it makes of `src`."""
        return (*self.weight.shape[:2], self.weight.shape[3])

    @property
    @override
    def fan_in(self) -> int:
        return self.weight.shape[2]

    @property
    @override
    def fan_out(self) -> int:
        return self.kernel**2 * self.weight.shape[3] // self.stride**2 or 1

    @property
    @override
    def offset(self):
        return 0.0 if self.bias is None else self.bias[None]

    @override
    def forward(self, pre):
        return self.linear(self.weight, pre) + self.offset

    @override
    def linear(self, weight, pre):
        return jnp.moveaxis(jnp.einsum("rcfb,rcfo->rcbo", self._fields(pre), weight), 2, 0)

    @override
    def outer_bias(self, delta):
        return delta.sum(0)

    @override
    def at_pre(self, pre):
        """Of shape "batch row col fan 1"."""
        return jnp.moveaxis(self._fields(pre), -1, 0)[..., None]

    @override
    def at_post(self, delta):
        """Of shape "batch row col 1 out"."""
        return delta[:, :, :, None, :]

    def _fields(
        self, pre: Float[Array, "batch height width channels"]
    ) -> Float[Array, "row col fan batch"]:
        return _patches(pre, self.kernel, self.stride, self.padding)


def fields(shape: tuple[int, ...], kernel: int, stride: int, padding: str) -> tuple[int, ...]:
    """How many rows and columns of fields an image has, and how many units a field."""
    image = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    return jax.eval_shape(lambda image: _patches(image, kernel, stride, padding), image).shape[:-1]


def _patches(
    image: Float[Array, "batch height width channels"], kernel: int, stride: int, padding: str
) -> Float[Array, "row col fan batch"]:
    """What each field sees. Samples come last: what is copied to another place is a run of them."""
    pads = jax.lax.padtype_to_pads(image.shape[1:3], (kernel, kernel), (stride, stride), padding)
    image = jnp.pad(jnp.moveaxis(image, 0, -1), (*pads, (0, 0), (0, 0)))
    # From the first place to the last.
    down, across = (max(0, n - kernel + 1) for n in image.shape[:2])
    seen = [
        image[i : i + down : stride, j : j + across : stride]
        for i, j in itertools.product(range(kernel), repeat=2)
    ]
    row, col, channels, batch = seen[0].shape
    return jnp.stack(seen, 3).reshape(row, col, channels * kernel**2, batch)


def _check_image(src: str, shape: tuple[int, ...], padding: str, *steps: int) -> None:
    if padding not in ("SAME", "VALID"):
        raise ConfigError(f"padding {padding!r}", "'SAME' or 'VALID'", "choose one of the two")
    if min(steps) < 1:
        raise ConfigError(f"stride and pool {steps}", "whole numbers from 1", "use 1 for no effect")
    if len(shape) != 3:
        raise ShapeError(
            f"local fields of {src!r} of shape {shape}",
            "(height, width, channels)",
            "give the input as an image",
        )
