"""The eligibility of synapses: how what a unit sends depends on each weight that ends there,
through the unit's own state alone, carried forward from step to step.

Where the derivatives of a state are constants it depends on the presynaptic unit alone, so traces
are shaped as what arrives, and an eligibility stays a product that is never written out.
"""

import functools
import operator
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array

from byway.network.cell import Derivative, Local
from byway.network.populations import Population
from byway.network.projections import Projection
from byway.rules.time._within import outline, parts_of

# A derivative and what it is multiplied by.
Term = tuple[Derivative, Array]
# dh/dW, "batch *weight"; or, as terms of a derivative of the postsynaptic unit and an array shaped
# as what arrives, not yet written out.
Eligibility = list[Term] | Array


class Held(NamedTuple):
    """What is carried of the synapses of one projection, or of the biases of one population.

    Attributes:
        eps: by part of the state of the unit, what it owes to each synapse: shaped as what arrives,
            or "batch *weight".
        read: by part of the state of a readout with a leak, the same of e.
    """

    eps: dict[str, Array]
    read: dict[str, Array]


class Eligible(NamedTuple):
    """The eligibility of a group of synapses in one step, by each number that a unit sends.

    Attributes:
        sent: e, of what is sent.
        read: of what a readout with a leak makes of it, ebar; e itself where there is none.
    """

    sent: Sequence[Eligibility]
    read: Sequence[Eligibility]


def unowed(
    population: Population,
    readout: Population | None,
    zeros: Callable[..., Array],
    weights: tuple[int, ...],
    arriving: tuple[int, ...],
) -> Held:
    """The traces of synapses that nothing is owed to.

    Args:
        population: where they end.
        readout: the readout with a leak that filters what is sent; None for none.
        zeros: of sizes, zeros of a batch.
        weights: the shape of the weights.
        arriving: of what arrives.
    """
    parts = parts_of(population)
    constant = _constant(outline(population), parts)
    return Held(
        {i: zeros(*(arriving if i in constant else weights)) for i in parts},
        {i: zeros(*weights) for i in ([] if readout is None else parts_of(readout))},
    )


def step(
    local: Local,
    sends: Collection[str],
    leak: Local | None,
    arriving: Array,
    held: Held,
    at_pre: Callable[[Array], Array],
    at_post: Callable[[Array], Array],
) -> tuple[Eligible, Held]:
    """One step of the traces of a group of synapses.

    Args:
        local: the derivatives of the cell where they end.
        sends: the parts of its state that are sent, where each unit sends several numbers.
        leak: those of the readout, where it has a state.
        arriving: what arrives at them.
        held: what the step before left.
        at_pre: of what arrives, what arrives at each weight.
        at_post: of a value at each unit, its value at each weight.
    """
    constant = _constant(local, held.eps)

    def terms(factored, drive, by_part, eps):
        there, at = (
            (eps, arriving)
            if factored
            else ({j: at_pre(a) if j in constant else a for j, a in eps.items()}, at_pre(arriving))
        )
        return ([] if drive is None else [(drive, at)]) + [
            (d, there[j]) for j, d in by_part.items() if j in there
        ]

    eps = {
        i: _total(terms(i in constant, local.drive.get(i), _into(local, i), held.eps), at_post)
        for i in held.eps
    }
    if sends:
        e = [eps[i] for i in sends]
        return Eligible(e, e), Held(eps, {})
    drive, by_part, of = (
        (None, local.after, eps) if local.after else (local.slope, local.read, held.eps)
    )
    factored = leak is None and constant >= by_part.keys()
    e = terms(factored, drive, by_part, of)
    if leak is None:
        e = [e if factored else _total(e, at_post)]
        return Eligible(e, e), Held(eps, {})
    e = jnp.broadcast_to(_total(e, at_post), next(iter(held.read.values())).shape)

    def filtered(drive, by_part):
        return total([e * drive, *(held.read[j] * d for j, d in by_part.items())])

    read = {i: filtered(leak.drive.get(i, 0.0), _into(leak, i)) for i in held.read}
    return Eligible([e], [filtered(leak.slope, leak.read)]), Held(eps, read)


def at_bias(e: Eligibility, worth: Array, at_drive: Callable[[Array], Array]) -> Array:
    """What a sample says of the bias of each drive, "batch *drive"."""
    if not isinstance(e, list):
        return worth * e
    return total([worth * (d if isinstance(d, float | int) else at_drive(d)) * a for d, a in e])


def at_weight(
    p: Projection,
    e: Eligibility,
    worth: Array,
    at_drive: Callable[[Array], Array],
    at_post: Callable[[Array], Array],
) -> Array:
    """The mean over the batch of worth times e, shaped as the weight; an eligibility that is a
    product of something presynaptic and something postsynaptic is never written out.
    """
    if not isinstance(e, list):
        return jnp.sum(at_post(worth) * e, 0) / len(worth)
    return total(
        [
            p.outer(a, worth * (d if isinstance(d, float | int) else at_drive(d)))["weight"]
            for d, a in e
        ]
    )


def at_drive(population: Population, value: Array) -> Array:
    """What is given for each unit, "batch *units", or for each drive, for each drive: "batch
    *drive".
    """
    if value.ndim == 1 + len(population.shape) < 1 + len(population.drive):
        value = value[:, None]
    return jnp.broadcast_to(value, (len(value), *population.drive))


def linear(local: Local) -> bool:
    """Whether a cell is a linear filter: all of its derivatives are numbers."""
    return all(
        _number(d)
        for d in (*local.carry.values(), *local.drive.values(), *local.read.values(), local.slope)
    )


def total(terms: list[Array]) -> Array:
    """The sum of arrays."""
    return functools.reduce(operator.add, terms)


def _constant(local: Local, parts: Collection[str]) -> set[str]:
    """Of these parts of a state those that follow the drive in the same way in all units, at all
    times.
    """
    found = {i for i in parts if _number(local.drive.get(i, 0.0))}
    while lost := {
        i
        for (i, j), d in local.carry.items()
        if i in found and j in parts and not (_number(d) and j in found)
    }:
        found -= lost
    return found


def _number(derivative: Any) -> bool:
    return isinstance(derivative, float | int)


def _into(local: Local, part: str) -> dict[str, Derivative]:
    """What a part of a state depends on, of the state before."""
    return {j: d for (i, j), d in local.carry.items() if i == part}


def _total(terms: list[Term], at_post: Callable[[Array], Array]) -> Array:
    """The sum of derivatives times arrays."""
    return total([a * (d if isinstance(d, float | int) else at_post(d)) for d, a in terms])
