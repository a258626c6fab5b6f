"""Scores in place of goodness (MONO_FORWARD).

Each layer is asked how strongly it speaks for each class, by a matrix of its own, and learns by the
cross-entropy of its answer. One pass, no wrong labels, nothing from above. It is what `predsim` is
with beta 0, but for the bias of a head, and with another way to be asked: layers may vote.

    f:  u_l = W_l h_{l-1} + b_l,   h_l = phi(u_l)
    g:  e_l = the error of the scores M_l h_l;   delta_l = (M_l^T e_l) * phi'(u_l),
        dW_l = <delta_l h_{l-1}^T>,   dM_l = <e_l h_l^T>;   the readout learns by the delta rule

    prediction: the readout, which is the last layer's scores.
    readouts["sum"]: the scores of all hidden layers and the readout, added up.

Shapes   pre "batch pre", post "batch post", W "pre post", gamma[population] M: weight "units out"
Units    activity dimensionless
Claims   transport no | locking no | derivative yes | signal error | phases 1 | memory none
Limits   each layer is greedy: it keeps what its own scores need, and no more for the layers above.
         Inside a layer the error goes back through M
Source   Gong, Li and Abdulla, Mono-Forward, 2025, arXiv 2501.09238; differs in: the readout of the
         network, with its bias, is beside the M of the last hidden layer; any loss
"""

from typing import ClassVar

import jax
from typing_extensions import override

from byway.core.record import Record
from byway.learning.rule import Claims, Update
from byway.rules._feedforward import FeedForward
from byway.rules.local._heads import HEADS, drawn, predictor


class MonoForward(FeedForward):
    """Layers that learn by the scores they give each class."""

    claims: ClassVar[Claims] = Claims("no", "no", "yes", frozenset({"error"}), 1, "none")

    @override
    def init(self, net, key):
        """M for each hidden population, normal with variance 1 / fan_in."""
        keys = jax.random.split(jax.random.fold_in(key, HEADS), max(len(net.hidden), 1))
        return {
            h.name: drawn(predictor(net, h, bias=False), k)
            for h, k in zip(net.hidden, keys, strict=False)
        }

    @override
    def f(self, gamma, net, state, x, signal, key):
        free = net.forward(x)
        output = free.post[net.output]
        if signal is not None:
            return state, Record({"free": free}, output)
        scores = [
            predictor(net, h, bias=False).with_theta(gamma[h.name]).forward(free.post[h.name])
            for h in net.hidden
        ]
        return state, Record({"free": free}, output, {"sum": sum(scores, start=output)})

    @override
    def g(self, gamma, net, memory, record, signal):
        free = record["free"]
        delta, heads = {net.output: signal.error(record.output) * free.slope[net.output]}, {}
        for h in net.hidden:
            post, head = free.post[h.name], predictor(net, h, bias=False).with_theta(gamma[h.name])
            wrong = signal.error(head.forward(post))
            delta[h.name] = head.backward(wrong) * free.slope[h.name]
            heads[h.name] = head.outer(post, wrong)
        return memory, Update(
            {p.name: p.outer(free.pre[p.name], delta[p.dst]) for p in net.projections}, heads
        )
