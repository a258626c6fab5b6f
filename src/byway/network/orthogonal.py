"""Projections by an orthogonal matrix, whatever their parameters are: products of plane rotations.

    W = S R_k ... S R_2 S R_1,   R turns units 2j and 2j+1 by an angle,   S: even units, then odd

Each stage turns n/2 pairs, and the shuffle S makes others of them: after log2 n stages every unit
has met every other, as in a fast Fourier transform, for n log2 n / 2 angles and as many products.
The more stages, the more orthogonal matrices can be reached. W^-1 = W^T is as cheap.

Source   Jing et al., Tunable efficient unitary neural networks (EUNN) and their application to
         RNNs, ICML 2017; Mathieu and LeCun, Fast approximation of rotations and Hessians matrices,
         2014; differs in: real rotations, without phases
"""

import math
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from byway.core.errors import ShapeError
from byway.core.given import require_whole
from byway.network.populations import Population
from byway.network.projections import Dense, Projection


class Orthogonal(Projection):
    """A rotation (or reflection) of what arrives. Weight "stages pairs", angles [rad]; bias "post".

    The current is no linear function of the angles, so `outer` is the derivative by them.

    Attributes:
        src: the presynaptic population.
        dst: the postsynaptic population, of as many units.
        src_shape: its shape.
        dst_shape: its shape.
        weight: "stages pairs", the angles.
        bias: "post", or None.
    """

    src: str = eqx.field(static=True)
    dst: str = eqx.field(static=True)
    src_shape: tuple[int, ...] = eqx.field(static=True)
    dst_shape: tuple[int, ...] = eqx.field(static=True)
    weight: Float[Array, "stages pairs"]
    bias: Float[Array, " post"] | None

    axes: ClassVar[tuple[str, ...]] = ("", "")
    invertible: ClassVar[bool] = True
    linear_in_weights: ClassVar[bool] = False

    @classmethod
    def between(
        cls,
        src: Population,
        dst: Population,
        stages: int | None = None,
        *,
        bias: bool = False,
        **more,
    ) -> "Orthogonal":
        """One with angles of zero; `Network.redraw` draws them.

        Args:
            src: the presynaptic population.
            dst: the postsynaptic population.
            stages: how many stages of rotations; log2 of the units, rounded up, by default.
            bias: whether each unit has one.
            more: label and delay, see `Projection`.

        Raises:
            ShapeError: populations of two sizes, or of an odd number of units.
            ConfigError: a number of stages below 1.
        """
        units = math.prod(src.sent)
        if units != math.prod(dst.drive) or units % 2:
            raise ShapeError(
                f"a rotation of {units} units of {src.name!r} into {math.prod(dst.drive)} of "
                f"{dst.name!r}",
                "as many on both sides, and an even number: units are turned in pairs",
                "add a unit",
            )
        stages = math.ceil(math.log2(units)) if stages is None else stages
        require_whole("stages", stages, 1, 10_000)
        weight, b = jnp.zeros((stages, units // 2)), jnp.zeros(units) if bias else None
        return cls(src.name, dst.name, src.sent, dst.drive, weight, b, **more)

    @override
    def by_entries(self):
        """A `Matrix`: the identity."""
        ends = self.src, self.dst, self.src_shape, self.dst_shape
        weight = jnp.eye(self.fan_in, dtype=self.weight.dtype)
        bias = None if self.bias is None else jnp.zeros(self.fan_out, self.bias.dtype)
        return Matrix(*ends, weight, bias, label=self.label, delay=self.delay)

    @property
    @override
    def fan_in(self) -> int:
        return math.prod(self.src_shape)

    @property
    @override
    def fan_out(self) -> int:
        return math.prod(self.dst_shape)

    @property
    @override
    def note(self) -> str:
        turned = f"orthogonal, {len(self.weight)} stages of rotations"
        return ", ".join(filter(None, [turned, super().note]))

    @property
    @override
    def offset(self):
        return 0.0 if self.bias is None else self.bias.reshape(1, *self.dst_shape)

    @override
    def redraw(self, key, src, dst):
        """Every angle is equally likely; the bias is zero."""
        low, high = -math.pi, math.pi
        weight = jax.random.uniform(
            key, self.weight.shape, self.weight.dtype, minval=low, maxval=high
        )
        bias = {} if self.bias is None else {"bias": jnp.zeros_like(self.bias)}
        return self.with_theta({"weight": weight} | bias)

    @override
    def forward(self, pre):
        turned = pre.reshape(len(pre), -1)
        for angles in self.weight:
            turned = _turn(angles, turned)
        return turned.reshape(len(pre), *self.dst_shape) + self.offset

    @override
    def backward(self, delta, weight=None):
        turned = delta.reshape(len(delta), -1)
        for angles in (self.weight if weight is None else weight)[::-1]:
            turned = _turn_back(angles, turned)
        return turned.reshape(len(delta), *self.src_shape)

    @override
    def inverse(self, current):
        return self.backward(current - self.offset)

    @override
    def outer(self, pre, delta):
        """The angle of a pair p, q moves it across: dp = -q, dq = p, after the rotation."""
        at = self.with_theta({} if self.bias is None else {"bias": jnp.zeros_like(self.bias)})
        turned = at.forward(pre).reshape(len(pre), -1)
        owed = delta.reshape(len(pre), -1) / len(pre)
        update = {} if self.bias is None else {"bias": owed.sum(0)}
        found = []
        for angles in self.weight[::-1]:
            (p, q), (by_p, by_q) = jnp.split(turned, 2, 1), jnp.split(owed, 2, 1)
            found.append(jnp.sum(by_q * p - by_p * q, 0))
            turned, owed = _turn_back(angles, turned), _turn_back(angles, owed)
        return {"weight": jnp.stack(found[::-1])} | update


class Matrix(Dense):
    """An orthogonal matrix by its entries, a weight for each pair of units: what an `Orthogonal` is
    to one who asks where weights are used. What is learnt does not keep it orthogonal.
    """

    invertible: ClassVar[bool] = True

    @override
    def inverse(self, current):
        return self.backward(current - self.offset)


def _turn(angles: Float[Array, " pairs"], x: Float[Array, "batch units"]) -> Array:
    """One stage."""
    cos, sin = jnp.cos(angles)[None], jnp.sin(angles)[None]
    p, q = x[:, ::2], x[:, 1::2]
    return jnp.concatenate([cos * p - sin * q, sin * p + cos * q], 1)


def _turn_back(angles: Float[Array, " pairs"], x: Float[Array, "batch units"]) -> Array:
    """Its transpose, which is its inverse."""
    cos, sin = jnp.cos(angles)[None], jnp.sin(angles)[None]
    p, q = jnp.split(x, 2, 1)
    return jnp.stack([cos * p + sin * q, cos * q - sin * p], 2).reshape(x.shape)
