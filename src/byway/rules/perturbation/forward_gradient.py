"""Forward gradient (FORWARD_GRADIENT).

All weights are moved a little in one random direction, and how the output would follow is computed
beside the activity, on the way forward: nothing goes back, and nothing is kept of the way. The
slope of the loss along that direction is one number. The update is the direction times that number:
on average the gradient, exactly, but the variance grows with the number of weights.

    f:  "free": u_l = W_l h_{l-1} + b_l,   h_l = phi(u_l);
        V_l, c_l: a direction of W_l and b_l, N(0, 1) for each entry, or random signs;
        "along": u'_l = W_l h'_{l-1} + V_l h_{l-1} + c_l,   h'_l = phi'(u_l) u'_l,   h'_0 = 0
    g:  s = <e . y'>,   the slope of the loss along the direction, of a whole batch;
        dW_l = s V_l,   db_l = s c_l,   averaged over draws

Shapes   W and V "pre post", b and c "post", y' "draws batch out"
Units    activity dimensionless
Claims   transport no | locking yes | derivative yes | signal error | phases 2 | memory none
Limits   one direction serves a whole batch, so a larger batch makes no less noise: with P weights
         the update is P + 1 times as noisy as the gradient is long, with K draws (P + 1) / K times.
         The directions are kept until they are used, as many numbers as there are weights for each
         draw
Source   Baydin, Pearlmutter, Syme, Wood and Torr, Gradients without backpropagation, 2022, arXiv
         2202.08587; differs in: several directions, whose estimates are averaged
"""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from byway.core.hyper import hyper
from byway.core.record import Phase, Record
from byway.learning.rule import Claims, Rule, Update
from byway.network.network import Network
from byway.rules import able
from byway.rules.perturbation._directions import Theta, drawn


class ForwardGradient(Rule):
    """The slope of the loss along random directions of all weights, by forward mode."""

    claims: ClassVar[Claims] = Claims("no", "yes", "yes", frozenset({"error"}), 2, "none")
    learning_rate: ClassVar[float] = 4e-3

    draws: int = hyper(
        1, "directions for each batch, whose estimates are averaged", low=1, high=100_000
    )
    signs: bool = hyper(False, "directions of random signs, in place of normal numbers")

    @property
    @override
    def claimed(self):
        """A pass for each draw, and one as the network is."""
        return dataclasses.replace(self.claims, phases=self.draws + 1)

    @override
    def accepts(self, net):
        """A network without cycles whose units have a slope."""
        net.require_feedforward(self.id, able)
        net.require_slopes(self.id, able)

    @override
    def f(self, gamma, net, state, x, signal, key):
        free = net.forward(x)
        output = free.post[net.output]
        if signal is None:
            return state, Record({"free": free}, output)
        keys = jax.random.split(key, self.draws)
        directions = jax.vmap(lambda key: drawn(net, key, self.signs))(keys)

        along = {net.output: jax.vmap(lambda v: follows(net, x, v))(directions)}
        kept = {f"{name}.{k}": v for name, w in directions.items() for k, v in w.items()}
        phases = {"free": free, "along": Phase({}, {}, along, {}, kept)}
        return state, Record(phases, output)

    @override
    def g(self, gamma, net, memory, record, signal):
        along, error = record["along"], signal.error(record.output)
        slopes = jnp.einsum("b...,kb...->k", error, along.post[net.output]) / len(error)
        update = {
            name: {
                k: jnp.tensordot(slopes / self.draws, along.injected[f"{name}.{k}"], 1) for k in w
            }
            for name, w in net.theta.items()
        }
        return memory, Update(update)


def follows(
    net: Network, x: Float[Array, "batch *inputs"], direction: Theta
) -> Float[Array, "batch *out"]:
    """How the output moves as all weights begin to move in one direction."""
    answer = lambda theta: net.with_theta(theta).forward(x).post[net.output]
    # Forward mode is what this rule is.
    return jax.jvp(answer, (net.theta,), (direction,))[1]  # noqa: TID251
