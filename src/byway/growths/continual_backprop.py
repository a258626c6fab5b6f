"""Continual backpropagation (CBP): units of little use are reset, so that learning does not go
stale.

    u_i <- decay u_i + (1 - decay) <|h_i|> sum_k |w_ki|, the utility of hidden unit i, corrected for
        its start by 1 - decay^age
    c += rate * (number of units older than `maturity`)
    b_k += w_ki <h_i>, where `transfer` is on: what the unit that goes sent on average

While c is at least 1, the unit of least utility among those that are old enough is reset, and c
falls by 1: weights into it are drawn as at the start, its bias, the weights out of it, its utility
and its age become 0.

Any rule trains the network between: of what was reset the moments of the optimiser are forgotten
(`adam_each` counts steps for each weight). At most one unit of a population is reset in one
update.

Shapes   utility, age, mean "units" by hidden population; memory's c "" by population
Units    age in updates
Claims   reads the activity of each unit and the weights out of it: no signal
Limits   of hidden populations that dense projections alone enter and leave
Source   Dohare et al., Loss of plasticity in deep continual learning, Nature 632:768, 2024, eq. 1;
         differs in: |h| is the mean over a batch
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from typing_extensions import override

from byway.core.errors import RuleError
from byway.core.hyper import hyper
from byway.growths._units import activity
from byway.learning.growth import Growth, Source
from byway.network.projections import Dense


class ContinualBackprop(Growth):
    """Continual backpropagation, as growth beside any rule."""

    claims: ClassVar[frozenset[Source]] = frozenset({"weights", "activity"})
    every: int = hyper(1, "updates from one time to the next", low=1, high=2**31 - 1)
    until: float = hyper(
        1.0, "share of a run after which no unit is reset", low=0.0, high=1.0, live=False
    )
    rate: float = hyper(
        1e-4, "share of the mature units that are reset in one update", low=0.0, high=1.0
    )
    maturity: int = hyper(
        100, "updates for which a unit that began anew is left alone", low=0, high=2**31 - 1
    )
    decay: float = hyper(0.99, "share of the utility kept at each update", low=0.0, high=1.0)
    transfer: bool = hyper(
        True, "whether the mean of what a unit sent goes into the biases of those that read it"
    )

    @override
    def accepts(self, net):
        if not _growing(net):
            raise RuleError(
                "continual_backprop was given a network without hidden units that dense "
                "projections alone enter and leave",
                "a hidden layer of an mlp",
                "use byway.mlp(...)",
            )

    @override
    def start(self, net):
        """Of every hidden population: utility, mean activity, age, and the part of a unit that is
        due.
        """
        none = lambda: {h.name: jnp.zeros(h.size, net.dtype) for h in _growing(net)}
        return {
            "utility": none(),
            "mean": none(),
            "age": none(),
            "due": {h.name: jnp.zeros((), net.dtype) for h in _growing(net)},
        }

    @override
    def watch(self, memory, net, record, update):
        """Utility and mean activity, of the first phase of the record; every unit is an update
        older.
        """
        phase, kept = activity(record, self.id), self.decay
        utility, mean, age = dict(memory["utility"]), dict(memory["mean"]), dict(memory["age"])
        for h in _growing(net):
            post = phase.post[h.name].reshape(-1, h.size)
            out = sum(jnp.sum(jnp.abs(p.weight), 1) for p in net.outgoing(h.name))
            utility[h.name] = kept * utility[h.name] + (1 - kept) * jnp.mean(jnp.abs(post), 0) * out
            mean[h.name] = kept * mean[h.name] + (1 - kept) * jnp.mean(post, 0)
            age[h.name] = age[h.name] + 1
        return memory | {"utility": utility, "mean": mean, "age": age}

    @override
    def grow(self, memory, net, key, done):
        fresh = {}
        for h, k in zip(growing := _growing(net), jax.random.split(key, len(growing)), strict=True):
            memory, net, new = self._renewed(memory, net, h, k)
            for name, parts in new.items():
                held = fresh.get(name, {})
                fresh[name] = held | {
                    part: mask | held[part] if part in held else mask
                    for part, mask in parts.items()
                }
        return memory, net, fresh

    def _renewed(self, memory, net, h, key):
        """The unit of a population to reset, if one is due."""
        utility, mean, age = (memory[part][h.name] for part in ("utility", "mean", "age"))
        mature = age > self.maturity
        due = memory["due"][h.name] + self.rate * self.every * jnp.sum(mature).astype(age.dtype)
        go = (due >= 1) & jnp.any(mature)
        corrected = 1 - self.decay ** jnp.maximum(age, 1)
        worst = jnp.argmin(jnp.where(mature, utility / corrected, jnp.inf))
        unit = (jnp.arange(h.size) == worst) & go
        theta, fresh = {}, {}
        for p, k in zip(
            incoming := net.incoming(h.name), jax.random.split(key, len(incoming)), strict=True
        ):
            drawn = np.sqrt(h.cell.gain / p.fan_in).item() * jax.random.normal(
                k, p.weight.shape, p.weight.dtype
            )
            new = {"weight": jnp.where(unit[None], drawn, p.weight)}
            masks = {"weight": jnp.broadcast_to(unit[None], p.weight.shape)}
            if p.bias is not None:
                new, masks = new | {"bias": jnp.where(unit, 0, p.bias)}, masks | {"bias": unit}
            theta[p.name], fresh[p.name] = new, masks
        for p in net.outgoing(h.name):
            new = {"weight": jnp.where(unit[:, None], 0, p.weight)}
            if p.bias is not None and self.transfer:
                new["bias"] = p.bias + jnp.where(unit, mean / corrected, 0) @ p.weight
            theta[p.name], fresh[p.name] = (
                new,
                {"weight": jnp.broadcast_to(unit[:, None], p.weight.shape)},
            )
        began = lambda a: jnp.where(unit, 0, a)
        memory = {
            part: memory[part] | {h.name: began(a)}
            for part, a in (("utility", utility), ("mean", mean), ("age", age))
        } | {"due": memory["due"] | {h.name: due - go.astype(due.dtype)}}
        return memory, net.with_theta(theta), fresh


def _growing(net):
    """The hidden populations whose units can be reset."""
    return [
        h
        for h in net.hidden
        if all(
            isinstance(p, Dense) and p.src != p.dst
            for p in (*net.incoming(h.name), *net.outgoing(h.name))
        )
    ]
