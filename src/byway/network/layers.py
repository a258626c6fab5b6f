"""Layers of Equinox as a projection: its operations follow from the layers' own program, but for a
convolution, whose transposes are ours.
"""

from collections.abc import Callable
from typing import Any, TypeGuard

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array
from typing_extensions import override

from byway.network.convolution import Convolution
from byway.network.projections import Transposed


class Layers(Transposed):
    """Layers of Equinox of which one has weights, and which are linear in them and in the input.
    Weight and bias have that layer's shapes.

    Attributes:
        src: the presynaptic population.
        dst: the postsynaptic population.
        src_shape: its shape.
        dst_shape: its shape.
        weight: that of the layer with weights.
        bias: its bias, or None.
        before: functions of one sample that come before that layer.
        layer: that layer, without its weights.
        after: functions of one sample that come after it.
        fans: how many inputs one unit of that layer sums, and how many units one input of it
            reaches.
        axes: see `Projection`.
    """

    src: str = eqx.field(static=True)
    dst: str = eqx.field(static=True)
    src_shape: tuple[int, ...] = eqx.field(static=True)
    dst_shape: tuple[int, ...] = eqx.field(static=True)
    weight: Array
    bias: Array | None
    before: tuple[Callable, ...] = eqx.field(static=True)
    layer: eqx.Module = eqx.field(static=True)
    after: tuple[Callable, ...] = eqx.field(static=True)
    fans: tuple[int, int] = eqx.field(static=True)
    axes: tuple[str, ...] = eqx.field(static=True)

    @property
    @override
    def fan_in(self) -> int:
        return self.fans[0]

    @property
    @override
    def fan_out(self) -> int:
        return self.fans[1]

    @property
    @override
    def offset(self):
        return 0.0 if self.bias is None else self._from_bias(self.bias)

    @override
    def forward(self, pre):
        return through(self.before, self.layer, self.after, self.weight, self.bias, pre)

    @override
    def outer_bias(self, delta):
        return jax.linear_transpose(self._from_bias, self.bias)(delta.sum(0, keepdims=True))[0]

    @override
    def linear(self, weight, pre):
        return through(self.before, self.layer, self.after, weight, zero(self.bias), pre)

    @override
    def to_pre(self, weight, delta):
        if not _is_convolution(self.layer):
            return super().to_pre(weight, delta)
        pre = jax.ShapeDtypeStruct((delta.shape[0], *self.src_shape), delta.dtype)
        space = jax.eval_shape(self._seen, pre).shape[2:]
        made = _convolution(self.layer).backward(self._made(delta), _kernel(weight), space)
        return jax.linear_transpose(self._seen, pre)(jnp.moveaxis(made, -1, 1))[0]

    @override
    def to_weight(self, pre, delta):
        if not _is_convolution(self.layer):
            return super().to_weight(pre, delta)
        seen = jnp.moveaxis(self._seen(pre), 1, -1)
        made = _convolution(self.layer).outer(seen, self._made(delta), self.weight.shape[2:])
        return jnp.moveaxis(made, (-1, -2), (0, 1))

    def _from_bias(self, bias):
        nothing = jnp.zeros((1, *self.src_shape), bias.dtype)
        return through(self.before, self.layer, self.after, zero(self.weight), bias, nothing)

    def _seen(self, pre):
        """What of `pre` the layer with weights is given."""
        return jax.vmap(lambda sample: one_by_one(self.before, sample))(pre)

    def _made(self, delta):
        """What of `delta` that layer is given on the way back, channels last."""
        pre = jax.ShapeDtypeStruct((delta.shape[0], *self.src_shape), delta.dtype)
        current = jax.eval_shape(
            lambda pre: through(self.before, self.layer, (), self.weight, self.bias, pre), pre
        )
        rest = jax.vmap(lambda sample: one_by_one(self.after, sample))
        return jnp.moveaxis(jax.linear_transpose(rest, current)(delta)[0], 1, -1)


def through(before, layer, after, weight, bias, pre):
    """What the layers of a stage make of a batch, with this weight and bias."""
    parts = {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
    held = eqx.tree_at(
        lambda m: [getattr(m, k) for k in parts],
        layer,
        list(parts.values()),
        is_leaf=lambda a: a is None,
    )
    return jax.vmap(lambda sample: one_by_one((*before, held, *after), sample))(pre)


def one_by_one(pieces, sample):
    """What layers and functions make of a sample in turn."""
    for piece in pieces:
        sample = _convolved(piece, sample) if _is_convolution(piece) else piece(sample)
    return sample


def _is_convolution(piece: Any) -> TypeGuard[eqx.nn.Conv]:
    """Whether it is one with zeros around what it convolves."""
    kinds = (eqx.nn.Conv, eqx.nn.Conv1d, eqx.nn.Conv2d, eqx.nn.Conv3d)
    return type(piece) in kinds and piece.padding_mode == "ZEROS"


def _convolved(layer: eqx.nn.Conv, sample: Array) -> Array:
    """What the layer makes of a sample "in *space", by a convolution whose transposes are fast."""
    image = jnp.moveaxis(sample, 0, -1)[None]
    made = _convolution(layer).forward(image, _kernel(layer.weight))[0]
    made = jnp.moveaxis(made, -1, 0)
    return made if layer.bias is None else made + layer.bias


def _convolution(layer: eqx.nn.Conv) -> Convolution:
    return Convolution(layer.stride, layer.padding, layer.dilation, layer.groups)


def _kernel(weight: Array) -> Array:
    """A weight "out in *sides" of Equinox as a kernel "*sides in out"."""
    return jnp.moveaxis(weight, (0, 1), (-1, -2))


def zero(a: Array | None) -> Array | None:
    """Zeros in place of an array, if there is one."""
    return None if a is None else jnp.zeros_like(a)
