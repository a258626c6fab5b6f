"""Backpropagation (BP), as an explicit recursion.

The baseline, and the oracle that every other rule is measured against. It is written out, not
differentiated, so that its agreement with autodiff is a test and not a tautology.

    f:  u_l = W_l h_{l-1} + b_l,   h_l = phi(u_l)
    g:  delta_L = e * phi'(u_L),   delta_l = (W_{l+1}^T delta_{l+1}) * phi'(u_l),
        dW_l = <delta_l h_{l-1}^T>

Shapes   pre "batch pre", post "batch post", W "pre post"
Units    activity dimensionless
Claims   transport yes | locking yes | derivative yes | signal error | phases 1 | memory none
Limits   needs every weight twice, once in each direction, and the slope of every unit
Source   Rumelhart, Hinton and Williams, Learning representations by back-propagating errors, Nature
         323:533, 1986
"""

from typing import ClassVar

from typing_extensions import override

from byway.learning.rule import Claims, Update
from byway.network.chain import chained_deltas
from byway.rules._feedforward import FeedForward


class BP(FeedForward):
    """Backpropagation, written out."""

    claims: ClassVar[Claims] = Claims("yes", "yes", "yes", frozenset({"error"}), 1, "none")

    @override
    def g(self, gamma, net, memory, record, signal):
        free = record["free"]
        delta = chained_deltas(
            net, free, signal.error(record.output), {p.name: p for p in net.projections}
        )
        return memory, Update(
            {p.name: p.outer(free.pre[p.name], delta[p.dst]) for p in net.projections}
        )
