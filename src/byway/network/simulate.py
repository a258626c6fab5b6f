"""A network that runs and does not learn."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from byway.core.errors import RuleError
from byway.core.record import Phase
from byway.core.tree import PyTree
from byway.network.network import Network, State


def simulate(
    net: Network,
    x: Float[Array, "batch time *inputs"],
    state: State | None = None,
    look: Callable[[Phase], PyTree] | None = None,
) -> tuple[State, PyTree]:
    """Run a network through time, in one compiled program.

    Synapses of a fixed fan-in out of spiking units are laid out by where they come from, so that a
    step costs what was sent (`Network.by_source`): do that beforehand where a long run comes in
    pieces, as it takes a while where there are millions.

    Args:
        net: the network.
        x: what its input is clamped to at each step.
        state: what an earlier run left; silence by default.
        look: what is kept of each step; by default the activity of the output.

    Returns:
        The state at the end, and what was kept, with an axis of time in front.

    Raises:
        ShapeError: inputs of another shape than the network's.
        RuleError: units in continuous time, which take no steps.
    """
    if net.in_events or net.in_flow:
        raise RuleError(
            "a network with units in continuous time",
            "one whose units take one step after another",
            "call its forward, or take units that step",
        )
    state = net.rest(len(x)) if state is None else state
    return _run(net, jnp.moveaxis(jnp.asarray(x), 1, 0), state, look or _output(net.output))


@eqx.filter_jit
def _run(net, x, state, look):
    net = net.by_source()

    def step(state, x):
        state, phase = net.step(x, state)
        return state, look(phase)

    return jax.lax.scan(step, state, x)


class _output(eqx.Module):  # equal for equal names, so nothing is compiled twice
    name: str = eqx.field(static=True)

    def __call__(self, phase: Phase) -> Array:
        return phase.post[self.name]
