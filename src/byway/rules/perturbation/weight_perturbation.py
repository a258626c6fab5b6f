"""Weight perturbation (WEIGHT_PERTURBATION), with directions that are never kept (SPSA, MeZO).

All weights are moved a little in one random direction, and then as far the other way. How much
worse the loss is on the one side than on the other is one number, and the update is the direction
times that number. Nothing of the network is looked at but its output, so it may be a black box. The
direction is as large as the network; only the key that it is drawn from is remembered, and it is
drawn again where it is needed: what learning sets aside is one array of the largest layer, its
update, however deep the network is.

    f:  "free": u_l = W_l h_{l-1} + b_l,   h_l = phi(u_l);
        V_l, c_l: a direction of W_l and b_l, N(0, 1) for each entry, or random signs;
        "up": the same with W_l + sigma V_l, b_l + sigma c_l;
        "down": the same with W_l - sigma V_l, b_l - sigma c_l;
    g:  s = <C(up) - C(down)> / (2 sigma),   of a whole batch;
        dW_l = s V_l,   db_l = s c_l,   with V_l and c_l drawn again; averaged over draws

Shapes   W and V "pre post", b and c "post"; the record has a key for each draw, and its outputs
         "draws batch out"
Units    activity dimensionless
Claims   transport no | locking yes | derivative no | signal loss | phases 3 | memory none
Limits   one direction serves a whole batch, so a larger batch makes no less noise: with P weights
         the update is P + 1 times as noisy as the gradient is long. Bias grows with sigma^2, unless
         the loss is quadratic; a sigma so small that rounding hides the difference teaches noise.
         Of the three passes one is for the score alone
Source   Spall, Multivariate stochastic approximation using a simultaneous perturbation gradient
         approximation, IEEE Trans. Autom. Control 37:332, 1992; Malladi, Gao, Nichani, Damian, Lee,
         Chen and Arora, Fine-tuning language models with just forward passes, NeurIPS 2023, arXiv
         2305.17333; differs in: any optimiser, whose moments take memory of their own; no
         weight is moved, as W h + sigma V h is what moved ones would send
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
from byway.rules.perturbation._directions import along, tried


class WeightPerturbation(Rule):
    """Central differences of the loss along random directions of all weights."""

    claims: ClassVar[Claims] = Claims("no", "yes", "no", frozenset({"loss"}), 3, "none")
    learning_rate: ClassVar[float] = 4e-3

    sigma: float = hyper(
        0.01, "how far each weight is moved, in standard deviations", low=1e-6, search=(1e-3, 0.1)
    )
    draws: int = hyper(
        1, "directions for each batch, whose estimates are averaged", low=1, high=100_000
    )
    signs: bool = hyper(False, "directions of random signs, in place of normal numbers")

    @property
    @override
    def claimed(self):
        """Two passes for each direction, and one as the network is."""
        return dataclasses.replace(self.claims, phases=2 * self.draws + 1)

    @override
    def accepts(self, net):
        """Any network without cycles, black boxes included: only the loss is read."""
        net.require_feedforward(self.id, able)

    @override
    def f(self, gamma, net, state, x, signal, key):
        if signal is None:
            free = net.forward(x)
            return state, Record({"free": free}, free.post[net.output])
        return state, tried(net, x, key, self.sigma, self.draws, self.signs)

    @override
    def g(self, gamma, net, memory, record, signal):
        up, down = (
            jnp.mean(jax.vmap(signal.loss)(record[phase].post[net.output]), 1)
            for phase in ("up", "down")
        )
        slopes = (up - down) / (2 * self.sigma * self.draws)
        return memory, Update(along(net, record, slopes, self.signs))
