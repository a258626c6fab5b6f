"""Predictive coding (PC).

Every population predicts the next. With the input and the target held, activity settles where the summed squared errors
of all predictions, the energy, are least; each weight then lowers the error that it ends at. On a network with cycles any
units may be held and any others read: one trained network classifies, generates and completes.

    f:  mu_i = sum_j W_ij phi(v_j) + b_i,   eps_i = v_i - mu_i,   F = sum_i pi_i |eps_i|^2 / 2
        v_i <- v_i + rate * (-pi_i eps_i + phi'(v_i) * sum_k W_ki^T pi_k eps_k),   from the feed-forward pass (v = mu), or
        from zero where there are cycles; what is held stays. At the output eps = target - link(mu), link = softmax for
        cross-entropy; pi = precision there and 1 elsewhere
    g:  dW_ij = <-pi_i eps_i phi(v_j)^T>, the slope of F by W with v fixed

    prediction: the feed-forward pass, where every eps is zero; with cycles, v settled with the input held alone.

Shapes   v, mu, eps "batch *units" (the record's u is mu, its injected is eps, its post is phi(v)); W "pre post"
Units    activity dimensionless; one settling step is the unit of time
Claims   transport yes | locking yes | derivative yes | signal target | phases 1 | memory none
Limits   an error needs a step for each layer it crosses: with fewer steps than layers the first ones do not learn. It is not
         backprop at precision 1, and tends to it as precision tends to 0.
         With cycles, the training score is read with the target held and says nothing: look at validation
Source   Whittington and Bogacz, An approximation of the error backpropagation algorithm in a predictive coding network with local
         Hebbian synaptic plasticity, Neural Comput. 29:1229, 2017, eqs. 2.5 to 2.18; Salvatori et al., Learning on arbitrary graph
         topologies via predictive coding, 2022, arXiv 2201.13180; differs in: weights drawn as He et al., any optimiser
"""

import warnings
from collections.abc import Callable, Mapping
from typing import ClassVar

import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Bool, Float

from byway.core.errors import RuleError, ShapeError, unknown_name
from byway.core.hyper import hyper
from byway.core.record import Phase, Record
from byway.core.rule import Claims, Update
from byway.core.signal import Signal, SquaredError
from byway.network.network import NOTHING, Network
from byway.network.populations import Population
from byway.network.projections import Projection
from byway.network.settle import Settled, System, Values, silence
from byway.rules import able
from byway.rules._settling import Settling


class PC(Settling):
    """Predictive coding, on any graph."""

    claims: ClassVar[Claims] = Claims("yes", "yes", "yes", frozenset({"target"}), 1, "none")

    precision: float = hyper(1.0, "weight of the output's error beside the hidden ones", low=1e-9, search=(0.1, 10.0))

    def accepts(self, net):
        """Any network whose units have a slope; what input and output hold is compared as it is, so both are linear."""
        net.require_stateless(self.id, able)
        net.require_slopes(self.id, able)
        bent = [end for end in (net.input, net.output) if net[end].cell.name != "identity"]
        if bent:
            raise RuleError(
                f"pc was given a network whose {' and '.join(bent)} have an activation", "a linear input and output", "leave it out there"
            )

    def f(self, gamma, net, state, x, signal, key):
        """See `Rule.f`."""
        x = net.place(x)
        if signal is None:
            # What compares a rule with the true gradient takes the derivative of a prediction, settling and all.
            settled = self._complete(net, {net.input: x}, NOTHING, differentiable=True).last if net.cyclic else net.forward(x)
            return state, Record({"settled": settled}, settled.u[net.output])
        held = {net.input: x, net.output: signal.target.reshape(-1, *net[net.output].shape)}
        energy = Energy(net, held, self.precision, link=_link(net, signal))
        first, settled, measures = self._settle(energy, _start(net, x))
        return state, Record({"settled": settled}, (settled if net.cyclic else first).u[net.output], {}, measures)

    def g(self, gamma, net, memory, record, signal):
        """See `Rule.g`."""
        settled = record["settled"]
        delta = {name: eps * (-self.precision if name == net.output else -1.0) for name, eps in settled.injected.items()}
        return memory, Update({p.name: p.outer(settled.pre[p.name], delta[p.dst]) for p in net.projections})

    def checks(self):
        """See `Rule.checks`."""
        from byway.rules._checks import pc

        return pc.checks(self)

    def complete(self, net: Network, values: Mapping[str, Array], held: Mapping[str, Array] = NOTHING) -> Phase:
        """Settle with some units held and all others free: classify, generate from a label, complete half an image.

        Args:
            net: a trained network.
            values: what to hold, by population, "batch *units" each.
            held: by population, which of its units to hold, "*units" of true and false; by default all of those in `values`.

        Returns:
            The settled phase: `post` is the activity of every unit, `u` what the others predict of it.

        Raises:
            UnknownNameError: a population that does not exist.
            ShapeError: values or masks that do not fit a population.

        Warns:
            RuntimeWarning: settling diverged or did not reach its tolerance; by how much, and what to do.
        """
        _check(net, values, held)
        _, settled, measures = self._complete(net, values, held)
        if not any(isinstance(m, Tracer) for m in measures.values()):
            told = self.advice({name: float(m) for name, m in measures.items()})
            if told is not None:
                warnings.warn(told, RuntimeWarning, stacklevel=2)
        return settled

    def _complete(self, net: Network, values: Mapping[str, Array], held: Mapping[str, Array], differentiable: bool = False) -> Settled:
        energy = Energy(net, values, self.precision, held)
        zeros = silence(net, next(iter(values.values())).shape[0])
        return self._settle(energy, {name: v for name, v in zeros.items() if name not in energy.fixed}, differentiable)


class Energy(System):
    """The energy of a network some of whose units are held: predictions, errors, and the force on every free unit.

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
        self.net, self.values, self.precision, self.held, self.link = net, dict(values), precision, held, link
        self.fixed = {name for name in values if name not in held}
        # What a wholly held population sends never changes, so its current is computed once and not at every step.
        self.known = {p.name: p.forward(_sent(p, net[name], values[name])) for name in self.fixed for p in net.outgoing(name)}

    def phase(self, free: Values) -> Phase:
        """Predictions and errors, given the values of the populations that are not wholly held."""
        net, pre, u, post, slope, eps = self.net, {}, {}, {}, {}, {}
        v = dict(self.values)
        for name, value in free.items():
            v[name] = jnp.where(self.held[name][None], self.values[name], value) if name in self.held else value
        for population in net.populations:
            name = population.name
            post[name], slope[name] = population.activate(v[name]), population.slope(v[name])
            pre |= {p.name: _sent(p, population, v[name]) for p in net.outgoing(name)}
        for name in {p.dst: None for p in net.projections}:
            u[name] = net.potential(name, pre, self.known)
            eps[name] = v[name] - (self.link(u[name]) if name == net.output else u[name])
        return Phase(pre, u, post, slope, eps)

    def force(self, phase: Phase) -> Values:
        """-dF/dv of the free units: -pi eps + phi'(v) * sum_k W_k^T pi_k eps_k."""
        net, force = self.net, {}
        weighted = {name: e * self.precision if name == net.output else e for name, e in phase.injected.items()}
        for population in net.populations:
            name = population.name
            if name not in self.fixed:
                back = {kind: [p.backward(weighted[p.dst]) for p in net.outgoing(name) if p.carries == kind] for kind in ("post", "u")}
                by_post = sum(back["post"], start=jnp.zeros_like(phase.post[name]))
                pull = population.unsend(phase.post[name], by_post) * phase.slope[name] - weighted.get(name, 0.0)
                pull = sum(back["u"], start=pull)
                force[name] = jnp.where(self.held[name][None], 0.0, pull) if name in self.held else pull
        return force


def _sent(p: Projection, population: Population, value: Array) -> Array:
    """What a projection carries of a population with these values: its activity, or the values themselves."""
    return value if p.carries == "u" else population.send(population.activate(value))


def _start(net: Network, x: Float[Array, "batch *inputs"]) -> Values:
    """The values settling starts from: predictions themselves, or zero where there are cycles."""
    if net.cyclic:
        return {name: v for name, v in silence(net, x.shape[0]).items() if name not in (net.input, net.output)}
    return {name: u for name, u in net.forward(x).u.items() if name != net.output}


def _link(net: Network, signal: Signal) -> Callable[[Array], Array]:
    """What the output's prediction is taken for."""
    if net.outgoing(net.output) and not isinstance(signal.criterion, SquaredError):
        raise RuleError(
            "pc was given a network whose output projects onwards, and a cross-entropy loss",
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
        raise ShapeError("nothing to hold", "values of one population at least", "name one, such as the input")
    for name in held:
        if name not in values:
            raise ShapeError(f"units of {name!r} to hold, without values", "values of the same population", "give both")
        if held[name].shape != net[name].shape:
            raise ShapeError(
                f"a mask of shape {held[name].shape} for {name!r}", f"{net[name].shape}", "give one truth to each of its units"
            )
    batches = {a.shape[:1] for a in values.values()}
    for name, value in values.items():
        if value.shape[1:] != net[name].shape or len(batches) > 1:
            raise ShapeError(
                f"values of shape {value.shape} for {name!r}", f"(batch, *{net[name].shape}), one batch for all", "reshape them"
            )
