"""Soft competition between units that learn what they see (SOFT_HEBB).

In each hidden layer the units compete for a sample, by how well their weights fit it. The winner
moves its weights towards the sample, all others move theirs away, each as far as it came close to
winning. No target, no error and no other layer takes part; the readout learns from the error beside
them, by the delta rule.

    f:  u_l = W_l h_{l-1} + b_l,
        h_l = phi(u_l - mean u_l), the mean over the units that compete: with a relu, a triangle
    g:  y = softmax(u_l / temperature) over the units that compete,
        s_k = y_k for the unit of the largest y, -y_k for the others
        A_k = sum over the batch of s_k (h_{l-1} - u_k W_k),
        change_k = rate * sqrt(| |W_k| - 1 |) * A_k / max |A|, which is added to W_k
            as it is, past the optimiser; biases of hidden layers stay.
        dW_L = <(e * phi'(u_L)) h_{L-1}^T> for the readout

At rate 0 the readout learns alone: with `fit(start=result)` after hidden layers that have learned.

All units of a dense layer compete, and of feature maps the channels of each place; A_k then sums
over places too, and h_{l-1} is the patch that a place sees, or the mean of the patches that it
pools.

Shapes   pre "batch pre", post "batch post", W "pre post"; W_k: the weights that end at unit k
Units    activity dimensionless
Claims   transport no | locking no | derivative no | signal error | phases 1 | memory none
Limits   the readout sees no more than what competition found, whatever the task. Weights tend to
         norm 1, where their rate is zero: what starts at norm 1 stays, and what starts near it
         loses to the first that won. Long weights shrink as they win, so that others win too: hence
         units that are drawn long. The largest change of a layer is one number for all its
         synapses, as the sum of the softmax and the mean are for all units that compete
Source   Moraitis, Toichkin, Journe, Chua and Guo, SoftHebb: Bayesian inference in unsupervised
         Hebbian soft winner-take-all networks, Neuromorph. Comput. Eng. 2:044017, 2022; Journe et
         al., Hebbian deep learning without feedback, 2023, arXiv 2209.11883; differs in: what a
         layer sends is divided by its root mean square, in place of batch normalisation;
             mean pooling comes before
         competition; the readout learns at the same time as the hidden layers
"""

from collections.abc import Mapping
from typing import Any, ClassVar, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from byway.core.errors import RuleError
from byway.core.hyper import hyper
from byway.core.record import Phase, Record
from byway.learning.rule import Claims, Rule, Update
from byway.network.cell import Derivative
from byway.network.projections import Projection
from byway.rules import able


class SoftHebb(Rule):
    """Soft winner-take-all Hebbian layers under a delta rule."""

    claims: ClassVar[Claims] = Claims("no", "no", "no", frozenset({"error"}), 1, "none")
    network_options: ClassVar[Mapping[str, Any]] = {"activation": "long_relu", "norm": True}

    rate: float = hyper(
        0.005,
        "largest move of a weight in a batch, where its norm is off by 1",
        low=0.0,
        search=(1e-3, 0.1),
    )
    temperature: float = hyper(
        1.0, "how soft the competition is: 0 leaves one winner", low=1e-6, search=(0.05, 5.0)
    )

    @override
    def accepts(self, net):
        """Networks without cycles whose hidden layers are each fed by one projection with
        weights.
        """
        net.require_feedforward(self.id, able)
        net.require_slopes(self.id, able, [net.output])
        net.require_activity(self.id, "frozen")
        odd = [
            h.name
            for h in net.hidden
            if ["post" in p.axes and p.weight is not None for p in net.incoming(h.name)] != [True]
        ]
        if odd:
            raise RuleError(
                f"{self.id} was given a network that feeds {', '.join(odd)} by several "
                "projections, or by one without weights of each unit",
                "hidden layers that are fed by one projection with weights each: a unit is "
                "compared with the whole of what it sees",
                "use an mlp or a convnet, or one of "
                f"{', '.join(rule for rule in able(net) if rule != self.id)}",
            )

    @override
    def f(self, gamma, net, state, x, signal, key):
        pre, u, post, inhibition = {}, {}, {net.input: net.place(x)}, {}
        for population in net.populations:
            name = population.name
            if name != net.input:
                u[name] = net.potential(name, pre)
                if name != net.output:
                    inhibition[name] = _inhibition(net.incoming(name)[0], u[name])
                post[name] = population.activate(u[name] + inhibition.get(name, 0.0))
            pre |= {p.name: population.send(post[name]) for p in net.outgoing(name)}
        slope = cast(Derivative, net[net.output].slope(u[net.output]))  # no black box was accepted
        free = Phase(pre, u, post, {net.output: slope}, inhibition)
        return state, Record({"free": free}, post[net.output])

    @override
    def g(self, gamma, net, memory, record, signal):
        free = record["free"]
        delta = signal.error(record.output) * free.slope[net.output]
        readout = {p.name: p.outer(free.pre[p.name], delta) for p in net.incoming(net.output)}
        hidden = {
            p.name: {"weight": self._change(p, free.pre[p.name], free.u[p.dst])}
            for h in net.hidden
            for p in net.incoming(h.name)
        }
        return memory, Update(readout, change=hidden)

    def _change(
        self, p: Projection, pre: Float[Array, "batch *pre"], u: Float[Array, "batch *post"]
    ) -> Float[Array, "*weight"]:
        rivals = _rivals(p, u)
        y = jax.nn.softmax(rivals / self.temperature, axis=1)
        won = jnp.arange(rivals.shape[1])[None] == jnp.argmax(rivals, axis=1)[:, None]
        signed = jnp.where(won, y, -y).reshape(u.shape)
        incoming = tuple(i for i, axis in enumerate(p.axes) if axis != "post")
        units = tuple(n for n, axis in zip(p.weight.shape, p.axes, strict=True) if axis == "post")
        pulled = jnp.sum((signed * u).reshape(-1, *units), axis=0)
        step = len(pre) * p.outer(pre, signed)["weight"] - p.weight * jnp.expand_dims(
            pulled, incoming
        )
        largest = jnp.max(jnp.abs(step))
        norm = jnp.sqrt(jnp.sum(p.weight**2, axis=incoming, keepdims=True))
        return self.rate * jnp.sqrt(jnp.abs(norm - 1)) * step / jnp.where(largest > 0, largest, 1.0)


def _rivals(p: Projection, u: Float[Array, "batch *post"]) -> Float[Array, "places units"]:
    """The potentials of those that compete, side by side: all units of a dense layer, the channels
    of each place of feature maps.
    """
    return u.reshape(
        -1, [n for n, axis in zip(p.weight.shape, p.axes, strict=True) if axis == "post"][-1]
    )


def _inhibition(p: Projection, u: Float[Array, "batch *post"]) -> Float[Array, "batch *post"]:
    """What takes the mean out of them."""
    rivals = _rivals(p, u)
    return jnp.broadcast_to(-jnp.mean(rivals, axis=1, keepdims=True), rivals.shape).reshape(u.shape)
