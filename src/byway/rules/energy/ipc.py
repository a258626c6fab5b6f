"""Incremental predictive coding (IPC).

Predictive coding whose weights do not wait for its activity to settle. On each sample the network
first predicts; then, many times in a row, every value and every weight moves a little down the same
energy at the same moment, each by what lies at its own place.

    f:  once, mu_i = sum_j W_ij phi(v_j) + b_i with v = mu, the feed-forward pass (with cycles, v
        settled with the input held alone, as `pc` does it);
        then `steps` times, with input and target held: eps_i = v_i - mu_i,
        F = sum_i |eps_i|^2 / 2 + pi C(target, mu) of the output,
        v_i <- v_i + rate * (-pi_i eps_i + phi'(v_i) * sum_k W_ki^T pi_k eps_k). At the output eps =
        -dC/dmu = target - link(mu): C is |eps|^2 / 2 for the squared error, and cross-entropy has
        link = softmax; pi = precision there and 1 elsewhere
    g:  at each of the steps, dW_ij = <-pi_i eps_i phi(v_j)^T>, the slope of F by W, at the v from
        before that step

    prediction: the feed-forward pass; with cycles, v settled with the input held alone.

Shapes   v, mu, eps "batch *units" (the record's u is mu, its injected is eps, its post is phi(v));
         W "pre post"; state: v, by population
Units    activity dimensionless; one step of values and weights is the unit of time
Claims   transport yes | locking yes | derivative yes | signal target | phases 1 | memory none
Limits   an error needs a step for each layer it crosses: with fewer steps than layers the first
         ones do not learn. The optimiser acts `steps` times a batch, so its rate and its memory are
         those of single steps. Nothing tells when values diverge but a loss that does
Source   Salvatori et al., A stable, fast, and fully automatic learning algorithm for predictive
         coding networks, 2022, arXiv 2212.00720 (ICLR 2024); differs in: the output's first error
         comes from the prediction, weights drawn as He et al., any optimiser
"""

from typing import ClassVar

from typing_extensions import override

from byway.core.hyper import hyper
from byway.core.record import Record
from byway.learning.rule import Claims, Pair, Update
from byway.network.settle import moved
from byway.rules.energy._predictive import Predictive, unheld


class IPC(Predictive):
    """Incremental predictive coding, on any graph: the turn in which the network predicts. Nothing
    is learnt in it.
    """

    claims: ClassVar[Claims] = Claims("yes", "yes", "yes", frozenset({"target"}), 1, "none")
    learning_rate: ClassVar[float] = 3e-4

    steps: int = hyper(
        20, "steps of values and weights on each batch", low=1, high=10_000, search=(5, 50)
    )
    tolerance: float = hyper(
        0.0,
        "share of the first force at which a prediction on a graph with cycles stops settling",
        low=0.0,
        high=1.0,
        live=False,
    )

    @override
    def start(self, gamma, net, batch):
        """The values of all populations but the input, from zero."""
        return unheld(net, batch, net.input), ()

    @property
    @override
    def turns(self):
        """Predict once, then move values and weights, `steps` times."""
        return ((self, 1), (Move(self), self.steps))

    @override
    def f(self, gamma, net, state, x, signal, key):
        phase = self._predicted(net, net.place(x), differentiable=signal is None)
        values = {name: phase.u[name] + phase.injected.get(name, 0.0) for name in state}
        return values, Record({}, phase.u[net.output])

    @override
    def g(self, gamma, net, memory, record, signal):
        return memory, Update({})


class Move(Pair):
    """One step of all values and of all weights, down the same energy at the same moment."""

    of: IPC

    @override
    def f(self, gamma, net, state, x, signal, key):
        """Values move; the record is of where they were."""
        energy = self.of.energy(net, net.place(x), signal)  # pyright: ignore[reportArgumentType]  it never predicts
        free = {name: v for name, v in state.items() if name != net.output}
        phase = energy.phase(free)
        return state | moved(free, energy.force(phase), self.of.rate), Record(
            {"moving": phase}, phase.u[net.output]
        )

    @override
    def g(self, gamma, net, memory, record, signal):
        """The slope of the energy by the weights, where values were."""
        return memory, Update(self.of.slopes(net, record["moving"]))
