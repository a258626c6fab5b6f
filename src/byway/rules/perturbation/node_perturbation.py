"""Node perturbation (NODE_PERTURBATION).

Every unit gets a little noise of its own, and learns from how much worse the loss became: a noise
that helped is repeated. One number a sample comes back, and nothing of the network needs a
derivative; the price is variance, which grows with the number of units.

    f:  "clean": u_l = W_l h_{l-1} + b_l,   h_l = phi(u_l);
        "noisy": the same with u_l + sigma xi_l,   xi_l ~ N(0, 1) for each
        unit and sample
    g:  delta_l = (C(noisy) - C(clean)) / sigma^2 * (sigma xi_l), averaged over draws,
        dW_l = <delta_l h_{l-1}^T> with the
        clean h_{l-1}

Shapes   pre "batch pre", post "batch post", W "pre post"
Units    activity dimensionless
Claims   transport no | locking yes | derivative no | signal loss | phases 2 | memory none
Limits   the variance of an update grows with the number of units: slow on wide networks
Source   Widrow and Lehr, 30 years of adaptive neural networks, Proc. IEEE 78:1415, 1990 (Madaline
         rule III); Werfel, Xie and Seung, Learning curves for stochastic gradient descent in linear
         feedforward networks, Neural Comput. 17:2699, 2005; differs in: noise on every layer at
         once, the clean loss as the baseline
"""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
from typing_extensions import override

from byway.core.hyper import hyper
from byway.core.record import Record
from byway.learning.rule import Claims, Rule, Update
from byway.rules import able


class NodePerturbation(Rule):
    """Node perturbation, with noise of its own for each unit and sample."""

    claims: ClassVar[Claims] = Claims("no", "yes", "no", frozenset({"loss"}), 2, "none")
    learning_rate: ClassVar[float] = 4e-3

    sigma: float = hyper(
        0.01, "standard deviation of the noise on each potential", low=1e-6, search=(1e-3, 1.0)
    )
    draws: int = hyper(
        1, "noisy passes for each sample, whose estimates are averaged", low=1, high=100_000
    )

    @property
    @override
    def claimed(self):
        """A pass for each draw, and one as the network is."""
        return dataclasses.replace(self.claims, phases=self.draws + 1)

    @override
    def accepts(self, net):
        """Any network without cycles, black boxes included: only activities and the loss are
        read.
        """
        net.require_feedforward(self.id, able)

    @override
    def f(self, gamma, net, state, x, signal, key):
        x = net.place(x)
        clean = net.forward(x)
        output = clean.post[net.output]
        if signal is None:
            return state, Record({"clean": clean}, output)
        many = lambda a: jnp.concatenate([a] * self.draws)
        keys = jax.random.split(key, len(clean.u))
        noise = {
            name: self.sigma * jax.random.normal(k, many(clean.u[name]).shape, output.dtype)
            for name, k in zip(clean.u, keys, strict=True)
        }
        # What the input sends is the same in every draw, so its current is computed once.
        known = {p.name: many(p.forward(clean.pre[p.name])) for p in net.outgoing(net.input)}
        return state, Record({"clean": clean, "noisy": net.forward(many(x), noise, known)}, output)

    @override
    def g(self, gamma, net, memory, record, signal):
        clean, noisy = record["clean"], record["noisy"]
        by_draw = lambda a: a.reshape(self.draws, -1, *a.shape[1:])
        worse = (
            jax.vmap(signal.loss)(by_draw(noisy.post[net.output]))
            - signal.loss(record.output)[None]
        )
        delta = {
            name: jnp.einsum("kb,kb...->b...", worse / (self.sigma**2 * self.draws), by_draw(noise))
            for name, noise in noisy.injected.items()
        }
        return memory, Update(
            {p.name: p.outer(clean.pre[p.name], delta[p.dst]) for p in net.projections}
        )
