"""REINFORCE (REINFORCE): units that fire by chance.

A sigmoid unit fires or does not, and its activity is the probability with which it does. If the
loss turned out worse than that of the mean activity, what each unit did becomes less likely, and
the more so the less it was to be expected. On average this is the gradient of the expected loss of
the network that fires, with no derivative of any unit. Other units have nothing to fire with: they
get normal noise on their drive, and may be black boxes.

    f:  "mean": u_l = W_l h_{l-1} + b_l,   h_l = phi(u_l), which is also the prediction;
        "fired": u_l = W_l s_{l-1} + b_l,   s_l = 1 with probability phi(u_l), else 0;
        of units that are not sigmoid s_l = phi(u_l + sigma xi_l),   xi_l ~ N(0, 1)
    g:  z_l = s_l - phi(u_l), or xi_l / sigma: the slope by u_l of the log of how likely s_l was;
        delta_l = (C(fired) - C(mean)) z_l, and the error of "fired" at the output;
        dW_l = <delta_l s_{l-1}^T>, averaged over draws

Shapes   pre "batch pre", post "batch post", W "pre post"
Units    activity dimensionless
Claims   transport no | locking yes | derivative no | signal loss and error | phases 2 | memory none
Limits   the variance of an update grows with the number of hidden units. What is trained is the
         network that fires, what predicts is its mean activity: the two agree where units are sure
         of themselves. The output has no noise and learns by its own error
Source   Williams, Simple statistical gradient-following algorithms for connectionist reinforcement
         learning, Mach. Learn. 8:229, 1992; differs in: the loss in place of a reward, and that of
         the mean activity as the baseline, which knows the sample and nothing of what was drawn;
         the output learns by its error
"""

import dataclasses
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from typing_extensions import override

from byway.core.hyper import hyper
from byway.core.record import Record
from byway.learning.rule import Claims, Rule, Update
from byway.network.activations import Activation
from byway.network.network import Network
from byway.network.populations import Population
from byway.rules import able

# With logistic noise on its drive u, a threshold fires with probability sigmoid(u).
THRESHOLD = Activation("threshold", lambda u: (u > 0).astype(u.dtype), None)


class Reinforce(Rule):
    """What a unit did by chance, times how much worse that was than the mean."""

    claims: ClassVar[Claims] = Claims("no", "yes", "no", frozenset({"loss", "error"}), 2, "none")
    learning_rate: ClassVar[float] = 0.016
    network_options: ClassVar[dict[str, str]] = {"activation": "sigmoid"}

    sigma: float = hyper(
        0.1,
        "standard deviation of the noise on the drive of a unit that cannot fire",
        low=1e-6,
        search=(1e-3, 1.0),
    )
    draws: int = hyper(
        1, "passes that fire for each sample, whose estimates are averaged", low=1, high=100_000
    )

    @property
    @override
    def claimed(self):
        """A pass for each draw, and one as the network is."""
        return dataclasses.replace(self.claims, phases=self.draws + 1)

    @override
    def accepts(self, net):
        """Any network without cycles whose output has a slope; hidden units may be black boxes."""
        net.require_feedforward(self.id, able)
        net.require_slopes(self.id, able, [net.output])

    @override
    def f(self, gamma, net, state, x, signal, key):
        x = net.place(x)
        mean = net.forward(x)
        output = mean.post[net.output]
        if signal is None:
            return state, Record({"mean": mean}, output)
        many = lambda a: jnp.tile(a, (self.draws, *[1] * (a.ndim - 1)))
        keys = jax.random.split(key, max(len(net.hidden), 1))
        noise = {
            h.name: jax.random.logistic(k, many(mean.u[h.name]).shape, output.dtype)
            if _fires(h)
            else self.sigma * jax.random.normal(k, many(mean.u[h.name]).shape, output.dtype)
            for h, k in zip(net.hidden, keys, strict=False)
        }
        # What the input sends is the same in every draw, so its current is computed once.
        known = {p.name: many(p.forward(mean.pre[p.name])) for p in net.outgoing(net.input)}
        return state, Record(
            {"mean": mean, "fired": firing(net).forward(many(x), noise, known)}, output
        )

    @override
    def g(self, gamma, net, memory, record, signal):
        fired = record["fired"]
        by_draw = lambda a: a.reshape(self.draws, -1, *a.shape[1:])
        answers = by_draw(fired.post[net.output])
        worse = (jax.vmap(signal.loss)(answers) - signal.loss(record.output)[None]).reshape(-1)
        errors = jax.vmap(signal.error)(answers).reshape(fired.post[net.output].shape)
        delta = {net.output: errors * fired.slope[net.output]}
        for h in net.hidden:
            u, noise = fired.u[h.name], fired.injected[h.name]
            z = (
                fired.post[h.name] - jax.nn.sigmoid(u - noise)
                if _fires(h)
                else noise / self.sigma**2
            )
            delta[h.name] = worse.reshape(-1, *[1] * (z.ndim - 1)) * z
        return memory, Update(
            {p.name: p.outer(fired.pre[p.name], delta[p.dst]) for p in net.projections}
        )


def _fires(population: Population) -> bool:
    """Whether a unit's activity is a probability."""
    return population.cell.name == "sigmoid"


def firing(net: Network) -> Network:
    """The same network, with units that fire in place of those whose activity says how likely that
    is.
    """
    hidden = {h.name for h in net.hidden}
    populations = tuple(
        eqx.tree_at(lambda p: p.cell, p, THRESHOLD) if p.name in hidden and _fires(p) else p
        for p in net.populations
    )
    return eqx.tree_at(lambda n: n.populations, net, populations)
