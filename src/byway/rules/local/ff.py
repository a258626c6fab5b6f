"""Forward-forward (FF), supervised: the label is written into the input.

Each hidden layer learns on its own to be active for an image with its right label and quiet for one
with a wrong label. No error travels between layers. Wrong labels are hard ones: drawn from the
softmax head's own belief. A hidden layer may be a black box: the update takes the activity 2 h as
it is. That is the slope of the goodness by u for relu units; for a black box it is a stand-in.

    f:  z = x, whose first C inputs are set to the label; where units read a part of the input (a
        fixed fan-in, a kernel, a field) z = n(x) + P^T y, a pattern over all of it for each class,
        P ~ N(0, 1) (gamma)
        h_l = relu(W_l n(h_{l-1}) + b_l),   n(h) = h / rms(h)
        three passes: "neutral" (1/C for each label), "positive" (the right label), "negative" (a
            wrong label, drawn from the softmax of the head in the neutral pass; not hard: each as
            likely)
    g:  G_l = sum_j h_lj^2,   p = sigmoid(G_l - theta n_l),
        C_l = softplus(-(G+ - theta n_l)) + softplus(G- - theta n_l)
        delta+ = -2 (1 - p) h_l,   delta- = 2 p h_l,
        dW_l = <delta_l n(h_{l-1})^T> over both passes
        quiet: right labels are to be quiet and wrong ones active; + and - change places in C_l
        together: in p, G_l and theta n_l are summed over all layers; delta_l has its own h_l still
        peers: m_l <- decay m_l + (1 - decay) <h+_l>,  C += peer mean_j (mean_k m_k - m_j)^2; its
            gradient passes through
        the relu as if it were the identity, so that silent units come back
        head: softmax regression on what the output population receives in the neutral pass

    prediction: the label whose goodness, summed over all but the first hidden layer, is largest (C
        passes); smallest, where quiet.
    readouts["head"]: the softmax head after one neutral pass; readouts[population]: the goodness of
        one layer alone.

Shapes   pre "batch pre", post "batch post", W "pre post", memory[population] "units", gamma
         "classes *inputs" or nothing
Units    activity dimensionless
Claims   transport no | locking yes | derivative no | signal target and error | phases 3 | memory
         units
Limits   what the first C inputs held is lost: it trains on tasks that can spare them, unless the
         label is a pattern. A hard
         negative depends on the head's answer for this sample, so the negative pass waits for the
         neutral one: the lock is through one sampled label, and no gradient flows through it. With
         labels that are not hard, and layers that judge alone, there is no lock. A
         kernel, the same everywhere, hardly tells patterns apart, which are noise to it:
         convolutions do not get as far as `frozen`; fields with weights of their own do
Source   Hinton, The forward-forward algorithm: some preliminary investigations, 2022, arXiv
         2212.13345; peer normalisation and head as in its published code; together: Lorberbom et
         al., Layer collaboration in the forward-forward algorithm, 2023, arXiv 2305.12393; patterns
         as in Lee and Song, SymBa, 2023, arXiv 2303.08418; differs in: weights drawn as He et al.,
         any optimiser, thresholds are summed with the goodness
"""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from typing_extensions import override

from byway.core.errors import RuleError
from byway.core.hyper import hyper
from byway.core.record import Record
from byway.learning.rule import Claims, Rule, Update
from byway.rules import able
from byway.rules.local._goodness import (
    LabelledPasses,
    both,
    class_patterns,
    halves,
    overlaid,
    peers,
    push,
    require_layers,
    require_wrong_labels,
    total,
)


class FF(Rule):
    """Supervised forward-forward with hard negatives and peer normalisation."""

    claims: ClassVar[Claims] = Claims("no", "yes", "no", frozenset({"target", "error"}), 3, "units")
    network_options: ClassVar[dict[str, Any]] = {"norm": True}
    writes_label: ClassVar[bool] = True

    threshold: float = hyper(
        1.0,
        "goodness at which a layer is undecided, per unit: theta_l = threshold * width",
        low=0.0,
        search=(0.2, 5.0),
    )
    peer: float = hyper(0.03, "strength of peer normalisation", low=0.0, search=(0.003, 0.3))
    decay: float = hyper(
        0.9, "share of the running mean activity kept at each step", low=0.0, high=1.0
    )
    quiet: bool = hyper(False, "whether a right label is to make layers quiet, not active")
    together: bool = hyper(
        False, "whether layers judge by the goodness of all of them, one number a sample"
    )

    hard: bool = hyper(
        True,
        "whether wrong labels are drawn as the head believes in them, so that layers wait for it, "
        "and not each as likely",
    )

    @property
    @override
    def claimed(self):
        """Drawn without the head, and judged alone, no layer waits for another."""
        waits = self.hard or self.together
        return self.claims if waits else dataclasses.replace(self.claims, locking="no")

    @override
    def accepts(self, net):
        """A network without cycles whose hidden layers are relu or black boxes and, like its input,
        send normalised activity.
        """
        net.require_feedforward(self.id, able)
        net.require_slopes(self.id, able, [net.output])
        require_layers(net, self.id)
        require_wrong_labels(net, self.id)
        if self.overwritten(net) > net[net.input].size:
            raise RuleError(
                f"ff was given {net[net.input].size} inputs",
                f"at least {net[net.output].size}: the label is written there",
                "widen x",
            )

    @override
    def overwritten(self, net):
        """One input for each class, or none where the label is a pattern."""
        return 0 if _in_parts(net) else net[net.output].size

    @override
    def init(self, net, key):
        """P, where the label is a pattern."""
        return class_patterns(net, key) if _in_parts(net) else {}

    @override
    def start(self, gamma, net, batch):
        """The running mean activity of every hidden unit; it starts at one half."""
        return (), {h.name: jnp.full(h.shape, 0.5, net.dtype) for h in net.hidden}

    @override
    def f(self, gamma, net, state, x, signal, key):
        x, classes = net.place(x), net[net.output].size
        passes = (
            overlaid(net, x, gamma)
            if _in_parts(net)
            else LabelledPasses(net, x, _with_label, _labels(x, classes))
        )
        neutral = passes.forward()
        head = neutral.post[net.output]
        if signal is None:
            scores, alone = passes.goodness_of_each()
            if self.quiet:
                scores, alone = jax.tree.map(jnp.negative, (scores, alone))
            return state, Record({"neutral": neutral}, scores, alone | {"head": head})
        belief = head if self.hard else jnp.zeros_like(head)
        others = jnp.where(signal.target > 0, -jnp.inf, belief)
        wrong = jax.nn.one_hot(jax.random.categorical(key, others), classes, dtype=x.dtype)
        positive, negative = halves(passes.forward(jnp.concatenate([signal.target, wrong])))
        return state, Record({"neutral": neutral, "positive": positive, "negative": negative}, head)

    @override
    def g(self, gamma, net, memory, record, signal):
        positive, negative, neutral = record["positive"], record["negative"], record["neutral"]
        means, delta = {}, {}
        for h in net.hidden:
            up, down = positive.post[h.name], negative.post[h.name]
            means[h.name], even = peers(memory[h.name], up, self.peer, self.decay)
            judging = {one.name: one.size for one in (net.hidden if self.together else (h,))}
            theta = self.threshold * sum(judging.values())
            good, bad = (total(phase, judging) for phase in (positive, negative))
            toward = push(up, good, theta, active=not self.quiet) + even[None]
            away = push(down, bad, theta, active=self.quiet)
            delta[h.name] = jnp.concatenate([toward, away])
        update = {}
        for p in net.projections:
            if p.dst == net.output:
                update[p.name] = p.outer(neutral.pre[p.name], signal.error(record.output))
            elif p.src == net.input and not _in_parts(net):
                update[p.name] = _label_outer(
                    p,
                    positive.pre[p.name],
                    negative.pre[p.name],
                    delta[p.dst],
                    net[net.output].size,
                )
            else:
                update[p.name] = both(p, positive, negative, delta[p.dst])
        return means, Update(update)


def _in_parts(net):
    """Whether some units that read the input read but a part of it: the first ones, where a label
    would stand, are seen by some units only.
    """
    return any(p.fan_in < net[net.input].size for p in net.outgoing(net.input))


def _label_outer(p, positive, negative, delta, classes):
    """`p.outer` over both passes: their inputs differ in C label inputs, so the difference costs C
    samples and not a batch.

    <d+ z+> + <d- z->  =  <(d+ + d-) z+> + <d- (z- - z+)>,
    and z- - z+ = sum over labels c of (y-_c - y+_c) e_c
    """
    batch = positive.shape[0]
    toward, away = delta[:batch], delta[batch:]
    shared = p.outer(positive, (toward + away) / 2)
    difference = (negative - positive).reshape(batch, -1)[:, :classes]
    by_label = jnp.tensordot(difference.T, away, 1) * (classes / (2 * batch))
    own = p.outer(_labels(positive, classes), by_label)
    return {**shared, "weight": shared["weight"] + own["weight"]}


def _labels(x, classes):
    """The C inputs, shaped like `x` "batch *inputs", that hold one label and nothing else."""
    return jnp.eye(classes, x[0].size, dtype=x.dtype).reshape(classes, *x.shape[1:])


def _with_label(x, label):
    """`x` "batch *inputs" with its first inputs replaced by `label` "batch classes"."""
    flat = x.reshape(x.shape[0], -1)
    return jnp.concatenate([label, flat[:, label.shape[1] :]], 1).reshape(x.shape)
