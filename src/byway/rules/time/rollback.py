"""Backpropagation through time, back through a learned inverse (ROLLBACK).

The sequence is run and nothing of it is kept but the last state. A small network, the inverse,
learns what the state was before a step, of the state after it and the input; with it each step is
taken back, and the error goes back with it, by the derivatives of the step from the state that the
inverse tells. Any cells will do, and the gradient is as good as the inverse.

    f:     s_t = f(s_{t-1}, x_t);   on a grid of 2^-grid, and residuals kept, where bits are
    back:  r_{t-1} = g(r_t, x_t) + what is kept of s_{t-1} - g(s_t, x_t),   r_T = s_T;
           r_t = s_t itself for t = 0, K, 2 K ..., where K is the checkpoint
           g(s', x) = C tanh(A [s', x] + a) + D [s', x] + c
    g:     as `bptt`, at r: delta_t from e_t and what steps t+1 ... T owe, dW = sum_t <delta_t
           pre_t^T>
    first, as often as `inner` says:
           q = g(f(s + xi, x) + zeta, x) - s - xi,   z = tanh(A [s', x] + a)
           dC = sum_t <q z^T>,   dD = sum_t <q [s', x]^T>,   dc = sum_t <q>

Checkpoints take T / K states of memory, and every step back starts at most K steps from a true
state. With `bits` b the run is on the grid, and what g missed is kept as b bits for each number of
a state and step: where it fits (up to 2^(b-1) points of the grid) the state is had back to the bit.

Shapes   s "batch state", all that the network carries as one vector; A "state+inputs units", C
         "units state", D "state+inputs state"; pre "batch pre", delta "batch post", W "pre post"
Units    time in steps; activity dimensionless
Claims   transport yes | locking yes | derivative yes | signal error | phases 2 | memory units |
         future yes
Limits   what a step destroys no inverse brings back: the error of k steps is that of one times the
         product of their norms of dg/ds', large where f contracts (small singular values,
         saturated units, resets of spikes). A wrong state is a wrong gradient: the drift says how
         far states that were kept were missed. The inverse knows the states that it was trained on,
         and lags behind a network that learns fast (`inner`). With `checkpoint` or `bits` memory
         grows with the sequence. A residual that does not fit is cut and counted (spilled)
Source   none known. Relatives: Bengio, How auto-encoders could provide credit assignment in deep
         networks via target propagation, 2014, arXiv 1407.7906; Gomez et al., The reversible
         residual network, NeurIPS 2017; MacKay et al., Reversible recurrent neural networks,
         NeurIPS 2018, of whose buffer the bits are a learned kind
"""

from typing import ClassVar

from typing_extensions import override

from byway.learning.rule import Claims, Update
from byway.network.chain import deltas_in_time, nothing_owed
from byway.rules.time._rollback import RollsBack


class Rollback(RollsBack):
    """Backpropagation through time, with each step taken back by a learned inverse."""

    claims: ClassVar[Claims] = Claims(
        "yes", "yes", "yes", frozenset({"error"}), 2, "units", future="yes"
    )

    @override
    def start(self, gamma, net, batch):
        """Rest, and nothing owed."""
        return net.rest(batch), nothing_owed(net, batch)

    @override
    def g(self, gamma, net, memory, record, signal):
        free, back = record["free"], {p.name: p for p in net.projections}
        error = signal.error(record.output)
        delta, memory = deltas_in_time(net, free, error, back, memory)
        return memory, Update(
            {
                p.name: p.outer(free.pre[p.name], delta[p.dst])
                for p in net.projections
                if p.theta and p.dst != net.input
            }
        )
