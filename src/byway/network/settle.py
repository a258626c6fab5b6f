"""Settling: activity moves along a force until it rests. What every rule that settles shares."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from byway.core.record import Phase
from byway.network.network import Network

Values = dict[str, Array]


class System(ABC):
    """Abstract: what settles. The values of its free populations, "batch *units" each by name, say
    what every unit does.
    """

    @abstractmethod
    def phase(self, free: Values) -> Phase:
        """The activity of the whole network, given the free values."""

    @abstractmethod
    def force(self, phase: Phase) -> Values:
        """Which way, and how far in one step of rate 1, each free value moves."""


class Settled(NamedTuple):
    """Where settling began, where it ended, and how it went.

    Attributes:
        first: the phase of the values given.
        last: the phase of the values reached.
        values: these values.
        measures: "settling_steps" taken; "residual", the force left as a share of the first, or of
            what was given in its place; "unsettled", 1.0 where that exceeds the tolerance (without
            one: where it grew) and 0.0 elsewhere. One number each, for the batch as a whole.
    """

    first: Phase
    last: Phase
    values: Values
    measures: dict[str, Array]


def settle(
    system: System,
    values: Values,
    *,
    rate: float | Array,
    steps: int,
    tolerance: float = 0.0,
    differentiable: bool = False,
    beside: Float[Array, ""] | None = None,
) -> Settled:
    """Move the free values along their force, value + rate * force, keeping nothing of the way.

    Args:
        system: what settles.
        values: the free values to start from, by population, "batch *units" each.
        rate: step size.
        steps: how many steps, at most.
        tolerance: share of the first force at which to stop early; 0 takes every step.
        differentiable: whether autodiff must be able to go back through it, at the price of keeping
            all of the way.
        beside: the size of a force that what is left is a share of; by default that of the first.
    """
    first = system.phase(values)
    force = system.force(first)
    values, size = moved(values, force, rate), norm(force) if beside is None else beside

    def descend(values):
        force = system.force(system.phase(values))
        return moved(values, force, rate), norm(force)

    if tolerance == 0.0:
        taken = jnp.int32(steps)
        values = jax.lax.fori_loop(1, steps, lambda _, values: descend(values)[0], values)
    else:

        def step(carry):
            values, _, taken = carry
            return *descend(values), taken + 1

        def unsettled(carry):
            _, now, taken = carry
            return (now > tolerance * size) & (taken < steps)

        start = (values, size, jnp.int32(1))
        # Backwards, which a loop of unknown length is not: the steps that are not needed are
        # skipped instead.
        if differentiable:
            some = jax.lax.fori_loop(
                1,
                steps,
                lambda _, carry: jax.lax.cond(unsettled(carry), step, lambda c: c, carry),
                start,
            )
        else:
            some = jax.lax.while_loop(unsettled, step, start)
        values, _, taken = some
    last = system.phase(values)
    residual = norm(system.force(last)) / jnp.where(size > 0, size, 1.0)
    good = residual <= (tolerance or 1.0)
    measures = {
        "settling_steps": taken.astype(size.dtype),
        "residual": residual,
        "unsettled": 1.0 - good.astype(size.dtype),
    }
    return Settled(first, last, values, measures)


def silence(net: Network, batch: int) -> Values:
    """Zero for every unit: where settling starts on a network with cycles, which has no forward
    pass.
    """
    return {p.name: jnp.zeros((batch, *p.shape), net.dtype) for p in net.populations}


def moved(values: Values, force: Values, rate: float | Array) -> Values:
    """The values after one step along a force."""
    return {name: value + rate * force[name] for name, value in values.items()}


def norm(force: Values) -> Float[Array, ""]:
    """The size of a force, over all units and samples."""
    # A root has no derivative at zero, and nothing that learns needs this one.
    return jax.lax.stop_gradient(jnp.sqrt(sum((jnp.sum(a**2) for a in force.values()), start=0.0)))
