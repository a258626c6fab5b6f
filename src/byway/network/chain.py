"""Errors sent back along the projections, one after another: what backprop and its feedback
relatives share, at once and in time.
"""

import functools
import operator
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from byway.core.record import Phase
from byway.network.network import Network, at, pushed
from byway.network.populations import Population
from byway.network.projections import Projection

# What carries delta back along a projection: a projection, or a weight shaped like its own.
Feedback = Mapping[str, Projection | Array]


class Later(NamedTuple):
    """What the steps after the present one owe it, going backwards in time; every array has an axis
    of samples.

    Attributes:
        due: by population that recurrent projections leave, dC / d(what it sends now).
        sent: by population with a delay of more than a step, the same for this step and the ones
            before it: a ring, as `State.past`.
        cell: by population whose cell has a state, dC / d(that state), by part.
        clock: how many steps were gone back, where there is a ring; else nothing.
    """

    due: dict[str, Array]
    sent: dict[str, Array]
    cell: dict[str, dict[str, Array]]
    clock: Any


def chained_deltas(
    net: Network, phase: Phase, error: Float[Array, "batch out"], feedback: Feedback
) -> dict[str, Float[Array, "batch *units"]]:
    """The teaching value delta = dC / du of every population, from the output down, on a network
    that runs once.

        delta_L = error * phi'(u_L)
        delta_l = (sum over projections l -> k of B_k delta_k) * phi'(u_l)

    Args:
        net: the network.
        phase: the phase whose potentials and slopes count.
        error: dLoss/d(output), "batch out".
        feedback: what carries delta back, by projection name. One without weights is passed through
            as it is.

    Returns:
        delta by population name, the ascent direction of the loss; the input is left out.
    """
    return deltas_in_time(net, phase, error, feedback, Later({}, {}, {}, ()))[0]


def deltas_in_time(
    net: Network, phase: Phase, error: Float[Array, "batch out"], feedback: Feedback, later: Later
) -> tuple[dict[str, Float[Array, "batch *drive"]], Later]:
    """The same for one time step, and what it owes to the steps before: through delays, and through
    the states of cells.

        dC/dpost = error at the output + sum of B_k delta_k + what later steps owe
        delta = dC/dpost * dpost/du + sum_i dC/ds'_i * ds'_i/du,
        dC/ds_j = dC/dpost * dpost/ds_j + sum_i dC/ds'_i * ds'_i/ds_j

    Args:
        net: the network.
        phase: the phase of this step.
        error: dLoss/d(output) of this step.
        feedback: what carries delta back, by projection name.
        later: what the step after returned; `nothing_owed` at the last step.
    """
    delta, cell, outgoing = {}, {}, net.outgoing
    for population in reversed(net.populations):
        name = population.name
        if name == net.input:
            continue
        ahead = [p for p in outgoing(name) if p.dst != net.input and p.name not in net.recurrent]
        sent = [_back(p, feedback, delta) for p in ahead if p.carries == "post"]
        if name in later.due:
            sent.append(later.due[name])
        post = error if name == net.output else jnp.zeros_like(phase.post[name])
        if sent:
            post = post + population.unsend(phase.post[name], _sum(sent))
        if name in later.cell:
            delta[name], cell[name] = through_cell(population, phase, post, later.cell[name])
        else:
            delta[name] = post * phase.slope[name]
        delta[name] = _sum(
            [delta[name], *(_back(p, feedback, delta) for p in ahead if p.carries == "u")]
        )
    due, rings = {}, {}
    for name in later.due:
        late = [p for p in outgoing(name) if p.name in net.recurrent and p.dst != net.input]
        back: dict[int, list[Array]] = {}
        for p in late:
            for delay, brought in _back_in_time(p, net.recurrent[p.name], feedback, delta):
                back.setdefault(delay, []).append(brought)
        if name not in later.sent:
            due[name] = _sum(back[1])
            continue
        # What comes back along the longest delay takes the place of what is due now; only then is
        # read what is due next.
        ring = later.sent[name]
        ring = pushed(ring, later.clock, _sum(back.pop(len(ring))))
        for delay, some in back.items():
            ring = ring.at[(later.clock + delay) % len(ring)].add(_sum(some))
        rings[name], due[name] = ring, at(ring, later.clock + 1)
    return delta, Later(due, rings, cell, later.clock + 1 if rings else ())


def nothing_owed(net: Network, batch: int) -> Later:
    """What the steps after the last one owe: nothing."""
    rest, longest = net.rest(batch), {}
    for p in net.projections:
        if p.name in net.recurrent and net.input not in (p.src, p.dst):
            longest[p.src] = max(longest.get(p.src, 0), net.recurrent[p.name])
    nothing = {name: jnp.zeros((batch, *net[name].sent), net.dtype) for name in longest}
    rings = {
        name: jnp.stack([nothing[name]] * steps) for name, steps in longest.items() if steps > 1
    }
    cell = {
        name: {part: jnp.zeros_like(state[part]) for part in net[name].cell.carries}
        for name, state in rest.cell.items()
    }
    return Later(nothing, rings, cell, jnp.int32(0) if rings else ())


def through_cell(
    population: Population, phase: Phase, post: Array, state: Mapping[str, Array]
) -> tuple[Array, dict[str, Array]]:
    """dC/du, and dC/d(state before), of dC/dpost and dC/d(state after), for one step of a cell."""
    local = population.local(phase.cell[population.name], phase.u[population.name])
    at_drive = (lambda a: a) if population.cell.ports == 1 else (lambda a: a[:, None])
    if sends := population.cell.sends:  # the activity is these parts of the state
        state = {i: a + post[:, sends.index(i)] if i in sends else a for i, a in state.items()}
    delta = _sum(
        ([] if local.slope is None else [at_drive(post) * local.slope])
        + [at_drive(state[i]) * d for i, d in local.drive.items()]
    )
    before = {}
    for j in state:
        terms = [state[i] * d for (i, of), d in local.carry.items() if of == j] + (
            [post * local.read[j]] if j in local.read else []
        )
        before[j] = _sum(terms) if terms else jnp.zeros_like(post)
    return delta, before


def _back(p: Projection, feedback: Feedback, delta: Mapping[str, Array]) -> Array:
    """What comes back along a projection."""
    back = feedback[p.name] if p.theta else p
    return (
        back.backward(delta[p.dst])
        if isinstance(back, Projection)
        else p.backward(delta[p.dst], back)
    )


def _back_in_time(
    p: Projection, delay: int, feedback: Feedback, delta: Mapping[str, Array]
) -> list[tuple[int, Array]]:
    """The same of a projection with a delay, beside that; along the delay of each synapse where
    they have their own.
    """
    back = _back(p, feedback, delta)
    if p.window is None:
        return [(delay, back)]
    return [(step + 1, back[:, step]) for step in range(p.window)]


def _sum(terms: list[Array]) -> Array:
    return functools.reduce(operator.add, terms)
