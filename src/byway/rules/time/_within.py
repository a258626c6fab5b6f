"""What rules share that send the error of a step from layer to layer; and, of those that carry the
influence of weights within their own layer, how it is carried and on which units.

A group of weights is a projection's, or all biases of a population, which are the weights of an
input that is always one. Its influence is "batch *theta", on the unit alone where each weight ends,
or "batch *theta units", on all units of its layer.
"""

import dataclasses
import functools
import operator
from abc import abstractmethod
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool
from typing_extensions import override

from byway.core.errors import RuleError
from byway.core.record import Phase, Record
from byway.learning.rule import Update
from byway.learning.time import StepRule
from byway.network.cell import Derivative, Local
from byway.network.network import Network
from byway.network.populations import Population
from byway.network.projections import Projection
from byway.rules import able

# What the biases of a population are called; the names of projections have a "-" in them.
BIASES = "biases"


class Held(NamedTuple):
    """The influence of a group of weights on their own layer.

    Attributes:
        parts: by part of the state of its cells.
        sent: on what it sent last, where a projection takes that to the layer itself; else None.
    """

    parts: dict[str, Array]
    sent: Array | None


@dataclasses.dataclass(frozen=True)
class Alone:
    """Influence on the unit alone where a weight ends, "batch *theta".

    Attributes:
        population: the layer.
        loops: its projections to itself.
        at_post: of a value at each drive, "batch *drive", its value at each weight.
    """

    population: Population
    loops: tuple[Projection, ...]
    at_post: Callable[[Array], Array]

    def at_units(self, value: Derivative, batch: int = 1) -> Array:
        """A value for each unit, or for each drive, at each weight."""
        value = jnp.asarray(value)
        if value.ndim and value.ndim < 1 + len(self.population.drive):
            value = value[:, None]
        return self.at_post(jnp.broadcast_to(value, (batch, *self.population.drive)))

    def at_once(self, derivative: Derivative, arriving: Array) -> Array:
        """By what arrives at each weight, times the derivative of its unit by its drive."""
        return self.at_units(derivative, len(arriving)) * arriving

    def scaled(self, influence: Array, derivative: Derivative) -> Array:
        """An influence times a derivative of each unit."""
        if isinstance(derivative, float | int):
            return influence * derivative
        return influence * self.at_units(derivative, len(influence))

    def again(self, influence: Array, derivative: Derivative) -> Array:
        """Through the projections of the layer to itself, times a derivative by each drive."""
        back = _sum([_diagonal(p, self.population) for p in self.loops])
        by_unit = back * derivative
        if self.population.cell.ports > 1:
            by_unit = by_unit.sum(1)
        return self.scaled(
            influence, jnp.broadcast_to(by_unit, (len(influence), *by_unit.shape[1:]))
        )

    def worth(self, influence: Array, credit: Array) -> Array:
        """An influence times what the activity of each unit is worth, "batch *theta"."""
        return self.scaled(influence, credit)


@dataclasses.dataclass(frozen=True)
class Whole(Alone):
    """Influence on all units of the layer, or on those that are reached, "batch *theta units".

    Attributes:
        reached: by unit where a weight ends, the units on which its influence is kept; None for
            all.
    """

    reached: Bool[Array, "units units"] | None

    @property
    def _own(self) -> Array:
        """Of each weight, the unit where it ends, "1 *theta"."""
        return self.at_units(_numbered(self.population)).astype(jnp.int32)

    @override
    def at_once(self, derivative, arriving):
        units = jnp.arange(self.population.size, dtype=jnp.int32)
        own = (self._own[..., None] == units.reshape(*[1] * arriving.ndim, -1)).astype(
            arriving.dtype
        )
        return super().at_once(derivative, arriving)[..., None] * own

    @override
    def scaled(self, influence, derivative):
        if isinstance(derivative, float | int):
            return influence * derivative
        flat = derivative.reshape(len(derivative), *[1] * (influence.ndim - 2), -1)
        return influence * flat

    @override
    def again(self, influence, derivative):
        flat = influence.reshape(-1, *self.population.shape)
        drive = _sum([p.forward(flat) - p.offset for p in self.loops])
        drive = drive.reshape(len(influence), -1, *self.population.drive)
        if isinstance(derivative, jax.Array):
            derivative = derivative[:, None]
        drive = drive * derivative
        if self.population.cell.ports > 1:
            drive = drive.sum(2)
        return self._kept(drive.reshape(influence.shape))

    @override
    def worth(self, influence, credit):
        return jnp.sum(self.scaled(influence, credit), -1)

    def _kept(self, influence: Array) -> Array:
        if self.reached is None:
            return influence
        return jnp.where(self.reached[self._own], influence, 0)


class WithinLayers(StepRule):
    """Abstract: the influence of weights is carried within the layer where they end; from layer to
    layer goes the error of the same step alone.
    """

    @abstractmethod
    def way(
        self,
        population: Population,
        loops: tuple[Projection, ...],
        at_post: Callable[[Array], Array],
    ) -> Alone:
        """How the influence of weights that end in a population is carried."""

    @override
    def accepts(self, net):
        """Any network that carries something through time within its layers, where a weight that
        leads to a memory is one of a pair of units.
        """
        net.require_slopes(self.id, able)
        remembering = [p for p in learning(net) if _remembers(net, p)]
        if not remembering:
            raise refused(
                self,
                net,
                "no layer that carries anything through time",
                "cells with a state, or a layer that projects to itself",
            )
        names = {p.name for p in remembering}
        if shared := [
            p.name
            for p in net.projections
            if p.dst in names and p.weight is not None and type(p).at_pre is Projection.at_pre
        ]:
            raise refused(
                self,
                net,
                f"weights that many places share in {', '.join(shared)}",
                "a weight for each pair of units where something is remembered",
            )
        if odd := [p.name for p in remembering if _loops(net, p) and (p.norm or p.cell.sends)]:
            raise refused(
                self,
                net,
                f"projections to themselves of {', '.join(odd)}",
                "neither normalisation nor several numbers a unit there",
            )
        require_spatial(self, net)

    @override
    def start(self, gamma, net, batch):
        """Rest, and no influence of any weight yet."""
        memory = {}
        for population in learning(net):
            if not _remembers(net, population):
                continue
            groups: dict[str, tuple[Callable[[Array], Array], tuple[int, ...]]] = {
                p.name: (p.at_post, p.weight.shape)
                for p in net.incoming(population.name)
                if p.weight is not None
            }
            if biased(net, population):
                groups[BIASES] = _as_it_is, population.drive
            loops = _loops(net, population)
            memory[population.name] = {}
            for name, (at_post, shape) in groups.items():
                way = self.way(population, loops, at_post)
                units = (population.size,) if isinstance(way, Whole) else ()
                none = jnp.zeros((batch, *shape, *units), net.dtype)
                memory[population.name][name] = Held(
                    dict.fromkeys(parts_of(population), none), none if loops else None
                )
        return net.rest(batch), memory

    @override
    def f(self, gamma, net, state, x, signal, key):
        state, free = net.step(x, state)
        return state, Record({"free": free}, free.post[net.output])

    @override
    def g(self, gamma, net, memory, record, signal):
        free = record["free"]
        credit, delta = spatial(net, free, signal.error(record.output))
        after, update = {}, {}
        for population in learning(net):
            name, arriving = population.name, net.incoming(population.name)
            if name not in memory:
                update |= {p.name: p.outer(free.pre[p.name], delta[name]) for p in arriving}
                continue
            local, held, now = local_of(population, free), memory[name], {}
            loops, worth = _loops(net, population), each(credit[name], population)
            at_biases = None
            if BIASES in held:
                at_biases, now[BIASES] = _learnt(
                    self.way(population, loops, _as_it_is),
                    local,
                    jnp.ones_like(free.u[name]),
                    held[BIASES],
                    worth,
                )
            for p in arriving:
                parts, pre = {}, free.pre[p.name]
                if p.weight is not None:
                    way = self.way(population, loops, p.at_post)
                    at_weights, now[p.name] = _learnt(
                        way, local, p.at_pre(pre), held[p.name], worth
                    )
                    parts["weight"] = jnp.mean(at_weights, 0)
                if p.bias is not None and at_biases is not None:
                    parts["bias"] = p.outer(pre, at_biases)["bias"]
                if parts:
                    update[p.name] = parts
            after[name] = now
        return after, Update(update)


def _learnt(
    way: Alone, local: Local, arriving: Array, held: Held, worth: list[Array]
) -> tuple[Array, Held]:
    """What the error of this step says of each weight of a group, "batch *theta"; and what is
    carried on.
    """
    sent, held = step(way, local, arriving, held)
    return _sum([way.worth(J, a) for J, a in zip(sent, worth, strict=True)]), held


def _as_it_is(delta: Array) -> Array:
    """Of a value at each drive, that at the bias of each."""
    return delta


def step(way: Alone, local: Local, arriving: Array, held: Held) -> tuple[list[Array], Held]:
    """One step of the influence of a group of weights.

        J_i' = ds'_i/du du/dtheta + sum_j ds'_i/ds_j J_j,   J' = dh/du du/dtheta + sum_j dh/ds_j J_j
        du/dtheta = pre + W_rec J

    Args:
        way: how it is carried.
        local: the derivatives of the cell.
        arriving: what arrives at each weight.
        held: what the step before left.

    Returns:
        The influence on each number that a unit sends, and what the step leaves.
    """

    def by_drive(derivative):
        now = way.at_once(derivative, arriving)
        return now if held.sent is None else now + way.again(held.sent, derivative)

    parts = {
        i: _sum(
            [by_drive(local.drive[i])] * (i in local.drive)
            + [way.scaled(held.parts[j], d) for (of, j), d in local.carry.items() if of == i]
        )
        for i in held.parts
    }
    if sends := way.population.cell.sends:
        return [parts[i] for i in sends], Held(parts, None)
    if local.after is not None:
        sent = _sum([way.scaled(parts[i], d) for i, d in local.after.items()])
    else:
        slope = 1.0 if local.slope is None else local.slope
        sent = _sum(
            [by_drive(slope), *(way.scaled(held.parts[j], d) for j, d in local.read.items())]
        )
    return [sent], Held(parts, None if held.sent is None else sent)


def refused(rule: StepRule, net: Network, given: str, wanted: str) -> RuleError:
    """The refusal of a network that has what is given, which names the rules that take it."""
    others = ", ".join(other for other in able(net) if other != rule.id)
    return RuleError(
        f"{rule.id} was given a network with {given}", wanted, f"use another rule: {others}"
    )


def require_spatial(rule: StepRule, net: Network) -> None:
    """Raise `RuleError` unless the error of a step reaches all hidden populations in that step."""
    if potentials := [p.name for p in net.projections if p.carries == "u"]:
        given = f"potentials sent by {', '.join(potentials)}"
        raise refused(rule, net, given, "projections that carry activity")
    heard = net.upstream(net.output, recurrent=False)
    if unheard := [h.name for h in net.hidden if h.name not in heard]:
        raise refused(
            rule,
            net,
            f"{', '.join(unheard)}, from where nothing reaches the output in the same step",
            "a way to the output for every hidden population",
        )


def spatial(
    net: Network, free: Phase, error: Array, at_output: Array | None = None
) -> tuple[dict[str, Array], dict[str, Array]]:
    """What the activity of each population is worth to the error of this step, "batch *units", and
    what its drives are, "batch *drive": nothing goes back in time.

    Args:
        net: the network.
        free: the phase of the step.
        error: of the output, "batch *units".
        at_output: what the drives of the output are worth, where its own slope is not to say it.
    """
    credit, delta = {net.output: error}, {}
    for population in reversed(net.populations):
        name = population.name
        if name == net.input:
            continue
        ahead = [p for p in net.outgoing(name) if p.dst in delta and p.name not in net.recurrent]
        if ahead:
            back = population.unsend(
                free.post[name], _sum([p.backward(delta[p.dst]) for p in ahead])
            )
            credit[name] = credit[name] + back if name in credit else back
        given = at_output if name == net.output else None
        delta[name] = _at_drive(population, free, credit[name]) if given is None else given
    return credit, delta


def _at_drive(population: Population, free: Phase, credit: Array) -> Array:
    ports = population.cell.ports > 1
    if sends := population.cell.sends:
        drive = local_of(population, free).drive
        return _sum(
            [a[:, None] * drive[i] for i, a in zip(sends, each(credit, population), strict=True)]
        )
    return (credit[:, None] if ports else credit) * free.slope[population.name]


def each(credit: Array, population: Population) -> list[Array]:
    """By number that a unit sends, what it is worth."""
    sends = population.cell.sends
    return [credit[:, k] for k in range(len(sends))] if sends else [credit]


def reached(population: Population, loops: Collection[Projection], hops: int) -> Array:
    """By unit, the units of its layer that it reaches within so many projections of the layer to
    itself, "units units"; what is wired counts, whatever its weight.
    """
    n = population.size
    found = one = jnp.eye(n, dtype=bool)
    if not loops:
        return found
    units = jnp.eye(n).reshape(n, *population.shape)
    drive = _sum([_wired(p).forward(units) - p.offset for p in loops])
    if population.cell.ports > 1:
        drive = drive.sum(1)
    wired = (drive.reshape(n, n) > 0) | one
    for _ in range(min(hops, n)):
        found = (found.astype(jnp.float32) @ wired.astype(jnp.float32)) > 0
    return found


def _wired(p: Projection) -> Projection:
    return p.with_theta({"weight": jnp.ones_like(p.weight)})


def _diagonal(p: Projection, population: Population) -> Array:
    """The weight of each drive from its own unit, "1 *drive"."""
    index = _numbered(population)
    ports = index[:, None] if population.cell.ports > 1 else index
    own = p.at_pre(index) == p.at_post(jnp.broadcast_to(ports, (1, *population.drive)))
    alone = p.with_theta({"weight": jnp.where(own[0], p.weight, 0)})
    return alone.forward(jnp.ones((1, *population.shape), p.weight.dtype)) - p.offset


def _numbered(population: Population) -> Array:
    """The number of each unit, "1 *units"; a float, as projections take them."""
    return jnp.arange(population.size, dtype=jnp.float32).reshape(1, *population.shape)


def learning(net: Network) -> list[Population]:
    """Every population but the input, which is clamped."""
    return [p for p in net.populations if p.name != net.input]


def _loops(net: Network, population: Population) -> tuple[Projection, ...]:
    """The projections of a population to itself that take a step."""
    return tuple(
        p
        for p in net.incoming(population.name)
        if p.src == p.dst and net.recurrent[p.name] == 1 and p.weight is not None
    )


def _remembers(net: Network, population: Population) -> bool:
    return bool(population.cell.carries or _loops(net, population))


def biased(net: Network, population: Population) -> bool:
    """Whether anything brings it a bias."""
    return any(p.bias is not None for p in net.incoming(population.name))


def local_of(population: Population, free: Phase) -> Local:
    """The derivatives of this step of a population's cell."""
    return population.local(free.cell.get(population.name, {}), free.u[population.name])


def outline(population: Population) -> Local:
    """The derivatives of its cell with shapes for arrays: which are numbers does not depend on the
    step.
    """
    units, drive = (
        jax.ShapeDtypeStruct((1, *shape), jnp.float32)
        for shape in (population.shape, population.drive)
    )
    return eqx.filter_eval_shape(
        lambda like, u: population.local(population.cell.rest(like), u), units, drive
    )


def parts_of(population: Population) -> list[str]:
    """The parts of its state on which its activity depends, now or later."""
    local = outline(population)
    found = list(population.cell.sends or local.after or local.read)
    for i in found:  # which grows on the way
        found += [j for of, j in local.carry if of == i and j not in found]
    return found


def _sum(terms: list[Any]) -> Any:
    return functools.reduce(operator.add, terms)
