"""Truncated backpropagation through time (TBPTT).

Every k1 steps the errors of these steps go back, at most k2 steps, through activity that is kept
for so long and no longer. The state goes on from step to step; what credit went further back is
lost. So memory does not grow with a sequence, and what depends on more than k2 steps is not learnt.

    f:  one step: u_t = W h_t + W_rec h_{t-1} + b,   (s_t, h_t) = cell(s_{t-1}, u_t)
    g:  at t = k1, 2 k1 ..., for s = t, t - 1, ..., t - k2 + 1, as in BPTT:
        dC/dh_s = e_s + W^T delta_s + W_rec^T delta_{s+1}, with e_s = 0 where s <= t - k1;
        delta_s and dC/ds_{s-1} as there, and nothing is owed at t
        dW = sum_s <delta_s pre_s^T>

The loss of a step counts once: it goes back k2 steps where k1 = 1, between k2 - k1 + 1 and k2
otherwise. At the end of a sequence, and before each update where there are several in one, what is
left of k1 steps goes back as well. With k2 as long as the sequence it is BPTT.

Shapes   pre "batch pre", post "batch post", W "pre post"; kept of each: "k2 batch ..."
Units    time in steps; activity dimensionless
Claims   transport yes | locking yes | derivative yes | signal error | phases 1 | memory units
Limits   k2 / k1 times the work of going back once. With several updates in a sequence the activity
         that is kept was gathered under older weights
Source   Williams and Peng, An efficient gradient-based algorithm for on-line training of recurrent
         network trajectories, Neural Comput. 2:490, 1990: BPTT(h; h') with h = k2, h' = k1
"""

from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array
from typing_extensions import override

from byway.core.errors import ConfigError, RuleError
from byway.core.hyper import hyper
from byway.core.record import Phase, Record
from byway.learning.rule import Claims, Update, unscored, unwatched
from byway.learning.time import StepRule
from byway.network.chain import deltas_in_time, nothing_owed
from byway.network.network import Network, at, pushed
from byway.rules import able


class Kept(NamedTuple):
    """The last steps.

    Attributes:
        phases: the arrays of their phases, each a ring "k2 batch ...".
        errors: theirs, a ring "k2 batch out".
        clock: how many steps were taken.
        new: of how many the errors did not go back yet.
    """

    phases: Any
    errors: Array
    clock: Array
    new: Array


class TBPTT(StepRule):
    """Truncated backpropagation through time."""

    claims: ClassVar[Claims] = Claims("yes", "yes", "yes", frozenset({"error"}), 1, "units")

    k1: int = hyper(1, "steps between two ways back", unit="step", low=1)
    k2: int = hyper(20, "how many steps errors go back, at most", unit="step", low=1)

    @override
    def __check_init__(self):
        if self.k2 < self.k1:
            raise ConfigError(
                f"k1 = {self.k1} and k2 = {self.k2}",
                "k2 no less than k1: every error goes back through its own step at least",
                "give a larger k2, or a smaller k1",
            )

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

    @override
    def start(self, gamma, net, batch):
        """Rest, and no steps yet."""
        rings = jax.tree.map(
            lambda a: jnp.zeros((self.k2, *a.shape), a.dtype),
            eqx.filter(_outline(net, batch), _is_shape),
        )
        errors = jnp.zeros((self.k2, batch, *net[net.output].shape), net.dtype)
        return net.rest(batch), Kept(rings, errors, jnp.int32(0), jnp.int32(0))

    @override
    def f(self, gamma, net, state, x, signal, key):
        state, free = net.step(x, state)
        return state, Record({"free": free}, free.post[net.output])

    @override
    def g(self, gamma, net, memory, record, signal):
        now = eqx.filter(record["free"], eqx.is_array)
        kept = Kept(
            jax.tree.map(lambda ring, a: pushed(ring, memory.clock, a), memory.phases, now),
            pushed(memory.errors, memory.clock, signal.error(record.output)),
            memory.clock + 1,
            memory.new + 1,
        )
        due = kept.new == self.k1
        learnt = jax.lax.cond(due, lambda: _gone_back(net, kept), lambda: _nothing_learnt(net))
        return kept._replace(new=jnp.where(due, 0, kept.new)), Update(learnt)

    @override
    def teach(
        self,
        pair,
        gamma,
        net,
        carry,
        x,
        signal,
        key,
        score=unscored,
        watch=unwatched,
        first=0,
        steps=None,
    ):
        """As any rule that sees steps; at last the errors that are left go back."""
        carry, update, scores = super().teach(
            pair, gamma, net, carry, x, signal, key, score, watch, first, steps
        )
        if (x.shape[1] if steps is None else steps) % self.k1:
            learnt = jax.tree.map(jnp.add, update.net, _gone_back(net, carry.memory))
            kept = carry.memory._replace(new=jnp.int32(0))
            carry, update = carry._replace(memory=kept), Update(learnt)
        return carry, update, scores


def _gone_back(net: Network, kept: Kept) -> dict[str, dict[str, Array]]:
    """The update that follows from the errors of the new steps."""
    k2, batch = kept.errors.shape[:2]
    numbers = eqx.filter(_outline(net, batch), _is_shape, inverse=True)
    feedback = {p.name: p for p in net.projections}

    def back(later, age):
        step = kept.clock - 1 - age
        phase = eqx.combine(jax.tree.map(lambda ring: at(ring, step), kept.phases), numbers)
        error = jnp.where(age < kept.new, at(kept.errors, step), 0)
        delta, later = deltas_in_time(net, phase, error, feedback, later)
        # Before the first step of a sequence there is nothing that could be to blame.
        return jax.tree.map(lambda a: jnp.where(step > 0, a, 0), later), (phase.pre, delta)

    _, (pre, delta) = jax.lax.scan(back, nothing_owed(net, batch), jnp.arange(k2, dtype=jnp.int32))
    flat = lambda a: a.reshape(k2 * batch, *a.shape[2:])
    return {
        p.name: jax.tree.map(lambda a: a * k2, p.outer(flat(pre[p.name]), flat(delta[p.dst])))
        for p in _learning(net)
    }


def _nothing_learnt(net: Network) -> dict[str, dict[str, Array]]:
    return {p.name: jax.tree.map(jnp.zeros_like, p.theta) for p in _learning(net)}


def _learning(net: Network):
    """What ends at the clamped input changes nothing."""
    return [p for p in net.projections if p.dst != net.input]


def _outline(net: Network, batch: int) -> Phase:
    """The phase of a step, with shapes for arrays; the slope of a linear population is a number."""
    x = jax.ShapeDtypeStruct((batch, *net[net.input].shape), net.dtype)
    return eqx.filter_eval_shape(lambda net, x: net.step(x, net.rest(batch))[1], net, x)


def _is_shape(leaf: Any) -> bool:
    return isinstance(leaf, jax.ShapeDtypeStruct)
