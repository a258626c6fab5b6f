"""Backpropagation through time without stored activity (REVERSIBLE).

The sequence is run and nothing of it is kept but the last state; then each step is taken back, and
the error goes back with it. It is the gradient of `bptt`, for one more run of the network and
memory that does not grow with the sequence. Of networks that can be gone back through and forget
nothing: of coupled halves p and q, for instance,

    f:     p_t = p_{t-1} + h phi(W q_{t-1} + U x_t),   q_t = q_{t-1} + h phi(V p_t + U' x_t)
    back:  q_{t-1} = q_t - h phi(V p_t + U' x_t),   p_{t-1} = p_t - h phi(W q_{t-1} + U x_t)
    g:     as `bptt`: delta_t from e_t and what steps t+1 ... T owe, dW = sum_t <delta_t pre_t^T>

Shapes   p, q, pre "batch pre", delta "batch post", W "pre post"
Units    time in steps; activity dimensionless
Claims   transport yes | locking yes | derivative yes | signal error | phases 1 | memory units |
         future yes
Limits   twice the forward work: the way back is a run too, the same one from its own answer. Up to
         rounding: an error of the last state grows on the way back as the network contracts on the
         way there; the drift that is left at the start is measured. What never forgets adds up
         (`integrator`). Units that forget (`gru`) are refused: what they forgot is below rounding,
         and no division brings it back
Source   Gomez et al., The reversible residual network: backpropagation without storing activations,
         NeurIPS 2017; MacKay et al., Reversible recurrent neural networks, NeurIPS 2018; differs
         in: any graph whose populations can be restored one after another, float arithmetic
"""

from typing import ClassVar

from typing_extensions import override

from byway.core.errors import RuleError
from byway.core.record import Record
from byway.learning.rule import Claims, Update
from byway.learning.time import RoundTripRule
from byway.network.back import require_reversible, step_back
from byway.network.cell import AffineCell
from byway.network.chain import deltas_in_time, nothing_owed
from byway.rules import able

# Beyond this difference of a state at the start the gradient is not to be trusted.
DRIFT = 1e-2


class Reversible(RoundTripRule):
    """Backpropagation through time, with each step taken back in place of kept."""

    claims: ClassVar[Claims] = Claims(
        "yes", "yes", "yes", frozenset({"error"}), 1, "units", future="yes"
    )

    @override
    def accepts(self, net):
        """A network that keeps something through time, that can be gone back through, and whose
        units forget nothing.
        """
        net.require_slopes(self.id, able)
        if net.feedforward:
            raise RuleError(
                f"{self.id} was given a network that keeps nothing through time",
                "a state to go back through",
                "use bp there",
            )
        require_reversible(net, self.id)
        cells = {p.name: p.cell for p in net.stateful}
        if forget := [
            f"{name} ({cell.name})"
            for name, cell in cells.items()
            if isinstance(cell, AffineCell) and cell.forgets
        ]:
            raise RuleError(
                f"{self.id} was given units that forget in {', '.join(forget)}",
                "units that never do, such as integrator: what is forgotten cannot be had back",
                "use bptt there",
            )

    @override
    def start(self, gamma, net, batch):
        """Rest, and nothing owed."""
        return net.rest(batch), nothing_owed(net, batch)

    @override
    def f(self, gamma, net, state, x, signal, key):
        state, free = net.step(x, state)
        return state, Record({"free": free}, free.post[net.output])

    @override
    def back(self, gamma, net, state, x, key):
        state, free = step_back(net, x, state)
        return state, Record({"free": free}, free.post[net.output])

    @override
    def g(self, gamma, net, memory, record, signal):
        free, back = record["free"], {p.name: p for p in net.projections}
        delta, memory = deltas_in_time(net, free, signal.error(record.output), back, memory)
        return memory, Update(
            {
                p.name: p.outer(free.pre[p.name], delta[p.dst])
                for p in net.projections
                if p.theta and p.dst != net.input
            }
        )

    @override
    def advice(self, measures):
        drift = measures.get("drift", 0.0)
        if drift <= DRIFT:  # not so of NaN
            return None
        return (
            f"{self.id}: going back missed the state at the start by up to {drift:.2g}, so its "
            "gradients are not those of the sequence: take smaller steps (h of integrator), fewer "
            "of them (--every), or bptt"
        )
