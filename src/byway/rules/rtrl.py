"""Real-time recurrent learning (RTRL).

The gradient of BPTT without going back: each unit carries how its activity depends on every weight, its influence, and
takes it forward through time. Nothing of the past is kept, whatever the length of the sequence; the price is a number for
each unit and weight, and a matrix product with all of them at every step.

    f:  one step: u_t = W h_t + W_rec h_{t-1} + b,   h_t = phi(u_t)
    g:  J_t = dh_t / dtheta = phi'(u_t) * (W J_t + W_rec J_{t-1} + du_t/dtheta),   dtheta = <e_t J_t[output]>

Shapes   pre "batch pre", post "batch post", W "pre post", influence "batch *theta units", by population
Units    time in steps; activity dimensionless
Claims   transport yes | locking yes | derivative yes | signal error | phases 1 | memory influence
Limits   with n recurrent units, n^3 numbers and n^4 products a step; exact only while the weights stand still: with several
         updates in a sequence the influence was gathered under older weights
Source   Williams and Zipser, A learning algorithm for continually running fully recurrent neural networks, Neural Comput.
         1:270, 1989, eqs. 4 to 7; differs in: any stack of dense layers, no teacher forcing
"""

from typing import ClassVar

import jax.numpy as jnp

from byway.core.errors import RuleError
from byway.core.record import Record
from byway.core.rule import Claims, Rule, Update
from byway.network.projections import Dense
from byway.rules import without_slopes


class RTRL(Rule):
    """Real-time recurrent learning."""

    claims: ClassVar[Claims] = Claims("yes", "yes", "yes", frozenset({"error"}), 1, "influence")
    sees: ClassVar = "step"

    def accepts(self, net):
        """A recurrent network of dense projections without normalisation: their influence is written out here."""
        net.require_slopes(self.id, without_slopes)
        if not net.recurrent:
            raise RuleError("rtrl was given a network without recurrent projections", "something to carry through time", "use bp there")
        wrong = [p.name for p in net.projections if not isinstance(p, Dense)] + [p.name for p in net.populations if p.norm]
        if wrong:
            raise RuleError(
                f"rtrl was given {', '.join(wrong)}", "dense projections between populations without normalisation", "use bptt there"
            )

    def init(self, net, key):
        """See `Rule.init`."""
        return {}

    def start(self, gamma, net, batch):
        """Rest, and no influence of any weight yet, for every population that recurrent projections leave."""
        rest = net.rest(batch)
        influence = {
            name: {
                p.name: {part: jnp.zeros((batch, *a.shape, net[name].size), a.dtype) for part, a in p.theta.items()}
                for p in _reaching(net, name)
            }
            for name in rest
        }
        return rest, influence

    def f(self, gamma, net, state, x, signal, key):
        """See `Rule.f`."""
        free = net.forward(x, before=state)
        return {name: free.post[name] for name in state}, Record({"free": free}, free.post[net.output])

    def g(self, gamma, net, memory, record, signal):
        """See `Rule.g`."""
        free, influence = record["free"], {net.input: {}}
        for population in net.populations:
            name = population.name
            if name != net.input:
                arriving = {}
                for p in net.incoming(name):
                    source = memory if p.name in net.recurrent else influence
                    for learns, parts in source[p.src].items():
                        for part, J in parts.items():
                            arriving[learns, part] = arriving.get((learns, part), 0.0) + J @ p.weight
                    for part, own in _immediate(free.pre[p.name], p).items():
                        arriving[p.name, part] = arriving.get((p.name, part), 0.0) + own
                influence[name] = _nested(arriving, free.slope[name])
        error = signal.error(record.output)
        batch = error.shape[0]
        update = {
            learns: {part: jnp.einsum("b...o,bo->...", J, error.reshape(batch, -1) / batch) for part, J in parts.items()}
            for learns, parts in influence[net.output].items()
        }
        return {name: influence[name] for name in memory}, Update(update)

    def checks(self):
        """See `Rule.checks`."""
        from byway.rules._checks import rtrl

        return rtrl.checks(self)


def _reaching(net, name):
    """The projections whose weights can change the activity of a population, now or later."""
    reached = {name} - {net.input}  # which is clamped: what ends there changes nothing
    while more := {p.src for p in net.projections if p.dst in reached} - reached - {net.input}:
        reached |= more
    return [p for p in net.projections if p.dst in reached]


def _immediate(pre, p):
    """du/dtheta of a dense projection: weight (i, j) moves unit j by pre_i, bias j moves it by one. "batch *theta units"."""
    own = jnp.eye(p.weight.shape[1], dtype=p.weight.dtype)
    found = {"weight": pre.reshape(pre.shape[0], -1)[:, :, None, None] * own[None, None]}
    if p.bias is not None:
        found["bias"] = jnp.broadcast_to(own[None], (pre.shape[0], *own.shape))
    return found


def _nested(flat, slope):
    """Each influence "batch *theta units" times the slope of its units, by projection and part."""
    made = {}
    for (learns, part), J in flat.items():
        by_unit = slope if isinstance(slope, float) else slope.reshape(slope.shape[0], *[1] * (J.ndim - 2), -1)
        made.setdefault(learns, {})[part] = J * by_unit
    return made
