"""Networks of Equinox: one's own model as a `Network`, so that any rule can train it, and the
trained weights back into the model.

A chain of layers is cut after every activation: what lies between two cuts must be linear in its
input and in the weights of one layer, which is what `Projection` asks for; its operations follow
from the layer's own program.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from byway.core.errors import ConfigError, ShapeError
from byway.core.given import require, shown
from byway.network.activations import ACTIVATIONS, Activation
from byway.network.builders.assembly import Shape, as_shape, placed
from byway.network.layers import Layers, one_by_one, through, zero
from byway.network.network import Network

Model = TypeVar("Model", bound=eqx.Module)
ADVICE = "see 'Your own network' in the docs for what can be trained"


def from_equinox(model: eqx.Module, input_shape: Shape, *, norm: bool = False) -> Network:
    """An Equinox model as a network with the same weights, which computes the same.

    It may be an `equinox.nn.MLP`, one layer, or an `equinox.nn.Sequential` of: layers that are
    linear in their input and in an array called `weight` (and affine in one called `bias`), such as
    `Linear`, `Conv2d`, `ConvTranspose2d` or one of your own; functions without weights that are
    linear, such as average pooling or `Lambda(jnp.ravel)`; and activations that act on each unit
    alone. Biases are all that may be added; there is no place for dropout, normalisation layers,
    maximum pooling and attention. A layer, or an array, that stands in two places has weights of
    its own in each, as wherever Equinox takes a model for a tree.

    Args:
        model: the model, a function of one sample.
        input_shape: the shape of a sample as the model takes it. An input is only ever reshaped to
            it: where the channels of an image come first in the model, let it begin with
            `Lambda(lambda x: jnp.moveaxis(x, -1, 0))`.
        norm: whether input and hidden populations send their activity divided by its root mean
            square, as `ff` needs; the model itself then has to do the same to compute what the
            network does.

    Raises:
        ConfigError: a part of the model that no rule could train.
        ShapeError: a part that cannot take what comes.
    """
    require(
        eqx.Module,
        "model",
        model,
        "a model of Equinox",
        "for example equinox.nn.MLP(784, 10, 500, 2, key=key)",
    )
    stages = _stages(model, as_shape(input_shape))
    names = ["input", *(f"hidden{i}" for i in range(1, len(stages))), "output"]
    shapes = [as_shape(input_shape), *(stage.shape for stage in stages)]
    phi = {name: stage.activation for name, stage in zip(names[1:], stages, strict=True)}
    edges = [
        _projection(stage, src, dst, shape)
        for stage, src, dst, shape in zip(stages, names[:-1], names[1:], shapes[:-1], strict=True)
    ]
    return Network(placed(names, shapes, phi, norm), edges, "input", "output")


def to_equinox(net: Network, model: Model) -> Model:
    """The model that `net` was made of by `from_equinox`, with the weights of `net`.

    Raises:
        ShapeError: the network is of another model.
    """
    require(Network, "net", net, "a network", "for example that of result.learner()")
    require(
        eqx.Module,
        "model",
        model,
        "a model of Equinox",
        "give the one that the network was made of",
    )
    held = [a for p in net.projections for a in p.theta.values()]
    own = _arrays(model)
    if [a.shape for a in held] != [a.shape for a in own]:
        raise ShapeError(
            f"a network with weights of the shapes {[a.shape for a in held]}",
            f"{[a.shape for a in own]}, as in the model",
            "give the model that the network was made of",
        )
    return eqx.tree_at(
        _arrays, model, [jnp.asarray(a, old.dtype) for a, old in zip(held, own, strict=True)]
    )


class _Stage(NamedTuple):
    before: tuple[Callable, ...]
    layer: Any
    after: tuple[Callable, ...]
    activation: Activation
    shape: tuple[int, ...]


def _stages(model: eqx.Module, shape: tuple[int, ...]) -> list[_Stage]:
    """The model cut after each activation, and before each layer with weights that follows
    another.
    """
    stages, before, layer, after = [], [], None, []
    cut = lambda phi: stages.append(_Stage(tuple(before), layer, tuple(after), phi, shape))
    for piece in _pieces(model):
        made = _shape_after(piece, shape)
        if _weighted(piece):
            if layer is not None:
                cut(ACTIVATIONS["identity"])
                before, after = [], []
            layer = piece
        elif _is_linear(piece, shape):
            (before if layer is None else after).append(piece)
        elif not _is_elementwise(piece, shape, made):
            raise ConfigError(
                f"{_name(piece)}, which is neither linear nor a function of each unit alone",
                "layers with weights, linear functions and activations in turn",
                "leave a softmax to the loss, take average for maximum pooling and norm=True for "
                "normalisation; " + ADVICE,
            )
        elif layer is None:
            raise ConfigError(
                f"the activation {_name(piece)} before any weights",
                "a layer with weights first",
                ADVICE,
            )
        else:
            cut(_activation(piece))
            before, layer, after = [], None, []
        shape = made
    if layer is not None:
        cut(ACTIVATIONS["identity"])
    elif before or not stages:
        raise ConfigError(
            f"{_name(before[-1]) if before else 'nothing'} at the end of a model",
            "a layer with weights",
            ADVICE,
        )
    return stages


def _pieces(model: Any) -> list[Any]:
    """The layers and functions that a model applies in turn."""
    if isinstance(model, eqx.nn.Sequential):
        return [piece for layer in model.layers for piece in _pieces(layer)]
    if isinstance(model, eqx.nn.Lambda):
        return [model.fn]
    if isinstance(model, eqx.nn.Identity) or (
        isinstance(model, eqx.nn.Dropout) and model.inference
    ):
        return []
    if not isinstance(model, eqx.nn.MLP):
        return [model]
    if getattr(model, "scan", False):  # Equinox 0.13.1 has no such option yet
        raise ConfigError(
            "an MLP with scan=True", "one whose layers are separate", "leave scan out"
        )
    last = len(model.layers) - 1
    phi = [model.activation] * last + [model.final_activation]
    chain = [piece for pair in zip(model.layers, phi, strict=True) for piece in pair]
    return chain[:-1] if model.depth == 0 else chain


def _weighted(piece: Any) -> bool:
    return isinstance(piece, eqx.Module) and hasattr(piece, "weight")


def _arrays(model: eqx.Module) -> list[Any]:
    """The weights and biases of a model, in the order in which it applies them."""
    parts = [
        (piece.weight, getattr(piece, "bias", None)) for piece in _pieces(model) if _weighted(piece)
    ]
    return [a for pair in parts for a in pair if a is not None]


def _shape_after(piece: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that a piece makes of one sample of another."""
    if not _weighted(piece) and jax.tree.leaves(eqx.filter(piece, eqx.is_inexact_array)):
        raise ConfigError(
            f"{_name(piece)}, with arrays of its own",
            "weights in one called weight, and perhaps one called bias",
            ADVICE,
        )
    if isinstance(piece, eqx.nn.Dropout | eqx.nn.StatefulLayer):
        raise ConfigError(
            _name(piece),
            "a function of the sample alone, without chance or memory",
            "leave it out; " + ADVICE,
        )
    try:
        made = jax.eval_shape(piece, jax.ShapeDtypeStruct(shape, jnp.zeros(()).dtype))
    except (TypeError, ValueError, RuntimeError, IndexError) as problem:
        raise ShapeError(
            f"{_name(piece)} for one sample of shape {shape}: {str(problem).partition(chr(10))[0]}",
            "a part of the model that takes it, and nothing but it",
            "give input_shape as the model takes it, and move the channels of images first: "
            "Lambda(lambda x: jnp.moveaxis(x, -1, 0))",
        ) from problem
    if not isinstance(made, jax.ShapeDtypeStruct) or not made.shape:
        raise ShapeError(
            f"{_name(piece)}, which returns {shown(made)}",
            "one array with an axis at least",
            ADVICE,
        )
    return made.shape


def _projection(stage: _Stage, src: str, dst: str, shape: tuple[int, ...]) -> Layers:
    dtype = jnp.zeros(()).dtype
    weight, bias = jnp.asarray(stage.layer.weight, dtype), getattr(stage.layer, "bias", None)
    bias = None if bias is None else jnp.asarray(bias, dtype)
    skeleton = eqx.filter(stage.layer, eqx.is_array, inverse=True)
    if len(jax.tree.leaves(eqx.filter(stage.layer, eqx.is_array))) != 1 + (bias is not None):
        raise ConfigError(
            f"{_name(stage.layer)}, with other arrays than weight and bias",
            "these two alone",
            ADVICE,
        )

    def current(weight, bias, pre):
        return through(stage.before, skeleton, stage.after, weight, bias, pre)

    draw = np.random.default_rng(0)
    some, other, x, y = (
        jnp.asarray(draw.normal(size=s), dtype)
        for s in (weight.shape, weight.shape, (2, *shape), (2, *shape))
    )
    linear = _adds(lambda w: current(w, zero(bias), x), some, other) and _adds(
        lambda x: current(some, zero(bias), x), x, y
    )
    if bias is not None:
        linear &= _adds(
            lambda b: current(some, b, x) - current(some, zero(b), x), bias + 1, bias - 2
        )
    if not linear:
        raise ConfigError(
            f"{_name(stage.layer)}, which is not linear",
            "a layer linear in its weight and in its input",
            ADVICE,
        )
    # With weights of one the layer counts what one unit sums, and its transpose what one unit
    # reaches.
    count = lambda pre: through((), skeleton, (), jnp.ones_like(weight), zero(bias), pre)
    arriving = jnp.ones_like(jax.vmap(lambda x: one_by_one(stage.before, x))(x[:1]))
    sums = count(arriving)
    reached = jax.linear_transpose(count, arriving)(jnp.ones_like(sums))[0]
    fan_in, fan_out = (max(1, round(float(jnp.max(a)))) for a in (sums, reached))
    alone = lambda weight, pre: through((), skeleton, (), weight, zero(bias), pre)
    return Layers(
        src=src,
        dst=dst,
        src_shape=shape,
        dst_shape=stage.shape,
        weight=weight,
        bias=bias,
        before=stage.before,
        layer=skeleton,
        after=stage.after,
        fans=(fan_in, fan_out),
        axes=tuple(_role(alone, weight, arriving, k) for k in range(weight.ndim)),
    )


def _role(through: Callable[[Array, Array], Array], weight: Array, pre: Array, axis: int) -> str:
    """What an axis of a weight stands for: "post" where its entries feed different units, "pre"
    where they read different ones.
    """
    if weight.shape[axis] == 1:
        return ""
    first, second = (jnp.zeros_like(weight).at[(slice(None),) * axis + (i,)].set(1) for i in (0, 1))
    fed = [through(w, pre) != 0 for w in (first, second)]
    if not jnp.any(fed[0] & fed[1]):
        return "post"
    read = [
        jax.linear_transpose(lambda pre, w=w: through(w, pre), pre)(
            jnp.ones_like(fed[0], pre.dtype)
        )[0]
        != 0
        for w in (first, second)
    ]
    return "" if jnp.any(read[0] & read[1]) else "pre"


def _is_linear(piece: Any, shape: tuple[int, ...]) -> bool:
    return _adds(
        piece, *jnp.asarray(np.random.default_rng(0).normal(size=(2, *shape)), jnp.zeros(()).dtype)
    )


def _adds(f: Callable, a: Array, b: Array) -> bool:
    """Whether f(2 a - 3 b) = 2 f(a) - 3 f(b), up to rounding."""
    apart = 2 * f(a) - 3 * f(b)
    return bool(
        jnp.allclose(
            f(2 * a - 3 * b),
            apart,
            rtol=1e-3,
            atol=1e-3 * max(1e-30, float(jnp.max(jnp.abs(apart)))),
        )
    )


def _is_elementwise(piece: Any, shape: tuple[int, ...], made: tuple[int, ...]) -> bool:
    """Whether each unit's value depends on that unit alone, in the same way wherever it is."""
    u = jnp.asarray(np.random.default_rng(0).normal(size=math.prod(shape)), jnp.zeros(()).dtype)
    turned = lambda u: piece(u.reshape(shape)).ravel()
    if made != shape or not jnp.allclose(
        turned(jnp.roll(u, 1)), jnp.roll(turned(u), 1), rtol=1e-4, atol=1e-6
    ):
        return False
    return bool(jnp.all(turned(u.at[0].add(1.0))[1:] == turned(u)[1:]))


def _activation(piece: Callable) -> Activation:
    """One of ours, or any function of a unit: its slope is its derivative in one direction, as no
    unit depends on another.
    """
    for known in ACTIVATIONS.values():
        if known.phi is piece:
            return known
    z = np.linspace(-6, 6, 1201)
    square = np.asarray(jax.vmap(piece)(jnp.asarray(z)), float) ** 2
    moment = float(np.sum(square * np.exp(-(z**2) / 2)) / np.sum(np.exp(-(z**2) / 2)))
    slope = lambda u: jax.jvp(piece, (u,), (jnp.ones_like(u),))[1]  # noqa: TID251  its own derivative is the only one it has
    # The variance that keeps the second moment from layer to layer, as He et al. 2015 do for relu.
    return Activation(
        _name(piece), piece, slope, 1 / moment if np.isfinite(moment) and moment > 0 else 1.0
    )


def _name(piece: Any) -> str:
    return getattr(piece, "__name__", type(piece).__name__)
