"""Feedback alignment (FA).

Backprop with fixed random feedback weights B in place of the transposed forward weights. The
forward weights come to align with B, so that the random feedback becomes useful.

    f:  u_l = W_l h_{l-1} + b_l,   h_l = phi(u_l)
    g:  delta_L = e * phi'(u_L),   delta_l = (B_{l+1} delta_{l+1}) * phi'(u_l),
        dW_l = <delta_l h_{l-1}^T>

Shapes   pre "batch pre", post "batch post", W "pre post", gamma[p] shaped like the weight of p
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

from byway.learning.rule import Claims, Update
from byway.network.chain import chained_deltas
from byway.rules._feedforward import FeedForward
from byway.rules.feedback._drawn import drawn_feedback


class FA(FeedForward):
    """Feedback alignment."""

    claims: ClassVar[Claims] = Claims("no", "yes", "yes", frozenset({"error"}), 1, "none")

    @override
    def init(self, net, key):
        """Fixed random feedback for every projection with weights that does not start at the
        input.
        """
        return drawn_feedback(net, key)

    @override
    def g(self, gamma, net, memory, record, signal):
        free = record["free"]
        delta = chained_deltas(net, free, signal.error(record.output), gamma)
        return memory, Update(
            {p.name: p.outer(free.pre[p.name], delta[p.dst]) for p in net.projections}
        )
