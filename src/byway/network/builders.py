"""Builders of the usual networks, each in one line."""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

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
from byway.network.activations import leaky_relu
from byway.network.cell import Cell
from byway.network.cells import cell as find_cell
from byway.network.cells.flow import Flow
from byway.network.convolutions import Conv
from byway.network.network import Network
from byway.network.orthogonal import Orthogonal
from byway.network.populations import Population
from byway.network.projections import Dense, Offset, Projection, Skip
from byway.network.space import sheet
from byway.network.sparse import FixedFanIn

Shape = int | tuple[int, ...]
# What a builder takes for what units do: an activation or a cell, by its name or as it is.
Phi = str | Cell
# What fits no machine is refused before it is drawn.
LARGEST_LAYER = 2**28


def mlp(
    *sizes: Shape,
    activation: Phi = "relu",
    norm: bool = False,
    bias: bool = True,
    readout_from: Sequence[int] = (-1,),
    fan_in: int | None = None,
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
        code: how many units a code has, which ends one subtask and begins the next: a linear layer
            before the last hidden layer, or before the output where there is but one; 0 for one
            unit less than outputs, None for no code. For several codes, see `graph`.
        key: draws the weights; a whole number is a seed.

    Raises:
        ShapeError: fewer than two sizes, or a size below 1; or a code and no hidden layer.
        ConfigError: `readout_from` names a layer that does not exist.
    """
    _check_sizes(sizes)
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
        edges = [
            FixedFanIn.between(named[src], named[dst], fan_in, bias=bias) for src, dst in edges
        ]
    edges += [(name, "output") for name in _pick(names[:-1], readout_from)]
    return _drawn(Network(populations, _dense(populations, edges, bias), "input", "output"), key)


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
    if not isinstance(input_shape, Sequence) or len(input_shape) != 3:
        raise ShapeError(
            f"a convnet for inputs of shape {input_shape}",
            "(height, width, channels)",
            "use an mlp, or reshape the input",
        )
    for name, side in (("kernel", kernel), ("stride", stride), ("pool", pool)):
        require_whole(name, side, 1, 1_000, "use 1 for no effect")
    require_several(
        "channels",
        channels,
        "one number of channels for each convolution",
        "for example channels=(16, 32)",
    )
    require_several("hidden", hidden, "the size of each dense layer", "for example hidden=(500,)")
    if not channels:
        raise ConfigError(
            "a convnet without channels",
            "one number of channels for each convolution",
            "for example channels=(16, 32)",
        )
    _check_sizes((tuple(input_shape), *channels, *hidden, outputs))
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
    dense = [*(f"hidden{i}" for i in range(1, len(hidden) + 1)), "output"]
    edges = list(zip([names[-1], *dense], dense, strict=False))
    populations = placed(
        [*names, *dense], [*shapes, *((h,) for h in hidden), (outputs,)], activation, norm
    )
    return _drawn(
        Network(populations, [*convs, *_dense(populations, edges, bias)], "input", "output"), key
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
    _check_recurrent(sizes, "see 'topdown(784, 500, 10)'")
    names = ["input", *(f"hidden{i}" for i in range(1, len(sizes) - 1)), "output"]
    up = list(pairwise(names))
    edges = up + [(dst, src) for src, dst in up[1:]]
    layers = dict(zip(names, sizes, strict=True))
    return graph(layers, edges, activation=activation, norm=norm, bias=bias, key=key)


def rnn(
    *sizes: Shape,
    activation: Phi = "tanh",
    norm: bool = False,
    bias: bool = True,
    readout: Phi = "identity",
    key: Key[Array, ""] | int = 0,
) -> Network:
    """A recurrent network: every hidden layer also projects to itself, one time step later. With
    "tanh" it is Elman's.

    Args:
        sizes: the input of one time step, each hidden layer, the output; `rnn(2, 64, 1)`.
        activation: what the units of the hidden layers do: an activation, or a cell such as "gru",
            "lif", `byway.cell("leaky", tau=10.0)`.
        readout: what those of the output do; linear by default. A leaky readout,
            `byway.cell("leaky", phi="identity")`, sums spikes.
        norm: whether input and hidden layers send their activity divided by its root mean square.
        bias: whether the first projection into each population has a bias.
        key: draws the weights; a whole number is a seed.

    Raises:
        ShapeError: fewer than three sizes, or a size below 1.
    """
    _check_recurrent(sizes, "see 'rnn(2, 64, 1)'")
    names = ["input", *(f"hidden{i}" for i in range(1, len(sizes) - 1)), "output"]
    edges = []
    own = find_cell(activation).fed_by(recurrent=True)
    for src, dst in pairwise(names):
        edges += [(src, dst)] + ([(dst, dst)] if dst != "output" and own else [])
    cells = dict.fromkeys(names[1:-1], activation) | {names[-1]: readout}
    return graph(
        dict(zip(names, sizes, strict=True)), edges, activation=cells, norm=norm, bias=bias, key=key
    )


def lru(
    *sizes: Shape,
    units: int | None = None,
    activation: Phi = "relu",
    norm: bool = False,
    bias: bool = True,
    key: Key[Array, ""] | int = 0,
) -> Network:
    """Layers of linear recurrent units: a memory in each, of complex numbers that do not act on one
    another, and a hidden layer without a memory, which reads the memory and what the memory reads.

        h_t = lambda h_{t-1} + gamma B x_t,   y_t = phi(Re(C h_t) + D x_t)

    Args:
        sizes: the input of one time step, each hidden layer, the output; `lru(2, 64, 1)`.
        units: how many linear recurrent units a memory has; as many as its hidden layer by default.
            For a ring of other sizes, see `graph` and `byway.cell("lru", smallest=0.5)`.
        activation: phi of the hidden layers, a name or an `Activation`.
        norm: whether input and hidden layers send their activity divided by its root mean square.
        bias: whether the first projection into each population has a bias.
        key: draws the weights; a whole number is a seed.

    Raises:
        ShapeError: fewer than three sizes, or a size below 1.
    """
    _check_recurrent(sizes, "see 'lru(2, 64, 1)'")
    if units is not None:
        require_whole("units", units)
    layers: dict[str, Shape] = {"input": sizes[0]}
    cells: dict[str, Phi] = {}
    edges, below = [], "input"
    for i, size in enumerate(sizes[1:-1], 1):
        memory, hidden = f"memory{i}", f"hidden{i}"
        layers |= {memory: size if units is None else units, hidden: size}
        cells |= {memory: "lru", hidden: activation}
        edges += [(below, memory), (memory, hidden), (below, hidden)]
        below = hidden
    layers["output"] = sizes[-1]
    edges.append((below, "output"))
    return graph(layers, edges, activation=cells, norm=norm, bias=bias, key=key)


def coupled(
    *sizes: Shape,
    activation: Phi = "integrator",
    norm: bool = False,
    bias: bool = True,
    readout: Phi = "identity",
    key: Key[Array, ""] | int = 0,
) -> Network:
    """A recurrent network that can be gone back through: every hidden layer is two halves, each
    driven by the other and not by itself.

    The first half hears the second of one time step before, the second half the first of the same
    step. With "integrator" units this is a leapfrog, with "gru" a RevGRU.

    Args:
        sizes: the input of one time step, the units of each hidden layer, both halves together, and
            the output; `coupled(2, 64, 1)`.
        activation: what the units of the hidden layers do.
        readout: what those of the output do; linear by default.
        norm: whether input and hidden layers send their activity divided by its root mean square.
        bias: whether the first projection into each population has a bias.
        key: draws the weights; a whole number is a seed.

    Raises:
        ShapeError: fewer than three sizes, a size below 1, or a hidden layer that is no even number
            of units.
    """
    _check_recurrent(sizes, "see 'coupled(2, 64, 1)'")
    named: dict[str, Shape] = {"input": sizes[0]}
    edges, before = [], ["input"]
    for i, size in enumerate(sizes[1:-1], 1):
        *front, units = as_shape(size)
        if units % 2:
            raise ShapeError(
                f"a coupled layer of {size} units", "an even number: two halves", "add a unit"
            )
        a, b = halves = [f"hidden{i}a", f"hidden{i}b"]
        named |= dict.fromkeys(halves, (*front, units // 2))
        edges += [(src, half) for half in halves for src in before] + [(b, a), (a, b)]
        before = halves
    cells = dict.fromkeys(list(named)[1:], activation) | {"output": readout}
    named["output"] = sizes[-1]
    edges += [(src, "output") for src in before]
    populations = placed(list(named), [as_shape(s) for s in named.values()], cells, norm)
    within = {(src, dst) for src, dst in edges if src[:-1] == dst[:-1]}
    return _drawn(
        Network(populations, _dense(populations, edges, bias, within), "input", "output"), key
    )


def orthogonal(
    *sizes: Shape,
    stages: int | None = None,
    dummies: int = 0,
    activation: Phi | None = None,
    norm: bool = False,
    bias: bool = True,
    readout: Phi = "identity",
    key: Key[Array, ""] | int = 0,
) -> Network:
    """A recurrent network whose hidden layers project to themselves by an orthogonal matrix, one
    time step later, and whose activation can be inverted.

        h_t = phi(W h_{t-1} + U x_t + b),   h_{t-1} = W^T (phi^-1(h_t) - U x_t - b)

    W is a product of plane rotations (`Orthogonal`), so it neither shrinks nor stretches what was,
    nor the error that goes back.

    Args:
        sizes: the input of one time step, each hidden layer, the output; `orthogonal(2, 64, 1)`.
        stages: how many stages of rotations W is made of; log2 of a layer by default.
        dummies: units more in each hidden layer, which nothing but the layer itself reads: room for
            what a task throws away, and an invertible layer cannot.
        activation: what the units of the hidden layers do; to be gone back through it has to have
            an inverse: "identity", or `leaky_relu(0.9)`, which is the default.
        readout: what those of the output do; linear by default.
        norm: whether input and hidden layers send their activity divided by its root mean square.
        bias: whether the first projection into each population has a bias.
        key: draws the weights; a whole number is a seed.

    Raises:
        ShapeError: fewer than three sizes, a size below 1, or a hidden layer that is, with its
            dummies, no even number of units.
        ConfigError: a number of stages below 1, or of dummies below 0.
    """
    _check_recurrent(sizes, "see 'orthogonal(2, 64, 1)'")
    require_whole("dummies", dummies, 0, LARGEST_LAYER)
    activation = leaky_relu(0.9) if activation is None else activation
    named: dict[str, Shape] = {"input": sizes[0]}
    cells: dict[str, Phi] = {"output": readout}
    edges, layers, below = [], [], "input"
    for i, size in enumerate(sizes[1:-1], 1):
        read, hidden = math.prod(as_shape(size)), f"hidden{i}"
        named[hidden], cells[hidden] = (read + dummies if dummies else size), activation
        edges, layers, below = [*edges, (below, hidden)], [*layers, hidden], hidden
        if dummies:
            below = f"read{i}"
            named[below], cells[below] = read, "identity"
            part = Skip(  # pyright: ignore[reportCallIssue]  its dst_shape follows from the rest
                src=hidden, dst=below, src_shape=(read + dummies,), units=read
            )
            edges.append(part)
    named["output"] = sizes[-1]
    populations = placed(list(named), [as_shape(s) for s in named.values()], cells, norm)
    held = {p.name: p for p in populations}
    turns = [Orthogonal.between(held[name], held[name], stages) for name in layers]
    return _drawn(
        Network(
            populations,
            _dense(populations, [*edges, (below, "output"), *turns], bias),
            "input",
            "output",
        ),
        key,
    )


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
    _check_sizes(sizes)
    require_whole("blocks", blocks, 1, 10_000)
    if len(sizes) != 3:
        raise ShapeError(
            f"a revnet of sizes {tuple(sizes)}",
            "an input, the units of both streams together, and the output",
            "see 'revnet(784, 128, 10)'; blocks says how deep",
        )
    *front, units = as_shape(sizes[1])
    if units % 2:
        raise ShapeError(
            f"streams of {sizes[1]} units", "an even number: there are two", "add a unit"
        )
    half = (*front, units // 2)
    streams, hidden = ["a0", "b0"], []
    edges: list[tuple[str, str] | Projection] = [("input", "a0"), ("input", "b0")]
    for i in range(1, blocks + 1):
        for own, function, other in (("a", "f", f"b{i - 1}"), ("b", "g", f"a{i}")):
            before, inner, after = f"{own}{i - 1}", f"{function}{i}", f"{own}{i}"
            skip = Skip(  # pyright: ignore[reportCallIssue]  its dst_shape is its src_shape
                src=before, dst=after, src_shape=half, carries="u"
            )
            edges += [(other, inner), (inner, after), skip]
            streams, hidden = [*streams, after], [*hidden, inner]
    edges += [(f"{own}{blocks}", "output") for own in "ab"]
    within = dict.fromkeys([*streams, *hidden], half)
    cells = dict.fromkeys(streams, "identity") | dict.fromkeys(hidden, activation)
    populations = [
        dataclasses.replace(p, norm=True) if p.name in streams else p
        for p in placed(
            ["input", *within, "output"],
            [as_shape(sizes[0]), *within.values(), as_shape(sizes[2])],
            cells,
            norm,
        )
    ]
    return _drawn(Network(populations, _dense(populations, edges, bias), "input", "output"), key)


def ode(
    *sizes: Shape,
    activation: Phi = "tanh",
    duration: float = 1.0,
    steps: int = 16,
    decay: float = 0.0,
    method: str = "rk4",
    norm: bool = False,
    bias: bool = True,
    key: Key[Array, ""] | int = 0,
) -> Network:
    """A neural ODE: units whose state follows a differential equation, whose right-hand side is a
    small network.

        ds/dt = W_2 phi(W_1 s + b_1) + U x + b - decay s,   s(0) = 0,   output = V s(duration) + c

    Args:
        sizes: the input, the flowing units, the layers of the right-hand side, if they are not one
            of the same size, and the output; `ode(784, 64, 10)`, `ode(784, 64, 128, 10)`.
        activation: phi of those layers, a name or an `Activation`.
        duration: how long a sample is integrated.
        steps: steps of the solver in that time.
        decay: rate at which the state decays by itself.
        method: of the solver: euler, midpoint or rk4. Of a rule that brings a reversible solver,
            the method that this is made of.
        norm: whether input, flowing and hidden units send their activity divided by its root mean
            square.
        bias: whether the first projection into each population has a bias.
        key: draws the weights; a whole number is a seed.

    Raises:
        ShapeError: fewer than three sizes, or a size below 1.
        ConfigError: a duration, steps or a method that there is not.
    """
    _check_sizes(sizes)
    if len(sizes) < 3:
        raise ShapeError(
            f"a neural ODE of sizes {tuple(sizes)}",
            "an input, flowing units and an output at least",
            "see 'ode(784, 64, 10)'",
        )
    first, state, *inner, last = sizes
    inner = inner or [state]
    hidden = [f"hidden{i}" for i in range(1, len(inner) + 1)]
    layers = {
        "input": first,
        "flow": state,
        **dict(zip(hidden, inner, strict=True)),
        "output": last,
    }
    cells: dict[str, Phi] = dict.fromkeys(hidden, activation)
    cells["flow"] = Flow(duration=duration, steps=steps, decay=decay, method=method)
    around = pairwise(["flow", *hidden, "flow"])
    edges = [("input", "flow"), *around, ("flow", "output")]
    return graph(layers, edges, activation=cells, norm=norm, bias=bias, key=key)


def graph(
    sizes: Mapping[str, Shape],
    edges: Iterable[tuple[str, str] | Projection],
    *,
    input: str = "input",
    output: str = "output",
    activation: Phi | Mapping[str, Phi] = "relu",
    norm: bool = False,
    bias: bool = True,
    positions: Mapping[str, np.ndarray] | None = None,
    born: Mapping[str, int] | None = None,
    key: Key[Array, ""] | int = 0,
) -> Network:
    """Any directed graph; cycles and self-loops are allowed.

    Args:
        sizes: the populations, by name, upstream first: a size or a shape each.
        edges: (src, dst) pairs of population names, for a dense projection each; or projections of
            any kind.
        input: the population that inputs are clamped to.
        output: the population that predictions are read from; it is linear unless `activation`
            names it.
        activation: what the units of the hidden populations do, one for all or by name: an
            activation or a cell.
        norm: whether input and hidden populations send their activity divided by its root mean
            square.
        bias: whether the first projection into each population has a bias (a second one would only
            repeat it).
        positions: where the units of a population sit, by its name, "units 3" [um]; each population
            on a sheet of its own by default.
        born: how many units of a population there are when wiring is drawn, by its name, the first
            ones; the other places are for units that growth lets be born. All by default.
        key: draws the weights; a whole number is a seed.

    Raises:
        UnknownNameError: an edge, input or output that is not in `sizes`.
        ShapeError: positions that are not finite, coincide, or are of another number of units.
    """
    require(
        Mapping,
        "sizes",
        sizes,
        "the populations by name, with a size or a shape each",
        'for example {"input": 4, "output": 2}',
    )
    _check_sizes(list(sizes.values()))
    populations = placed(
        list(sizes), [as_shape(s) for s in sizes.values()], activation, norm, input, output
    )
    populations = _moved(populations, positions or {}, born or {})
    return _drawn(Network(populations, _dense(populations, edges, bias), input, output), key)


def _moved(populations, positions, born) -> list[Population]:
    """The populations, those that `positions` names where it says, with the units that `born`
    says.
    """
    for name in (*positions, *born):
        if name not in (known := [p.name for p in populations]):
            raise unknown_name("population", name, known)
    moved = {name: np.asarray(a, np.float32) for name, a in positions.items()}
    for name, places in moved.items():
        if not np.all(np.isfinite(places)):
            raise ShapeError(
                f"positions of {name!r} that are not finite", "numbers [um]", "mend them"
            )
        if len(np.unique(places, axis=0)) < len(places):
            raise ShapeError(
                f"positions of {name!r} that coincide", "a place for each unit", "move some"
            )
    return [
        dataclasses.replace(
            p,
            position=jnp.asarray(moved[p.name]) if p.name in moved else p.position,
            born=born.get(p.name),
        )
        for p in populations
    ]


def _check_sizes(sizes) -> None:
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


def _check_recurrent(sizes, see: str) -> None:
    _check_sizes(sizes)
    if len(sizes) < 3:
        raise ShapeError(
            f"a recurrent network of sizes {tuple(sizes)}",
            "an input, a hidden layer and an output at least",
            see,
        )


def as_shape(size: Shape) -> tuple[int, ...]:
    """A size as the shape of so many units."""
    return tuple(size) if isinstance(size, tuple | list) else (size,)


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


def _dense(populations, edges, bias, within=()) -> list[Projection]:
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


def _drawn(net: Network, key) -> Network:
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
