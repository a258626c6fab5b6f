"""What the rules of forward-forward without labels have in common: all but how negatives are
made.
"""

from abc import abstractmethod
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key
from typing_extensions import override

from byway.core.errors import RuleError
from byway.core.hyper import hyper
from byway.core.record import Record
from byway.learning.rule import Claims, Rule, Update
from byway.network.network import Network
from byway.rules import able
from byway.rules.local._goodness import both, goodness, halves, peers, push, require_layers


class Unlabelled(Rule):
    """Abstract: positives are samples, negatives are made of two; the readout is linear."""

    claims: ClassVar[Claims] = Claims("no", "no", "no", frozenset({"error"}), 2, "units")
    network_options: ClassVar[dict[str, Any]] = {"norm": True}

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
    quiet: bool = hyper(False, "whether a sample is to make layers quiet, not active")

    @abstractmethod
    def negatives(
        self,
        net: Network,
        x: Float[Array, "batch *units"],
        other: Float[Array, "batch *units"],
        key: Key[Array, ""],
    ) -> Float[Array, "batch *units"]:
        """A negative for each sample, made of it and of another one of the batch."""

    @override
    def accepts(self, net):
        """A network without cycles whose hidden layers are relu or black boxes and, like its input,
        send normalised activity.
        """
        net.require_feedforward(self.id, able)
        net.require_slopes(self.id, able, [net.output])
        require_layers(net, self.id)

    @override
    def start(self, gamma, net, batch):
        """The running mean activity of every hidden unit; it starts at one half."""
        return (), {h.name: jnp.full(h.shape, 0.5, net.dtype) for h in net.hidden}

    @override
    def f(self, gamma, net, state, x, signal, key):
        x = net.place(x)
        if signal is None:
            positive = net.forward(x)
            return state, Record({"positive": positive}, positive.post[net.output])
        if len(x) < 2:
            raise RuleError(
                f"{self.id} was given a batch of one sample",
                "two at least: a negative is made of two samples",
                "take a larger batch",
            )
        which, make = jax.random.split(key)
        # All are moved by as many places, so that nobody is its own partner.
        by = jax.random.randint(which, (), 1, len(x))
        other = jax.lax.dynamic_slice_in_dim(jnp.concatenate([x, x]), by, len(x))
        z = jnp.concatenate([x, self.negatives(net, x, other, make)])
        positive, negative = halves(net.forward(z))
        return state, Record(
            {"positive": positive, "negative": negative}, positive.post[net.output]
        )

    @override
    def g(self, gamma, net, memory, record, signal):
        positive, negative = record["positive"], record["negative"]
        means, delta = {}, {}
        for h in net.hidden:
            up, down, theta = positive.post[h.name], negative.post[h.name], self.threshold * h.size
            means[h.name], even = peers(memory[h.name], up, self.peer, self.decay)
            toward = push(up, goodness(up), theta, active=not self.quiet) + even[None]
            away = push(down, goodness(down), theta, active=self.quiet)
            delta[h.name] = jnp.concatenate([toward, away])
        error = signal.error(record.output)
        return means, Update(
            {
                p.name: p.outer(positive.pre[p.name], error)
                if p.dst == net.output
                else both(p, positive, negative, delta[p.dst])
                for p in net.projections
            }
        )
