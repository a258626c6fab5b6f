"""Recurrent forward-forward (FF_RECURRENT): image below, label above.

An image is held at the bottom and a label at the top, as if both were seen for a while. Each layer
looks at the layer below and at the one above, again and again, and learns in every iteration to be
active where image and label belong together and quiet where they do not. What comes from above is
activity, sent by weights that learn as all others do: no error travels.

    f:  "free": one pass up from rest, for the head
        then, from its activity, as often as `steps`, in all layers at the same time
        h_l^t = relu(sum_k W_kl n(s_k^{t-1}) + b_l) over all k that project to l,
        s_l^t = stay s_l^{t-1} + (1 - stay) h_l^t;   s of the input is x, that of the output the
            label, n(s) = s / rms(s)
        "both": the right label, then a wrong one, drawn from the softmax of the head
    g:  G = sum_j h_lj^2,   C_l = softplus(theta n_l - G+) + softplus(G- - theta n_l)
        delta+ = -2 sigmoid(theta n_l - G+) h_l,   delta- = 2 sigmoid(G- - theta n_l) h_l,
        dW_kl = <delta_l n(s_k)^T> over both passes and all iterations
        peers: m_l <- decay m_l + (1 - decay) <h+_l>,  C += peer mean_j (mean_k m_k - m_j)^2, as if
            the relu were the identity
        head: the delta rule, on what the output receives in the pass up

    prediction: the label whose goodness, summed over all hidden layers and the iterations from
        `first` to `last`, is largest.
    readouts["head"]: the output after the pass up.

Shapes   pre "iterations*2*batch pre", of what is held "2*batch pre", post
         "iterations*2*batch post", memory[population] "units"
Units    activity dimensionless
Claims   transport no | locking yes | derivative no | signal target and error | phases 3 | memory
         units
Limits   as many iterations as steps for each label when predicting; the audit counts a loop as one
         pass. The output has to project back, or no label comes in. A wrong label waits for the
         head, and each layer for what came from above the iteration before
Source   Hinton, The forward-forward algorithm: some preliminary investigations, 2022, arXiv
         2212.13345, section 3.4; the iterations that count are from a write-up of it; differs in:
         goodness is that of h and not of s, weights drawn as He et al., any optimiser
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from typing_extensions import override

from byway.core.errors import ConfigError, RuleError
from byway.core.hyper import hyper
from byway.core.record import Phase, Record
from byway.learning.rule import Claims, Rule, Update
from byway.rules import able
from byway.rules.local._goodness import goodness, peers, push, require_layers, require_wrong_labels


class FFRecurrent(Rule):
    """Forward-forward in a network with a way down, a label at its top."""

    claims: ClassVar[Claims] = Claims("no", "yes", "no", frozenset({"target", "error"}), 3, "units")
    network_options: ClassVar[dict[str, Any]] = {"norm": True}
    settles: ClassVar[bool] = True
    particular: ClassVar[bool] = True

    steps: int = hyper(8, "iterations for each label", low=1, high=1_000)
    first: int = hyper(3, "the first iteration that counts when predicting", low=1)
    last: int = hyper(5, "the last one", low=1)
    stay: float = hyper(0.3, "share of its state that a layer keeps", low=0.0, high=1.0)
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

    @override
    def __check_init__(self):
        super().__check_init__()
        if not self.first <= self.last <= self.steps:
            raise ConfigError(
                f"iterations {self.first} to {self.last} of {self.steps}",
                "some of them, the first one first",
                "choose first <= last <= steps",
            )

    @override
    def accepts(self, net):
        """Any network of relu or black boxes that send normalised activity, whose output projects
        back.
        """
        net.require_stateless(self.id, able)
        net.require_slopes(self.id, able, [net.output])
        if not any(p.dst not in (net.input, net.output) for p in net.outgoing(net.output)):
            named = ", ".join(name for name in able(net) if name != self.id)
            raise RuleError(
                f"{self.id} was given a network whose output projects to no hidden layer",
                "a way for the label to come in from above",
                f"take byway.topdown, or --net.kind topdown; or use another rule: {named}",
            )
        require_layers(net, self.id)
        require_wrong_labels(net, self.id)

    @override
    def start(self, gamma, net, batch):
        """The running mean activity of every hidden unit; it starts at one half."""
        return net.rest(batch), {h.name: jnp.full(h.shape, 0.5, net.dtype) for h in net.hidden}

    @override
    def f(self, gamma, net, state, x, signal, key):
        _, free = net.step(x, net.rest(len(x)))
        head = free.post[net.output]
        if signal is None:

            def score(label):
                made = self._run(net, free, jnp.broadcast_to(label[None], head.shape)).post
                seen = [
                    jnp.sum(h.reshape(self.steps, len(x), -1) ** 2, 2)[self.first - 1 : self.last]
                    for h in made.values()
                ]
                return sum(seen[1:], seen[0]).sum(0)

            scores = jax.lax.map(score, jnp.eye(head.shape[1], dtype=head.dtype)).T
            return state, Record({"free": free}, scores, {"head": head})
        others = jnp.where(signal.target > 0, -jnp.inf, head)
        wrong = jax.nn.one_hot(jax.random.categorical(key, others), head.shape[1], dtype=x.dtype)
        both = self._run(net, free, jnp.concatenate([signal.target, wrong]))
        return state, Record({"free": free, "both": both}, head)

    def _run(self, net, free, label):
        """All iterations, once for each block of batch rows of `label`: what arrives at the
        projections into hidden layers, and what these make of it, "iterations*rows *units". What
        input and output send is the same in all iterations, "rows *units".
        """
        passes = len(label) // len(free.post[net.input])
        tiled = lambda a: jnp.concatenate([a] * passes)
        rms = jnp.sqrt(jnp.mean(label**2, 1, keepdims=True))
        into = [p for h in net.hidden for p in net.incoming(h.name)]
        below = net[net.input].send(free.post[net.input])
        held = {net.input: tiled(below), net.output: label / rms}
        known = {
            p.name: tiled(p.forward(below)) if p.src == net.input else p.forward(held[p.src])
            for p in into
            if p.src in held
        }

        def iteration(s, _):
            sent = {h.name: h.send(s[h.name]) for h in net.hidden}
            pre = {p.name: sent[p.src] for p in into if p.src in sent}
            made = {h.name: h.activate(net.potential(h.name, pre, known)) for h in net.hidden}
            s = {name: self.stay * s[name] + (1 - self.stay) * made[name] for name in s}
            return s, (pre, made)

        begun = {h.name: tiled(free.post[h.name]) for h in net.hidden}
        _, seen = jax.lax.scan(iteration, begun, None, self.steps)
        pre, made = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), seen)
        return Phase(pre | {p.name: held[p.src] for p in into if p.src in held}, {}, made, {})

    @override
    def g(self, gamma, net, memory, record, signal):
        both, free, means, delta = record["both"], record["free"], {}, {}
        for h in net.hidden:
            # "iterations passes batch *units"
            made = both.post[h.name].reshape(self.steps, 2, -1, *h.shape)
            up, down = (made[:, i].reshape(-1, *h.shape) for i in range(2))
            theta = self.threshold * h.size
            means[h.name], even = peers(memory[h.name], up, self.peer, self.decay)
            toward = push(up, goodness(up), theta, active=True) + even[None]
            away = push(down, goodness(down), theta, active=False)
            sides = [d.reshape(self.steps, 1, -1, *h.shape) for d in (toward, away)]
            delta[h.name] = jnp.concatenate(sides, 1).reshape(self.steps, -1, *h.shape)
        error, update = signal.error(record.output) * free.slope[net.output], {}
        for p in net.projections:
            if p.dst == net.output:
                update[p.name] = p.outer(free.pre[p.name], error)
            elif p.src in (net.input, net.output) and p.dst != net.input:
                # The same arrives in every iteration.
                update[p.name] = p.outer(both.pre[p.name], delta[p.dst].mean(0))
            elif p.dst != net.input:
                d = delta[p.dst]
                update[p.name] = p.outer(both.pre[p.name], d.reshape(-1, *d.shape[2:]))
        return means, Update(update)
