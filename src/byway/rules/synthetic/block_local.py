"""Block-local learning (BLOCK_LOCAL).

The hidden layers are cut into blocks. What a block sends on, z, is not a number but a distribution:
what it computes is its mean. From the other side, from the target alone, comes a message of what z
ought to be, another distribution. A block learns from how far the two agree, by backprop inside it
and from nothing outside; it sends on a sample of their product, which is what z is once the target
is known. The messages learn, too: they come to agree with what comes from below, and to serve
those who read z.

    f:  inside a block u_l = W_l h_{l-1} + b_l, h_l = phi(u_l); where one ends, m = V t + d and
            alpha(z) = N(z; h, sigma^2),   beta(z) = N(z; m, spread^2),
            rho = alpha beta / Z = N(h + gain (m - h), (1 - gain) sigma^2),
            gain = sigma^2 / (sigma^2 + spread^2)
        teaching, z ~ rho is sent; predicting, h is
    g:  the loss of a block is -log Z = |m - h|^2 / (2 (sigma^2 + spread^2)) + a constant, at its
            end dC/dh = r = (h - m) / (sigma^2 + spread^2); that of the output is C
        delta_l = phi'(u_l) dC/dh_l of its own block, dW_l = <delta_l h_{l-1}^T>;
        m descends gain (e - r), e = dC/dz of all who read z, unless messages are fixed

Shapes   pre "batch pre", post "batch post", W "pre post", gamma[population], of each that ends a
         block: weight V "outputs units", bias d "units"
Units    activity dimensionless, sigma and spread in its units
Claims   transport yes | locking yes | derivative yes | signal target and error | phases 1 | memory
         none
Limits   blocks of one layer can do no more than bring each unit near to a number for each class,
         and learn less than longer blocks do; inside those a layer waits for the ones above it. A
         message knows the target and nothing else, so it is the same for all samples of a class;
         on MNIST messages that stay as drawn did as well, and with these no block waits for
         another. The larger the gain, the more of the target leaks upwards, and the worse the
         blocks above do without it. Training scores are those of a network that was told the target
Source   Kappel, Nazeer, Fokam, Mayr and Subramoney, Block-local learning with probabilistic latent
         representations, 2023, arXiv 2305.14974, of which no more than the abstract and public
         reviews was at hand. What they say (blocks send parameters of distributions, a network
         that starts from the target sends messages back, a loss of each block says how far the two
         agree) is worked out here for Gaussians and a linear network of messages; its own
         equations were not compared
"""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from typing_extensions import override

from byway.core.hyper import hyper
from byway.core.record import Phase, Record
from byway.learning.rule import Claims, Update
from byway.network.network import Network
from byway.rules._feedforward import FeedForward

# Keeps the messages apart from the weights, even where a caller draws both from one key.
MESSAGES = 0xD3


class BlockLocal(FeedForward):
    """Blocks that learn to agree with what the target says of them."""

    claims: ClassVar[Claims] = Claims(
        "yes", "yes", "yes", frozenset({"target", "error"}), 1, "none"
    )

    block: int = hyper(2, "hidden layers in a block; the output is one by itself", low=1)
    sigma: float = hyper(
        0.1, "standard deviation of what a block sends", low=1e-6, search=(0.01, 1.0)
    )
    spread: float = hyper(1.0, "standard deviation of a message", low=1e-6, search=(0.1, 10.0))
    fixed: bool = hyper(False, "whether messages stay as drawn")

    @property
    @override
    def claimed(self):
        """In blocks of several layers the lower ones wait for the upper ones, and hear of them by
        their weights. Messages that learn hear of the block above by its weights; for them no layer
        waits, on the same batch.
        """
        waits = "no" if self.block == 1 else "yes"
        hears = "no" if self.block == 1 and self.fixed else "yes"
        return dataclasses.replace(self.claims, locking=waits, transport=hears)

    @property
    def gain(self) -> Float[Array, ""] | float:
        """How much of a message there is in what is sent."""
        return self.sigma**2 / (self.sigma**2 + self.spread**2)

    @property
    def rest(self) -> Float[Array, ""] | float:
        """The standard deviation of what is sent, given the target."""
        return self.sigma * (1 - self.gain) ** 0.5

    @override
    def accepts(self, net):
        """A network without cycles whose units have a slope and send what they do."""
        super().accepts(net)
        net.require_activity(self.id, "bp")

    @override
    def init(self, net, key):
        """Messages that differ from class to class in every unit, V normal with variance 1."""
        outputs, ends = net[net.output].size, self._ends(net)
        keys = jax.random.split(jax.random.fold_in(key, MESSAGES), max(len(ends), 1))
        return {
            end: {
                "weight": jax.random.normal(k, (outputs, net[end].size), net.dtype),
                "bias": jnp.zeros(net[end].size, net.dtype),
            }
            for end, k in zip(ends, keys, strict=False)
        }

    @override
    def f(self, gamma, net, state, x, signal, key):
        if signal is None:
            return super().f(gamma, net, state, x, signal, key)
        x = net.place(x)
        noise = dict(zip(gamma, jax.random.split(key, max(len(gamma), 1)), strict=False))
        pre, u, post, slope, added = {}, {}, {net.input: x}, {}, {}
        for population in net.populations:
            name = population.name
            if name != net.input:
                u[name] = net.potential(name, pre)
                post[name], slope[name] = population.activate(u[name]), population.slope(u[name])
            sent = post[name]
            if name in gamma:
                drawn = jax.random.normal(noise[name], sent.shape, sent.dtype)
                message = _message(gamma[name], signal.target, sent)
                added[name] = self.gain * (message - sent) + self.rest * drawn
                sent = sent + added[name]
            pre |= {p.name: population.send(sent) for p in net.outgoing(name)}
        return state, Record({"known": Phase(pre, u, post, slope, added)}, post[net.output])

    @override
    def g(self, gamma, net, memory, record, signal):
        known, block, learned = record["known"], self._blocks(net), {}
        delta = {net.output: signal.error(record.output) * known.slope[net.output]}
        for h in reversed(net.hidden):
            name, post = h.name, known.post[h.name]
            sent = post + known.injected[name] if name in gamma else post
            inside, above = jnp.zeros_like(post), jnp.zeros_like(post)
            for p in net.outgoing(name):
                owed = h.unsend(sent, p.backward(delta[p.dst]))
                if block[p.dst] == block[name]:
                    inside = inside + owed
                else:
                    above = above + owed
            if name in gamma:
                message = _message(gamma[name], signal.target, post)
                apart = (post - message) / (self.sigma**2 + self.spread**2)
                learned[name] = _corrected(signal.target, self.gain * (above + inside - apart))
                inside = (1 - self.gain) * inside + apart
            delta[name] = inside * known.slope[name]
        return memory, Update(
            {p.name: p.outer(known.pre[p.name], delta[p.dst]) for p in net.projections},
            None if self.fixed else learned,
        )

    def _blocks(self, net: Network) -> dict[str, int]:
        """By population, the number of its block."""
        numbers = {h.name: i // self.block for i, h in enumerate(net.hidden)}
        return numbers | {net.output: len(net.hidden)}

    def _ends(self, net: Network) -> list[str]:
        """What blocks send to one another: the hidden populations that something outside their
        block hears.
        """
        block = self._blocks(net)
        return [
            h.name
            for h in net.hidden
            if any(block[p.dst] != block[h.name] for p in net.outgoing(h.name))
        ]


def _message(
    of: Mapping[str, Array], target: Float[Array, "batch out"], like: Float[Array, "batch *units"]
) -> Float[Array, "batch *units"]:
    """The mean of beta."""
    return (target @ of["weight"] + of["bias"][None]).reshape(like.shape)


def _corrected(
    target: Float[Array, "batch out"], wrong: Float[Array, "batch *units"]
) -> dict[str, Array]:
    """The update of a message."""
    wrong = wrong.reshape(len(wrong), -1)
    return {"weight": target.T @ wrong / len(wrong), "bias": jnp.mean(wrong, 0)}
