"""Online training through time (OTTT).

A unit whose state leaks at one rate, and is otherwise the sum of its drives, remembers what arrived
at a synapse as the synapse itself can: by a trace of it that leaks at that rate. So one number for
each presynaptic unit is all that is kept, and with the error of the same step, sent from layer to
layer, it is enough to learn.

    f:  one step: u_t = W h_t + W_rec h_{t-1} + b,   v_t = alpha v_{t-1} + k u_t - reset,
        h_t = phi(v_t)
    g:  a_t = alpha a_{t-1} + pre_t, where pre is what arrives: h_t, or h_{t-1} through W_rec
        delta_t = L_t k phi'(v_t),
        with L_t = W^T error_t next to the output, and W^T delta_t below
        dW = <sum_t delta_t a_t^T>

An update each step (`every` = 1) is the variant called O, one for a whole sequence is A. Below
units without a state alpha is 0, and what is left is backprop on each step.

Shapes   pre and a "batch pre", v and delta "batch post", W "pre post"
Units    time in steps; activity dimensionless, 1 a spike
Claims   transport yes | locking yes | derivative yes | signal error | phases 1 | memory units
Limits   units whose state leaks at a rate that never changes: lif with a soft reset that has no
         derivative, leaky. What goes from one layer to another, or back to its own, and is
         remembered there is not seen. In one layer of such units it is eprop with symmetric
         feedback, for weights of any kind, convolutions too
Source   Xiao et al., Online training through time for spiking neural networks, NeurIPS 2022, arXiv
         2210.04195, eqs. 8 to 12; differs in: a bias has the trace of an input that is always one;
         weights within a layer learn too
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp
from typing_extensions import override

from byway.core.record import Record
from byway.learning.rule import Claims, Update
from byway.learning.time import StepRule
from byway.network.populations import Population
from byway.rules import able
from byway.rules.time._within import (
    learning,
    outline,
    parts_of,
    refused,
    require_spatial,
    spatial,
)

# What the trace of an input that is always one is called; the names of projections have a "-".
ONE = "one"


class OTTT(StepRule):
    """Online training through time."""

    claims: ClassVar[Claims] = Claims("yes", "yes", "yes", frozenset({"error"}), 1, "units")
    network_options: ClassVar[Mapping[str, Any]] = {"activation": "lif"}
    learning_rate: ClassVar[float] = 5e-3

    @override
    def accepts(self, net):
        """Units whose state leaks at one rate, at least some, and units without a state."""
        net.require_slopes(self.id, able)
        stateful = [p for p in learning(net) if p.cell.carries]
        if odd := [p for p in stateful if _leak(p) is None]:
            raise refused(
                self,
                net,
                f"{', '.join(f'{p.cell.name} in {p.name}' for p in odd)}, whose state is more than "
                "a leaky sum of its drives",
                '"lif" with a soft reset that is detached, "leaky", or units without a state',
            )
        if not stateful:
            raise refused(self, net, "units without a state", 'units that remember: "lif", "leaky"')
        require_spatial(self, net)

    @override
    def start(self, gamma, net, batch):
        """Rest, and traces of nothing."""
        memory = {
            population.name: {
                p.name: jnp.zeros((batch, *p.arriving), net.dtype)
                for p in net.incoming(population.name)
                if p.weight is not None
            }
            | {ONE: jnp.zeros((), net.dtype)}
            for population in learning(net)
            if population.cell.carries
        }
        return net.rest(batch), memory

    @override
    def f(self, gamma, net, state, x, signal, key):
        state, free = net.step(x, state)
        return state, Record({"free": free}, free.post[net.output])

    @override
    def g(self, gamma, net, memory, record, signal):
        free = record["free"]
        _, delta = spatial(net, free, signal.error(record.output))
        after, update = {}, {}
        for population in learning(net):
            name, alpha = population.name, _leak(population) or 0.0
            arriving = {p.name: free.pre[p.name] for p in net.incoming(name)}
            one = jnp.ones((), net.dtype)
            if traces := memory.get(name):
                one = alpha * traces[ONE] + one
                arriving |= {k: alpha * a + arriving[k] for k, a in traces.items() if k != ONE}
                after[name] = {k: arriving[k] for k in traces if k != ONE} | {ONE: one}
            for p in net.incoming(name):
                learnt = p.outer(arriving[p.name], delta[name])
                if "bias" in learnt:
                    learnt["bias"] = learnt["bias"] * one
                if learnt:
                    update[p.name] = learnt
        return after, Update(update)


def _leak(population: Population) -> float | None:
    """What is left of the state of its cells after a step, where they are leaky sums; else None."""
    local, parts = outline(population), parts_of(population)
    if len(parts) != 1 or local.after is None or population.cell.ports > 1:
        return None
    (part,) = parts
    kept = local.carry.get((part, part), 0.0)
    return kept if isinstance(kept, float) and isinstance(local.drive.get(part), float) else None
