"""Pruning of units by their utility: those that are of little use to others go, and leave their
places empty.

    u_i <- decay u_i + (1 - decay) <|h_i|> sum_k |w_ki|, corrected for its start by 1 - decay^age

Every so often those units go that are older than `maturity` and whose utility is below `least`
times the mean of their population. Their synapses are cut, those that they read by and those that
read them: the slots are free for growth.

Shapes   utility, age "units" by hidden population
Units    age in updates
Claims   reads the activity of each unit and the weights out of it: no signal
Limits   of hidden populations that fixed fan-ins alone enter. What reads a unit that goes has a
         synapse less: a policy that fills free slots gives it another
Source   utility: Dohare et al., Loss of plasticity in deep continual learning, Nature 632:768,
         2024, eq. 1; cutting units by their use: Mozer and Smolensky, Skeletonization, NIPS 1988;
         differs in: |h| is the mean over a batch, and a unit that goes is not replaced
"""

from typing import ClassVar

import jax.numpy as jnp
from typing_extensions import override

from byway.core.hyper import hyper
from byway.growths._units import activity, places, require_places, sent
from byway.learning.growth import Growth, Source
from byway.network.sparse import FixedFanIn


class UnitPruning(Growth):
    """Units of little use go."""

    claims: ClassVar[frozenset[Source]] = frozenset({"weights", "activity"})
    every: int = hyper(500, "updates from one time to the next", low=1, high=2**31 - 1)
    least: float = hyper(
        0.1,
        "share of the mean utility of its population below which a unit goes",
        low=0.0,
        high=1.0,
    )
    maturity: int = hyper(
        500, "updates for which a unit that was born is left alone", low=0, high=2**31 - 1
    )
    decay: float = hyper(0.99, "share of the utility kept at each update", low=0.0, high=1.0)
    until: float = hyper(
        0.75, "share of a run after which no unit goes", low=0.0, high=1.0, live=False
    )

    @override
    def accepts(self, net):
        """It takes some hidden population that fixed fan-ins alone enter."""
        require_places(net, self.id)

    @override
    def start(self, net):
        """Of every unit that may go: utility and age, 0 where there is none."""
        none = {h.name: jnp.zeros(h.size, net.dtype) for h in places(net)}
        return {"utility": none, "age": none}

    @override
    def watch(self, memory, net, record, update):
        """Utility, of the first phase of the record; every unit is an update older."""
        phase, kept = activity(record, self.id), self.decay
        utility, age = dict(memory["utility"]), dict(memory["age"])
        for h in places(net):
            there = net.alive(h.name)
            size = jnp.mean(jnp.abs(phase.post[h.name].reshape(-1, h.size)), 0)
            now = kept * utility[h.name] + (1 - kept) * size * sent(net, h.name)
            utility[h.name] = jnp.where(there, now, 0)
            age[h.name] = jnp.where(there, age[h.name] + 1, 0)
        return {"utility": utility, "age": age}

    @override
    def grow(self, memory, net, key, done):
        utility, age = dict(memory["utility"]), dict(memory["age"])
        gone = {}
        for h in places(net):
            there, old = net.alive(h.name), age[h.name]
            corrected = utility[h.name] / (1 - self.decay ** jnp.maximum(old, 1))
            count = jnp.maximum(jnp.sum(there), 1).astype(corrected.dtype)
            mean = jnp.sum(jnp.where(there, corrected, 0)) / count
            gone[h.name] = there & (old > self.maturity) & (corrected < self.least * mean)
            utility[h.name], age[h.name] = (
                jnp.where(gone[h.name], 0, a) for a in (utility[h.name], old)
            )
        return {"utility": utility, "age": age}, *_without(net, gone)


def _without(net, gone):
    """The network without some units, and which of its weights began anew."""
    theta, structure, fresh = {}, {}, {}
    for p in net.projections:
        if p.src not in gone and p.dst not in gone:
            continue
        none = lambda name, size: gone.get(name, jnp.zeros(size, bool))
        before, after = none(p.src, net[p.src].size), none(p.dst, net[p.dst].size)
        if isinstance(p, FixedFanIn):
            cut = after[:, None] | before.at[p.index].get(mode="fill", fill_value=False)
            structure[p.name] = {"index": jnp.where(cut, p.sources, p.index)}
        else:
            cut = jnp.broadcast_to(before[:, None], p.weight.shape)
        theta[p.name], fresh[p.name] = {"weight": jnp.where(cut, 0, p.weight)}, {"weight": cut}
        if p.bias is not None and p.dst in gone:
            theta[p.name]["bias"] = jnp.where(after, 0, p.bias)
            fresh[p.name]["bias"] = after
    return net.with_theta(theta).with_structure(structure), fresh
