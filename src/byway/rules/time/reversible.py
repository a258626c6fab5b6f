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
         and no division brings it back; `reversible_exact` keeps it
Source   Gomez et al., The reversible residual network: backpropagation without storing activations,
         NeurIPS 2017; MacKay et al., Reversible recurrent neural networks, NeurIPS 2018; differs
         in: any graph whose populations can be restored one after another, float arithmetic
"""

from typing import ClassVar

from typing_extensions import override

from byway.core.errors import RuleError
from byway.learning.rule import Claims
from byway.rules.time._returning import Returning

# Beyond this difference of a state at the start the gradient is not to be trusted.
DRIFT = 1e-2


class Reversible(Returning):
    """Backpropagation through time, with each step taken back in place of kept."""

    claims: ClassVar[Claims] = Claims(
        "yes", "yes", "yes", frozenset({"error"}), 1, "units", future="yes"
    )

    @override
    def run(self, net):
        return net

    @override
    def accepts_cells(self, forgetful):
        if forgetful:
            raise RuleError(
                f"{self.id} was given units that forget in {', '.join(forgetful)}",
                "units that never do, such as integrator: what is forgotten cannot be had back",
                "use reversible_exact, which keeps it, or bptt",
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
