"""Feedback that learns to be the transpose, without ever seeing it (KOLEN_POLLACK).

Feedback alignment whose feedback weights B learn too. A synapse W and its partner B on the way back
see the same two ends, so both take the same update; and both forget the same share of themselves.
Where they started apart is forgotten with the rest, and B becomes W.

    f:  u_l = W_l h_{l-1} + b_l,   h_l = phi(u_l)
    g:  delta_L = e * phi'(u_L),   delta_l = (B_{l+1} delta_{l+1}) * phi'(u_l),
        dW_l = <delta_l h_{l-1}^T>,   dB_l = dW_l^T
    after each update   W <- (1 - decay) W,   B <- (1 - decay) B
                        W_n - B_n^T = (1 - decay)^n (W_0 - B_0^T), so that the gap closes

Shapes   pre "batch pre", post "batch post", W "pre post", gamma[p] shaped like the weight of p: B^T
         above
Units    activity dimensionless; decay a share an update
Claims   transport no | locking yes | derivative yes | signal error | phases 1 | memory none
Limits   both ends of a pair of synapses must see the same product. The gap closes at exactly that
         pace under every optimiser that does to each weight what its own updates say (SGD,
         momentum, Adam, RMSprop), at one rate for both: not with a learning rate of gamma's own,
         nor with clipping by a norm; the decay of AdamW comes on top and closes it faster. The
         decay goes on while the learning rate falls, so it has to be small
Source   Akrout, Wilson, Humphreys, Lillicrap and Tweed, Deep learning without weight transport,
         2019, arXiv 1904.05391, after Kolen and Pollack, Backpropagation without weight transport,
         1994; differs in: weights out of the input, which have no partner, and biases do not decay;
         any optimiser, after whose step the decay is taken
"""

from typing import ClassVar

from typing_extensions import override

from byway.core.hyper import hyper
from byway.learning.rule import Claims, Update
from byway.network.chain import chained_deltas
from byway.rules._feedforward import FeedForward
from byway.rules.feedback._drawn import drawn_feedback


class KolenPollack(FeedForward):
    """Feedback alignment with feedback that comes to be the transposed weights."""

    claims: ClassVar[Claims] = Claims("no", "yes", "yes", frozenset({"error"}), 1, "none")

    decay: float = hyper(
        1e-4,
        "share of W and of B that is forgotten at each update",
        low=0.0,
        high=1.0,
        search=(1e-5, 1e-2),
    )

    @override
    def init(self, net, key):
        """Random feedback for every projection with weights that does not start at the input."""
        return drawn_feedback(net, key)

    @override
    def g(self, gamma, net, memory, record, signal):
        free = record["free"]
        delta = chained_deltas(net, free, signal.error(record.output), gamma)
        update = {p.name: p.outer(free.pre[p.name], delta[p.dst]) for p in net.projections}
        return memory, Update(update, {name: update[name]["weight"] for name in gamma})

    @override
    def keep(self, gamma, net):
        """Both of a pair forget the same share."""
        left = 1.0 - self.decay
        weights = {p.name: {"weight": left * p.weight} for p in net.projections if p.name in gamma}
        return {name: left * b for name, b in gamma.items()}, net.with_theta(weights)
