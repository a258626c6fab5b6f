"""Equilibrium propagation (EP).

Every projection is a coupling that pulls at both of its ends, and the units settle where all pulls
balance: a minimum of an energy. Then the output is nudged a little towards lower loss, and
everything settles anew; each weight learns from how far the product of its own two ends has moved.
That difference is the gradient of the loss of the settled network, as the nudge tends to zero.

    f:  Phi = sum over projections j-i of s_i^T (W_ij n(s_j) + b_i),
        n(s) = s, or s / rms(s) where a population normalises
        u_i = dPhi/ds_i - nu_i,   nu = beta dLoss/ds at the output and 0 elsewhere,
        s_i <- s_i + rate * (phi_i(u_i) - s_i)
        "free": beta = 0, from the forward pass (from zero where there are cycles), the input held
        at x; then, both from there and for as many steps as each other, "pushed": +beta, and
        "pulled": -beta, or 0 if not `symmetric`
    g:  dW_ij = -<s_i n(s_j)^T pushed - s_i n(s_j)^T pulled> / D,
        db_i = -<s_i pushed - s_i pulled> / D,   D = 2 beta, or beta

    prediction: the output of the free phase. At rest, s is a stationary point of E = sum_i G_i(s_i)
        - Phi + beta Loss, G_i' = phi_i^-1.

Shapes   s, u "batch *units" (the record's post is s, its injected is -nu); W "pre post"
Units    activity dimensionless; one settling step is the unit of time
Claims   transport yes | locking yes | derivative no | signal error | phases 3 | memory none
Limits   transport: one W carries activity forwards and its transpose carries the nudge back, as in
         a physical coupling; no copy of it exists, but no synapse with two directions of its own
         would do. A nudge needs a step for each layer it crosses. The error of the gradient is of
         order beta^2, of order beta if not symmetric, beside what settling left undone
Source   Scellier and Bengio, Equilibrium propagation: bridging the gap between energy-based models
         and backpropagation, Front. Comput. Neurosci. 11:24, 2017; Laborieux et al., Scaling
         equilibrium propagation to deep ConvNets by drastically reducing its gradient estimator
         bias, Front. Neurosci. 15:633674, 2021; differs in: the output is linear and settles too,
         also under cross-entropy; weights drawn as He et al., any optimiser
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from byway.core.errors import RuleError
from byway.core.hyper import hyper
from byway.core.record import Phase, Record
from byway.core.signal import Signal
from byway.learning.rule import Claims, Update
from byway.network.cell import Cell
from byway.network.network import Network
from byway.network.settle import Settled, System, Values, settle, silence
from byway.rules import able
from byway.rules.energy._settling import Settling

# A unit that is still below LARGE at a potential of FAR is taken for bounded.
FAR, LARGE = 1e9, 1e6


class EP(Settling):
    """Equilibrium propagation, on any graph."""

    claims: ClassVar[Claims] = Claims("yes", "yes", "no", frozenset({"error"}), 3, "none")
    network_options: ClassVar[dict[str, Any]] = {"activation": "hard_sigmoid"}

    rate: float = hyper(0.5, "step size of settling", low=1e-6, high=1.0, search=(0.2, 0.8))
    nudged_steps: int = hyper(
        10,
        "settling steps of each nudged phase; an error crosses one layer a step",
        low=1,
        high=1_000_000,
    )
    beta: float = hyper(0.5, "strength of the nudge", low=1e-9, search=(0.05, 1.0))
    symmetric: bool = hyper(
        True,
        "whether to nudge both ways: then the error of the gradient is of order beta^2 in place "
        "of beta",
    )

    @override
    def accepts(self, net):
        """Any network whose hidden units are bounded: couplings between units that are not have no
        lowest energy.
        """
        net.require_stateless(self.id, able)
        net.require_activity(self.id, "pc")
        loose = [f"{h.name} ({h.cell.name})" for h in net.hidden if not _bounded(h.cell)]
        if loose:
            others = (
                ["pc"] if net.differentiable else [rule for rule in able(net) if rule != self.id]
            )
            raise RuleError(
                f"ep was given a network whose units in {', '.join(loose)} are not bounded",
                "hidden units that saturate: coupled both ways, others drive each other up "
                "without end",
                "build it with activation='hard_sigmoid', 'sigmoid' or 'tanh'; or use a rule "
                f"that takes any: {', '.join(others)}",
            )

    @override
    def f(self, gamma, net, state, x, signal, key):
        x = net.place(x)
        # What compares a rule with the true gradient takes the derivative of a prediction, settling
        # and all.
        free = self._settle(Coupled(net, x), _start(net, x), differentiable=signal is None)
        output = free.last.post[net.output]
        if signal is None:
            return state, Record({"free": free.last}, output)
        # What differs between the two is the nudge alone: whatever the free phase left undone
        # happens in both.
        rested = _free(net, free.last.post)

        def moved(system: Coupled) -> Settled:
            return settle(system, rested, rate=self.rate, steps=self.nudged_steps)

        pushed = moved(Coupled(net, x, signal, self.beta))
        pulled = moved(Coupled(net, x, signal, -self.beta) if self.symmetric else Coupled(net, x))
        diverged = jnp.maximum(pushed.measures["unsettled"], pulled.measures["unsettled"])
        phases = {"free": free.last, "pushed": pushed.last, "pulled": pulled.last}
        return state, Record(phases, output, {}, free.measures | {"diverged": diverged})

    @override
    def g(self, gamma, net, memory, record, signal):
        apart = 2 * self.beta if self.symmetric else self.beta

        def contrast(p):
            pulled, pushed = (
                p.outer(s.pre[p.name], s.post[p.dst] / apart)
                for s in (record["pulled"], record["pushed"])
            )
            return jax.tree.map(jnp.subtract, pulled, pushed)

        return memory, Update({p.name: contrast(p) for p in net.projections})

    @override
    def advice(self, measures):
        """As of every rule that settles; and what to do where the nudged phases did not come to
        rest.
        """
        if (told := super().advice(measures)) is not None or not measures.get(
            "diverged", 0.0
        ) > 0.0:
            return told
        return (
            f"a nudged phase diverged in {100 * measures['diverged']:.3g} % of the batches: "
            f"lower ep.beta, now {self.beta:g}, or ep.rate, now {self.rate:g}"
        )


class Coupled(System):
    """A network whose projections pull at both ends, its input held, its output nudged.

    Args:
        net: the network.
        x: what the input holds, "batch *inputs".
        signal: whose error nudges the output; none for a free phase.
        beta: how strongly; below zero, away from the target.
    """

    def __init__(
        self,
        net: Network,
        x: Float[Array, "batch *inputs"],
        signal: Signal | None = None,
        beta: float | Array = 0.0,
    ):
        self.net, self.x, self.signal, self.beta = net, x, signal, beta
        # What the input sends never changes, so its current is computed once and not at every step.
        self.known = {p.name: p.forward(net[net.input].send(x)) for p in net.outgoing(net.input)}

    @override
    def phase(self, free: Values) -> Phase:
        """The pull on every free unit, given the activity of all of them."""
        net, pre, u, injected = self.net, {}, {}, {}
        post = {net.input: self.x} | free
        if self.signal is not None:
            injected[net.output] = -self.beta * self.signal.error(post[net.output])
        for population in net.populations:
            sent = population.send(post[population.name])
            pre |= {p.name: sent for p in net.outgoing(population.name)}
        for name in free:
            back = sum(
                (p.backward(post[p.dst]) for p in net.outgoing(name)),
                start=jnp.zeros_like(post[name]),
            )
            u[name] = (
                net.potential(name, pre, self.known)
                + net[name].unsend(post[name], back)
                + injected.get(name, 0.0)
            )
        return Phase(pre, u, post, {}, injected)

    @override
    def force(self, phase: Phase) -> Values:
        """phi(u) - s: zero where the energy is stationary."""
        return {name: self.net[name].activate(u) - phase.post[name] for name, u in phase.u.items()}


def _start(net: Network, x: Float[Array, "batch *inputs"]) -> Values:
    return _free(net, silence(net, x.shape[0]) if net.cyclic else net.forward(x).post)


def _free(net: Network, post: Values) -> Values:
    return {name: s for name, s in post.items() if name != net.input}


def _bounded(cell: Cell) -> bool:
    """Whether its units saturate. A black box is not asked: it may count its calls."""
    return cell.black_box or bool(
        jnp.all(jnp.abs(cell.step({}, jnp.asarray([-FAR, FAR]))[1]) < LARGE)
    )
