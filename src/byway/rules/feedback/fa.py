"""Feedback alignment (FA).

Backprop with fixed random feedback weights B in place of the transposed forward weights. The
forward weights come to align with B, so that the random feedback becomes useful.

    f:  u_l = W_l h_{l-1} + b_l,   h_l = phi(u_l)
    g:  delta_L = e * phi'(u_L),   delta_l = (B_{l+1} delta_{l+1}) * phi'(u_l),
        dW_l = <delta_l h_{l-1}^T>
        own_wiring: where W joins a few pairs of units, B joins as many others, drawn by the same
            odds, and stays as it is when W is rewired; else B joins the pairs that W does

Shapes   pre "batch pre", post "batch post", W "pre post", gamma[p] shaped like the weight of p, or
         a projection with a wiring of its own
Units    activity dimensionless
Claims   transport no | locking yes | derivative yes | signal error | phases 1 | memory none
Limits   falls far behind backprop in deep convolutional networks
Source   Lillicrap, Cownden, Tweed and Akerman, Random synaptic feedback weights support error
         backpropagation for deep learning, Nature Communications 7:13276, 2016 (arXiv 1411.0247);
         differs in: B is uniform with the standard deviation 1 / sqrt(fan_out) of each projection,
         and never drawn from the key of the weights
"""

from typing import ClassVar

from typing_extensions import override

from byway.core.hyper import hyper
from byway.learning.rule import Claims, Update
from byway.network.chain import chained_deltas
from byway.rules._feedforward import FeedForward
from byway.rules.feedback._drawn import drawn_feedback


class FA(FeedForward):
    """Feedback alignment."""

    claims: ClassVar[Claims] = Claims("no", "yes", "yes", frozenset({"error"}), 1, "none")

    own_wiring: bool = hyper(
        False, "whether feedback along sparse projections joins units of its own choice"
    )

    @override
    def init(self, net, key):
        """Fixed random feedback for every projection with weights that does not start at the
        input.
        """
        return drawn_feedback(net, key, self.own_wiring)

    @override
    def g(self, gamma, net, memory, record, signal):
        free = record["free"]
        delta = chained_deltas(net, free, signal.error(record.output), gamma)
        return memory, Update(
            {p.name: p.outer(free.pre[p.name], delta[p.dst]) for p in net.projections}
        )
