"""Eligibility propagation (EPROP).

Each synapse carries forward how its own unit's state depends on it, its eligibility; what a unit
does to others by what it sends is left out of that. An error that reaches the unit at each step
then says what the eligibility is worth. Online, with memory flat in time, at about the price of
running the network, where RTRL pays for the influence of every weight on every unit.

    f:  one step: u_t = W h_t + W_rec h_{t-1} + b,   (s_t, h_t) = cell(s_{t-1}, u_t)
    g:  eps_t = ds_t/ds_{t-1} eps_{t-1} + ds_t/du_t pre_t,
        e_t = dh_t/ds_{t-1} eps_{t-1} + dh_t/du_t pre_t,   dW = <sum_t L_t e_t>
        L_t = B error_t, by fixed random feedback B from the output to every hidden population; or,
            where `symmetric` is on, the error sent back along the projections of the same step:
        L_t = W^T error_t next to the output, and W^T (L_t * dh_t/du_t) below it.
        ebar_t = kappa ebar_{t-1} + k e_t takes the place of e_t below a readout with a leak, which
            filters u_t in that way: y_t = kappa y_{t-1} + k u_t

Where the derivatives of a state are constants, as those of the membrane of lif units are, eps
depends on the presynaptic unit alone: eps_t = alpha eps_{t-1} + k pre_t, a number for each unit and
not for each synapse. Adaptive units (alif), gated ones (gru) and any readout with a leak take a
number a synapse.

Shapes   pre "batch pre", post "batch post", W "pre post", eps "batch pre" or "batch pre post", B
         "out units"
Units    time in steps; activity dimensionless, 1 a spike
Claims   transport no | locking yes | derivative yes | signal error | phases 1 | memory units
Limits   transport is yes where `symmetric` is on, memory synapses with the cells and readouts named
         above. What a unit does to later losses through other units is not seen. With several
         layers below a readout with a leak, L of the lower ones takes the slopes of the step of the
         error. Weights that many places share, as in a convolution, are refused
Source   Bellec et al., A solution to the learning dilemma for recurrent networks of spiking
         neurons, Nat. Commun. 11:3625, 2020, eqs. 3, 4 and 13 to 28; differs in: any cell, through
         its local derivatives; several layers; B has the scale of readout weights; no adaptive
         feedback
"""

import dataclasses
import functools
import math
import operator
from collections.abc import Callable, Collection, Mapping
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array
from typing_extensions import override

from byway.core.errors import RuleError
from byway.core.hyper import hyper
from byway.core.record import Phase, Record
from byway.learning.rule import Claims, Update
from byway.learning.time import StepRule
from byway.network.cell import Derivative, Local
from byway.network.network import Network
from byway.network.populations import Population
from byway.network.projections import Projection
from byway.rules import able

# Keeps the feedback apart from the weights, even where a caller draws both from one key.
FEEDBACK = 0xB
# What the bias of a population is called among its synapses; the names of projections have a "-" in
# them.
BIAS = "bias"
# A derivative and what it is multiplied by.
Term = tuple[Derivative, Array]
# dh/dW, "batch *weight"; or, as terms of a derivative of the postsynaptic unit and an array shaped
# as what arrives, not yet written out.
Eligibility = list[Term] | Array


class _Claimed:
    """What the rule says of itself: its own weights carry the error back where feedback is
    symmetric.
    """

    random = Claims("no", "yes", "yes", frozenset({"error"}), 1, "units")

    def __get__(self, rule: "Eprop | None", kind: type) -> Claims:
        symmetric = rule is not None and rule.symmetric
        return dataclasses.replace(self.random, transport="yes") if symmetric else self.random


class Held(NamedTuple):
    """What is carried of the synapses of one projection, or of the biases of one population.

    Attributes:
        eps: by part of the state of the unit, what it owes to each synapse: shaped as what arrives,
            or "batch *weight".
        read: by part of the state of a readout with a leak, the same of e.
    """

    eps: dict[str, Array]
    read: dict[str, Array]


class Eprop(StepRule):
    """Eligibility propagation."""

    claims = _Claimed()  # pyright: ignore[reportAssignmentType, reportIncompatibleVariableOverride]
    network_options: ClassVar[Mapping[str, Any]] = {"activation": "lif"}
    learning_rate: ClassVar[float] = 5e-3

    symmetric: bool = hyper(
        False,
        "whether errors come back through the weights themselves, in place of fixed random ones",
    )

    @override
    def accepts(self, net):
        """Hidden units that have a slope, some of them a state; a weight for each pair of units;
        and a readout without a state or with a linear one.
        """
        net.require_slopes(self.id, able)
        if not any(h.cell.carries for h in net.hidden):
            raise self._refused(
                net,
                f"units without a state in {', '.join(h.name for h in net.hidden)}"
                if net.hidden
                else "no hidden layer",
                'hidden units that remember: "lif", "alif", "gru" ...',
            )
        if shared := [
            p.name
            for p in net.projections
            if p.weight is not None and type(p).at_pre is Projection.at_pre
        ]:
            raise self._refused(
                net,
                f"weights that many places share in {', '.join(shared)}",
                "a weight for each pair of units",
            )
        if potentials := [p.name for p in net.projections if p.carries == "u"]:
            raise self._refused(
                net,
                f"potentials sent by {', '.join(potentials)}",
                "projections that carry activity",
            )
        readout = net[net.output]
        several = [h.name for h in net.hidden if h.cell.sends]
        if readout.cell.carries and several:
            raise self._refused(
                net,
                f"several numbers sent by each unit of {', '.join(several)}, and a readout with a "
                "state",
                "a readout without a state there",
            )
        if readout.cell.carries and not _linear(_outline(readout)):
            raise self._refused(
                net,
                f"a readout of {readout.cell.name} that is not linear",
                'a linear readout, such as byway.cell("leaky", phi="identity")',
            )
        unheard = [
            h.name for h in net.hidden if h.name not in net.upstream(net.output, recurrent=False)
        ]
        if self.symmetric and unheard:
            raise self._refused(
                net,
                f"{', '.join(unheard)}, from where nothing reaches the output in the same step",
                "a way to the output for every hidden population, or symmetric off",
            )

    def _refused(self, net, given, wanted):
        others = ", ".join(rule for rule in able(net) if rule != self.id)
        return RuleError(
            f"{self.id} was given a network with {given}", wanted, f"use another rule: {others}"
        )

    @override
    def init(self, net, key):
        """Fixed random feedback from the output to every hidden population, of the scale of readout
        weights: normal, variance 1 / units.
        """
        if self.symmetric:
            return {}
        keys = jax.random.split(jax.random.fold_in(key, FEEDBACK), len(net.hidden))
        outputs = net[net.output].size
        return {
            h.name: jax.random.normal(k, (outputs, math.prod(h.sent)), net.dtype)
            / math.sqrt(math.prod(h.sent))
            for h, k in zip(net.hidden, keys, strict=True)
        }

    @override
    def start(self, gamma, net, batch):
        """Rest, and synapses that nothing is owed to."""
        zeros = lambda *shape: jnp.zeros((batch, *shape), net.dtype)
        readout = _parts(_outline(net[net.output]))
        memory = {}
        for population in _learning(net):
            local = _outline(population)
            parts = _parts(local)
            constant = _constant(local, parts)
            filtered = readout if population.name != net.output else []

            def held(shape, pre, parts=parts, constant=constant, filtered=filtered):
                return Held(
                    {i: zeros(*(pre if i in constant else shape)) for i in parts},
                    {i: zeros(*shape) for i in filtered},
                )

            memory[population.name] = {
                p.name: held(p.weight.shape, p.src_shape)
                for p in net.incoming(population.name)
                if p.weight is not None
            }
            if _biased(net, population):
                memory[population.name][BIAS] = held(population.drive, population.drive)
        return net.rest(batch), memory

    @override
    def f(self, gamma, net, state, x, signal, key):
        state, free = net.step(x, state)
        return state, Record({"free": free}, free.post[net.output])

    @override
    def g(self, gamma, net, memory, record, signal):
        free = record["free"]
        credit = self._credit(gamma, net, free, signal.error(record.output))
        readout = _local(net, free, net[net.output]) if net[net.output].cell.carries else None
        after, update = {}, {}
        for population in _learning(net):
            name = population.name
            local, leak = _local(net, free, population), None if name == net.output else readout
            at_drive = functools.partial(_at_drive, population)
            sends, held, now = population.cell.sends, memory[name], {}
            worth = [at_drive(a) for a in _each(credit[name], sends)]
            at_bias = None
            if BIAS in held:  # the weight of an input that is always one
                ones = jnp.ones_like(free.u[name])
                e, now[BIAS] = _step(local, sends, leak, ones, held[BIAS], lambda a: a, at_drive)
                at_bias = _sum(
                    [
                        a * _whole(one, lambda a: a, at_drive)
                        for a, one in zip(worth, e, strict=True)
                    ]
                )
            for p in net.incoming(name):
                parts = {}
                if p.weight is not None:
                    at_post = lambda d, p=p, at_drive=at_drive: p.at_post(at_drive(d))
                    e, now[p.name] = _step(
                        local, sends, leak, free.pre[p.name], held[p.name], p.at_pre, at_post
                    )
                    parts["weight"] = _sum(
                        [
                            _weight_update(p, one, a, at_drive, at_post)
                            for a, one in zip(worth, e, strict=True)
                        ]
                    )
                if p.bias is not None and at_bias is not None:
                    parts["bias"] = p.outer(free.pre[p.name], at_bias)["bias"]
                if parts:
                    update[p.name] = parts
            after[name] = now
        return after, Update(update)

    def _credit(self, gamma, net, free, error):
        """L: what the activity of each population is worth at this step, "batch *units"; the leak
        of a readout is in the eligibility.
        """
        credit = {net.output: error}
        at_output = error if net[net.output].cell.carries else error * free.slope[net.output]
        if not self.symmetric:
            flat = at_output.reshape(len(error), -1)
            return credit | {
                h.name: (flat @ gamma[h.name]).reshape(-1, *h.sent) for h in net.hidden
            }
        delta = {net.output: at_output}
        for h in reversed(net.hidden):
            ahead = [
                p for p in net.outgoing(h.name) if p.dst in delta and p.name not in net.recurrent
            ]
            credit[h.name] = h.unsend(
                free.post[h.name], _sum([p.backward(delta[p.dst]) for p in ahead])
            )
            if h.cell.sends:
                drive, each = _local(net, free, h).drive, _each(credit[h.name], h.cell.sends)
                delta[h.name] = _sum(
                    [a[:, None] * drive[i] for i, a in zip(h.cell.sends, each, strict=True)]
                )
            else:
                delta[h.name] = _at_drive(h, credit[h.name]) * free.slope[h.name]
        return credit


def _each(post: Array, sends: Collection[str]) -> list[Array]:
    """What is given for the activity of units, "batch *units" for each number that they send."""
    return [post[:, k] for k in range(len(sends))] if sends else [post]


def _learning(net: Network) -> list[Population]:
    """Every population but the input, which is clamped."""
    return [p for p in net.populations if p.name != net.input]


def _biased(net: Network, population: Population) -> bool:
    return any(p.bias is not None for p in net.incoming(population.name))


def _local(net: Network, free: Phase, population: Population) -> Local:
    """The derivatives of this step of a population's cell."""
    return population.local(free.cell.get(population.name, {}), free.u[population.name])


def _outline(population: Population) -> Local:
    """The same with shapes for arrays: which of them are numbers does not depend on the step."""
    units, drive = (
        jax.ShapeDtypeStruct((1, *shape), jnp.float32)
        for shape in (population.shape, population.drive)
    )
    return eqx.filter_eval_shape(
        lambda like, u: population.local(population.cell.rest(like), u), units, drive
    )


def _parts(local: Local) -> list[str]:
    """The parts of a state that the activity depends on, now or later."""
    found = list(local.after or local.read)
    for i in found:  # which grows on the way
        found += [j for of, j in local.carry if of == i and j not in found]
    return found


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


def _linear(local: Local) -> bool:
    """Whether a cell is a linear filter: all of its derivatives are numbers."""
    return all(
        _number(d)
        for d in (*local.carry.values(), *local.drive.values(), *local.read.values(), local.slope)
    )


def _at_drive(population: Population, value: Any) -> Array:
    """What is given for each unit, "batch *units", or for each drive, for each drive: "batch
    *drive".
    """
    if value.ndim == 1 + len(population.shape) < 1 + len(population.drive):
        value = value[:, None]
    return jnp.broadcast_to(value, (len(value), *population.drive))


def _step(
    local: Local,
    sends: Collection[str],
    leak: Local | None,
    arriving: Array,
    held: Held,
    at_pre: Callable[[Array], Array],
    at_post: Callable[[Array], Array],
) -> tuple[list[Eligibility], Held]:
    """One step of the traces of a group of synapses, and the eligibility by each number that a unit
    sends.

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
        return [eps[i] for i in sends], Held(eps, {})
    drive, by_part, of = (
        (None, local.after, eps) if local.after else (local.slope, local.read, held.eps)
    )
    factored = leak is None and constant >= by_part.keys()
    e = terms(factored, drive, by_part, of)
    if leak is None:
        return [e if factored else _total(e, at_post)], Held(eps, {})
    e = jnp.broadcast_to(_total(e, at_post), next(iter(held.read.values())).shape)

    def filtered(drive, by_part):
        return _sum([e * drive, *(held.read[j] * d for j, d in by_part.items())])

    return [filtered(leak.slope, leak.read)], Held(
        eps, {i: filtered(leak.drive.get(i, 0.0), _into(leak, i)) for i in held.read}
    )


def _into(local: Local, part: str) -> dict[str, Derivative]:
    """What a part of a state depends on, of the state before."""
    return {j: d for (i, j), d in local.carry.items() if i == part}


def _total(terms: list[Term], at_post: Callable[[Array], Array]) -> Array:
    """The sum of derivatives times arrays."""
    return _sum([a * (d if isinstance(d, float | int) else at_post(d)) for d, a in terms])


def _whole(
    e: Eligibility, at_pre: Callable[[Array], Array], at_post: Callable[[Array], Array]
) -> Array:
    """An eligibility at each weight."""
    return _total([(d, at_pre(a)) for d, a in e], at_post) if isinstance(e, list) else e


def _weight_update(
    p: Projection,
    e: Eligibility,
    worth: Array,
    at_drive: Callable[[Array], Array],
    at_post: Callable[[Array], Array],
) -> Array:
    """<L e>; an eligibility that is a product of something presynaptic and something postsynaptic
    is never written out.
    """
    if not isinstance(e, list):
        return jnp.sum(at_post(worth) * e, 0) / len(worth)
    return _sum(
        [
            p.outer(a, worth * (d if isinstance(d, float | int) else at_drive(d)))["weight"]
            for d, a in e
        ]
    )


def _sum(terms: list[Array]) -> Array:
    return functools.reduce(operator.add, terms)
