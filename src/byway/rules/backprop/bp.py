"""Backpropagation (BP), as an explicit recursion.

The baseline, and the oracle that every other rule is measured against. It is written out, not
differentiated, so that its agreement with autodiff is a test and not a tautology.

    f:  u_l = W_l h_{l-1} + b_l,   h_l = phi(u_l)
    g:  delta_L = e * phi'(u_L),   delta_l = (W_{l+1}^T delta_{l+1}) * phi'(u_l),
        dW_l = <delta_l h_{l-1}^T>

Shapes   pre "batch pre", post "batch post", W "pre post"
Units    activity dimensionless
Claims   transport yes | locking yes | derivative yes | signal error | phases 1 | memory none
Limits   needs every weight twice, once in each direction, and the slope of every unit. Of flowing
         units it keeps every state of the solver and goes back through them: memory grows with
         their steps (`checkpointed` and `reversible_ode` keep fewer)
Source   Rumelhart, Hinton and Williams, Learning representations by back-propagating errors, Nature
         323:533, 1986
"""

from typing import ClassVar

from jaxtyping import Array, Float
from typing_extensions import override

from byway.core.record import Phase
from byway.learning.rule import Claims, Update
from byway.network.chain import chained_deltas
from byway.network.flows import way_back
from byway.network.network import Network
from byway.rules._feedforward import FeedForward
from byway.rules._flow import require_flow


class BP(FeedForward):
    """Backpropagation, written out."""

    claims: ClassVar[Claims] = Claims("yes", "yes", "yes", frozenset({"error"}), 1, "none")
    in_flow: ClassVar[bool] = True

    @override
    def accepts(self, net):
        """Layers forwards, or an equation to solve."""
        if net.in_flow:
            require_flow(net, self.id)
        else:
            super().accepts(net)

    @override
    def g(self, gamma, net, memory, record, signal):
        free = record["free"]
        if net.in_flow:
            return memory, Update(self._through_flow(net, free, signal.error(record.output)))
        delta = chained_deltas(
            net, free, signal.error(record.output), {p.name: p for p in net.projections}
        )
        return memory, Update(
            {p.name: p.outer(free.pre[p.name], delta[p.dst]) for p in net.projections}
        )

    def _through_flow(
        self, net: Network, free: Phase, error: Float[Array, "batch out"]
    ) -> dict[str, dict[str, Array]]:
        """The gradient of what the solver computed, from every state of its way."""
        field = net.field(free.post)
        owed, at_end = field.error(free, error * free.slope[net.output])
        course = {name: free.cell[name]["course"] for name in owed}
        _, on_way = way_back(field, course, owed, field.nothing_learnt)
        return field.update(free, at_end, on_way)
