"""Networks of layers, one after another, that run once."""

import dataclasses
import math
from collections.abc import Sequence
from itertools import pairwise

import jax.numpy as jnp
from jaxtyping import Array, Key

from byway.core.errors import ConfigError, ShapeError
from byway.core.given import (
    require_several,
    require_whole,
)
from byway.network.blocks import BlockFanIn
from byway.network.builders.assembly import (
    Phi,
    Shape,
    as_shape,
    check_image,
    check_recurrent,
    check_sizes,
    dense,
    drawn,
    placed,
)
from byway.network.builders.general import graph
from byway.network.convolutions import Conv
from byway.network.network import Network
from byway.network.sparse import FixedFanIn


def mlp(
    *sizes: Shape,
    activation: Phi = "relu",
    norm: bool = False,
    bias: bool = True,
    readout_from: Sequence[int] = (-1,),
    fan_in: int | None = None,
    block_size: int | None = None,
    code: int | None = None,
    key: Key[Array, ""] | int = 0,
) -> Network:
    """A multi-layer perceptron.

    Args:
        sizes: the input (a size or a shape), each hidden layer, the output; `mlp(784, 500, 500,
            10)`.
        activation: phi of the hidden layers, a name or an `Activation`. The output is linear: its
            link belongs to the loss.
        norm: whether input and hidden layers send their activity divided by its root mean square.
        bias: whether projections have a bias.
        readout_from: which hidden layers feed the output, as indices into them; the last one by
            default.
        fan_in: how many units of the layer before each hidden unit reads, drawn for each seed; all
            by default. The output reads all.
        block_size: with a fan-in, how many units read the same blocks of as many units, see
            `BlockFanIn`; each its own by default.
        code: how many units a code has, which ends one subtask and begins the next: a linear layer
            before the last hidden layer, or before the output where there is but one; 0 for one
            unit less than outputs, None for no code. For several codes, see `graph`.
        key: draws the weights; a whole number is a seed.

    Raises:
        ShapeError: fewer than two sizes, or a size below 1; or a code and no hidden layer.
        ConfigError: `readout_from` names a layer that does not exist, or there are blocks and no
            fan-in.
    """
    check_sizes(sizes)
    if block_size is not None and fan_in is None:
        raise ConfigError(
            f"blocks of {block_size} units", "a fan_in too", "give it, or no block_size"
        )
    shapes = [as_shape(s) for s in sizes]
    names = ["input", *(f"hidden{i}" for i in range(1, len(sizes) - 1)), "output"]
    cells: Phi | dict[str, Phi] = activation
    if code is not None:
        require_whole("code", code, 0)
        if len(sizes) < 3:
            raise ShapeError(
                f"a code in a network of sizes {tuple(sizes)}",
                "a hidden layer before it at least",
                "see 'mlp(784, 500, 10, code=9)'",
            )
        at = max(len(sizes) - 2, 2)
        names.insert(at, "code")
        shapes.insert(at, (code or math.prod(shapes[-1]) - 1,))
        cells = dict.fromkeys(names[1:-1], activation) | {"code": "code"}
    populations = placed(names, shapes, cells, norm)
    if code is not None:
        populations = [
            dataclasses.replace(p, norm=False) if p.name == "code" else p for p in populations
        ]
    edges = list(pairwise(names[:-1]))
    if fan_in is not None:
        named = {p.name: p for p in populations}
        ends = [(named[src], named[dst]) for src, dst in edges]
        edges = [
            FixedFanIn.between(*pair, fan_in, bias=bias)
            if block_size is None
            else BlockFanIn.between(*pair, fan_in, block_size, bias=bias)
            for pair in ends
        ]
    edges += [(name, "output") for name in _pick(names[:-1], readout_from)]
    return drawn(Network(populations, dense(populations, edges, bias), "input", "output"), key)


def convnet(
    input_shape: Sequence[int],
    channels: Sequence[int],
    outputs: int,
    *,
    hidden: Sequence[int] = (),
    kernel: int = 3,
    stride: int = 1,
    padding: str = "SAME",
    pool: int = 2,
    activation: Phi = "relu",
    norm: bool = False,
    bias: bool = True,
    key: Key[Array, ""] | int = 0,
) -> Network:
    """Convolutions, then dense layers.

    Args:
        input_shape: (height, width, channels) of the input.
        channels: output channels of each convolution.
        outputs: size of the output.
        hidden: dense layers between the last convolution and the output.
        kernel: side of every kernel.
        stride: step of every kernel.
        padding: "SAME" or "VALID".
        pool: side of the mean-pooling window after each convolution, 1 for none.
        activation: phi of every hidden population, a name or an `Activation`; the output is linear.
        norm: whether input and hidden populations send their activity divided by its root mean
            square.
        bias: whether projections have a bias.
        key: draws the weights; a whole number is a seed.

    Raises:
        ShapeError: an input that is no image, or one that shrinks to nothing.
    """
    check_image("a convnet", input_shape, channels)
    for name, side in (("kernel", kernel), ("stride", stride), ("pool", pool)):
        require_whole(name, side, 1, 1_000, "use 1 for no effect")
    require_several("hidden", hidden, "the size of each dense layer", "for example hidden=(500,)")
    check_sizes((tuple(input_shape), *channels, *hidden, outputs))
    names, shapes, convs = ["input"], [tuple(input_shape)], []
    for i, out in enumerate(channels, 1):
        name = f"conv{i}"
        b = jnp.zeros(out) if bias else None
        conv = Conv(  # pyright: ignore[reportCallIssue]  its dst_shape follows from the rest
            src=names[-1],
            dst=name,
            src_shape=shapes[-1],
            weight=jnp.zeros((kernel, kernel, shapes[-1][2], out)),
            bias=b,
            stride=stride,
            padding=padding,
            pool=pool,
        )
        names, shapes, convs = [*names, name], [*shapes, conv.dst_shape], [*convs, conv]
    layers = [*(f"hidden{i}" for i in range(1, len(hidden) + 1)), "output"]
    edges = list(pairwise([names[-1], *layers]))
    populations = placed(
        [*names, *layers], [*shapes, *((h,) for h in hidden), (outputs,)], activation, norm
    )
    return drawn(
        Network(populations, [*convs, *dense(populations, edges, bias)], "input", "output"), key
    )


def topdown(
    *sizes: Shape,
    activation: Phi = "relu",
    norm: bool = False,
    bias: bool = True,
    key: Key[Array, ""] | int = 0,
) -> Network:
    """Layers that see the one below and the one above: each projects to both, the output back to
    the last hidden layer. A network with cycles, for rules that settle.

    Args:
        sizes: the input (a size or a shape), each hidden layer, the output; `topdown(784, 500, 500,
            10)`.
        activation: phi of the hidden layers, a name or an `Activation`; the output is linear.
        norm: whether input and hidden layers send their activity divided by its root mean square.
        bias: whether the projections that go up have a bias.
        key: draws the weights; a whole number is a seed.

    Raises:
        ShapeError: fewer than three sizes, or a size below 1.
    """
    check_recurrent(sizes, "see 'topdown(784, 500, 10)'")
    names = ["input", *(f"hidden{i}" for i in range(1, len(sizes) - 1)), "output"]
    up = list(pairwise(names))
    edges = up + [(dst, src) for src, dst in up[1:]]
    layers = dict(zip(names, sizes, strict=True))
    return graph(layers, edges, activation=activation, norm=norm, bias=bias, key=key)


def _pick(names: list[str], indices: Sequence[int]) -> list[str]:
    """The layers at `indices`; `names` is the input followed by the hidden layers, which the
    indices count.
    """
    hidden = names[1:] or names
    require_several(
        "readout_from", indices, "indices of hidden layers", "for example readout_from=(-1,)"
    )
    if not all(-len(hidden) <= i < len(hidden) for i in indices) or not indices:
        raise ConfigError(
            f"readout_from {tuple(indices)}",
            f"indices of {len(hidden)} hidden layers",
            "count from 0, or from -1 backwards",
        )
    return [hidden[i] for i in indices]
