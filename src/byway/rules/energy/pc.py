"""Predictive coding (PC).

Every population predicts the next. With the input and the target held, activity settles where the
summed squared errors of all predictions, the energy, are least; each weight then lowers the error
that it ends at. On a network with cycles any units may be held and any others read: one trained
network classifies, generates and completes.

    f:  mu_i = sum_j W_ij phi(v_j) + b_i,   eps_i = v_i - mu_i,
        F = sum_i |eps_i|^2 / 2 + pi C(target, mu) of the output
        v_i <- v_i + rate * (-pi_i eps_i + phi'(v_i) * sum_k W_ki^T pi_k eps_k),
        from the feed-forward pass (v = mu); where populations call each other in cycles, from where
        `steps` times v <- v + (mu - v)/2 leads with the input held alone; from zero where that
        leaves more error, or the input is predicted too. What is held stays. At the output eps =
        -dC/dmu = target - link(mu): C is |eps|^2 / 2 for the squared error, and cross-entropy has
        link = softmax; pi = precision there and 1 elsewhere
    g:  dW_ij = <-pi_i eps_i phi(v_j)^T>, the slope of F by W with v fixed

    prediction: the feed-forward pass, where every eps is zero; with cycles, v settled with the
        input held alone, from the same start.

Shapes   v, mu, eps "batch *units" (the record's u is mu, its injected is eps, its post is phi(v));
         W "pre post"
Units    activity dimensionless; one settling step is the unit of time
Claims   transport yes | locking yes | derivative yes | signal target | phases 1 | memory none
Limits   an error needs a step for each layer it crosses: with fewer steps than layers the first
         ones do not learn. It is not backprop at precision 1, and tends to it as precision tends to
         0. With cycles take one of 0.01 or so: at 1 values explain the target by each other, and
         the weights that let them do so grow. Where the input is predicted too, the training score
         is read with the target held and says nothing: look at validation
Source   Whittington and Bogacz, An approximation of the error backpropagation algorithm in a
         predictive coding network with local Hebbian synaptic plasticity, Neural Comput. 29:1229,
         2017, eqs. 2.5 to 2.18; Salvatori et al., Learning on arbitrary graph topologies via
         predictive coding, 2022, arXiv 2201.13180; differs in: weights drawn as He et al., any
         optimiser
"""

from typing import ClassVar

from jaxtyping import Array, Float
from typing_extensions import override

from byway.core.record import Record
from byway.learning.rule import Claims, Update
from byway.network.network import Network
from byway.network.settle import Values
from byway.rules.energy._predictive import Energy, Predictive, unheld


class PC(Predictive):
    """Predictive coding, on any graph."""

    claims: ClassVar[Claims] = Claims("yes", "yes", "yes", frozenset({"target"}), 1, "none")

    @override
    def f(self, gamma, net, state, x, signal, key):
        x = net.place(x)
        if signal is None:
            # What compares a rule with the true gradient takes the derivative of a prediction,
            # settling and all.
            settled = self._predicted(net, x, differentiable=True)
            return state, Record({"settled": settled}, settled.u[net.output])
        done = self._settle(self.energy(net, x, signal), self._start(net, x))
        told = done.last if net.cyclic and net.incoming(net.input) else done.first
        return state, Record({"settled": done.last}, told.u[net.output], {}, done.measures)

    @override
    def g(self, gamma, net, memory, record, signal):
        return memory, Update(self.slopes(net, record["settled"]))

    def _start(self, net: Network, x: Float[Array, "batch *inputs"]) -> Values:
        """The values settling starts from: those that do what is predicted of them, as far as the
        input says.
        """
        if net.cyclic:
            energy = Energy(net, {net.input: x}, self.precision)
            start = self._relaxed(energy, unheld(net, x.shape[0], net.input))
        else:
            start = net.forward(x).u
        return {name: v for name, v in start.items() if name != net.output}
