"""Cascaded random blocks with a solved predictor each (CAFO): a control.

The base version of the cascaded forward algorithm, a random-feature model. The blocks keep their
random start. Each has a linear predictor of its own, which is solved by ridge
regression on what the block sends; the answer is that of all predictors together. Hidden layers
learn nothing: beside `frozen`, this shows what several depths of random features and a solved
readout are worth.

    f:  u_l = W_l h_{l-1} + b_l,   h_l = phi(u_l)
    g:  for each block l:  r: what it sends, and a 1 for the bias;
        RR_l <- RR_l + <r r^T>,   RY_l <- RY_l + <r t^T>
    before somebody looks   V_l = (RR_l / n + ridge I)^-1 RY_l / n, with n the batches so far; the
                            bias is not penalised

    prediction: the mean of V_l r over blocks. The readout of the network is the predictor of the
        blocks that project to it, gamma holds those of the others.
    readouts["last"]: the readout alone.

Shapes   r "batch features", RR "features features", RY "features out", gamma[population]: weight
         "units out", bias "out"
Units    activity dimensionless
Claims   transport no | locking no | derivative no | signal target | phases 1 | memory synapses
Limits   a random-feature model, and a control. Classes are taken as numbers; RR has the square of a
         block's units, which on large feature maps fits no memory. Scores while training are those
         of predictors as drawn
Source   Zhao, Wang, Jin, Li et al., The cascaded forward algorithm for neural network training,
         2023, arXiv 2303.09728; differs in: blocks of one projection each, predictions are averaged
         and not added, which for classes is the same
"""

from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from byway.core.errors import RuleError
from byway.core.hyper import hyper
from byway.core.record import Phase, Record
from byway.learning.rule import Claims, Rule, Update
from byway.network.activations import Activation
from byway.network.network import Network
from byway.network.projections import Dense
from byway.rules import able
from byway.rules._ridge import single, solved_ridge


class CAFO(Rule):
    """Random blocks, each with a ridge regression."""

    claims: ClassVar[Claims] = Claims("no", "no", "no", frozenset({"target"}), 1, "synapses")

    ridge: float = hyper(
        1e-4,
        "penalty on each predictor, beside the mean square of what reaches it",
        low=1e-12,
        search=(1e-8, 1.0),
    )

    @override
    def accepts(self, net):
        """A network without cycles whose readout is linear and fed by dense projections."""
        net.require_feedforward(self.id, able)
        readout = net[net.output]
        linear = isinstance(readout.cell, Activation) and readout.cell.name == "identity"
        odd = [p.name for p in net.incoming(net.output) if not isinstance(p, Dense)]
        if odd or not linear:
            given = f"fed by {', '.join(odd)}" if linear else f"of {readout.cell.name}"
            others = ", ".join(rule for rule in able(net) if rule != self.id)
            raise RuleError(
                f"{self.id} was given a network with a readout {given}",
                "a linear readout that dense projections feed: it is solved in closed form",
                f"use another rule: {others}",
            )

    @override
    def init(self, net, key):
        """Predictors of the blocks that do not project to the output: zero."""
        out, zeros = net[net.output].size, lambda *shape: jnp.zeros(shape, net.dtype)
        return {name: {"weight": zeros(n, out), "bias": zeros(out)} for name, n in _others(net)}

    @override
    def start(self, gamma, net, batch):
        """No products."""
        sizes = dict(_others(net))
        sizes[net.output] = sum(p.fan_in for p in net.incoming(net.output))
        zeros, out = lambda *shape: jnp.zeros(shape, single(net)), net[net.output].size
        return net.rest(batch), {
            "rr": {name: zeros(n + 1, n + 1) for name, n in sizes.items()},
            "ry": {name: zeros(n + 1, out) for name, n in sizes.items()},
            "batches": zeros(),
        }

    @override
    def f(self, gamma, net, state, x, signal, key):
        free = net.forward(x)
        last = free.post[net.output]
        each = [
            last,
            *(_sent(net, free, h) @ v["weight"] + v["bias"][None] for h, v in gamma.items()),
        ]
        mean = sum(each[1:], start=each[0]) / len(each)
        return state, Record({"free": free}, mean, {"last": last})

    @override
    def g(self, gamma, net, memory, record, signal):
        free, rr, ry = record["free"], {}, {}
        target = signal.target.reshape(len(signal.target), -1).astype(single(net))
        for name in memory["rr"]:
            r = _arrived(net, free) if name == net.output else _sent(net, free, name)
            r = jnp.concatenate([r, jnp.ones_like(r[:, :1])], 1).astype(target.dtype)
            rr[name] = memory["rr"][name] + r.T @ r / len(r)
            ry[name] = memory["ry"][name] + r.T @ target / len(r)
        return {"rr": rr, "ry": ry, "batches": memory["batches"] + 1}, Update({})

    @override
    def conclude(self, gamma, net, memory):
        """The predictors, solved; as they were before anything was seen."""
        known, n = memory["batches"] > 0, jnp.maximum(memory["batches"], 1)
        found = {}
        for name, rr in memory["rr"].items():
            # The last is the bias. Where nothing was seen there is nothing to divide by.
            penalty = jnp.full(len(rr), self.ridge, rr.dtype).at[-1].set(jnp.where(known, 0, 1))
            found[name] = solved_ridge(rr / n, memory["ry"][name] / n, penalty).astype(net.dtype)
        keep = lambda new, old: jnp.where(known, new, old)
        predictors = {
            name: {
                "weight": keep(found[name][:-1], v["weight"]),
                "bias": keep(found[name][-1], v["bias"]),
            }
            for name, v in gamma.items()
        }
        theta, first, solved = {}, 0, found[net.output]
        for p in net.incoming(net.output):
            theta[p.name] = {"weight": keep(solved[first : first + p.fan_in], p.weight)}
            if p.bias is not None:
                theta[p.name]["bias"] = keep(solved[-1], p.bias)
            first += p.fan_in
        return predictors, net.with_theta(theta)


def _others(net: Network) -> list[tuple[str, int]]:
    """The blocks that do not project to the output, and how many units they have."""
    last = {p.src for p in net.incoming(net.output)}
    return [(h.name, h.size) for h in net.hidden if h.name not in last]


def _sent(net: Network, free: Phase, name: str) -> Float[Array, "batch features"]:
    return net[name].send(free.post[name]).reshape(len(free.post[name]), -1)


def _arrived(net: Network, free: Phase) -> Float[Array, "batch features"]:
    """All that reaches the readout."""
    return jnp.concatenate(
        [free.pre[p.name].reshape(len(free.pre[p.name]), -1) for p in net.incoming(net.output)], 1
    )
