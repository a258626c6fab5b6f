"""Unbiased online recurrent optimisation (UORO).

The influence of all weights on all of the state, which RTRL carries, is a matrix; here it is one
product of two vectors, a direction in the state and one in the weights, which random signs make
right on average. So learning is online, at about three times the price of running the network, and
its expectation is the exact gradient. What is paid is noise.

    f:  one step, s_t = F(s_{t-1}, theta), through drives u_t; random signs nu_t, one for each drive
    g:  dtheta = <(e_t dy_t/ds_{t-1} s') theta' + e_t dy_t/dtheta>, the second at once, as in bp
        s' <- rho_0 ds_t/ds_{t-1} s' + rho_1 ds_t/du_t nu_t
        theta' <- theta' / rho_0 + nu_t du_t/dtheta / rho_1
        rho_0^2 = |theta'| / |ds_t/ds_{t-1} s'|,
        rho_1^2 = |nu_t du_t/dtheta| / |ds_t/du_t nu_t|

Signs are drawn anew for each step and sample; both lines of a step take the same. Any rho leaves
the mean as it is; these keep the two vectors of one length.

Shapes   s' like the state, theta' "batch *theta", nu "batch *drive", by population
Units    time in steps; activity dimensionless
Claims   transport yes | locking yes | derivative yes | signal error | phases 1 | memory synapses
Limits   the variance grows with the number of units and the length of what is to be remembered.
         With several updates in a sequence s' and theta' were gathered under older weights
Source   Tallec and Ollivier, Unbiased online recurrent optimization, ICLR 2018, arXiv 1702.05043,
         algorithm 1; differs in: signs are drawn for the drives and not for the state, which is
         held in several places here (what was sent, what a cell keeps): a drive is all that weights
         change. Weights of units that nothing remembers learn from the second term alone
"""

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array
from typing_extensions import override

from byway.core.errors import RuleError
from byway.core.record import Phase, Record
from byway.learning.rule import Claims, Update
from byway.learning.time import StepRule
from byway.network.chain import deltas_in_time, nothing_owed
from byway.network.network import Network, State
from byway.network.projections import Projection
from byway.rules import able

# Where the samples are in `due`, `past` and `cell`.
BATCH = (0, 1, 0)
# Keeps the lengths of vectors that are zero apart from zero.
EPSILON = 1e-7


class Guess(NamedTuple):
    """The two vectors whose product stands for the influence.

    Attributes:
        state: a direction of the network's state, of its parts `due`, `past` and `cell`.
        theta: a direction of the weights, by projection and part, "batch *theta".
        clock: that of the network.
    """

    state: tuple[Any, Any, Any]
    theta: dict[str, dict[str, Array]]
    clock: Any


class UORO(StepRule):
    """Unbiased online recurrent optimisation."""

    claims: ClassVar[Claims] = Claims("yes", "yes", "yes", frozenset({"error"}), 1, "synapses")

    @override
    def accepts(self, net):
        """Any network without black boxes that carries something through time."""
        net.require_slopes(self.id, able)
        if net.feedforward:
            raise RuleError(
                f"{self.id} was given a network without recurrent projections",
                "something to carry through time",
                "use bp there",
            )
        if own := [p.name for p in net.projections if p.window is not None]:
            raise RuleError(
                f"{self.id} was given synapses with delays of their own in {', '.join(own)}",
                "one delay for all synapses of a projection",
                "build it with one, or use bptt or eprop",
            )

    @override
    def start(self, gamma, net, batch):
        """Rest, which no weight has influenced."""
        rest = net.rest(batch)
        theta = {
            p.name: {part: jnp.zeros((batch, *a.shape), a.dtype) for part, a in p.theta.items()}
            for p in _remembered(net)
        }
        return rest, Guess(jax.tree.map(jnp.zeros_like, rest[:3]), theta, rest.clock)

    @override
    def f(self, gamma, net, state, x, signal, key):
        state, free = net.step(x, state)
        drawn = {p.dst: free.u[p.dst] for p in _remembered(net)}
        signs = {
            name: jax.random.rademacher(k, u.shape, u.dtype)
            for (name, u), k in zip(drawn.items(), jax.random.split(key, len(drawn)), strict=True)
        }
        return state, Record(
            {"free": dataclasses.replace(free, injected=signs)}, free.post[net.output]
        )

    @override
    def g(self, gamma, net, memory, record, signal):
        free, guess = record["free"], memory
        error, back = signal.error(record.output), {p.name: p for p in net.projections}
        batch, signs = len(error), free.injected

        def step(state, inject):
            due, past, cell = state
            now = State(due, past, cell, guess.clock, {})
            after, phase = net.step(free.post[net.input], now, inject)
            return after[:3], phase.post[net.output]

        def moved(state, inject):
            at = _before(net, free, guess), silence
            # A direction is pushed through any cell and projection; nothing goes back.
            return jax.jvp(step, at, (state, inject))[1]  # noqa: TID251

        nowhere, silence = jax.tree.map(jnp.zeros_like, (guess.state, signs))
        (carried, output), (kicked, _) = moved(guess.state, silence), moved(nowhere, signs)

        delta, _ = deltas_in_time(net, free, error, back, nothing_owed(net, batch))
        update = {
            p.name: p.outer(free.pre[p.name], delta[p.dst])
            for p in net.projections
            if p.dst != net.input
        }
        worth = jnp.sum((error * output).reshape(batch, -1), 1)
        for name, parts in guess.theta.items():
            for part, a in parts.items():
                update[name][part] += jnp.tensordot(worth, a, 1) / batch

        seen = {
            p.name: jax.vmap(lambda pre, sign, p=p: p.outer(pre[None], sign[None]))(
                free.pre[p.name], signs[p.dst]
            )
            for p in _remembered(net)
        }
        state, theta = jax.vmap(_mixed, (BATCH, 0, BATCH, 0), (BATCH, 0))(
            carried, guess.theta, kicked, seen
        )
        return Guess(state, theta, guess.clock + 1 if guess.state[1] else ()), Update(update)


def _mixed(carried: Any, theta: Any, kicked: Any, seen: Any) -> tuple[Any, Any]:
    """The two vectors of one sample after a step."""
    rho0, rho1 = (
        jnp.sqrt((_length(a) + EPSILON) / (_length(b) + EPSILON))
        for a, b in ((theta, carried), (seen, kicked))
    )
    return (
        jax.tree.map(lambda a, b: rho0 * a + rho1 * b, carried, kicked),
        jax.tree.map(lambda a, b: a / rho0 + b / rho1, theta, seen),
    )


def _length(tree: Any) -> Array:
    return jnp.sqrt(sum(jnp.sum(a**2) for a in jax.tree.leaves(tree)))


def _before(net: Network, free: Phase, guess: Guess) -> tuple[Any, Any, Any]:
    """The state that a step began from, of what it left. Of what is still on its way in a ring no
    derivative depends: it is only handed on.
    """
    due = {
        name: {
            net.recurrent[p.name]: free.pre[p.name]
            for p in net.outgoing(name)
            if p.name in net.recurrent
        }
        for name in net.topology.horizon
    }
    return due, jax.tree.map(jnp.zeros_like, guess.state[1]), dict(free.cell)


def _remembered(net: Network) -> list[Projection]:
    """The projections into populations on which something depends that is carried on."""
    kept = {*net.topology.horizon, *(p.name for p in net.stateful)}
    reach = frozenset[str]().union(*(net.upstream(name, recurrent=False) for name in kept))
    return [p for p in net.projections if p.dst in reach and p.dst != net.input and p.theta]
