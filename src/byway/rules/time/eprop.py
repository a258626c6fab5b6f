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
        where `adaptive` is on, B takes the update of the readout, transposed, and both forget:
            dB = dW_out^T, after each update B <- (1 - decay) B, W_out <- (1 - decay) W_out
        where units have a price, dW is the more by <sum_t price (f_t - rate) e_t>, with f_t the
            mean of h_1 ... h_t of the unit in that sequence

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
         neurons, Nat. Commun. 11:3625, 2020, eqs. 3, 4 and 13 to 28, and the firing rate
         regularisation of its Methods; differs in: any cell, through its local derivatives; several
         layers; B has the scale of readout weights; the rate of a unit is that of the sequence so
         far, where theirs is that of all trials to the end, and the price is theirs over the steps
"""

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array
from typing_extensions import override

from byway.core.errors import ConfigError
from byway.core.hyper import hyper
from byway.core.record import Record
from byway.learning.rule import Claims, Update
from byway.learning.time import StepRule
from byway.network.network import Network
from byway.network.projections import Dense, Projection
from byway.rules import able
from byway.rules.time._eligibility import (
    Held,
    at_bias,
    at_drive,
    at_weight,
    linear,
    step,
    total,
    unowed,
)
from byway.rules.time._within import (
    biased,
    each,
    learning,
    local_of,
    outline,
    refused,
    require_spatial,
    spatial,
)

# Keeps the feedback apart from the weights, even where a caller draws both from one key.
FEEDBACK = 0xB
# What the bias of a population is called among its synapses; the names of projections have a "-" in
# them.
BIAS = "bias"


class _Claimed:
    """What the rule says of itself: its own weights carry the error back where feedback is
    symmetric.
    """

    random = Claims("no", "yes", "yes", frozenset({"error"}), 1, "units")

    def __get__(self, rule: "Eprop | None", kind: type) -> Claims:
        symmetric = rule is not None and rule.symmetric
        return dataclasses.replace(self.random, transport="yes") if symmetric else self.random


class Memory(NamedTuple):
    """What is carried from step to step.

    Attributes:
        traces: by population, by projection that ends there or `BIAS`, its traces.
        sent: by hidden population, the sum of what each unit has sent; {} where that has no price.
        steps: the steps so far, as a float; () where nothing has a price.
    """

    traces: dict[str, dict[str, Held]]
    sent: dict[str, Array]
    steps: Any


class Eprop(StepRule):
    """Eligibility propagation."""

    claims = _Claimed()  # pyright: ignore[reportAssignmentType, reportIncompatibleVariableOverride]
    network_options: ClassVar[Mapping[str, Any]] = {"activation": "lif"}
    learning_rate: ClassVar[float] = 5e-3

    symmetric: bool = hyper(
        False,
        "whether errors come back through the weights themselves, in place of fixed random ones",
    )
    adaptive: bool = hyper(
        False, "whether the random feedback learns to be the transposed weights of the readout"
    )
    decay: float = hyper(
        1e-4,
        "share of the feedback and of the readout that is forgotten at each update, where feedback "
        "is adaptive",
        low=0.0,
        high=1.0,
        search=(1e-5, 1e-2),
    )
    price: float = hyper(
        0.0,
        "price of a unit's mean activity away from `rate`, at each step",
        low=0.0,
        live=False,  # what is free carries nothing
    )
    rate: float = hyper(
        0.01, "mean activity wanted of each hidden unit: spikes in a step", low=0.0, high=1.0
    )

    @override
    def __check_init__(self):
        super().__check_init__()
        if self.symmetric and self.adaptive:
            raise ConfigError(
                "symmetric and adaptive feedback",
                "one of them: symmetric feedback is the weights themselves",
                "leave one out",
            )

    @override
    def accepts(self, net):
        """Hidden units that have a slope, some of them a state; a weight for each pair of units;
        and a readout without a state or with a linear one.
        """
        net.require_slopes(self.id, able)
        if not any(h.cell.carries for h in net.hidden):
            given = f"units without a state in {', '.join(h.name for h in net.hidden)}"
            raise refused(
                self,
                net,
                given if net.hidden else "no hidden layer",
                'hidden units that remember: "lif", "alif", "gru" ...',
            )
        if shared := [
            p.name
            for p in net.projections
            if p.weight is not None and type(p).at_pre is Projection.at_pre
        ]:
            raise refused(
                self,
                net,
                f"weights that many places share in {', '.join(shared)}",
                "a weight for each pair of units",
            )
        if potentials := [p.name for p in net.projections if p.carries == "u"]:
            given = f"potentials sent by {', '.join(potentials)}"
            raise refused(self, net, given, "projections that carry activity")
        readout = net[net.output]
        if several := [h.name for h in net.hidden if h.cell.sends]:
            given = f"several numbers sent by each unit of {', '.join(several)}, and a "
            if readout.cell.carries:
                raise refused(
                    self, net, f"{given}readout with a state", "a readout without a state there"
                )
            if self.price:
                raise refused(
                    self, net, f"{given}price of activity", "a price of 0, or units that send one"
                )
        if readout.cell.carries and not linear(outline(readout)):
            raise refused(
                self,
                net,
                f"a readout of {readout.cell.name} that is not linear",
                'a linear readout, such as byway.cell("leaky", phi="identity")',
            )
        if self.symmetric:
            require_spatial(self, net)
        if self.adaptive and not _partners(net):
            raise refused(
                self,
                net,
                "no dense weights from a hidden layer to the output, and adaptive feedback",
                "a dense readout, or adaptive off",
            )

    @override
    def init(self, net, key):
        """Random feedback from the output to every hidden population, of the scale of readout
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
        output = net[net.output]
        traces = {}
        for population in learning(net):
            name = population.name
            leak = output if output.cell.carries and name != net.output else None
            new = functools.partial(unowed, population, leak, zeros)
            traces[name] = {
                p.name: new(p.weight.shape, p.arriving)
                for p in net.incoming(name)
                if p.weight is not None
            }
            if biased(net, population):
                traces[name][BIAS] = new(population.drive, (1,) * len(population.drive))
        if not self.price:
            return net.rest(batch), Memory(traces, {}, ())
        sent = {h.name: zeros(*h.sent) for h in net.hidden}
        return net.rest(batch), Memory(traces, sent, jnp.zeros((), net.dtype))

    @override
    def f(self, gamma, net, state, x, signal, key):
        state, free = net.step(x, state)
        return state, Record({"free": free}, free.post[net.output])

    @override
    def g(self, gamma, net, memory, record, signal):
        free = record["free"]
        credit = self._credit(gamma, net, free, signal.error(record.output))
        memory, cost = self._priced(memory, free)
        readout = local_of(net[net.output], free) if net[net.output].cell.carries else None
        traces, update = {}, {}
        for population in learning(net):
            name, now = population.name, {}
            held, leak = memory.traces[name], None if name == net.output else readout
            local, sends = local_of(population, free), population.cell.sends
            to_drive = functools.partial(at_drive, population)
            worth = [to_drive(a) for a in each(credit[name], population)]
            more = [to_drive(cost[name])] if name in cost else []

            def learnt(e, says, worth=worth, more=more):
                """What is read of a unit has its worth, and what it sends may have a price."""
                sent = e.sent if more else []
                pairs = zip([*e.read, *sent], [*worth, *more], strict=True)
                return total([says(one, a) for one, a in pairs])

            biases = None
            if BIAS in held:  # the weight of an input that is always one
                u = free.u[name]
                ones = jnp.ones((len(u), *[1] * (u.ndim - 1)), u.dtype)
                e, now[BIAS] = step(local, sends, leak, ones, held[BIAS], lambda a: a, to_drive)
                biases = learnt(e, functools.partial(at_bias, at_drive=to_drive))
            for p in net.incoming(name):
                parts = {}
                if p.weight is not None:
                    to_weight = lambda d, p=p, to_drive=to_drive: p.at_post(to_drive(d))
                    e, now[p.name] = step(
                        local, sends, leak, free.pre[p.name], held[p.name], p.at_pre, to_weight
                    )
                    says = functools.partial(at_weight, p, at_drive=to_drive, at_post=to_weight)
                    parts["weight"] = learnt(e, says)
                if p.bias is not None and biases is not None:
                    parts["bias"] = p.outer(free.pre[p.name], biases)["bias"]
                if parts:
                    update[p.name] = parts
            traces[name] = now
        feedback = (
            {name: update[p.name]["weight"].T for name, p in _partners(net).items()}
            if self.adaptive
            else None
        )
        return memory._replace(traces=traces), Update(update, feedback)

    @override
    def keep(self, gamma, net):
        """Adaptive feedback and the readout forget the same share."""
        if not self.adaptive:
            return gamma, net
        left, partners = 1.0 - self.decay, _partners(net)
        weights = {p.name: {"weight": left * p.weight} for p in partners.values()}
        return gamma | {h: left * gamma[h] for h in partners}, net.with_theta(weights)

    def _credit(self, gamma, net, free, error):
        """L: what the activity of each population is worth at this step, "batch *units"; the leak
        of a readout is in the eligibility.
        """
        leak = net[net.output].cell.carries
        at_output = error if leak else error * free.slope[net.output]
        if self.symmetric:
            return spatial(net, free, error, at_output)[0]
        flat = at_output.reshape(len(error), -1)
        return {net.output: error} | {
            h.name: (flat @ gamma[h.name]).reshape(-1, *h.sent) for h in net.hidden
        }

    def _priced(self, memory, free):
        """What the activity of hidden units costs at this step, "batch *units"; and the memory with
        what they sent.
        """
        if not self.price:
            return memory, {}
        sent = {name: a + free.post[name] for name, a in memory.sent.items()}
        steps = memory.steps + 1
        cost = {name: self.price * (a / steps - self.rate) for name, a in sent.items()}
        return Memory(memory.traces, sent, steps), cost


def _partners(net: Network) -> dict[str, Dense]:
    """By hidden population, the dense weights that take what it sends to the output in the same
    step.
    """
    return {
        p.src: p
        for p in net.incoming(net.output)
        if isinstance(p, Dense)
        and p.src not in (net.input, net.output)
        and p.name not in net.recurrent
    }
