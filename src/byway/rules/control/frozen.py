"""Frozen hidden layers (FROZEN): the control.

Hidden layers keep their random start and only the readout learns, by the delta rule. A rule that
does not beat this has taught its hidden layers nothing, however good its accuracy looks.

    f:  u_l = W_l h_{l-1} + b_l,   h_l = phi(u_l);   in time also W_rec h_{t-1}, one step a call
    g:  dW_L = <(e * phi'(u_L)) h_{L-1}^T>,   every other weight stays

Shapes   pre "batch pre", post "batch post", W "pre post"
Units    activity dimensionless
Claims   transport no | locking no | derivative no | signal error | phases 1 | memory none
Limits   a random-feature model: its hidden layers never learn
Source   the delta rule of Widrow and Hoff, Adaptive switching circuits, 1960
"""

from typing import ClassVar

from typing_extensions import override

from byway.core.errors import RuleError
from byway.core.record import Record
from byway.learning.rule import Claims, Update
from byway.learning.time import StepRule
from byway.rules import able


class Frozen(StepRule):
    """The control: only the readout learns."""

    claims: ClassVar[Claims] = Claims("no", "no", "no", frozenset({"error"}), 1, "none")
    in_events: ClassVar[bool] = True
    in_flow: ClassVar[bool] = True

    @override
    def accepts(self, net):
        """Any network: what does not learn may be of any kind, a black box too. In time a random
        recurrent network is a reservoir.
        """
        net.require_slopes(self.id, able, [net.output])
        if why := net.unrunnable:
            raise RuleError(
                f"{self.id} was given a network with {why}",
                "units in continuous time as byway.mlp or byway.ode connects them",
                "build it with mlp, or with ode",
            )

    @override
    def f(self, gamma, net, state, x, signal, key):
        state, free = net.step(x, state)
        return state, Record({"free": free}, free.post[net.output])

    @override
    def g(self, gamma, net, memory, record, signal):
        free = record["free"]
        delta = signal.error(record.output) * free.slope[net.output]
        return memory, Update(
            {p.name: p.outer(free.pre[p.name], delta) for p in net.incoming(net.output)}
        )
