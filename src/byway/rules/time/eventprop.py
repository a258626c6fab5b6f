"""Exact gradients in continuous time (EVENTPROP).

Between spikes a network of integrate-and-fire units follows its differential equations, and so does
the adjoint of them, backwards. Only at spikes does either jump, so times of spikes are all that has
to be kept. That a weight moves a spike is part of the gradient.

    f:  tau_m dv/dt = -v + i,   tau_s di/dt = -i,   a spike at v = theta sets v to 0, and adds W_ji
        to i_j;   root-solved spike times t, and dt/dv = -1 / (dv/dt) at each
        output: y = W h + b,   h_i = sum over the spikes of i of k(T - t), the integral of the
        potential that they cause there
    g:  backwards from T, of each unit:   tau_m dlV/d(-t) = -lV,   tau_s dlI/d(-t) = -lI + lV
        at its own spike:   lV_before = lV_after - (dt/dv) (theta lV_after + dL/dt) / tau_m
        dL/dt = sum_j W_ji (lV_j - lI_j)(t), over the units that hear it;   of a readout
        -k'(T - t) (W^T delta)_i,   delta = e * phi'(y)
        dW_ji = <-tau_s sum over the spikes of i of lI_j(t)>;   dW = <delta h^T> of the output

Shapes   times, dt/dv, lV, lI "batch spikes *units"; h "batch *units"; W "pre post"
Units    time in that of the inputs; v in that of the threshold
Claims   transport yes | locking yes | derivative yes | signal error | phases 1 | memory none
Limits   layers forwards. The gradient knows nothing of spikes that a larger change would make or
         undo: a silent unit has none, so weights are drawn with a mean above zero. Where the
         potential only just comes to the threshold dt/dv has no bound: `graze` bounds it. A unit
         that would spike more often than there is room for is silent from then on, and a warning
         says so
Source   Wunderlich and Pehle, Event-based backpropagation can compute exact gradients for spiking
         neural networks, Sci. Rep. 11:12829, 2021, table 1 and eq. 2; the loss of an integral:
         Nowotny, Turner and Knight, Loss shaping enhances exact gradient learning with Eventprop in
         spiking neural networks, 2022, arXiv 2212.01232; differs in: the bias, a spike at time 0
"""

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from byway.core.errors import RuleError
from byway.core.hyper import hyper
from byway.core.record import Phase, Record
from byway.learning.rule import Claims, Rule, Update
from byway.network.cells.event_lif import EventLIF
from byway.network.projections import Projection
from byway.rules import able

# What units in continuous time look like to a rule.
Trains = Float[Array, "batch spikes units"]


class Eventprop(Rule):
    """The adjoint of spiking units in continuous time."""

    claims: ClassVar[Claims] = Claims("yes", "yes", "yes", frozenset({"error"}), 1, "none")
    in_events: ClassVar[bool] = True
    learning_rate: ClassVar[float] = 5e-3
    network_options: ClassVar[Mapping[str, Any]] = {"activation": "event_lif"}

    graze: float = hyper(
        0.01,
        "least rise of a potential at a spike, tau_mem dv/dt in thresholds: a slower one counts as "
        "this",
        low=1e-9,
        search=(1e-3, 0.3),
    )

    @override
    def accepts(self, net):
        """Layers of event_lif units, forwards, and a readout with a slope."""
        others = ", ".join(name for name in able(net) if name != self.id)
        if net.cyclic:
            raise RuleError(
                f"{self.id} was given a network with a cycle",
                "layers forwards",
                f"take the cycle out, or use another rule: {others}",
            )
        if odd := [
            f"{h.name} ({h.cell.name})" for h in net.hidden if not isinstance(h.cell, EventLIF)
        ]:
            raise RuleError(
                f"{self.id} was given a network with units that are not event_lif: "
                f"{', '.join(odd)}",
                "spiking units in continuous time, and no others, in the hidden layers",
                f'build it with activation="event_lif", or use another rule: {others}',
            )
        if why := net.unrunnable:
            raise RuleError(
                f"{self.id} was given a network with {why}",
                "dense projections forwards, without delays and without norm",
                f"build it with mlp, or use another rule: {others}",
            )
        net.require_slopes(self.id, able, [net.output])

    @override
    def advice(self, measures):
        """What to do where there was no room for a spike."""
        lost = measures.get("lost", 0.0)
        if not lost > 0.0:
            return None
        return (
            f"{100 * lost:.3g} % of the units would have spiked once more than there is room for, "
            "and were silent from then on: give them room for more, as in byway.cell('event_lif', "
            "spikes=32), or smaller weights"
        )

    @override
    def f(self, gamma, net, state, x, signal, key):
        free = net.forward(x)
        lost = [jnp.mean(cell["lost"].astype(net.dtype)) for cell in free.cell.values()]
        measures = {"lost": jnp.mean(jnp.stack(lost))} if lost else {}
        return state, Record({"free": free}, free.post[net.output], {}, measures)

    @override
    def g(self, gamma, net, memory, record, signal):
        free, update = record["free"], {}
        error = signal.error(record.output) * free.slope[net.output]
        owed: dict[str, Array] = {}
        for p in net.incoming(net.output):
            update[p.name] = p.outer(free.pre[p.name], error)
            if isinstance(cell := net[p.src].cell, EventLIF):
                train = free.cell[p.src]["times"]
                lost = cell.lost_worth(cell.duration - train) * p.backward(error)[:, None]
                owed[p.src] = owed.get(p.src, 0) - lost
        layers = [(h.name, h.cell) for h in net.hidden if isinstance(h.cell, EventLIF)]
        for name, cell in reversed(layers):
            adjoint = self._adjoint(cell, free, name, owed.get(name))
            for p in net.incoming(name):
                update[p.name], early = _learnt(p, cell, free.pre[p.name], adjoint)
                if p.src != net.input:
                    owed[p.src] = owed.get(p.src, 0) + early
        return memory, Update(update)

    def _adjoint(self, cell: EventLIF, free: Phase, name: str, owed: Array | None) -> "Adjoint":
        """The adjoint of a population just before each of its spikes, given dL/dt of these."""
        flat = lambda a: a.reshape(*a.shape[:2], -1)
        times = flat(free.cell[name]["times"])
        if owed is None:  # nobody hears it
            return Adjoint(times, jnp.zeros_like(times), jnp.zeros_like(times))
        steepest = cell.tau_mem / (self.graze * cell.threshold)
        slope = jnp.maximum(flat(free.slope[name]), -steepest)

        def spike(after, now):
            before, slope, owed = now
            ahead = after.times - before
            kept = after.slow * jnp.exp(-ahead / cell.tau_mem)
            jump = -slope * (cell.threshold * kept + owed) / cell.tau_mem
            fast = after.fast * jnp.exp(-ahead / cell.tau_syn) + jump
            found = Adjoint(before, kept + jump, fast)
            return found, found

        end = jnp.full_like(times[:, 0], cell.duration)
        rest = Adjoint(end, jnp.zeros_like(end), jnp.zeros_like(end))
        in_order = jax.tree.map(lambda a: jnp.moveaxis(a, 1, 0), (times, slope, flat(owed)))
        _, found = jax.lax.scan(spike, rest, in_order, reverse=True)
        return jax.tree.map(lambda a: jnp.moveaxis(a, 0, 1), found)


class Adjoint(NamedTuple):
    """What the loss owes the units of a population just before each of their spikes: jumps of lV at
    this spike and at later ones, faded since by the membrane and by the current.

    Attributes:
        times: of the spikes.
        slow: lV itself.
        fast: what of lI fades with the current, but for a factor.
    """

    times: Trains
    slow: Trains
    fast: Trains


def _learnt(
    p: Projection, cell: EventLIF, pre: Float[Array, "batch arrive *pre"], adjoint: Adjoint
) -> tuple[dict[str, Array], Float[Array, "batch arrive *pre"]]:
    """The update of a projection, and dL/dt of each time at which something arrived at it."""
    last = jnp.full_like(adjoint.times[:, :1], cell.duration)
    # After the last spike of a unit nothing matters to it.
    padded = Adjoint(
        jnp.concatenate([adjoint.times, last], 1),
        *(jnp.concatenate([a, jnp.zeros_like(last)], 1) for a in (adjoint.slow, adjoint.fast)),
    )

    def at(when):
        """What all units owe at these times: lV and lI, "batch arrive units" each."""
        next_one = jnp.sum(adjoint.times[:, None] <= when[:, :, None, None], 2)
        times, slow, fast = (jnp.take_along_axis(a, next_one, 1) for a in padded)
        ahead = times - when[:, :, None]
        lv = slow * jnp.exp(-ahead / cell.tau_mem)
        li = (lv - fast * jnp.exp(-ahead / cell.tau_syn)) * (
            cell.tau_mem / (cell.tau_mem - cell.tau_syn)
        )
        return lv, li

    def unit(_, one):
        when, weight = one
        lv, li = at(when)
        early = jnp.sum((lv - li) * weight[None, None], 2)
        return None, (-cell.tau_syn * jnp.mean(jnp.sum(li, 1), 0), early)

    arrived = pre.reshape(*pre.shape[:2], -1)
    _, (weight, early) = jax.lax.scan(unit, None, (jnp.moveaxis(arrived, 2, 0), p.weight))
    update = {"weight": weight}
    if p.bias is not None:
        _, li = at(jnp.zeros_like(arrived[:, :1, 0]))
        update["bias"] = -cell.tau_syn * jnp.mean(jnp.sum(li, 1), 0)
    return update, jnp.moveaxis(early, 0, 2).reshape(pre.shape)
