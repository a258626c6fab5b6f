"""An echo state network with a ridge readout (ESN).

A recurrent network with random weights, the reservoir, is left as it is: what came in some steps
ago echoes in its units. Nothing learns step by step. What the readout needs, two matrices of
products, is added up as the sequences go by; from them it is solved.

    f:  one step: u_t = input W_in x_t + W h_{t-1} + b + c,
        h_t = phi(u_t), or whatever the cells of the network do;
        W of each layer to itself scaled to the spectral radius `radius`, c uniform within `bias`
    g:  r_t: what reaches the readout, and a 1 for its bias;   RR <- RR + <w_t r_t r_t^T>,
        RY <- RY + <w_t r_t t_t^T>, after
        `washout` steps; w_t: what a step counts
    before somebody looks   W_out = (RR / n + ridge I)^-1 RY / n, with n the batches so far; its
                            bias is not penalised

Shapes   r "batch features", RR "features features", RY "features out"
Units    time in steps; activity dimensionless
Claims   transport no | locking no | derivative no | signal target | phases 1 | memory synapses
Limits   hidden layers never learn, so it is a control as `frozen` is, with the best readout there
         is by squared error; classes are taken as numbers. In single precision a ridge may be lost
         in rounding, as where units echo a smooth series and nearly repeat each other: then it is
         raised tenfold, until the readout can be solved. Scores while training are those of the
         readout as drawn
Source   Jaeger, The echo state approach to analysing and training recurrent neural networks, GMD
         report 148, 2001; Lukosevicius, A practical guide to applying echo state networks, 2012;
         differs in: products are means over samples, so the ridge does not depend on how long the
         training was
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from byway.core.errors import RuleError
from byway.core.hyper import hyper
from byway.core.record import Phase, Record
from byway.learning.rule import Claims, Update
from byway.learning.time import StepRule
from byway.network.activations import Activation
from byway.network.network import Network
from byway.network.projections import Dense
from byway.rules import able
from byway.rules._ridge import single, solved_ridge

# Keeps the biases apart from the weights, even where a caller draws both from one key.
BIAS = 0xE5
# The spectral radius is the limit of |W^n|^(1/n); n is two to this.
DOUBLINGS = 40


class ESN(StepRule):
    """A reservoir, and a readout by ridge regression."""

    claims: ClassVar[Claims] = Claims("no", "no", "no", frozenset({"target"}), 1, "synapses")

    ridge: float = hyper(
        1e-5,
        "penalty on the readout, beside the mean square of what reaches it",
        low=1e-12,
        search=(1e-8, 1.0),
    )
    radius: float = hyper(
        0.9, "spectral radius of the weights of a layer to itself", low=0.0, search=(0.1, 1.5)
    )
    input: float = hyper(
        1.0, "what weights out of the input are multiplied by", low=0.0, search=(0.01, 2.0)
    )
    bias: float = hyper(0.5, "biases are drawn from minus this to this", low=0.0, search=(0.0, 1.0))
    washout: int = hyper(0, "first steps of a sequence that the readout does not learn from", low=0)

    @override
    def accepts(self, net):
        """A linear readout that dense projections feed; everything else may be of any kind."""
        net.require_steps(self.id, able)
        readout = net[net.output]
        if not (isinstance(readout.cell, Activation) and readout.cell.name == "identity"):
            raise self._refused(
                net,
                f"a readout of {readout.cell.name}",
                "a linear readout: it is solved in closed form",
            )
        if odd := [p.name for p in net.incoming(net.output) if not isinstance(p, Dense)]:
            raise self._refused(
                net, f"a readout fed by {', '.join(odd)}", "dense projections into the output"
            )

    def _refused(self, net, given, wanted):
        others = ", ".join(rule for rule in able(net) if rule != self.id)
        return RuleError(
            f"{self.id} was given a network with {given}", wanted, f"use another rule: {others}"
        )

    @override
    def require_time(self, net, task, in_time):
        if not in_time:
            given, wanted = (
                f"{self.id} on the task {task}, whose samples are independent",
                "a task in time: a reservoir is there to remember",
            )
            raise RuleError(
                given,
                wanted,
                "use frozen, whose hidden layers are random too, or choose a task whose samples "
                "are sequences",
            )

    @override
    def init(self, net, key):
        """The scale of each layer's weights to itself, and biases for every hidden population."""
        keys = jax.random.split(jax.random.fold_in(key, BIAS), max(len(net.hidden), 1))
        drawn = {
            h.name: jax.random.uniform(k, h.drive, net.dtype, -1.0, 1.0) * self.bias
            for h, k in zip(net.hidden, keys, strict=False)
        }
        loops = [p for p in net.projections if p.src == p.dst and _square(p)]
        own = {p.name: _radius(p.weight.astype(single(net))).astype(net.dtype) for p in loops}
        return {
            "bias": drawn,
            "scale": {name: self.radius / jnp.where(r > 0, r, 1) for name, r in own.items()},
        }

    @override
    def start(self, gamma, net, batch):
        """Rest, and no products."""
        features = 1 + sum(p.fan_in for p in net.incoming(net.output))
        zeros = lambda *shape: jnp.zeros(shape, single(net))
        kept = {
            "rr": zeros(features, features),
            "ry": zeros(features, net[net.output].size),
            "batches": zeros(),
        }
        return net.rest(batch), kept | {"step": zeros()}

    @override
    def begin(self, gamma, net, batch, kept):
        """Products last from batch to batch."""
        state, memory = self.start(gamma, net, batch)
        return state, memory | kept | {"batches": kept["batches"] + 1}

    @override
    def end(self, memory):
        """Products last from batch to batch."""
        return {name: a for name, a in memory.items() if name != "step"}

    @override
    def f(self, gamma, net, state, x, signal, key):
        scaled = {
            name: {"weight": s * net.theta[name]["weight"]} for name, s in gamma["scale"].items()
        }
        fed = [p for p in net.outgoing(net.input) if p.dst != net.output and p.weight is not None]
        scaled |= {p.name: {"weight": self.input * p.weight} for p in fed}
        bias = {name: jnp.broadcast_to(b, (len(x), *b.shape)) for name, b in gamma["bias"].items()}
        state, free = net.with_theta(scaled).step(x, state, bias)
        return state, Record({"free": free}, free.post[net.output])

    @override
    def g(self, gamma, net, memory, record, signal):
        r = _arrived(net, record["free"]).astype(memory["rr"].dtype)
        target = signal.target.reshape(len(r), -1).astype(r.dtype)
        counts = jnp.ones_like(r[:, 0]) if signal.weight is None else signal.weight.astype(r.dtype)
        counts = jnp.where(memory["step"] >= self.washout, counts, 0) / len(r)
        weighed = (r * counts[:, None]).T
        products = {"rr": memory["rr"] + weighed @ r, "ry": memory["ry"] + weighed @ target}
        return memory | products | {"step": memory["step"] + 1}, Update({})

    @override
    def conclude(self, gamma, net, memory):
        """The readout, solved; as drawn before anything counted."""
        known, batches = memory["rr"][-1, -1] > 0, jnp.maximum(memory["batches"], 1)
        penalty = (
            jnp.full(len(memory["rr"]), self.ridge, memory["rr"].dtype)
            .at[-1]
            .set(jnp.where(known, 0, 1))
        )
        solved = solved_ridge(memory["rr"] / batches, memory["ry"] / batches, penalty).astype(
            net.dtype
        )
        theta, first = {}, 0
        for p in net.incoming(net.output):
            theta[p.name] = {"weight": jnp.where(known, solved[first : first + p.fan_in], p.weight)}
            if p.bias is not None:
                theta[p.name]["bias"] = jnp.where(known, solved[-1], p.bias)
            first += p.fan_in
        return gamma, net.with_theta(theta)


def _arrived(net: Network, free: Phase) -> Float[Array, "batch features"]:
    """All that reaches the readout, and a one."""
    parts = [free.pre[p.name].reshape(len(free.pre[p.name]), -1) for p in net.incoming(net.output)]
    return jnp.concatenate([*parts, jnp.ones_like(parts[0][:, :1])], 1)


def _square(p) -> bool:
    return isinstance(p, Dense) and p.weight.shape[0] == p.weight.shape[1]


def _radius(weight: Float[Array, "units units"]) -> Float[Array, ""]:
    """The largest absolute value of an eigenvalue, by squaring: eigenvalues themselves are not to
    be had on every device.
    """

    def double(n, held):
        power, log = held
        size = jnp.linalg.norm(power)
        power = power / jnp.where(size > 0, size, 1)
        return power @ power, 2 * (log + jnp.log(jnp.where(size > 0, size, 1)))

    power, log = jax.lax.fori_loop(0, DOUBLINGS, double, (weight, jnp.zeros((), weight.dtype)))
    return jnp.exp((log + jnp.log(jnp.linalg.norm(power))) / 2.0**DOUBLINGS)
