"""What predictive coding is made of: predictions, their errors, and the energy that activity and
weights descend.
"""

import dataclasses
import warnings
from collections.abc import Callable, Collection, Mapping

import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Bool, Float
from typing_extensions import override

from byway.core.errors import RuleError, ShapeError, unknown_name
from byway.core.hyper import hyper
from byway.core.record import Phase
from byway.core.signal import Signal, SquaredError
from byway.network.network import NOTHING, Network
from byway.network.populations import Population
from byway.network.projections import Projection
from byway.network.settle import Settled, System, Values, norm, settle, silence
from byway.network.topology import strong_parts
from byway.rules import able
from byway.rules.energy._settling import Settling

# How far towards what is predicted of it a value goes in a step: units that call each other with
# weights of -1 swing at 1, and come to rest.
HALF_WAY = 0.5


class Predictive(Settling):
    """Abstract: every population predicts the next, on any graph."""

    precision: float = hyper(
        1.0, "weight of the output's error beside the hidden ones", low=1e-9, search=(0.1, 10.0)
    )

    @override
    def accepts(self, net):
        """Any network whose units have a slope; what input and output hold is compared as it is, so
        both are linear.
        """
        net.require_stateless(self.id, able)
        net.require_slopes(self.id, able)
        bent = [end for end in (net.input, net.output) if net[end].cell.name != "identity"]
        if bent:
            given = f"{self.id} was given a network whose {' and '.join(bent)} have an activation"
            raise RuleError(given, "a linear input and output", "leave it out there")

    def complete(
        self, net: Network, values: Mapping[str, Array], held: Mapping[str, Array] = NOTHING
    ) -> Phase:
        """Settle with some units held and all others free: classify, generate from a label,
        complete half an image.

        Args:
            net: a trained network.
            values: what to hold, by population, "batch *units" each.
            held: by population, which of its units to hold, "*units" of true and false; by default
                all of those in `values`.

        Returns:
            The settled phase: `post` is the activity of every unit, `u` what the others predict of
            it.

        Raises:
            UnknownNameError: a population that does not exist.
            ShapeError: values or masks that do not fit a population.

        Warns:
            RuntimeWarning: settling diverged or did not reach its tolerance; by how much, and what
                to do.
        """
        _check(net, values, held)
        _, settled, _, measures = self._complete(net, values, held)
        if not any(isinstance(m, Tracer) for m in measures.values()):
            told = self.advice({name: float(m) for name, m in measures.items()})
            if told is not None:
                warnings.warn(told, RuntimeWarning, stacklevel=2)
        return settled

    def _predicted(
        self, net: Network, x: Float[Array, "batch *inputs"], differentiable: bool
    ) -> Phase:
        """The forward pass; with cycles, where values settle with the input held alone."""
        if not net.cyclic:
            return net.forward(x)
        energy = Energy(net, {net.input: x}, self.precision)
        return self._at_rest(energy, unheld(net, len(x), net.input), differentiable).last

    def _complete(
        self, net: Network, values: Mapping[str, Array], held: Mapping[str, Array]
    ) -> Settled:
        energy = Energy(net, values, self.precision, held)
        start = unheld(net, next(iter(values.values())).shape[0], *energy.fixed)
        return self._at_rest(energy, start)

    def _at_rest(self, energy: "Energy", start: Values, differentiable: bool = False) -> Settled:
        """Where values settle that first did what is predicted of them. The values of units that
        only follow are not among those that settle.
        """
        free = {name: v for name, v in start.items() if name not in energy.followers}
        beside = norm(energy.force(energy.phase(free)))
        relaxed = self._relaxed(energy, free, differentiable)
        settled = self._settle(energy, relaxed, differentiable, beside)
        return settled._replace(last=energy.followed(settled.last))

    def _relaxed(self, energy: "Energy", start: Values, differentiable: bool = False) -> Values:
        """What the forward pass is to a network without cycles: values do what is predicted of
        them, part by part. Where populations call each other they go half of the way, `steps`
        times, and a sample whose errors did not fall stays at the start: where units call each
        other too strongly, values only grow. All stays there where something that is held is
        predicted: that error is left, so energy is least elsewhere.
        """
        if any(name in energy.values for name in energy.predicted):
            return start
        values = dict(start)
        wires = [(p.src, p.dst) for p in energy.net.projections]
        for names in strong_parts(energy.predicted, wires):
            part = Part(energy, values, names)
            rate, steps = (HALF_WAY, self.steps) if part.cyclic else (1.0, 1)
            free = {name: values[name] for name in names}
            done = settle(part, free, rate=rate, steps=steps, differentiable=differentiable)
            lower = energy.of_samples(done.last) < energy.of_samples(done.first)
            for name, v in done.values.items():
                better = lower.reshape(-1, *[1] * (v.ndim - 1))
                values[name] = jnp.where(better, v, start[name])
        return values

    def energy(self, net: Network, x: Float[Array, "batch *inputs"], signal: Signal) -> "Energy":
        """The energy with the input and the target held."""
        held = {net.input: x, net.output: signal.target.reshape(-1, *net[net.output].shape)}
        return Energy(net, held, self.precision, link=_link(self.id, net, signal))

    def slopes(self, net: Network, phase: Phase) -> dict[str, dict[str, Array]]:
        """The slope of the energy by every weight, at fixed values: the mean over the batch."""
        delta = {
            name: eps * (-self.precision if name == net.output else -1.0)
            for name, eps in phase.injected.items()
        }
        return {p.name: p.outer(phase.pre[p.name], delta[p.dst]) for p in net.projections}


class Part(System):
    """A population, or some that call each other in cycles, whose values do what is predicted of
    them and are not asked what they predict; all others are still.
    """

    def __init__(self, energy: "Energy", values: Values, names: Collection[str]):
        self.energy, self.values, self.names = energy, values, names
        net, sent = energy.net, energy.phase(values, ()).pre
        into = [p for name in names for p in net.incoming(name)]
        self.cyclic = any(p.src in names for p in into)
        self.known = energy.known | {
            p.name: p.forward(sent[p.name])
            for p in into
            if p.src not in names and p.name not in energy.known
        }

    @override
    def phase(self, free: Values) -> Phase:
        return self.energy.phase(self.values | free, self.names, self.known)

    @override
    def force(self, phase: Phase) -> Values:
        """-eps of the free units."""
        return self.energy.loose({name: -eps for name, eps in phase.injected.items()})


class Energy(System):
    """The energy of a network some of whose units are held: predictions, errors, and the force on
    every free unit.

    Args:
        net: the network.
        values: what is held, by population, "batch *units".
        precision: of the output's error.
        held: by population, which units; all by default.
        link: what the output's prediction is taken for, where the output is held.
    """

    def __init__(
        self,
        net: Network,
        values: Mapping[str, Array],
        precision: float | Array,
        held: Mapping[str, Bool[Array, "*units"]] = NOTHING,
        link: Callable[[Array], Array] = lambda u: u,
    ):
        self.net, self.values, self.precision, self.held, self.link = (
            net,
            dict(values),
            precision,
            held,
            link,
        )
        self.fixed = {name for name in values if name not in held}
        predicted = tuple(dict.fromkeys(p.dst for p in net.projections))
        # Who is free and sends nothing does what is predicted of it, and pulls at nobody.
        self.followers = tuple(
            name for name in predicted if name not in values and not net.outgoing(name)
        )
        self.predicted = tuple(name for name in predicted if name not in self.followers)
        # What a wholly held population sends never changes, so its current is computed once and not
        # at every step.
        self.known = {
            p.name: p.forward(_sent(p, net[name], values[name]))
            for name in self.fixed
            for p in net.outgoing(name)
        }

    @override
    def phase(
        self,
        free: Values,
        of: Collection[str] | None = None,
        known: Mapping[str, Array] | None = None,
    ) -> Phase:
        """Predictions and errors, given the values of the populations that are not wholly held;
        without those that only follow.

        Args:
            free: the values.
            of: the populations whose predictions and errors are asked for; by default all.
            known: currents by projection; by default those of what is wholly held.
        """
        known = self.known if known is None else known
        net, pre, u, post, slope, eps = self.net, {}, {}, {}, {}, {}
        v = dict(self.values)
        for name, value in free.items():
            v[name] = (
                jnp.where(self.held[name][None], self.values[name], value)
                if name in self.held
                else value
            )
        for population in net.populations:
            name = population.name
            if name in self.followers:
                continue
            post[name], slope[name] = population.activate(v[name]), population.slope(v[name])
            pre |= {p.name: _sent(p, population, v[name]) for p in net.outgoing(name)}
        for name in self.predicted if of is None else of:
            u[name] = net.potential(name, pre, known)
            eps[name] = v[name] - (self.link(u[name]) if name == net.output else u[name])
        return Phase(pre, u, post, slope, eps)

    def followed(self, phase: Phase) -> Phase:
        """The same, with the units that only follow."""
        u = {name: self.net.potential(name, phase.pre, self.known) for name in self.followers}
        return dataclasses.replace(
            phase,
            u=phase.u | u,
            post=phase.post | {name: self.net[name].activate(mu) for name, mu in u.items()},
            slope=phase.slope | {name: self.net[name].slope(mu) for name, mu in u.items()},
            injected=phase.injected | {name: jnp.zeros_like(mu) for name, mu in u.items()},
        )

    @override
    def force(self, phase: Phase) -> Values:
        """-dF/dv of the free units: -pi eps + phi'(v) * sum_k W_k^T pi_k eps_k."""
        net, force = self.net, {}
        weighted = {name: self._weight(name) * e for name, e in phase.injected.items()}
        for population in net.populations:
            name = population.name
            if name not in self.fixed and name not in self.followers:
                back = {
                    kind: [
                        p.backward(weighted[p.dst])
                        for p in net.outgoing(name)
                        if p.carries == kind and p.dst in weighted
                    ]
                    for kind in ("post", "u")
                }
                by_post = sum(back["post"], start=jnp.zeros_like(phase.post[name]))
                pull = population.unsend(phase.post[name], by_post) * phase.slope[
                    name
                ] - weighted.get(name, 0.0)
                force[name] = sum(back["u"], start=pull)
        return self.loose(force)

    def of_samples(self, phase: Phase) -> Float[Array, " batch"]:
        """The energy of the free units of each sample, that of the output by its square."""
        parts = [
            self._weight(name) * jnp.sum(eps**2, tuple(range(1, eps.ndim))) / 2
            for name, eps in self.loose(phase.injected).items()
        ]
        return jnp.sum(jnp.stack(parts), 0)

    def loose(self, force: Values) -> Values:
        """A force on the units that are free, 0 on those that are held."""
        return {
            name: jnp.where(self.held[name][None], 0.0, f) if name in self.held else f
            for name, f in force.items()
            if name not in self.fixed
        }

    def _weight(self, name: str) -> float | Array:
        return self.precision if name == self.net.output else 1.0


def unheld(net: Network, batch: int, *held: str) -> Values:
    """Zero for every unit of the populations that are not held."""
    return {name: v for name, v in silence(net, batch).items() if name not in held}


def _sent(p: Projection, population: Population, value: Array) -> Array:
    """What a projection carries of a population with these values: its activity, or the values
    themselves.
    """
    return value if p.carries == "u" else population.send(population.activate(value))


def _link(rule_id: str, net: Network, signal: Signal) -> Callable[[Array], Array]:
    """What the output's prediction is taken for."""
    if net.outgoing(net.output) and not isinstance(signal.criterion, SquaredError):
        raise RuleError(
            f"{rule_id} was given a network whose output projects onwards, and a cross-entropy "
            "loss",
            "the squared error: the output's value is then what it predicts, held or free",
            "choose the task's loss squared_error",
        )
    return signal.criterion.link


def _check(net: Network, values: Mapping[str, Array], held: Mapping[str, Array]) -> None:
    known = [p.name for p in net.populations]
    for name in (*values, *held):
        if name not in known:
            raise unknown_name("population", name, known)
    if not values:
        raise ShapeError(
            "nothing to hold", "values of one population at least", "name one, such as the input"
        )
    for name in held:
        if name not in values:
            raise ShapeError(
                f"units of {name!r} to hold, without values",
                "values of the same population",
                "give both",
            )
        if held[name].shape != net[name].shape:
            raise ShapeError(
                f"a mask of shape {held[name].shape} for {name!r}",
                f"{net[name].shape}",
                "give one truth to each of its units",
            )
    batches = {a.shape[:1] for a in values.values()}
    for name, value in values.items():
        if value.shape[1:] != net[name].shape or len(batches) > 1:
            raise ShapeError(
                f"values of shape {value.shape} for {name!r}",
                f"(batch, *{net[name].shape}), one batch for all",
                "reshape them",
            )
