"""What builders put networks together from."""

import math
from collections.abc import Iterable, Mapping, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from byway.core.errors import ConfigError, ShapeError, unknown_name
from byway.core.given import (
    LARGEST_COUNT,
    LARGEST_SEED,
    is_whole,
    require,
    require_several,
    require_whole,
    shown,
)
from byway.core.keys import seeded
from byway.network.cell import Cell
from byway.network.cells import cell as find_cell
from byway.network.network import Network
from byway.network.populations import Population
from byway.network.projections import Dense, Offset, Projection
from byway.network.space import sheet
from byway.network.sparse import FixedFanIn

Shape = int | tuple[int, ...]
# What a builder takes for what units do: an activation or a cell, by its name or as it is.
Phi = str | Cell
# What fits no machine is refused before it is drawn.
LARGEST_LAYER = 2**28


def check_sizes(sizes) -> None:
    """Raise `ShapeError` unless these are the sizes of two populations or more."""
    if len(sizes) < 2 or any(not is_whole(n) or n < 1 for s in sizes for n in as_shape(s)):
        raise ShapeError(
            f"layer sizes {tuple(sizes)}",
            "an input and an output at least, each of one unit or more",
            "see 'mlp(784, 500, 10)'",
        )
    if (largest := max(math.prod(as_shape(s)) for s in sizes)) > LARGEST_LAYER:
        raise ShapeError(
            f"a layer of {largest:,} units", f"at most {LARGEST_LAYER:,}", "use smaller layers"
        )


def check_recurrent(sizes, see: str) -> None:
    """Raise `ShapeError` unless there is a hidden layer, too; `see` says what to look at."""
    check_sizes(sizes)
    if len(sizes) < 3:
        raise ShapeError(
            f"a recurrent network of sizes {tuple(sizes)}",
            "an input, a hidden layer and an output at least",
            see,
        )


def check_image(what: str, input_shape, channels) -> None:
    """Raise unless there is an image to convolve, and a number of channels for each convolution."""
    if not isinstance(input_shape, Sequence) or len(input_shape) != 3:
        raise ShapeError(
            f"{what} for inputs of shape {input_shape}",
            "(height, width, channels)",
            "use an mlp, or reshape the input",
        )
    wanted, fix = "one number of channels for each convolution", "for example channels=(16, 32)"
    require_several("channels", channels, wanted, fix)
    if not channels:
        raise ConfigError(f"{what} without channels", wanted, fix)


def as_shape(size: Shape) -> tuple[int, ...]:
    """A size as the shape of so many units."""
    return tuple(size) if isinstance(size, tuple | list) else (size,)


def placed(names, shapes, activation, norm, input="input", output="output") -> list[Population]:
    """Populations of these names and shapes, upstream first, each on its own sheet in space; see
    `graph` for the rest.
    """
    require((bool, np.bool), "norm", norm, "True or False", "leave it out for False")
    chosen = activation if isinstance(activation, Mapping) else {}
    common = "relu" if isinstance(activation, Mapping) else activation
    for name in chosen:
        if name not in names:
            raise unknown_name("population", name, names)
    made = []
    for depth, (name, shape) in enumerate(zip(names, shapes, strict=True)):
        phi = chosen.get(name, "identity" if name in (input, output) else common)
        position = jnp.asarray(sheet(shape, depth))
        made.append(Population(name, shape, find_cell(phi), norm and name != output, position))
    return made


def dense(populations, edges, bias, within=()) -> list[Projection]:
    """A dense projection for each pair of names; what is a projection already stays as it is. Pairs
    that point backwards, and those that are said to, are `within` a layer.
    """
    require((bool, np.bool), "bias", bias, "True or False", "leave it out for True")
    require(
        Iterable,
        "edges",
        edges,
        "pairs of names of populations",
        'for example [("input", "output")]',
    )
    named, place = {p.name: p for p in populations}, {p.name: i for i, p in enumerate(populations)}
    projections, biased = [], set()
    for edge in edges:
        if isinstance(edge, Projection):
            projections.append(edge)
            continue
        if not isinstance(edge, Sequence) or isinstance(edge, str) or len(edge) != 2:
            raise ConfigError(
                f"the edge {edge!r}",
                "two names of populations, or a projection",
                'for example ("input", "output")',
            )
        for end in edge:
            if end not in named:
                raise unknown_name("population", end, named)
        src, dst = (named[end] for end in edge)
        # A layer of gated units is driven by itself through another port than by the layers before
        # it.
        ports = (
            None
            if dst.cell.ports == 1
            else dst.cell.fed_by(place[src.name] >= place[dst.name] or tuple(edge) in within)
        )
        if ports == ():
            raise ConfigError(
                f"an edge from {src.name} to {dst.name}, whose units are {dst.cell.name}",
                "edges from populations before it: such units take nothing of the past but their "
                "own",
                "leave it out",
            )
        n_pre, n_post = math.prod(src.sent), dst.size * (1 if ports is None else len(ports))
        if n_pre * n_post > LARGEST_COUNT:
            raise ShapeError(
                f"{n_pre * n_post:,} weights from {src.name} to {dst.name}",
                f"at most {LARGEST_COUNT:,}",
                "use smaller layers",
            )
        # A second bias on one drive would only repeat the first.
        fed = {(dst.name, port) for port in ports or (0,)}
        b = jnp.zeros(n_post) if bias and not fed <= biased else None
        biased |= fed if b is not None else set()
        projections.append(
            Dense(
                src=src.name,
                dst=dst.name,
                src_shape=src.sent,
                dst_shape=dst.drive,
                weight=jnp.zeros((n_pre, n_post)),
                bias=b,
                ports=ports,
            )
        )
    return projections + _own(populations, projections)


def _own(populations, projections) -> list[Projection]:
    """The parameters of units whose cells have some, where no projection holds them yet."""
    offsets = []
    for dst in populations:
        into = [p for p in projections if p.dst == dst.name]
        if dst.cell.own and into and not any(p.ports == dst.cell.own for p in into):
            bias = jnp.zeros(len(dst.cell.own) * dst.size)
            offsets.append(
                Offset(
                    into[0].src,
                    dst.name,
                    into[0].src_shape,
                    dst.drive,
                    bias,
                    ports=dst.cell.own,
                    label="own",
                )
            )
    return offsets


def drawn(net: Network, key) -> Network:
    """The network with its weights drawn by a key, or by a seed."""
    if is_whole(key):
        require_whole("key", key, 0, LARGEST_SEED)
        return _redrawn(net, seeded(key))
    if (
        not isinstance(key, jax.Array)
        or not jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
        or key.shape
    ):
        raise ConfigError(
            f"key = {shown(key)}",
            "a whole number from 0, or one key of jax.random.key",
            "leave it out for 0",
        )
    return _redrawn(net, key)


def _redrawn(net: Network, key: Key[Array, ""]) -> Network:
    """Of sparse projections there may be many, each of another shape: one program draws all."""
    sparse = any(isinstance(p, FixedFanIn) for p in net.projections)
    return _in_one(net, key) if sparse else net.redraw(key)


@eqx.filter_jit
def _in_one(net: Network, key: Key[Array, ""]) -> Network:
    return net.redraw(key)
