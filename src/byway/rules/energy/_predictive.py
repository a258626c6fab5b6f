"""What predictive coding is made of: predictions, their errors, and the energy that activity and
weights descend.
"""

import warnings
from collections.abc import Callable, Mapping

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
from byway.network.settle import Settled, System, Values, silence
from byway.rules import able
from byway.rules.energy._settling import Settling


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
        _, settled, measures = self._complete(net, values, held)
        if not any(isinstance(m, Tracer) for m in measures.values()):
            told = self.advice({name: float(m) for name, m in measures.items()})
            if told is not None:
                warnings.warn(told, RuntimeWarning, stacklevel=2)
        return settled

    def _complete(
        self, net: Network, values: Mapping[str, Array], held: Mapping[str, Array]
    ) -> Settled:
        energy = Energy(net, values, self.precision, held)
        return self._settle(
            energy, unheld(net, next(iter(values.values())).shape[0], *energy.fixed)
        )

    def _predicted(
        self, net: Network, x: Float[Array, "batch *inputs"], start: Values, differentiable: bool
    ) -> Phase:
        """What the network makes of an input: the forward pass; with cycles, where it settles from
        `start` with the input held alone.
        """
        return (
            self._settle(Energy(net, {net.input: x}, self.precision), start, differentiable).last
            if net.cyclic
            else net.forward(x)
        )

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
        # What a wholly held population sends never changes, so its current is computed once and not
        # at every step.
        self.known = {
            p.name: p.forward(_sent(p, net[name], values[name]))
            for name in self.fixed
            for p in net.outgoing(name)
        }

    @override
    def phase(self, free: Values) -> Phase:
        """Predictions and errors, given the values of the populations that are not wholly held."""
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
            post[name], slope[name] = population.activate(v[name]), population.slope(v[name])
            pre |= {p.name: _sent(p, population, v[name]) for p in net.outgoing(name)}
        for name in {p.dst: None for p in net.projections}:
            u[name] = net.potential(name, pre, self.known)
            eps[name] = v[name] - (self.link(u[name]) if name == net.output else u[name])
        return Phase(pre, u, post, slope, eps)

    @override
    def force(self, phase: Phase) -> Values:
        """-dF/dv of the free units: -pi eps + phi'(v) * sum_k W_k^T pi_k eps_k."""
        net, force = self.net, {}
        weighted = {
            name: e * self.precision if name == net.output else e
            for name, e in phase.injected.items()
        }
        for population in net.populations:
            name = population.name
            if name not in self.fixed:
                back = {
                    kind: [
                        p.backward(weighted[p.dst]) for p in net.outgoing(name) if p.carries == kind
                    ]
                    for kind in ("post", "u")
                }
                by_post = sum(back["post"], start=jnp.zeros_like(phase.post[name]))
                pull = population.unsend(phase.post[name], by_post) * phase.slope[
                    name
                ] - weighted.get(name, 0.0)
                pull = sum(back["u"], start=pull)
                force[name] = (
                    jnp.where(self.held[name][None], 0.0, pull) if name in self.held else pull
                )
        return force


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
