"""Residual networks that can be gone back through: blocks that add to what passes them by."""

import dataclasses
from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Key

from byway.core.errors import ShapeError
from byway.core.given import require_whole
from byway.network.builders.assembly import (
    Phi,
    Shape,
    as_shape,
    check_image,
    check_sizes,
    dense,
    drawn,
    placed,
)
from byway.network.convolutions import Conv
from byway.network.network import Network
from byway.network.populations import Population
from byway.network.projections import Skip


def revnet(
    *sizes: Shape,
    blocks: int = 8,
    activation: Phi = "relu",
    norm: bool = False,
    bias: bool = True,
    key: Key[Array, ""] | int = 0,
) -> Network:
    """A reversible residual network: two streams, and blocks that add to each in turn a function of
    the other.

        a_i = a_{i-1} + F_i(b_{i-1}),   b_i = b_{i-1} + G_i(a_i)

    F and G are a hidden layer each, and see the stream divided by its root mean square. From the
    streams after a block follow those before it, so `reversible` keeps none but the last.

    Args:
        sizes: the input, the units of both streams together, and the output; `revnet(784, 128,
            10)`. The hidden layers of F and G are as large as one stream.
        blocks: how many blocks; each has two hidden layers.
        activation: phi of the hidden layers; streams and output are linear.
        norm: whether the input and the hidden layers, too, send their activity divided by its root
            mean square.
        bias: whether the first projection into each population has a bias.
        key: draws the weights; a whole number is a seed.

    Raises:
        ShapeError: other than three sizes, a size below 1, or streams of no even number of units.
        ConfigError: a number of blocks below 1.
    """
    check_sizes(sizes)
    require_whole("blocks", blocks, 1, 10_000)
    if len(sizes) != 3:
        raise ShapeError(
            f"a revnet of sizes {tuple(sizes)}",
            "an input, the units of both streams together, and the output",
            "see 'revnet(784, 128, 10)'; blocks says how deep",
        )
    *front, units = as_shape(sizes[1])
    half = (*front, _half(units, "units"))
    streams, hidden, edges = _stage(blocks, half, lambda src, dst: (src, dst))
    edges = [("input", "a0"), ("input", "b0"), *edges]
    edges += [(f"{own}{blocks}", "output") for own in "ab"]
    shapes = {"input": as_shape(sizes[0]), **dict.fromkeys([*streams, *hidden], half)}
    populations = _populations(shapes | {"output": as_shape(sizes[2])}, streams, activation, norm)
    return drawn(Network(populations, dense(populations, edges, bias), "input", "output"), key)


def conv_revnet(
    input_shape: Sequence[int],
    channels: Sequence[int],
    outputs: int,
    *,
    blocks: int = 2,
    kernel: int = 3,
    pool: int = 2,
    activation: Phi = "relu",
    norm: bool = False,
    bias: bool = True,
    key: Key[Array, ""] | int = 0,
) -> Network:
    """A reversible residual network of convolutions: stages of smaller and smaller images, each of
    two streams and blocks that add to each in turn a function of the other, as in `revnet`.

    F and G are two convolutions with a hidden layer between, and see the stream divided by its root
    mean square. A stage begins with convolutions of both streams of the one before and mean
    pooling, which cannot be undone: `reversible` keeps what each stage ends at, and no more.

    Args:
        input_shape: (height, width, channels) of the input.
        channels: of each stage, both streams together.
        outputs: size of the output, which reads both streams of the last stage.
        blocks: how many blocks a stage has; each has two hidden layers.
        kernel: side of every kernel.
        pool: side of the mean-pooling window at the beginning of a stage, 1 for none.
        activation: phi of the hidden layers; streams and output are linear.
        norm: whether the input and the hidden layers, too, send their activity divided by its root
            mean square.
        bias: whether the first projection into each population has a bias.
        key: draws the weights; a whole number is a seed.

    Raises:
        ShapeError: an input that is no image, or one that shrinks to nothing; or streams of no even
            number of channels.
        ConfigError: no channels, or a number of blocks below 1.
    """
    check_image("a conv_revnet", input_shape, channels)
    for name, side in (("kernel", kernel), ("pool", pool)):
        require_whole(name, side, 1, 1_000, "use 1 for no effect")
    require_whole("blocks", blocks, 1, 10_000)
    check_sizes((tuple(input_shape), *channels, outputs))

    def between(src, dst, shape, out, pool=1, bias=bias):
        return Conv(  # pyright: ignore[reportCallIssue]  its dst_shape follows from the rest
            src=src,
            dst=dst,
            src_shape=shape,
            weight=jnp.zeros((kernel, kernel, shape[2], out)),
            bias=jnp.zeros(out) if bias else None,
            pool=pool,
        )

    before, shape = ["input"], tuple(input_shape)
    shapes, streams, edges = {"input": shape}, [], []
    for i, units in enumerate(channels, 1):
        out = _half(units, "channels")
        # A second bias on one drive would only repeat the first.
        begin = [
            between(src, f"{own}{i}_0", shape, out, pool, bias and src == before[0])
            for own in "ab"
            for src in before
        ]
        shape = begin[0].dst_shape
        own, hidden, blocked = _stage(
            blocks, shape, lambda src, dst, s=shape, n=out: between(src, dst, s, n), f"{i}_"
        )
        streams, edges = [*streams, *own], [*edges, *begin, *blocked]
        shapes |= dict.fromkeys([*own, *hidden], shape)
        before = [f"{own}{i}_{blocks}" for own in "ab"]
    edges += [(src, "output") for src in before]
    populations = _populations(shapes | {"output": (outputs,)}, streams, activation, norm)
    return drawn(Network(populations, dense(populations, edges, bias), "input", "output"), key)


def _half(units: int, what: str) -> int:
    if units % 2:
        raise ShapeError(f"streams of {units} {what}", "an even number: there are two", "add one")
    return units // 2


def _stage(blocks, shape, between, stage="") -> tuple[list[str], list[str], list]:
    """Blocks of one shape: the names of what is in the streams, of the hidden layers, and the
    edges; `between` makes one of two names.
    """
    streams, hidden, edges = [f"a{stage}0", f"b{stage}0"], [], []
    for i in range(1, blocks + 1):
        for own, function, other in (("a", "f", f"b{stage}{i - 1}"), ("b", "g", f"a{stage}{i}")):
            before, inner, after = (
                f"{own}{stage}{i - 1}",
                f"{function}{stage}{i}",
                f"{own}{stage}{i}",
            )
            skip = Skip(  # pyright: ignore[reportCallIssue]  its dst_shape is its src_shape
                src=before, dst=after, src_shape=shape, carries="u"
            )
            edges += [between(other, inner), between(inner, after), skip]
            streams, hidden = [*streams, after], [*hidden, inner]
    return streams, hidden, edges


def _populations(shapes, streams, activation, norm) -> list[Population]:
    """Populations of these shapes, by name; streams are linear and send what is normalised."""
    inner = [name for name in shapes if name not in ("input", "output")]
    cells = dict.fromkeys(inner, activation) | dict.fromkeys(streams, "identity")
    return [
        dataclasses.replace(p, norm=True) if p.name in streams else p
        for p in placed(list(shapes), list(shapes.values()), cells, norm)
    ]
