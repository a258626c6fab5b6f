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
                slope, influence[name] = _by_unit(free.slope[name]), {}
                for p in net.incoming(name):
                    # phi' goes into the small factors, so that the influence, by far the largest array, is gone through once.
                    weight, source = p.weight[None] * slope, memory if p.name in net.recurrent else influence
                    for learns, parts in source[p.src].items():
                        _add(influence[name], learns, {part: _times(J, weight) for part, J in parts.items()})
                    _add(influence[name], p.name, _immediate(free.pre[p.name], p, slope))
        error = signal.error(record.output)
        batch = error.shape[0]
        error = error.reshape(batch, -1, 1) / batch
        # Sample by sample and then summed: as one sum over both, XLA would transpose the influence first.
        update = {
            learns: {part: jnp.sum(_times(J, error), 0)[..., 0] for part, J in parts.items()}
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


def _by_unit(slope):
    """The slope phi' of each unit of each sample, "batch 1 units"; the number 1.0 stays."""
    return slope if isinstance(slope, float) else slope.reshape(slope.shape[0], 1, -1)


def _times(J, matrix):
    """An influence "batch *theta units" times a matrix "units ..." of each sample, or one of all."""
    return (J.reshape(J.shape[0], -1, J.shape[-1]) @ matrix).reshape(*J.shape[:-1], -1)


def _immediate(pre, p, slope):
    """The slope times du/dtheta of a dense projection, "batch *theta units": weight (i, j) moves unit j by pre_i, bias j by one."""
    batch, own = pre.shape[0], jnp.eye(p.weight.shape[1], dtype=p.weight.dtype)[None] * slope
    found = {"weight": pre.reshape(batch, -1, 1, 1) * own[:, None]}
    if p.bias is not None:
        found["bias"] = jnp.broadcast_to(own, (batch, *own.shape[1:]))
    return found


def _add(influence, learns, more):
    """Add what arrived along one projection to the influence of the weights of another, part by part."""
    held = influence.get(learns, {})
    influence[learns] = {part: held[part] + J if part in held else J for part, J in more.items()}
