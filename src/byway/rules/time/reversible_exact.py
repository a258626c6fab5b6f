"""Backpropagation through time, gone back through bit for bit (REVERSIBLE_EXACT).

As `reversible`, on gated units in coupled halves (RevGRU, RevLSTM). States are whole numbers of
2^-23; a step multiplies them by a gate z, which destroys -log2 z bits, and those alone are kept, in
a buffer of each unit, and given back on the way back.

    f:     s_t = z_t s_{t-1} + w_t, and the bits that z_t destroys are pushed onto the buffer; z of
           2^-10
    back:  s_{t-1} from s_t, z_t, w_t and what is popped: the very bits
    g:     as `bptt`, with the derivatives of the cell in floats

Shapes   s, z, w "batch *units", delta "batch post", W "pre post", buffer "batch *units words"
Units    time in steps; activity dimensionless
Claims   transport yes | locking yes | derivative yes | signal error | phases 2 | memory units |
         past grows | future yes
Limits   memory grows with the sequence, by the bits that may be forgotten: with `keep` of 1/8 there
         is room for 3 bits a unit and step, where a float has 32. What is less than 2^-13 of an
         activity differs between training and prediction, which keeps no buffer. Rounding has no
         derivative, as in the source. States are below 128; a larger one is NaN. That gates have
         the same bits both ways is seen by the drift, which is 0
Source   MacKay et al., Reversible recurrent neural networks, NeurIPS 2018, algorithm 1; differs in:
         the buffer is an asymmetric numeral system (Duda 2013, arXiv 1311.2540), any cell of the
         form s' = z s + w, any graph whose populations can be restored one after another
"""

from typing import ClassVar

import jax.numpy as jnp
from typing_extensions import override

from byway.core.errors import RuleError
from byway.core.record import Record
from byway.learning.rule import Claims
from byway.network.fixed import fixed, stored, with_buffers, without_buffers
from byway.rules.time._returning import Returning


class ReversibleExact(Returning):
    """Backpropagation through time, with each step taken back to the bit."""

    claims: ClassVar[Claims] = Claims(
        "yes", "yes", "yes", frozenset({"error"}), 2, "units", past="grows", future="yes"
    )

    @override
    def run(self, net):
        return fixed(net)

    @override
    def accepts_cells(self, forgetful):
        if not forgetful:
            raise RuleError(
                f"{self.id} was given units that forget nothing",
                "units that do, such as gru: nothing has to be kept of the others",
                "use reversible there",
            )

    @override
    def depart(self, gamma, net, state, steps):
        """With room in the buffers for what may be forgotten in so many steps."""
        return with_buffers(self.run(net), state, steps)

    @override
    def arrive(self, gamma, net, state):
        return without_buffers(self.run(net), state)

    @override
    def f(self, gamma, net, state, x, signal, key):
        after, record = super().f(gamma, net, state, x, signal, key)
        before, now = (stored(self.run(net), one) for one in (state, after))
        if not now:
            return after, record
        bits = jnp.mean(jnp.concatenate(now) - jnp.concatenate(before))
        return after, Record(record.phases, record.output, {}, {"bits": bits.astype(net.dtype)})

    @override
    def advice(self, measures):
        drift = measures.get("drift", 0.0)
        if drift == 0:
            return None
        return (
            f"{self.id}: going back missed the state at the start, and has to meet it to the "
            "bit: on this device a gate comes out otherwise on the way back; use bptt"
        )
