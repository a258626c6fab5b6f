"""Forward gradient of activity, with a loss for each group of units (ACTIVITY_FORWARD_GRADIENT).

Two things make a forward gradient noisy: how many numbers are moved at once, and how many of them
one answer has to speak for. So units are moved, and not weights, each sample by noise of its own;
and each layer has a head that predicts the target, whose loss each small group of units asks for
itself, as if it alone had moved. The variance then goes with the size of a group and no more with
that of the network. The heads learn by the delta rule; they are gamma.

    f:  u_l = W_l h_{l-1} + b_l,   h_l = phi(u_l);   xi_l ~ N(0, 1) for each unit and sample
    g:  e_l: the error of V_l h_l + c_l, as if that were the output;
        s_k = e_l . V_l (phi'(u_l) xi_l),   with xi_l of group k alone;
        delta_l = s_k xi_l in group k, averaged over draws,   dW_l = <delta_l h_{l-1}^T>;
        dV_l = <e_l h_l^T>, and the output learns by its error

A group is some units in a row; of feature maps, some channels at one place.

Shapes   pre "batch pre", post "batch post", W "pre post", xi "draws batch units",
         gamma[population]: V "units out", c "out"
Units    activity dimensionless
Claims   transport no | locking no | derivative yes | signal error | phases 1 | memory none
Limits   a layer learns what its own head can use, not what the layers above could make of it. With
         groups of n units delta is n + 1 times as noisy as it is long
Source   Ren, Kornblith, Liao and Hinton, Scaling forward gradient with local losses, ICLR 2023,
         arXiv 2210.03310; differs in: a block is one layer, a head sees all of it and is linear,
         any network in place of their mixer, no normalisation and no stop of gradients between
         places, as there is nothing to stop
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from byway.core.hyper import hyper
from byway.core.record import Phase, Record
from byway.learning.rule import Claims, Update
from byway.rules._feedforward import FeedForward
from byway.rules.local._heads import HEADS, drawn, predictor


class ActivityForwardGradient(FeedForward):
    """Noise on units, and for each group of them the slope of its layer's own loss."""

    claims: ClassVar[Claims] = Claims("no", "no", "yes", frozenset({"error"}), 1, "none")
    learning_rate: ClassVar[float] = 8e-3

    group: int = hyper(
        16, "units of a group at most, of one place where there are places", low=1, search=(4, 64)
    )
    draws: int = hyper(
        1, "noises for each unit and sample, whose estimates are averaged", low=1, high=100_000
    )

    @override
    def init(self, net, key):
        """A head for each hidden population, normal with variance 1 / fan_in."""
        keys = jax.random.split(jax.random.fold_in(key, HEADS), max(len(net.hidden), 1))
        return {h.name: drawn(predictor(net, h), k) for h, k in zip(net.hidden, keys, strict=False)}

    @override
    def f(self, gamma, net, state, x, signal, key):
        state, record = super().f(gamma, net, state, x, signal, key)
        if signal is None:
            return state, record
        free = record["free"]
        keys = jax.random.split(key, max(len(net.hidden), 1))
        noise = {
            h.name: jax.random.normal(k, (self.draws, *free.u[h.name].shape), net.dtype)
            for h, k in zip(net.hidden, keys, strict=False)
        }
        moved = Phase(free.pre, free.u, free.post, free.slope, noise)
        return state, Record({"free": moved}, record.output)

    @override
    def g(self, gamma, net, memory, record, signal):
        free = record["free"]
        delta, heads = {net.output: signal.error(record.output) * free.slope[net.output]}, {}
        for h in net.hidden:
            post, noise = free.post[h.name], free.injected[h.name]
            head = predictor(net, h).with_theta(gamma[h.name])
            wrong = signal.error(head.forward(post))
            heads[h.name] = head.outer(post, wrong)
            # The head runs forwards on what each group would change: "draws batch groups out".
            change = jnp.einsum(
                "kbgn,ogn->kbgo",
                grouped(jax.vmap(lambda xi, h=h: xi * free.slope[h.name])(noise), 2, self.group),
                grouped(head.weight.T.reshape(-1, *h.shape), 1, self.group),
            )
            slopes = jnp.einsum("bo,kbgo->kbg", wrong, change) / self.draws
            xi = grouped(noise, 2, self.group)
            delta[h.name] = ungrouped(jnp.sum(slopes[..., None] * xi, 0), post)
        return memory, Update(
            {p.name: p.outer(free.pre[p.name], delta[p.dst]) for p in net.projections}, heads
        )


def grouped(
    a: Float[Array, "*front_and_units"], front: int, size: int
) -> Float[Array, "*front groups size"]:
    """Units in groups along their last axis, the last group of each place filled up with zeros."""
    size = min(size, a.shape[-1])
    padded = jnp.pad(a, [(0, 0)] * (a.ndim - 1) + [(0, -a.shape[-1] % size)])
    return padded.reshape(*a.shape[:front], -1, size)


def ungrouped(
    a: Float[Array, "batch groups size"], like: Float[Array, "batch *units"]
) -> Float[Array, "batch *units"]:
    """The way back, to the shape that there was."""
    *places, last = like.shape
    return a.reshape(*places, -1)[..., :last]
