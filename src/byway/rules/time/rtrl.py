"""Real-time recurrent learning (RTRL).

The gradient of BPTT without going back: each unit carries how its activity depends on every weight,
its influence, and takes it forward through time; so does each part s of the state of a cell.
Nothing of the past is kept, whatever the length of the sequence; the price is a number for each
unit and weight, and a matrix product with all of them at every step.

    f:  one step: u_t = W h_t + W_rec h_{t-1} + b,   (s_t, h_t) = cell(s_{t-1}, u_t)
    g:  du_t/dtheta = W J_t + W_rec J_{t-1} + (du_t/dtheta at once),
        J_t = dh_t/dtheta = dh_t/du_t du_t/dtheta + dh_t/ds_{t-1} S_{t-1}
        S_t = ds_t/dtheta = ds_t/du_t du_t/dtheta + ds_t/ds_{t-1} S_{t-1},
        dtheta = <e_t J_t[output]>

Shapes   pre "batch pre", post "batch post", W "pre post", influence "batch *theta units", by
         population
Units    time in steps; activity dimensionless
Claims   transport yes | locking yes | derivative yes | signal error | phases 1 | memory influence
Limits   with n recurrent units, n^3 numbers and n^4 products a step; exact only while the weights
         stand still: with several updates in a sequence the influence was gathered under older
         weights
Source   Williams and Zipser, A learning algorithm for continually running fully recurrent neural
         networks, Neural Comput. 1:270, 1989, eqs. 4 to 7; differs in: any stack or graph of dense
         layers and any cell, no teacher forcing
"""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from typing_extensions import override

from byway.core.errors import RuleError
from byway.core.record import Record
from byway.learning.rule import Claims, Update
from byway.learning.time import StepRule
from byway.network.projections import Dense, Offset
from byway.rules import able


class RTRL(StepRule):
    """Real-time recurrent learning."""

    claims: ClassVar[Claims] = Claims("yes", "yes", "yes", frozenset({"error"}), 1, "influence")

    @override
    def accepts(self, net):
        """A network of dense projections without normalisation that carries something through time:
        its influence is written out here.
        """
        net.require_slopes(self.id, able)
        if net.feedforward:
            raise RuleError(
                "rtrl was given a network without recurrent projections",
                "something to carry through time",
                "use bp there",
            )
        wrong = [p.name for p in net.projections if not isinstance(p, Dense | Offset)] + [
            p.name for p in net.populations if p.norm
        ]
        wrong += [name for name, delay in net.recurrent.items() if delay > 1]
        if wrong:
            raise RuleError(
                f"rtrl was given {', '.join(dict.fromkeys(wrong))}",
                "dense projections, no longer than a step, between populations without "
                "normalisation",
                "use bptt there",
            )

    @override
    def start(self, gamma, net, batch):
        """Rest, and no influence of any weight yet: on what recurrent projections carry, and on the
        states of cells.
        """

        def none(name, shape):
            return {
                p.name: {
                    part: jnp.zeros((batch, *a.shape, math.prod(shape)), a.dtype)
                    for part, a in p.theta.items()
                }
                for p in _reaching(net, name)
            }

        past = {name: none(name, net[name].sent) for name in net.topology.horizon}
        return net.rest(batch), (
            past,
            {
                p.name: {part: none(p.name, p.shape) for part in p.cell.carries}
                for p in net.stateful
            },
        )

    @override
    def f(self, gamma, net, state, x, signal, key):
        state, free = net.step(x, state)
        return state, Record({"free": free}, free.post[net.output])

    @override
    def g(self, gamma, net, memory, record, signal):
        free, (past, cells) = record["free"], memory
        influence, states = {net.input: {}}, {}
        for population in net.populations:
            name = population.name
            if name == net.input:
                continue
            arriving = [
                (p, free.pre[p.name], past[p.src] if p.name in net.recurrent else influence[p.src])
                for p in net.incoming(name)
            ]
            if name not in cells:
                influence[name] = _on_drive(arriving, 1, free.slope[name])
                continue
            ports, local = population.cell.ports, population.local(free.cell[name], free.u[name])
            states[name] = {
                i: _sum(
                    [_on_drive(arriving, ports, d) for of, d in local.drive.items() if of == i]
                    + [_scaled(cells[name][j], d) for (of, j), d in local.carry.items() if of == i]
                )
                for i in cells[name]
            }
            if sends := population.cell.sends:  # the activity is these parts of the state
                influence[name] = jax.tree.map(
                    lambda *parts: jnp.concatenate(parts, -1), *(states[name][i] for i in sends)
                )
                continue
            influence[name] = _sum(
                [_on_drive(arriving, ports, local.slope)]
                + [_scaled(cells[name][j], d) for j, d in local.read.items()]
            )
        error = signal.error(record.output)
        batch = error.shape[0]
        error = error.reshape(batch, -1, 1) / batch
        # Sample by sample and then summed: as one sum over both, XLA would transpose the influence
        # first.
        update = {
            learns: {part: jnp.sum(_times(J, error), 0)[..., 0] for part, J in parts.items()}
            for learns, parts in influence[net.output].items()
        }
        return ({name: influence[name] for name in past}, states), Update(update)


def _on_drive(arriving, ports, derivative):
    """The influence on what depends on the drive of a population by this derivative, "batch *theta
    units", by projection and part.

    Args:
        arriving: for each projection into it, what arrived at it, and the influence on that.
        ports: how many drives each of its units has.
        derivative: of each unit by its drive, "batch *drive", or a number.
    """
    total = {}
    for p, pre, influence in arriving:
        by_drive = derivative if isinstance(derivative, float) else p.at_post(derivative)
        if p.weight is not None:
            # The derivative goes into the small factors, so that the influence, by far the largest
            # array, is gone through once.
            weight = _over_ports(p, ports, p.weight[None] * by_drive)
            for learns, parts in influence.items():
                _add(total, learns, {part: _times(J, weight) for part, J in parts.items()})
        _add(total, p.name, _immediate(p, ports, pre, by_drive))
    return total


def _immediate(p, ports, pre, by_drive):
    """The derivative times du/dtheta of a projection: weight (i, j) moves drive j by pre_i, bias j
    by one.
    """
    a = p.bias if p.weight is None else p.weight
    own = _over_ports(p, ports, jnp.eye(a.shape[-1], dtype=a.dtype)[None] * by_drive)
    found = {} if p.weight is None else {"weight": pre.reshape(len(pre), -1, 1, 1) * own[:, None]}
    if p.bias is not None:
        found["bias"] = jnp.broadcast_to(own, (len(pre), *own.shape[1:]))
    return found


def _over_ports(p, ports, matrix):
    """The sum of a matrix "batch rows drives" over the ports of each unit, "batch rows units"."""
    return (
        matrix
        if ports == 1
        else matrix.reshape(*matrix.shape[:2], -1, math.prod(p.dst_shape[1:])).sum(2)
    )


def _times(J, matrix):
    """An influence "batch *theta units" times a matrix "units ..." of each sample, or one of
    all.
    """
    return (J.reshape(J.shape[0], -1, J.shape[-1]) @ matrix).reshape(*J.shape[:-1], -1)


def _scaled(influence, derivative):
    """An influence times a derivative of each unit, "batch *units", or a number."""
    if isinstance(derivative, float):
        return jax.tree.map(lambda J: J * derivative, influence)
    by_unit = derivative.reshape(len(derivative), -1)
    return jax.tree.map(lambda J: J * by_unit.reshape(len(J), *[1] * (J.ndim - 2), -1), influence)


def _sum(influences):
    """Several influences on one thing, added up."""
    total = {}
    for one in influences:
        for learns, parts in one.items():
            _add(total, learns, parts)
    return total


def _add(influence, learns, more):
    """Add what arrived along one way to the influence of the weights of a projection, part by
    part.
    """
    held = influence.get(learns, {})
    influence[learns] = {part: held[part] + J if part in held else J for part, J in more.items()}


def _reaching(net, name):
    """The projections whose weights can change the activity of a population, now or later."""
    reached = {name} - {net.input}  # which is clamped: what ends there changes nothing
    while more := {p.src for p in net.projections if p.dst in reached} - reached - {net.input}:
        reached |= more
    return [p for p in net.projections if p.dst in reached]
