"""Decoupled neural interfaces (DNI): synthetic gradients.

Beside each hidden layer stands a small predictor. From what the layer sends, and from the target if
it may see that (cDNI), it guesses what the loss is going to owe to it. The layer learns from the
guess at once, and waits for nothing. One layer later it turns out what the guess should have been,
by the guess of the layer above; from that the predictor learns. Only the output knows its error.

    f:  u_l = W_l h_{l-1} + b_l,   h_l = phi(u_l)
    g:  d_l = M_l(h_l, t), the guess of dC/dh_l: a linear map of both, or one of `width` relus of
            them; zero as drawn
        delta_L = e * phi'(u_L),   delta_l = d_l * phi'(u_l),   dW_l = <delta_l h_{l-1}^T>
        z_l = W_{l+1}^T delta_{l+1}, which is true for the last layer and a guess below it
        M_l descends |d_l - z_l|^2 / 2 of each sample, z_l taken as given

Shapes   pre "batch pre", post "batch post", W "pre post", gamma[population] "out" (and "in" with a
         width): weight "seen units", bias "units"
Units    activity dimensionless; d a loss for an activity
Claims   transport yes | locking no | derivative yes | signal target and error | phases 1 | memory
         none
Limits   a layer waits for nothing; its predictor waits for the layer above, and hears of it by that
         layer's weights used backwards, which is the transport. Errors of guesses add up on the way
         down, and a guess that may not see the target has to find it in h_l. As all guesses start
         at zero, hidden layers do at first not learn
Source   Jaderberg et al., Decoupled neural interfaces using synthetic gradients, 2016, arXiv
         1608.05343; Czarnecki et al., Understanding synthetic gradients and decoupled neural
         interfaces, 2017, arXiv 1703.00522; differs in: a predictor sees one layer, its hidden
         layer is one of relus without normalisation
"""

import dataclasses
from typing import ClassVar

import jax
from typing_extensions import override

from byway.core.hyper import hyper
from byway.learning.rule import Claims, Update
from byway.rules._feedforward import FeedForward
from byway.rules.synthetic._gradients import drawn_gradients, synthetic_deltas

# Keeps the predictors apart from the weights, even where a caller draws both from one key.
PREDICTORS = 0xD1


class DNI(FeedForward):
    """Synthetic gradients."""

    claims: ClassVar[Claims] = Claims("yes", "no", "yes", frozenset({"target", "error"}), 1, "none")

    conditioned: bool = hyper(True, "whether a predictor sees the target, too (cDNI)")
    width: int = hyper(0, "units of a hidden layer of each predictor, 0 for none", low=0)

    @property
    @override
    def claimed(self):
        if self.conditioned:
            return self.claims
        return dataclasses.replace(self.claims, signal=frozenset({"error"}))

    @override
    def accepts(self, net):
        """A network without cycles whose units have a slope and send what they do."""
        super().accepts(net)
        net.require_activity(self.id, "bp")

    @override
    def init(self, net, key):
        """Predictors, which guess nothing yet."""
        return drawn_gradients(
            net, self.conditioned, self.width, jax.random.fold_in(key, PREDICTORS)
        )

    @override
    def g(self, gamma, net, memory, record, signal):
        free = record["free"]
        delta, learned = synthetic_deltas(
            gamma, net, free, signal, signal.error(record.output), self.conditioned
        )
        return memory, Update(
            {p.name: p.outer(free.pre[p.name], delta[p.dst]) for p in net.projections}, learned
        )
