"""Learning by distance (DISTANCE_FORWARD) to the centres of classes.

A layer's activity is to lie nearer to the centre of its own class than to any other, by a margin:
that is its goodness. Each hidden layer keeps a centre for every class, which follows the mean
activity of that class, and learns on its own. All wrong classes count at once, so one pass does
what forward-forward needs a pass for each label for.

    f:  u_l = W_l h_{l-1} + b_l,   h_l = phi(u_l)
    g:  D_lk = |h_l - c_lk|^2 / n_l,   y the right class
        C_l = log(1 + sum_{k != y} exp(alpha (margin + D_ly - D_lk)))
        q_k = exp(alpha (margin + D_ly - D_lk) - C_l),   q_y = -sum_{k != y} q_k
        delta_l = phi'(u_l) 2 alpha sum_k q_k c_lk / n_l,   dW_l = <delta_l h_{l-1}^T>
        c_lk (gamma) descends the mean of |h_l - c_lk|^2 / 2 over the samples of class k in the
            batch, where there are some
        output: the delta rule, on what it receives

    readouts["centres"]: -sum_l D_lk over all hidden layers, of the same pass.

Shapes   pre "batch pre", post "batch post", W "pre post", gamma[population] "classes *units"
Units    activity dimensionless
Claims   transport no | locking no | derivative yes | signal target and error | phases 1 | memory
         none
Limits   targets are classes. Centres are taken as given in C_l. D_ly - D_lk is linear in h_l, so a
         layer is told what a linear classifier by centres sees of it, and no more
Source   Wu et al., Distance-forward learning, 2024, arXiv 2408.14925, for goodness as distance to
         centres of classes and an N-pair loss with a margin; differs in: centres learn by the
         optimiser, the loss is smooth over all wrong classes, no blocks of layers that learn
         together, no augmentation
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from byway.core.errors import RuleError
from byway.core.hyper import hyper
from byway.core.record import Record
from byway.learning.rule import Claims, Update
from byway.rules import able
from byway.rules._feedforward import FeedForward


class DistanceForward(FeedForward):
    """Layers that bring samples near the centre of their class."""

    claims: ClassVar[Claims] = Claims("no", "no", "yes", frozenset({"target", "error"}), 1, "none")
    # Centres have to keep up with layers that move.
    gamma_rate: ClassVar[float] = 10.0

    alpha: float = hyper(10.0, "how sharply distances are compared", low=0.0, search=(1.0, 100.0))
    margin: float = hyper(
        0.2, "by how much nearer its own centre has to be", low=0.0, search=(0.02, 2.0)
    )

    @override
    def accepts(self, net):
        """A network without cycles whose units have a slope, and two classes at least."""
        super().accepts(net)
        if net[net.output].size < 2:
            raise RuleError(
                f"{self.id} was given a network with {net[net.output].size} output",
                "two at least: a centre is compared with those of other classes",
                f"use another rule: {', '.join(name for name in able(net) if name != self.id)}",
            )

    @override
    def init(self, net, key):
        """The centres, at zero: they go where the activity is."""
        classes = net[net.output].size
        return {h.name: jnp.zeros((classes, *h.shape), net.dtype) for h in net.hidden}

    @override
    def f(self, gamma, net, state, x, signal, key):
        """One pass, and how near each layer's activity lies to the centres."""
        free = net.forward(x)
        near = [-_distances(free.post[h.name], gamma[h.name]) for h in net.hidden]
        readouts = {"centres": sum(near[1:], near[0])} if near else {}
        return state, Record({"free": free}, free.post[net.output], readouts)

    @override
    def g(self, gamma, net, memory, record, signal):
        free = record["free"]
        delta, centres = {net.output: signal.error(record.output) * free.slope[net.output]}, {}
        right = signal.target
        share = right / len(right)
        for h in net.hidden:
            post, centre = free.post[h.name], gamma[h.name]
            far = _distances(post, centre)
            own = jnp.sum(right * far, 1, keepdims=True)
            # Its own class has the 1 in C_l.
            held = jax.nn.softmax(self.alpha * (self.margin * (1 - right) + own - far), 1)
            pull = 2 * self.alpha / h.size * jnp.tensordot(held - right, centre, 1)
            delta[h.name] = pull * free.slope[h.name]
            many = share.sum(0)
            centres[h.name] = centre * many.reshape(-1, *[1] * len(h.shape)) - jnp.tensordot(
                share.T, post, 1
            )
        return memory, Update(
            {p.name: p.outer(free.pre[p.name], delta[p.dst]) for p in net.projections}, centres
        )


def _distances(
    post: Float[Array, "batch *units"], centres: Float[Array, "classes *units"]
) -> Float[Array, "batch classes"]:
    """D: the mean square difference from each centre."""
    h, c = post.reshape(len(post), -1), centres.reshape(len(centres), -1)
    square = jnp.sum(h**2, 1, keepdims=True) + jnp.sum(c**2, 1)[None]
    return (square - 2 * h @ c.T) / h.shape[1]
