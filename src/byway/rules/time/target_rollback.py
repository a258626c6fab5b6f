"""Targets through time, back through a learned inverse (TARGET_ROLLBACK).

The sequence is run and taken back as by `rollback`: an inverse g, which learns by itself, tells the
state before each step. Here it carries the credit too. Where the state after a step should have
been another, g says which other state before it would have led there: the difference of what it
tells of the two is the credit of the step before. No weight and no derivative of a step is used to
send credit through time; each unit uses the slope of its own step alone.

    f:     s_t = f(s_{t-1}, x_t),   y_t the output
    back:  r_{t-1} = g(r_t, x_t) + what is kept of s_{t-1} - g(s_t, x_t),   r_T = s_T
    g:     c_t = V e_t + o_t,   o_{t-1} = (g(r_t + eta c_t, x_t) - g(r_t, x_t)) / eta,   o_T = 0
           delta_t = c_t ds_t/du_t, unit by unit; of the output e_t dy_t/du_t
           dW = sum_t <delta_t pre_t^T>
    first, as often as `inner` says: the inverse as in `rollback`; and the feedback V, which tells
           noise xi on what the output reads from what it did to it:
           d = u(s + xi) - u(s),   q = V d - xi,   dV = sum_t <q d^T>

The inverse sends credit by the inverse of a step where the gradient takes the transpose. The two
are one for a step that turns (J^-1 = J^T); where a step shrinks a direction, the credit for it
grows on the way back, as the change that would be needed does.

Shapes   s, c, o "batch state", all that the network carries as one vector; V shaped like the
         weights to the output, turned; pre
         "batch pre", delta "batch post", W "pre post"
Units    time in steps; activity dimensionless
Claims   transport no | locking yes | derivative yes | signal error | phases 3 | memory units |
         future yes
Limits   as `rollback`: what a step destroys no inverse tells. Credit is not a gradient, and its
         size changes on the way: it needs an optimiser that divides by size, as adam does, and
         even so it does not beat frozen weights on every seed. Every hidden population sends
         something to the next step, and the output keeps nothing: within a step no credit goes
         from one population to another
Source   none known. Relatives: Bengio, How auto-encoders could provide credit assignment in deep
         networks via target propagation, 2014, arXiv 1407.7906; Lee, Zhang, Fischer and Bengio,
         Difference target propagation, ECML 2015, arXiv 1412.7525; Meulemans et al., A theoretical
         framework for target propagation, 2020, arXiv 2006.14331, whose loss of differences the
         feedback has; differs in: the layers are the steps of a sequence, and credit is read at
         states that were had back and not kept
"""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from typing_extensions import override

from byway.core.errors import RuleError
from byway.core.hyper import hyper
from byway.core.record import Record
from byway.learning.rule import Claims, Update
from byway.network.chain import through_cell
from byway.network.network import Network
from byway.network.projections import Projection
from byway.rules.time._rollback import RollsBack, Way, flat, flattened, inverse, shaped

# Keeps the feedback apart from the weights, even where a caller draws both from one key.
FEEDBACK = 0x2


class TargetRollback(RollsBack):
    """Credit sent back through time by differences of what a learned inverse tells."""

    claims: ClassVar[Claims] = Claims(
        "no", "yes", "yes", frozenset({"error"}), 3, "units", future="yes"
    )

    learning_rate: ClassVar[float] = 5e-3

    # More noise than `rollback` has: an inverse that differs less from one state to the next
    # stretches less of the credit.
    noise: float = hyper(
        0.1, "standard deviation of the noise on states that the inverse learns to tell", low=0.0
    )
    blur: float = hyper(
        0.1, "standard deviation of the noise on what it has to tell them from", low=0.0
    )
    eta: float = hyper(
        0.1, "how far along its credit a state is moved to be told again", low=1e-6, high=10.0
    )

    @override
    def accepts(self, net):
        """Of hidden populations those alone that keep something, and an output that does not."""
        super().accepts(net)
        back = {p.src for p in net.projections if p.name in net.recurrent}
        if mute := [p.name for p in net.hidden if p.name not in back]:
            raise RuleError(
                f"{self.id} was given {', '.join(mute)}, which sends nothing to the next step",
                "hidden populations that project back: credit is sent to what they sent",
                "use rollback, which sends it through weights within a step too, or bptt",
            )
        if net.output in back or net[net.output] in net.stateful:
            what = "a network with a cycle" if net.output in back else "an output with a state"
            raise RuleError(
                f"{self.id} was given {what}",
                "an output that follows from the hidden populations of the same step alone",
                "use rollback, or bptt",
            )

    @override
    def init(self, net, key):
        """And a feedback of the projections to the output, drawn at random; it is learned."""
        read = [p for p in _read(net) if p.theta]
        keys = jax.random.split(jax.random.fold_in(key, FEEDBACK), len(read))
        drawn = {
            p.name: jax.random.normal(k, p.weight.shape, p.weight.dtype) / np.sqrt(p.fan_out).item()
            for p, k in zip(read, keys, strict=True)
        }
        return super().init(net, key) | {"feedback": drawn}

    @override
    def start(self, gamma, net, batch):
        """Rest, and no credit owed."""
        rest = net.rest(batch)
        return rest, jnp.zeros_like(flat(rest))

    @override
    def told_beside(self, net, free, key):
        """Noise on what the output reads, and what it does to it."""
        read = [p for p in _read(net) if p.theta]
        keys = jax.random.split(key, len(read))
        noise = {
            p.name: self.noise * jax.random.normal(k, free.pre[p.name].shape, net.dtype)
            for p, k in zip(read, keys, strict=True)
        }
        moved = free.pre | {name: free.pre[name] + xi for name, xi in noise.items()}
        return noise | {net.output: net.potential(net.output, moved) - free.u[net.output]}

    @override
    def learned_beside(self, gamma, net, told):
        """The feedback tells the noise from what it did."""
        moved, learned = told[net.output], {}
        for p in _read(net):
            if p.theta:
                wrong = p.backward(moved, gamma["feedback"][p.name]) - told[p.name]
                learned[p.name] = p.outer(wrong, moved)["weight"]
        return {"feedback": learned}

    @override
    def f(self, gamma, net, state, x, signal, key):
        after, record = super().f(gamma, net, state, x, signal, key)
        return after, self._with_ends(gamma, net, record, after, x)

    @override
    def back(self, gamma, net, state, x, key):
        way, record = super().back(gamma, net, state, x, key)
        return way, self._with_ends(gamma, net, record, state, x)

    @override
    def g(self, gamma, net, memory, record, signal):
        free, after = record["free"], record["free"].injected["after"]
        delta = {net.output: signal.error(record.output) * free.slope[net.output]}
        credit = shaped(memory, net.rest(len(after)))
        for p in _read(net):
            told = p.backward(delta[net.output], gamma["feedback"].get(p.name))
            credit.due[p.src][1] = credit.due[p.src][1] + told
        for population in net.hidden:
            name = population.name
            post, cell = credit.due[name][1], credit.cell.get(name)
            delta[name] = (
                post * free.slope[name]
                if cell is None
                else through_cell(population, free, post, cell)[0]
            )
        moved, still = (
            inverse(gamma["seen"], gamma["inverse"], state, free.injected["input"])
            for state in (after + self.eta * flat(credit), after)
        )
        return (moved - still) / self.eta, Update(
            {
                p.name: p.outer(free.pre[p.name], delta[p.dst])
                for p in net.projections
                if p.theta and p.dst != net.input
            }
        )

    def _with_ends(self, gamma: Any, net: Network, record: Record, after: Any, x: Array) -> Record:
        """With the state after the step, and its input: from these credit is sent back."""
        now = self.arrive(gamma, net, after) if isinstance(after, Way) else after
        ends = {"after": flat(now), "input": flattened(x)}
        free = dataclasses.replace(record["free"], injected=ends)
        return Record({"free": free}, record.output, {}, record.measures)


def _read(net: Network) -> list[Projection]:
    """The projections by which the output reads hidden populations."""
    return [p for p in net.incoming(net.output) if p.src != net.input]
