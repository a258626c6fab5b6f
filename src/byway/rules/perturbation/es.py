"""Evolution strategies (ES): many networks around the one that learns, ranked by their loss.

For each of N directions one network is moved along it and one against it. Not how much better one
is than another counts, but how many others it is better than. So nothing that a single network does
to the loss, however extreme, outweighs the rest. Only the output is looked at; directions are drawn
again where they are needed, from keys.

    f:  "free": u_l = W_l h_{l-1} + b_l,   h_l = phi(u_l);
        V_l, c_l: a direction of W_l and b_l, N(0, 1) for each entry, N of them;
        "up": the same with W_l + sigma V_l, b_l + sigma c_l, for each direction;
        "down": the same with W_l - sigma V_l, b_l - sigma c_l;
    g:  r: the rank of <C> among all 2 N, from -1/2 for the least to 1/2; equal losses share theirs
        s = (r(up) - r(down)) / (2 sigma);
        dW_l = s V_l,   db_l = s c_l,   averaged over the N directions

Shapes   W and V "pre post", b and c "post"; the record has a key for each pair, and its outputs
         "pairs batch out"
Units    activity dimensionless
Claims   transport no | locking yes | derivative no | signal loss | phases 17 | memory none
Limits   2 N + 1 passes for one update, and the variance grows with the number of weights. Ranks
         have no scale: an update is as long far from a minimum as near it, so the rate has to fall
Source   Salimans, Ho, Chen, Sidor and Sutskever, Evolution strategies as a scalable alternative to
         reinforcement learning, 2017, arXiv 1703.03864; differs in: loss in place of a return, no
         weight decay
"""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from byway.core.hyper import hyper
from byway.core.record import Record
from byway.learning.rule import Claims, Rule, Update
from byway.rules import able
from byway.rules.perturbation._directions import along, tried


class ES(Rule):
    """Evolution strategies with antithetic pairs and centred ranks."""

    claims: ClassVar[Claims] = Claims("no", "yes", "no", frozenset({"loss"}), 17, "none")
    learning_rate: ClassVar[float] = 8e-3

    sigma: float = hyper(
        0.01, "how far each weight is moved, in standard deviations", low=1e-6, search=(1e-3, 0.1)
    )
    pairs: int = hyper(
        8, "directions for each batch, each tried both ways", low=1, high=10_000, search=(4, 64)
    )

    @property
    @override
    def claimed(self):
        """Two passes for each pair, and one as the network is."""
        return dataclasses.replace(self.claims, phases=2 * self.pairs + 1)

    @override
    def accepts(self, net):
        """Any network without cycles, black boxes included: only the loss is read."""
        net.require_feedforward(self.id, able)

    @override
    def f(self, gamma, net, state, x, signal, key):
        if signal is None:
            free = net.forward(x)
            return state, Record({"free": free}, free.post[net.output])
        return state, tried(net, x, key, self.sigma, self.pairs)

    @override
    def g(self, gamma, net, memory, record, signal):
        losses = [
            jnp.mean(jax.vmap(signal.loss)(record[phase].post[net.output]), 1)
            for phase in ("up", "down")
        ]
        up, down = jnp.split(ranks(jnp.concatenate(losses)), 2)
        shaped = (up - down) / (2 * self.sigma * self.pairs)
        return memory, Update(along(net, record, shaped))


def ranks(losses: Float[Array, " members"]) -> Float[Array, " members"]:
    """From -1/2 for the smallest to 1/2; equal ones share the mean of theirs."""
    order = jnp.sign(losses[:, None] - losses[None, :])
    return jnp.sum(order, 1) / (2 * (len(losses) - 1))
