"""Going back: through time, where a step is taken back and the state before it had again, of the
state after it and the same input; and through depth, where a pass is had again, of what it came to.

A population whose cell can be inverted (`AffineCell`) is restored once its drive is known again.
Forward projections bring what was sent in the step itself, which the states after it say; recurrent
ones bring what was sent in the step before, which populations that are already restored say. So a
network can be gone back through where no population has to know its own past first, as it must
where it projects to itself.

Except by a projection that can be inverted (`Orthogonal`), of units without a state whose activity
tells their drive: then the drive, less all else that arrives, is what their own past brought.

In a pass the same is done by a `Skip` that carries a potential: what it brought is the potential of
the population where it ends, less all else that arrives there, which others say. What a chain of
skips ends at is kept, the rest of the chain is restored, and everything beside it is run again.
"""

import graphlib
from collections.abc import Callable, Mapping

import jax.numpy as jnp
from jaxtyping import Array, Float

from byway.core.errors import RuleError
from byway.core.record import Phase
from byway.network.activations import Activation
from byway.network.cell import AffineCell
from byway.network.network import Network, State
from byway.network.projections import Projection, Skip

COUPLED = "use a coupled network, as by --net.kind coupled or byway.coupled(2, 64, 1); or bptt"
RESIDUAL = "use a residual network, as by --net.kind revnet or byway.revnet(784, 128, 10); or bp"


def step_back(net: Network, x: Float[Array, "batch *inputs"], after: State) -> tuple[State, Phase]:
    """Undo `net.step(x, before)`, which left the state `after`.

    Args:
        net: a network that `require_reversible` has let pass.
        x: the input of the step.
        after: the state that it left.

    Returns:
        The state before it, up to rounding, and the phase of the step.
    """
    turned = _turned(net)
    post = {net.input: net.place(x)} | {
        name: _cell(net, name).read(state) for name, state in after.cell.items()
    }
    post |= {name: after.due[name][1] for name in turned}
    sent = {name: net[name].send(a) for name, a in post.items()}
    pre, u, slopes, cell, earlier = {}, {}, {}, {}, {}
    for name in _order(net):
        population, (own, inverse) = net[name], turned.get(name, (None, None))
        for p in net.incoming(name):
            if own is None or p.name != own.name:
                past = p.name in net.recurrent
                here = u if p.carries == "u" else sent
                pre[p.name] = earlier[p.src] if past else here[p.src]
        before = {}
        if own is None or inverse is None:
            u[name] = net.potential(name, pre)
        else:
            u[name] = inverse(post[name])
            beside = net.potential(name, pre, {own.name: jnp.zeros_like(u[name])})
            earlier[name] = pre[own.name] = own.inverse(u[name] - beside)
        if name in after.cell:
            before = cell[name] = _cell(net, name).back(after.cell[name], u[name])
            earlier[name] = population.send(_cell(net, name).read(before))
        elif own is None:
            post[name] = population.activate(u[name])
            sent[name] = population.send(post[name])
        if (slope := population.local(before, u[name]).slope) is not None:
            slopes[name] = slope
    due = {name: {1: earlier[name]} for name in after.due}
    return State(due, {}, cell, (), {}), Phase(pre, u, post, slopes, {}, cell)


def require_reversible(net: Network, rule_id: str) -> None:
    """Raise `RuleError` if a step of this network cannot be taken back.

    Args:
        net: the network.
        rule_id: the rule that goes back.
    """
    # What keeps the past (a recurrent projection leaves it) has to have it back.
    keep = {p.src for p in net.projections if p.name in net.recurrent}
    turned = _turned(net)
    lost = [p for p in net.populations if p.name in keep - set(turned) or p.cell.carries]
    lost = [f"{p.name} ({p.cell.name})" for p in lost if not isinstance(p.cell, AffineCell)]
    late = [name for name, delay in net.recurrent.items() if delay > 1]
    if lost:
        raise RuleError(
            f"{rule_id} was given {', '.join(lost)}, whose step cannot be taken back",
            "cells that can be inverted where a network keeps its past, such as integrator; or, "
            "where a layer projects to itself, an orthogonal matrix and an activation that can be",
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


def ends(net: Network, phase: Phase) -> dict[str, Array]:
    """What has to be kept of a pass: the potentials that its skips come to, by population."""
    skips = _skips(net)
    return {p.dst: phase.u[p.dst] for p in skips.values() if p.dst not in skips}


def beginnings(net: Network) -> tuple[str, ...]:
    """The populations at which its skips begin: what going back comes to last."""
    skips = _skips(net)
    return tuple(name for name in skips if name not in {p.dst for p in skips.values()})


def pass_back(net: Network, x: Float[Array, "batch *inputs"], kept: Mapping[str, Array]) -> Phase:
    """Undo `net.forward(x)`.

    In a compiled program no more of the phase is held at any time than what is made of it there.

    Args:
        net: a network that `require_reversible_pass` has let pass.
        x: the input.
        kept: the `ends` of the pass.

    Returns:
        Its phase, up to rounding.
    """
    skips, needs, u, slopes = _skips(net), _needs(net), dict(kept), {}
    post = {net.input: net.place(x)}
    sent = {net.input: net[net.input].send(post[net.input])}
    arriving = lambda p: u[p.src] if p.carries == "u" else sent[p.src]
    for name in graphlib.TopologicalSorter(needs).static_order():
        population = net[name]
        if name in skips:
            skip = skips[name]
            beside = {p.name: arriving(p) for p in net.incoming(skip.dst) if p.name != skip.name}
            nothing = {skip.name: jnp.zeros_like(u[skip.dst])}
            u[name] = u[skip.dst] - net.potential(skip.dst, beside, nothing)
        elif name not in kept:
            u[name] = net.potential(name, {p.name: arriving(p) for p in net.incoming(name)})
        elif later := [u[begun] for begun in sorted(needs[name])]:
            u[name] = _after(u[name], later)
        post[name] = population.activate(u[name])
        sent[name] = population.send(post[name])
        if (slope := population.slope(u[name])) is not None:
            slopes[name] = slope
    pre = {p.name: arriving(p) for p in net.projections if p.dst != net.input}
    return Phase(pre, u, post, slopes)


def require_reversible_pass(net: Network, rule_id: str) -> None:
    """Raise `RuleError` if a pass through this network cannot be taken back.

    Args:
        net: a network that runs once.
        rule_id: the rule that goes back.
    """
    if not _skips(net):
        raise RuleError(
            f"{rule_id} was given a network that keeps nothing to go back through",
            "a state in time, or skips that carry potentials",
            RESIDUAL,
        )
    try:
        graphlib.TopologicalSorter(_needs(net)).prepare()
    except graphlib.CycleError as cycle:
        around = " -> ".join(cycle.args[1])
        raise RuleError(
            f"{rule_id} was given {around}, where what a skip brought needs itself to be known",
            "skips beside which nothing arrives that follows from what they bring: two streams",
            RESIDUAL,
        ) from None


def _skips(net: Network) -> dict[str, Skip]:
    """By population that one leaves, the first skip that brings its potential on."""
    found: dict[str, Skip] = {}
    for p in net.projections:
        if isinstance(p, Skip) and p.carries == "u" and p.units is None:
            found.setdefault(p.src, p)
    return found


def _after(u: Array, done: list[Array]) -> Array:
    """The same potentials, not to be had before `done` are. On a CPU, XLA takes its barriers out
    before it puts a program in order; what may be NaN times zero it has to wait for.
    """
    nothing = sum((0.0 * a.reshape(len(a), -1)[:, 0] for a in done), jnp.zeros(len(u)))
    return u + nothing.reshape(-1, *[1] * (u.ndim - 1))


def _needs(net: Network) -> dict[str, set[str]]:
    """By population, the input aside, those whose potentials have to be had again before its own.

    Besides what it follows from, what a chain ends at waits for the chains of the pass after it: a
    compiler that restored all stages at once would hold them all.
    """
    skips, needs = _skips(net), {}
    kept = {p.dst for p in skips.values()} - set(skips)
    for population in net.populations:
        name, needed = population.name, set()
        if skip := skips.get(name):
            needed = {p.src for p in net.incoming(skip.dst) if p.name != skip.name} | {skip.dst}
        elif name not in kept:
            needed = {p.src for p in net.incoming(name)}
        if name != net.input:
            needs[name] = needed - {net.input}

    def follows(name, from_) -> bool:
        found, left = set(), [name]
        while left:
            if (one := left.pop()) not in found:
                found.add(one)
                left += needs[one]
        return from_ in found

    names = [p.name for p in net.populations]
    for end in (name for name in names if name in kept):
        for begun in beginnings(net):
            if names.index(begun) > names.index(end) and not follows(begun, end):
                needs[end].add(begun)
    return needs


def _order(net: Network) -> tuple[str, ...]:
    """The populations in an order in which their drives can be known again.

    Raises:
        graphlib.CycleError: there is none.
    """
    turned = _turned(net)
    needs: dict[str, set[str]] = {p.name: set() for p in net.populations if p.name != net.input}
    for p in net.projections:
        kept = net[p.src].cell.carries or p.src in turned
        known = p.src == net.input or (kept and p.carries == "post")
        own = p.dst in turned and p.name == turned[p.dst][0].name
        if p.dst != net.input and not own and (p.name in net.recurrent or not known):
            needs[p.dst].add(p.src)
    return tuple(graphlib.TopologicalSorter(needs).static_order())


def _turned(net: Network) -> dict[str, tuple[Projection, Callable[[Array], Array]]]:
    """By population without a state whose own past can be had of its activity, the projection to
    itself that brought it, and the inverse of its activation.
    """
    found = {}
    for p in net.projections:
        cell = net[p.dst].cell
        if p.src == p.dst and p.invertible and isinstance(cell, Activation) and cell.inverse:
            found[p.dst] = p, cell.inverse
    return found


def _cell(net: Network, name: str) -> AffineCell:
    cell = net[name].cell
    if not isinstance(cell, AffineCell):
        raise TypeError(f"{name} has no cell that can be inverted")
    return cell
