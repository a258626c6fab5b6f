"""Backpropagation through time (BPTT): the baseline for rules in time.

The whole sequence is run and kept, then errors go back through it, step by step, along every
projection and through the state s of every cell. With `every`, a sequence is run and gone back
through piece by piece: truncated BPTT.

    f:  u_t = W h_t + W_rec h_{t-1} + b,   (s_t, h_t) = cell(s_{t-1}, u_t),
        for all t; h_0 = s_0 = 0
    g:  dC/dh_t = e_t + W^T delta_t + W_rec^T delta_{t+1}
        delta_t = dC/dh_t dh_t/du_t + dC/ds_t ds_t/du_t,
        dC/ds_{t-1} = dC/dh_t dh_t/ds_{t-1} + dC/ds_t ds_t/ds_{t-1}
        dW = sum_t <delta_t pre_t^T>;   for units without a state delta_t = dC/dh_t phi'(u_t)

Shapes   pre "time batch pre", post "time batch post", W "pre post"
Units    time in steps; activity dimensionless
Claims   transport yes | locking yes | derivative yes | signal error | phases 1 | memory none | past
         grows | future yes
Limits   keeps the activity of every time step: memory grows with the length of the sequence
Source   Werbos, Backpropagation through time: what it does and how to do it, Proc. IEEE 78:1550,
         1990
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from typing_extensions import override

from byway.core.record import Record
from byway.learning.rule import Claims, Update
from byway.learning.time import SequenceRule
from byway.network.chain import deltas_in_time, nothing_owed
from byway.rules import able


class BPTT(SequenceRule):
    """Backpropagation through time, written out."""

    claims: ClassVar[Claims] = Claims(
        "yes", "yes", "yes", frozenset({"error"}), 1, "none", past="grows", future="yes"
    )

    @override
    def accepts(self, net):
        """Any network without black boxes; one that carries nothing through time learns each step
        by itself.
        """
        net.require_slopes(self.id, able)

    @override
    def f(self, gamma, net, state, x, signal, key):
        constants = []

        def step(state, x):
            state, phase = net.step(x, state)
            arrays, numbers = eqx.partition(phase, eqx.is_array)
            # The slope of a linear population is a number, which a scan does not carry.
            constants.append(numbers)
            return state, arrays

        state, arrays = jax.lax.scan(step, state, jnp.moveaxis(x, 1, 0))
        free = eqx.combine(arrays, constants[0])
        return state, Record({"free": free}, jnp.moveaxis(free.post[net.output], 0, 1))

    @override
    def g(self, gamma, net, memory, record, signal):
        arrays, numbers = eqx.partition(record["free"], eqx.is_array)
        error = jnp.moveaxis(signal.error(record.output), 1, 0)
        back = {p.name: p for p in net.projections}

        def step(later, now):
            arrays, error = now
            delta, later = deltas_in_time(net, eqx.combine(arrays, numbers), error, back, later)
            return later, delta

        _, delta = jax.lax.scan(
            step, nothing_owed(net, error.shape[1]), (arrays, error), reverse=True
        )
        # What ends at the clamped input changes nothing.
        learning = [p for p in net.projections if p.dst != net.input]
        return memory, Update(
            {p.name: _over_time(p, arrays.pre[p.name], delta[p.dst]) for p in learning}
        )


def _over_time(p, pre, delta):
    """`p.outer`, a mean over the batch, summed over time: one product for all steps."""
    steps, batch = pre.shape[:2]
    flat = [a.reshape(steps * batch, *a.shape[2:]) for a in (pre, delta)]
    return jax.tree.map(lambda a: a * steps, p.outer(*flat))
