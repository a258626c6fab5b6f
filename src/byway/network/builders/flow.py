"""Networks whose state follows a differential equation."""

from itertools import pairwise

from jaxtyping import Array, Key

from byway.core.errors import ShapeError
from byway.network.builders.assembly import Phi, Shape, check_sizes
from byway.network.builders.general import graph
from byway.network.cells.flow import Flow
from byway.network.network import Network


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
    check_sizes(sizes)
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
