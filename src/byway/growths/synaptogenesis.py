"""Synaptogenesis: synapses come where an active unit is near one that is taught, and the weakest
go.

    a_j = < |x_j| >                                 what arrives from unit j, over samples
    t_i = < sum_j |dw_ij| / sum_j a_j >             what the rule changes at unit i, beside that
    P(i reads j) ~ exp(-d_ij / lambda) a_j t_i      among the pairs without a synapse

Both are added up over the updates since the last time. Every so often as many synapses as make up
`share` of all that a projection begins with are drawn by P, without replacement, into slots that
are free; a unit takes no more than it has. As many others go, those of the smallest |w|; each unit
keeps its strongest. New weights are 0. So the number of synapses of a projection stays as it is,
and units that are taught more read more.

Of one sample t_i is the size of the teaching signal at i, if the rule is a product of that and of
x_j. With `reach` infinite, distance drops out of P.

Shapes   a "pre", t "post", by projection; weight, index "post slots"
Claims   reads the weights, activity, and what the rule would change in each synapse
Limits   of projections with a fixed fan-in and free slots. Where a rule teaches nothing, nothing
         comes and nothing goes
Source   no one paper: odds by distance as in the networks in space of Ercsey-Ravasz et al., A
         predictive network model of cerebral cortical connectivity based on a distance rule, Neuron
         80:184, 2013; growth by presynaptic activity times teaching signal as Evci et al. have it
         by the gradient (RigL, ICML 2020), each factor by itself in place of their product averaged
         over samples
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from typing_extensions import override

from byway.core.hyper import hyper
from byway.growths._synapses import moved, rank, require_room, roomy
from byway.growths._units import activity
from byway.learning.growth import Growth, Source


class Synaptogenesis(Growth):
    """Synapses by distance, activity and teaching signal."""

    claims: ClassVar[frozenset[Source]] = frozenset({"weights", "activity", "update"})
    every: int = hyper(100, "updates from one rewiring to the next", low=1, high=2**31 - 1)
    share: float = hyper(0.05, "share of all synapses that is replaced", low=0.0, high=1.0)
    until: float = hyper(
        0.75, "share of a run after which nothing is rewired", low=0.0, high=1.0, live=False
    )

    @override
    def accepts(self, net):
        """It takes some projection with a fixed fan-in and free slots."""
        require_room(net, self.id)

    @override
    def start(self, net):
        """Of every projection with room: activity before it, teaching signal behind it, summed."""
        return {
            p.name: {
                "pre": jnp.zeros(p.sources, net.dtype),
                "post": jnp.zeros(len(p.weight), net.dtype),
            }
            for p in roomy(net)
        }

    @override
    def watch(self, memory, net, record, update):
        phase, after = activity(record, self.id), dict(memory)
        for p in roomy(net):
            active = jnp.mean(jnp.abs(phase.pre[p.name].reshape(-1, p.sources)), 0)
            held = memory[p.name]
            held = held | {"pre": held["pre"] + active}
            if (change := moved(update, p.name)) is not None:
                change = jnp.sum(jnp.where(p.alive, jnp.abs(change), 0), 1)
                came = jnp.sum(active.at[p.index].get(mode="fill", fill_value=0), 1)
                taught = jnp.where(came > 0, change / jnp.where(came > 0, came, 1), 0)
                held = held | {"post": held["post"] + taught}
            after[p.name] = held
        return after

    @override
    def grow(self, memory, net, key, done):
        theta, structure, fresh = {}, {}, {}
        for p, k in zip(free := roomy(net), jax.random.split(key, len(free)), strict=True):
            pre, post = memory[p.name]["pre"], memory[p.name]["post"]
            found, key_of = p.ranked(
                k, net[p.src], net[p.dst], p.spare, net.alive(p.src), jnp.log(pre)
            )
            # One draw over all pairs: of each unit the best, as many as it has free slots.
            room = jnp.sum(~p.alive, 1, keepdims=True)
            open_ = (found < p.sources) & (jnp.arange(p.spare)[None] < room) & p.reached[:, None]
            taught = jnp.log(post).astype(key_of.dtype)[:, None]
            key_of = jnp.where(open_, key_of + taught, -jnp.inf)
            # What may go: all but the strongest of each unit.
            size = jnp.where(p.alive, jnp.abs(p.weight), -jnp.inf)
            loose = p.alive & (rank(size) > 0)
            count = jnp.round(self.share * p.fan_in * jnp.sum(p.reached).astype(pre.dtype))
            count = jnp.minimum(count.astype(jnp.int32), jnp.sum(loose, dtype=jnp.int32))
            chosen = (rank(key_of.ravel()) < count).reshape(found.shape) & (key_of > -jnp.inf)
            count = jnp.sum(chosen, dtype=jnp.int32)
            weak = rank(jnp.where(loose, -size, -jnp.inf).ravel()).reshape(size.shape) < count
            # The chosen of each unit go into its free slots, in their order.
            first = jnp.take_along_axis(found, jnp.argsort(~chosen, axis=1, stable=True), 1)
            place = jnp.cumsum(~p.alive, 1) - 1
            new = ~p.alive & (place < jnp.sum(chosen, 1, keepdims=True))
            drawn = jnp.take_along_axis(first, jnp.clip(place, 0, p.spare - 1), 1)
            index = jnp.where(weak, p.sources, jnp.where(new, drawn, p.index))
            structure[p.name] = {"index": index}
            theta[p.name] = {"weight": jnp.where(weak | new, 0, p.weight)}
            fresh[p.name] = {"weight": weak | new}
        memory = jax.tree.map(jnp.zeros_like, memory)
        return memory, net.with_theta(theta).with_structure(structure), fresh
