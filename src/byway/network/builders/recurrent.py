"""Networks that go on from one time step to the next."""

import math
from itertools import pairwise

from jaxtyping import Array, Key

from byway.core.errors import ShapeError
from byway.core.given import (
    require_whole,
)
from byway.network.activations import leaky_relu
from byway.network.builders.assembly import (
    LARGEST_LAYER,
    Phi,
    Shape,
    as_shape,
    check_recurrent,
    dense,
    drawn,
    placed,
)
from byway.network.builders.general import graph
from byway.network.cells import cell as find_cell
from byway.network.network import Network
from byway.network.orthogonal import Orthogonal
from byway.network.projections import Skip


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
    check_recurrent(sizes, "see 'rnn(2, 64, 1)'")
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
    check_recurrent(sizes, "see 'lru(2, 64, 1)'")
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
    check_recurrent(sizes, "see 'coupled(2, 64, 1)'")
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
    return drawn(
        Network(populations, dense(populations, edges, bias, within), "input", "output"), key
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
    check_recurrent(sizes, "see 'orthogonal(2, 64, 1)'")
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
    return drawn(
        Network(
            populations,
            dense(populations, [*edges, (below, "output"), *turns], bias),
            "input",
            "output",
        ),
        key,
    )
