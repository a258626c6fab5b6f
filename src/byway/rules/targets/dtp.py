"""Difference target propagation (DTP).

No error is sent back, but targets: what the activity of each layer should have been. A second set
of weights, the feedback, learns by itself to undo each layer: to tell, from what a layer's activity
became one layer on, what it was. Sent back through that inverse, a target of the layer above
becomes one of the layer below, corrected for what the inverse gets wrong where there is nothing to
learn.

    f:  "free": u_l = W_l h_{l-1} + b_l,   h_l = phi(u_l)
        "noisy": each layer by itself from the clean layer below with noise on it, h'_l = phi(W_l
        (h_{l-1} + sigma xi_{l-1}) + b_l)
    g:  r_l(k) = phi_l(V_{l+1} k + c_l), the feedback;   t_L = h_L - step e,
        t_l = h_l + r_l(t_{l+1}) - r_l(h_{l+1})
        delta_l = (h_l - t_l) / step * phi'(u_l),   dW_l = <delta_l h_{l-1}^T>
        d_l = (r_l(h'_{l+1}) - h_l - sigma xi_l) * phi'(V_{l+1} h'_{l+1} + c_l),
        dV_{l+1} = <d_l h'_{l+1}^T>,   dc_l = <d_l>

    A population that projects to several is told by all of them at once, V k being the sum over its
    projections.

Shapes   pre "batch pre", post "batch post", W "pre post", gamma["V"][p] shaped like the weight of
         p, gamma["c"][population] "*units"
Units    activity dimensionless
Claims   transport no | locking yes | derivative yes | signal error | phases 2 | memory none
Limits   targets are worth what the inverses are: they need noise to be learned from, and layers
         that keep what they are told. Where a layer is much wider than the one above, as before the
         output, no inverse exists and the best guess takes its place
Source   Lee, Zhang, Fischer and Bengio, Difference target propagation, ECML 2015, arXiv 1412.7525,
         eqs. 11 to 15; Meulemans et al., A theoretical framework for target propagation, 2020,
         arXiv 2006.14331; differs in: the first target is that of the output and reaches the last
         hidden layer by feedback too, so no weight is used backwards; deltas are divided by the
         step, so that the output's is its error; feedback and weights learn at once, one step each
         a batch
"""

from collections.abc import Mapping
from typing import Any, ClassVar, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from typing_extensions import override

from byway.core.hyper import hyper
from byway.core.record import Phase, Record
from byway.learning.rule import Claims, Rule, Update
from byway.network.cell import Derivative
from byway.network.network import Network
from byway.network.populations import Population
from byway.rules import able

# Keeps the feedback apart from the weights, even where a caller draws both from one key.
FEEDBACK = 0xD


class DTP(Rule):
    """Difference target propagation with learned feedback."""

    claims: ClassVar[Claims] = Claims("no", "yes", "yes", frozenset({"error"}), 2, "none")
    network_options: ClassVar[dict[str, Any]] = {"activation": "tanh"}

    step: float = hyper(
        0.2, "how far the output's target lies along its error", low=1e-6, search=(0.05, 1.0)
    )
    sigma: float = hyper(
        0.3,
        "standard deviation of the noise that feedback learns to see through",
        low=1e-6,
        search=(0.03, 1.0),
    )

    @override
    def accepts(self, net):
        """A network without cycles whose units have a slope."""
        net.require_feedforward(self.id, able)
        net.require_slopes(self.id, able)
        net.require_activity(self.id, "bp")

    @override
    def init(self, net, key):
        """Random feedback along every projection between hidden populations and from the output; it
        is learned.
        """
        drawn, hidden = {}, [h.name for h in net.hidden]
        for p, k in zip(
            net.projections,
            jax.random.split(jax.random.fold_in(key, FEEDBACK), len(net.projections)),
            strict=True,
        ):
            if p.src in hidden and p.theta:
                drawn[p.name] = (
                    jax.random.normal(k, p.weight.shape, p.weight.dtype) / np.sqrt(p.fan_out).item()
                )
        return {
            "V": drawn,
            "c": {
                h.name: jnp.zeros(h.shape, net.dtype) for h in net.hidden if net.outgoing(h.name)
            },
        }

    @override
    def f(self, gamma, net, state, x, signal, key):
        free = net.forward(x)
        output = free.post[net.output]
        if signal is None:
            return state, Record({"free": free}, output)
        return state, Record({"free": free, "noisy": self._noisy(net, free, key)}, output)

    @override
    def g(self, gamma, net, memory, record, signal):
        free, noisy, error = record["free"], record["noisy"], signal.error(record.output)
        target = free.post | {net.output: record.output - self.step * error}
        delta, learned = {net.output: error * free.slope[net.output]}, {"V": {}, "c": {}}
        for population in reversed(net.hidden):
            name, h = population.name, free.post[population.name]
            if name not in gamma["c"]:  # it leads nowhere
                delta[name] = jnp.zeros_like(h)
                continue
            told, knew, guess = (
                _current(gamma, net, population, post) for post in (target, free.post, noisy.post)
            )
            # Taken first, so that no error makes no difference, to the last bit.
            difference = population.activate(told) - population.activate(knew)
            target[name] = h + difference
            delta[name] = -difference / self.step * free.slope[name]
            d = population.activate(guess) - h - noisy.injected[name]
            d = d * cast(Derivative, population.slope(guess))  # no black box was accepted
            learned["c"][name] = jnp.mean(d, 0)
            for p in net.outgoing(name):
                if p.theta:
                    learned["V"][p.name] = p.outer(d, noisy.post[p.dst])["weight"]
        return memory, Update(
            {p.name: p.outer(free.pre[p.name], delta[p.dst]) for p in net.projections}, learned
        )

    def _noisy(self, net: Network, free: Phase, key) -> Phase:
        """Every population from the clean ones below it with noise on them: noise goes one layer
        far.
        """
        keys = jax.random.split(key, len(net.hidden))
        noise = {
            h.name: self.sigma
            * jax.random.normal(k, free.post[h.name].shape, free.post[h.name].dtype)
            for h, k in zip(net.hidden, keys, strict=True)
        }
        known = {p.name: p.forward(free.pre[p.name]) for p in net.outgoing(net.input)}
        pre = {
            p.name: net[p.src].send(free.post[p.src] + noise[p.src])
            if p.src in noise
            else free.pre[p.name]
            for p in net.projections
        }
        u = {p.dst: net.potential(p.dst, pre, known) for p in net.projections}
        return Phase(pre, u, {name: net[name].activate(v) for name, v in u.items()}, {}, noise)


def _current(
    gamma, net: Network, population: Population, post: Mapping[str, Array]
) -> Float[Array, "batch *units"]:
    """What arrives by feedback from the populations that this one projects to."""
    # What has no weights has none of its own to learn either, and hands back what it handed on.
    back = [p.backward(post[p.dst], gamma["V"].get(p.name)) for p in net.outgoing(population.name)]
    return sum(back[1:], start=back[0]) + gamma["c"][population.name][None]
