"""Backpropagation through time (BPTT): the baseline for rules in time.

The whole sequence is run and kept, then errors go back through it, step by step, along every projection.

    f:  u_t = W h_t + W_rec h_{t-1} + b,   h_t = phi(u_t),   for all t; h_0 = 0
    g:  delta_t = (e_t + W^T delta_t + W_rec^T delta_{t+1}) * phi'(u_t),   dW = sum_t <delta_t pre_t^T>

Shapes   pre "time batch pre", post "time batch post", W "pre post"
Units    time in steps; activity dimensionless
Claims   transport yes | locking yes | derivative yes | signal error | phases 1 | memory none | past grows | future yes
Limits   keeps the activity of every time step: memory grows with the length of the sequence
Source   Werbos, Backpropagation through time: what it does and how to do it, Proc. IEEE 78:1550, 1990
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from byway.core.record import Record
from byway.core.rule import Claims, Rule, Update
from byway.network.chain import chained_deltas
from byway.rules import without_slopes


class BPTT(Rule):
    """Backpropagation through time, written out."""

    claims: ClassVar[Claims] = Claims("yes", "yes", "yes", frozenset({"error"}), 1, "none", past="grows", future="yes")
    sees: ClassVar = "sequence"

    def accepts(self, net):
        """Any network without black boxes; one without recurrent projections learns each step by itself."""
        net.require_slopes(self.id, without_slopes)

    def f(self, gamma, net, state, x, signal, key):
        """See `Rule.f`."""
        constants = []

        def step(before, x):
            phase = net.forward(x, before=before)
            arrays, numbers = eqx.partition(phase, eqx.is_array)
            constants.append(numbers)  # the slope of a linear population is a number, which a scan does not carry
            return {name: phase.post[name] for name in before}, arrays

        _, arrays = jax.lax.scan(step, state, jnp.moveaxis(x, 1, 0))
        free = eqx.combine(arrays, constants[0])
        return state, Record({"free": free}, jnp.moveaxis(free.post[net.output], 0, 1))

    def g(self, gamma, net, memory, record, signal):
        """See `Rule.g`."""
        arrays, numbers = eqx.partition(record["free"], eqx.is_array)
        error = jnp.moveaxis(signal.error(record.output), 1, 0)
        weights = {p.name: p.weight for p in net.projections}

        def back(after, now):
            arrays, error = now
            delta = chained_deltas(net, eqx.combine(arrays, numbers), error, weights, after)
            return {name: delta[name] for name in after}, delta

        learning = [p for p in net.projections if p.dst != net.input]  # what ends at the clamped input changes nothing
        reached = {p.dst for p in learning if p.name in net.recurrent}
        after = {name: jnp.zeros_like(arrays.post[name][0]) for name in reached}
        _, delta = jax.lax.scan(back, after, (arrays, error), reverse=True)
        return memory, Update({p.name: _over_time(p, arrays.pre[p.name], delta[p.dst]) for p in learning})

    def checks(self):
        """See `Rule.checks`."""
        from byway.rules._checks import bptt

        return bptt.checks(self)


def _over_time(p, pre, delta):
    """`p.outer`, a mean over the batch, summed over time: one product for all steps."""
    steps, batch = pre.shape[:2]
    flat = [a.reshape(steps * batch, *a.shape[2:]) for a in (pre, delta)]
    return jax.tree.map(lambda a: a * steps, p.outer(*flat))
