"""Units in continuous time, which say nothing but when they spike, simulated from event to event.

Between two spikes that it receives a unit follows a closed form, so nothing is stepped: from where
it is, a unit goes to its next spike, if it crosses its threshold before anything arrives, or to
what arrives next. A spike train is an array of times "batch spikes *units"; what there is none of
stands at the end of a sample, where a spike changes nothing. An input is one spike, at the time
that it says; the bias of a unit is the weight of a spike at time 0.
"""

from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int
from typing_extensions import override

from byway.core.errors import RuleError
from byway.core.hyper import hyper
from byway.core.record import Phase
from byway.network.cell import StatefulCell
from byway.network.populations import Population
from byway.network.projections import Dense, Projection

Numbers = Float[Array, "batch units"]


class EventCell(StatefulCell):
    """Abstract: a unit in continuous time, whose potential v and current i have a closed form
    between spikes.
    """

    in_events: ClassVar[bool] = True

    duration: float = hyper(
        4.0, "how long a sample lasts: later spikes are none", unit="time", low=1e-6
    )
    spikes: int = hyper(
        8, "spikes of a unit in a sample that there is room for", low=1, high=1_000_000
    )

    @override
    def fed_by(self, recurrent):
        """Nothing of its own layer: spikes go forwards."""
        return () if recurrent else (0,)

    @override
    def step(self, state, u):
        raise RuleError(
            f"a time step of {self.name} units",
            "continuous time: they are simulated from spike to spike",
            "use eventprop or frozen; or units that step, such as lif",
        )

    @abstractmethod
    def after(self, v: Numbers, i: Numbers, span: Numbers) -> tuple[Numbers, Numbers]:
        """The potential and the current a while later, if nothing happens."""

    @abstractmethod
    def crossing(
        self, v: Numbers, i: Numbers, span: Numbers
    ) -> tuple[Bool[Array, "batch units"], Numbers]:
        """Whether the potential comes to the threshold within a while, and after how long first."""

    @abstractmethod
    def rise(self, i: Numbers) -> Numbers:
        """How fast the potential rises where it crosses the threshold, by the current there."""

    @abstractmethod
    def worth(self, left: Float[Array, "*times"]) -> Float[Array, "*times"]:
        """What a spike gives to a readout in the time that is left: the integral of the potential
        that it causes in a unit without a threshold.
        """


class Fired(NamedTuple):
    """What the units of a population did.

    Attributes:
        times: of their spikes, in order.
        rises: how fast the potential rose at each; 1 where there is none.
        lost: whether a unit would have spiked once more than there is room for. It was silent from
            then on.
    """

    times: Float[Array, "batch spikes units"]
    rises: Float[Array, "batch spikes units"]
    lost: Bool[Array, "batch units"]


def fired(
    cell: EventCell,
    times: Float[Array, "batch events"],
    source: Int[Array, "batch events"],
    weight: Float[Array, "sources units"],
) -> Fired:
    """The spikes of the units of one population.

    Args:
        cell: what they are.
        times: when something arrives, in order, from 0 to the duration of a sample.
        source: what arrives then, a row of the weights.
        weight: by how much the current of each unit jumps.
    """
    (batch, events), units = times.shape, jnp.arange(weight.shape[1])[None]
    # A unit does one thing a turn, and then does it again: it takes what arrives next, or spikes.
    turns, room = events + cell.spikes + 1, jnp.arange(cell.spikes, dtype=jnp.int32)[None, :, None]
    zero = jnp.zeros((batch, weight.shape[1]), weight.dtype)
    end = jnp.full_like(zero, cell.duration)
    each = lambda of, number: jnp.take_along_axis(of, jnp.minimum(number, events - 1), 1)

    def turn(held, _):
        t, v, i, taken, count, made = held
        comes = jnp.where(taken < events, each(times, taken), end)
        crosses, when = cell.crossing(v, i, comes - t)
        crosses &= (taken <= events) & ~made.lost
        fires, lost = crosses & (count < cell.spikes), crosses & (count == cell.spikes)
        span = jnp.where(fires, when, comes - t)
        v, i = cell.after(v, i, span)
        t = t + span
        here = (room == count[:, None]) & fires[:, None]
        made = Fired(
            jnp.where(here, t[:, None], made.times),
            jnp.where(here, cell.rise(i)[:, None], made.rises),
            made.lost | lost,
        )
        arrives = ~fires & (taken < events)
        i = i + jnp.where(arrives, weight[each(source, taken), units], 0)
        v = jnp.where(fires, 0, v)
        took, spiked = (~fires).astype(jnp.int32), fires.astype(jnp.int32)
        return (t, v, i, taken + took, count + spiked, made), None

    none = jnp.zeros(zero.shape, jnp.int32)
    silent = jnp.full((batch, cell.spikes, weight.shape[1]), cell.duration, weight.dtype)
    made = Fired(silent, jnp.ones_like(silent), jnp.zeros(zero.shape, bool))
    start = (zero, zero, zero, none, none, made)
    return jax.lax.scan(turn, start, None, turns)[0][-1]


def run(
    populations: Sequence[Population],
    incoming: Callable[[str], Sequence[Projection]],
    x: Float[Array, "batch *inputs"],
) -> Phase:
    """One pass of a network with units in continuous time, upstream first.

    Of those units the phase holds, by population: `post`, what their spikes are worth to a readout
    together, "batch *units"; in `cell` their "times", "batch spikes *units", and whether a unit was
    "lost" for want of room; and as `slope` the derivative of each of those times by the potential
    there. What arrives at a projection into them are times.

    Args:
        populations: the network's, the input first.
        incoming: of a population, by its name, what projects to it.
        x: the input, shaped like the input population: a time for each, and none where that is
            not between 0 and the duration of the units that it reaches.
    """
    pre, u, post, slope, cells = {}, {}, {populations[0].name: x}, {}, {}
    trains: dict[str, Array] = {populations[0].name: x[:, None]}
    for population in populations[1:]:
        name, cell, into = population.name, population.cell, incoming(population.name)
        if not isinstance(cell, EventCell):
            pre |= {p.name: post[p.src] for p in into}
            u[name] = sum(
                (p.forward(pre[p.name]) for p in into[1:]), into[0].forward(pre[into[0].name])
            )
            post[name], slope[name] = population.activate(u[name]), population.slope(u[name])
            continue
        pre |= {p.name: _within(trains[p.src], cell.duration) for p in into}
        made = fired(cell, *_arriving(into, pre, cell))
        shaped = lambda a, shape=population.shape: a.reshape(*a.shape[:-1], *shape)
        trains[name] = shaped(made.times)
        post[name] = jnp.sum(cell.worth(cell.duration - trains[name]), 1)
        cells[name] = {"times": trains[name], "lost": shaped(made.lost)}
        slope[name] = population.local({"rise": shaped(made.rises)}, trains[name]).slope
    return Phase(pre, u, post, slope, {}, cells)


def _within(times: Array, duration: float) -> Array:
    """Spike times, those that are none at the end of the sample."""
    return jnp.where((times >= 0) & (times < duration), times, duration)


def _arriving(
    into: Sequence[Projection], pre: Mapping[str, Array], cell: EventCell
) -> tuple[Array, Array, Array]:
    """All that arrives at a population, in order: when, which row of the weights, the weights."""
    times, rows, weights, first = [], [], [], 0
    for p in into:
        train = pre[p.name].reshape(*pre[p.name].shape[:2], -1)
        sources = jnp.broadcast_to(first + jnp.arange(train.shape[2])[None, None], train.shape)
        times.append(train.reshape(len(train), -1))
        rows.append(sources.reshape(len(train), -1))
        weights.append(p.weight)
        first += train.shape[2]
    if biases := [p.bias for p in into if p.bias is not None]:
        times.append(jnp.zeros_like(times[0][:, :1]))
        rows.append(jnp.full_like(rows[0][:, :1], first))
        weights.append(sum(biases[1:], biases[0])[None])
    when, which = jnp.concatenate(times, 1), jnp.concatenate(rows, 1)
    order = jnp.argsort(when, 1)
    sort = lambda a: jnp.take_along_axis(a, order, 1)
    return sort(when), sort(which), jnp.concatenate(weights)


def unrunnable(
    populations: Collection[Population],
    projections: Collection[Projection],
    input: str,
    output: str,
) -> str | None:
    """Why units in continuous time cannot be run; None where they can, or there are none.

    Each hears the input or other such units, by dense weights, forwards and without a delay.
    """
    place = {p.name: k for k, p in enumerate(populations)}
    named = {p.name: p for p in populations}
    timed = {p.name for p in populations if p.cell.in_events}
    if not timed:
        return None
    reasons: dict[str, Callable[[Projection], bool]] = {
        "carries the past": lambda p: place[p.src] >= place[p.dst] or bool(p.delay),
        "is not dense": lambda p: p.dst in timed and not isinstance(p, Dense),
        "carries no spikes to them": lambda p: p.dst in timed and p.src not in {input, *timed},
        "carries times to units that take none": lambda p: p.src == input and p.dst not in timed,
        "carries something else than spikes": lambda p: p.carries == "u" or named[p.src].norm,
    }
    for reason, holds in reasons.items():
        if found := [p.name for p in projections if holds(p)]:
            return f"units in continuous time, and {found[0]}, which {reason}"
    steps = [p.name for p in populations if p.cell.carries and p.name not in timed]
    if odd := [*sorted(timed & {input, output}), *steps]:
        return f"units in continuous time, and {odd[0]}, which cannot stand beside them"
    return None
