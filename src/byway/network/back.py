"""One time step taken back: the state before it, of the state after it and the same input.

A population whose cell can be inverted (`AffineCell`) is restored once its drive is known again.
Forward projections bring what was sent in the step itself, which the states after it say; recurrent
ones bring what was sent in the step before, which populations that are already restored say. So a
network can be gone back through where no population has to know its own past first, as it must
where it projects to itself.
"""

import graphlib

from jaxtyping import Array, Float

from byway.core.errors import RuleError
from byway.core.record import Phase
from byway.network.cell import AffineCell
from byway.network.network import Network, State

COUPLED = "use a coupled network, as by --net.kind coupled or byway.coupled(2, 64, 1); or bptt"


def step_back(net: Network, x: Float[Array, "batch *inputs"], after: State) -> tuple[State, Phase]:
    """Undo `net.step(x, before)`, which left the state `after`.

    Args:
        net: a network that `require_reversible` has let pass.
        x: the input of the step.
        after: the state that it left.

    Returns:
        The state before it, up to rounding, and the phase of the step.
    """
    post = {net.input: net.place(x)} | {
        name: _cell(net, name).read(state) for name, state in after.cell.items()
    }
    sent = {name: net[name].send(a) for name, a in post.items()}
    pre, u, slopes, cell, earlier = {}, {}, {}, {}, {}
    for name in _order(net):
        population = net[name]
        for p in net.incoming(name):
            past = p.name in net.recurrent
            pre[p.name] = earlier[p.src] if past else u[p.src] if p.carries == "u" else sent[p.src]
        u[name] = net.potential(name, pre)
        before = {}
        if name in after.cell:
            before = cell[name] = _cell(net, name).back(after.cell[name], u[name])
            earlier[name] = population.send(_cell(net, name).read(before))
        else:
            post[name] = population.activate(u[name])
            sent[name] = population.send(post[name])
        if (slope := population.local(before, u[name]).slope) is not None:
            slopes[name] = slope
    due = {name: {1: earlier[name]} for name in after.due}
    return State(due, {}, cell, ()), Phase(pre, u, post, slopes, {}, cell)


def require_reversible(net: Network, rule_id: str) -> None:
    """Raise `RuleError` if a step of this network cannot be taken back.

    Args:
        net: the network.
        rule_id: the rule that goes back.
    """
    # What keeps the past (a recurrent projection leaves it) has to have it back.
    keep = {p.src for p in net.projections if p.name in net.recurrent}
    lost = [p for p in net.populations if p.name in keep or p.cell.carries]
    lost = [f"{p.name} ({p.cell.name})" for p in lost if not isinstance(p.cell, AffineCell)]
    late = [name for name, delay in net.recurrent.items() if delay > 1]
    if lost:
        raise RuleError(
            f"{rule_id} was given {', '.join(lost)}, whose step cannot be taken back",
            "cells that can be inverted where a network keeps its past, such as integrator",
            COUPLED,
        )
    if normed := [p.name for p in net.populations if p.name in keep and p.norm]:
        raise RuleError(
            f"{rule_id} was given {', '.join(normed)}, whose past is normalised",
            "activity that is sent as it is: near rest a norm makes numbers of rounding",
            "take the norm out, or use bptt",
        )
    if late:
        raise RuleError(
            f"{rule_id} was given {', '.join(late)}, later than a step",
            "delays of one step: what was sent before is not in the state any more",
            "take the delay out, or use bptt",
        )
    try:
        _order(net)
    except graphlib.CycleError as cycle:
        around = " -> ".join(cycle.args[1])
        raise RuleError(
            f"{rule_id} was given {around}, where what was needs itself to be known",
            "populations that can be restored one after another: none that projects to itself",
            COUPLED,
        ) from None


def _order(net: Network) -> tuple[str, ...]:
    """The populations in an order in which their drives can be known again.

    Raises:
        graphlib.CycleError: there is none.
    """
    needs: dict[str, set[str]] = {p.name: set() for p in net.populations if p.name != net.input}
    for p in net.projections:
        known = p.src == net.input or (net[p.src].cell.carries and p.carries == "post")
        if p.dst != net.input and (p.name in net.recurrent or not known):
            needs[p.dst].add(p.src)
    return tuple(graphlib.TopologicalSorter(needs).static_order())


def _cell(net: Network, name: str) -> AffineCell:
    cell = net[name].cell
    if not isinstance(cell, AffineCell):
        raise TypeError(f"{name} has no cell that can be inverted")
    return cell
