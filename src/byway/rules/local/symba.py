"""Forward-forward by differences of goodness (SYMBA).

A layer compares its goodness for a right label with that for a wrong one. What counts is the
difference: there is no threshold, and a layer that is more active for everything has gained
nothing. The label is a random pattern of the size of a sample, one for each class and fixed, laid
over it: so no input has to be spare, and each unit of a first layer sees some of it.

    f:  z = n(x) + pattern P^T y,   P ~ N(0, 1) (gamma);   h_l = relu(W_l n(h_{l-1}) + b_l),
            n(h) = h / rms(h)
        three passes: "neutral" (1/C for each label), "positive" (the right label), "negative" (a
            wrong label, each as likely)
    g:  G_l = mean_j h_lj^2,   C_l = softplus(-alpha (G+ - G-))
        p = sigmoid(-alpha (G+ - G-)),   delta+ = -2 alpha p h_l / n_l,
        delta- = 2 alpha p h_l / n_l,
        dW_l = <delta_l n(h_{l-1})^T> over both passes
        head: softmax regression on what the output population receives in the neutral pass

    prediction: the label whose goodness, summed over all but the first hidden layer, is largest (C
        passes).
    readouts["head"]: the softmax head after one neutral pass; readouts[population]: the goodness of
        one layer alone.

Shapes   pre "batch pre", post "batch post", W "pre post", gamma "classes *inputs"
Units    activity dimensionless
Claims   transport no | locking no | derivative no | signal target and error | phases 3 | memory
         none
Limits   a pass for each label when predicting. Units that are silent for both labels stay so. A
         hidden layer may be a black box: the update takes the activity 2 h as it is
Source   Lee and Song, SymBa: symmetric backpropagation-free contrastive learning with
         forward-forward algorithm for optimizing convergence, 2023, arXiv 2303.08418; differs in:
         patterns are laid over samples and not put beside them, the first layer does not count when
         predicting, a head beside it, weights drawn as He et al.
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from typing_extensions import override

from byway.core.hyper import hyper
from byway.core.record import Record
from byway.learning.rule import Claims, Rule, Update
from byway.rules import able
from byway.rules.local._goodness import (
    both,
    class_patterns,
    goodness,
    halves,
    overlaid,
    per_sample,
    require_layers,
    require_wrong_labels,
)


class Symba(Rule):
    """Forward-forward by differences of goodness, with a pattern for each class."""

    claims: ClassVar[Claims] = Claims("no", "no", "no", frozenset({"target", "error"}), 3, "none")
    network_options: ClassVar[dict[str, Any]] = {"norm": True}

    alpha: float = hyper(
        4.0, "how sharply a difference of mean squares is judged", low=0.0, search=(0.5, 30.0)
    )
    pattern: float = hyper(
        1.0,
        "how loud the pattern of a class is, beside a sample of root mean square 1",
        low=0.0,
        search=(0.1, 3.0),
    )

    @override
    def accepts(self, net):
        """A network without cycles whose hidden layers are relu or black boxes and, like its input,
        send normalised activity.
        """
        net.require_feedforward(self.id, able)
        net.require_slopes(self.id, able, [net.output])
        require_layers(net, self.id)
        require_wrong_labels(net, self.id)

    @override
    def init(self, net, key):
        """P: a pattern for each class, standard normal."""
        return class_patterns(net, key)

    @override
    def f(self, gamma, net, state, x, signal, key):
        passes = overlaid(net, net.place(x), self.pattern * gamma)
        neutral = passes.forward()
        head = neutral.post[net.output]
        if signal is None:
            scores, alone = passes.goodness_of_each()
            return state, Record({"neutral": neutral}, scores, alone | {"head": head})
        others = jnp.where(signal.target > 0, -jnp.inf, jnp.zeros_like(head))
        wrong = jax.nn.one_hot(jax.random.categorical(key, others), head.shape[1], dtype=x.dtype)
        positive, negative = halves(passes.forward(jnp.concatenate([signal.target, wrong])))
        return state, Record({"neutral": neutral, "positive": positive, "negative": negative}, head)

    @override
    def g(self, gamma, net, memory, record, signal):
        positive, negative, neutral = record["positive"], record["negative"], record["neutral"]
        delta = {}
        for h in net.hidden:
            up, down = positive.post[h.name], negative.post[h.name]
            ahead = (goodness(up) - goodness(down)) / h.size
            wrong = per_sample(self.alpha * jax.nn.sigmoid(-self.alpha * ahead) / h.size, up)
            delta[h.name] = jnp.concatenate([-2 * wrong * up, 2 * wrong * down])
        error = signal.error(record.output)
        return memory, Update(
            {
                p.name: p.outer(neutral.pre[p.name], error)
                if p.dst == net.output
                else both(p, positive, negative, delta[p.dst])
                for p in net.projections
            }
        )
