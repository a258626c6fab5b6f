"""Errors sent back along the projections, one after another: what backprop and its feedback relatives share."""

from collections.abc import Mapping

import jax.numpy as jnp
from jaxtyping import Array, Float

from byway.core.record import Phase
from byway.network.network import NOTHING, Network


def chained_deltas(
    net: Network,
    phase: Phase,
    error: Float[Array, "batch out"],
    feedback: dict[str, Array],
    after: Mapping[str, Array] = NOTHING,
) -> dict[str, Float[Array, "batch *units"]]:
    """The teaching value delta of every population, from the output down.

        delta_L = error * phi'(u_L)          delta_l = (sum over projections l -> k of B_k delta_k) * phi'(u_l)

    Args:
        net: the network.
        phase: the phase whose potentials and slopes count.
        error: dLoss/d(output), "batch out".
        feedback: the weights B that carry delta back, by projection name, each shaped like that projection's weight.
        after: delta of the time step after, by population: what comes back along recurrent projections.

    Returns:
        delta by population name, the ascent direction of the loss; the input is left out.
    """
    delta = {}
    for population in reversed(net.populations):
        name = population.name
        if name == net.input:
            continue
        arriving = error if name == net.output else jnp.zeros_like(phase.post[name])
        for p in net.outgoing(name):
            if p.dst == net.input:  # it is clamped: nothing comes back from there
                continue
            reached = after if p.name in net.recurrent else delta
            arriving = arriving + population.unsend(phase.post[name], p.backward(reached[p.dst], feedback[p.name]))
        delta[name] = arriving * phase.slope[name]
    return delta
