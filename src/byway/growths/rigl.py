"""RigL, by what each synapse can see: weak synapses give way to those that would have learnt most.

A free slot of a unit holds a *scout*: a synapse of weight 0, which does not learn. What the rule
would have changed in it is added up, as in any other synapse; under backprop that is the gradient.

    g_ij += (what the rule would change in w_ij)       each update, of scouts alone
    n = share / 2 (1 + cos(pi t / T)) K               of the K synapses of each unit, every so often

Of each unit the n synapses of smallest |w| are dropped, and the n scouts of largest |g| take their
place, with a weight of 0; a scout in which nothing would have changed takes none, so where a rule
teaches nothing synapses stay. All other scouts are drawn anew, by the odds of the wiring: where
those fall with distance, so does growth. Each unit keeps K synapses; after the last time it has no
scouts.

A unit with as many free slots as there are others tries all of them: that is RigL with the dense
gradient, added up over several updates, at the price of the dense network. With few, each synapse
goes by itself and nothing is dense.

Shapes   weight, index, sum, scout "post slots"
Claims   reads the weights and what the rule would change in each synapse
Limits   of projections with a fixed fan-in and free slots
Source   Evci et al., Rigging the lottery: making all tickets winners, ICML 2020, section 3; differs
         in: a sample of the missing synapses in place of all, its gradient added up in place of one
         batch's, a fan-in for each unit in place of one density for a layer
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from typing_extensions import override

from byway.core.hyper import hyper
from byway.growths._synapses import moved, rank, require_room, roomy
from byway.learning.growth import Growth, Source
from byway.learning.rule import Update


class RIGL(Growth):
    """RigL with scouts."""

    claims: ClassVar[frozenset[Source]] = frozenset({"weights", "update"})
    every: int = hyper(100, "updates from one rewiring to the next", low=1, high=2**31 - 1)
    share: float = hyper(
        0.3, "share of each unit's synapses that is replaced at first", low=0.0, high=1.0
    )
    until: float = hyper(
        0.75, "share of a run after which nothing is rewired", low=0.0, high=1.0, live=False
    )

    @override
    def accepts(self, net):
        """It takes some projection with a fixed fan-in and free slots."""
        require_room(net, self.id)

    @override
    def start(self, net):
        """Of every projection with room: which slots hold scouts, and the sum of each."""
        return {
            p.name: {"scout": jnp.zeros(p.weight.shape, bool), "sum": jnp.zeros_like(p.weight)}
            for p in roomy(net)
        }

    @override
    def watch(self, memory, net, record, update):
        return {
            name: held | {"sum": held["sum"] + jnp.where(held["scout"], change, 0)}
            if (change := moved(update, name)) is not None
            else held
            for name, held in memory.items()
        }

    @override
    def taught(self, memory, update):
        """Scouts do not learn."""
        quiet = lambda name, parts: (
            parts | {"weight": jnp.where(memory[name]["scout"], 0, parts["weight"])}
            if name in memory and "weight" in parts
            else parts
        )
        return Update(
            {name: quiet(name, parts) for name, parts in update.net.items()},
            update.gamma,
            {name: quiet(name, parts) for name, parts in update.change.items()},
        )

    @override
    def trials(self, memory):
        """Scouts."""
        return {name: held["scout"] for name, held in memory.items()}

    @override
    def told(self, memory, fresh):
        """What began anew is no scout."""
        new = lambda name: fresh.get(name, {}).get("weight", False)
        return {
            name: {
                "scout": held["scout"] & jnp.logical_not(new(name)),
                "sum": jnp.where(new(name), 0, held["sum"]),
            }
            for name, held in memory.items()
        }

    @override
    def grow(self, memory, net, key, done):
        theta, structure, fresh, kept = {}, {}, {}, {}
        for p, k in zip(free := roomy(net), jax.random.split(key, len(free)), strict=True):
            scout, total = memory[p.name]["scout"], memory[p.name]["sum"]
            most = jnp.minimum(p.spare, self.share * p.fan_in)
            count = jnp.round(most * (1 + jnp.cos(jnp.pi * done)) / 2).astype(jnp.int32)
            # Of each unit its best scouts, and as many of its weakest synapses, are exchanged.
            best = rank(jnp.where(scout, jnp.abs(total), -jnp.inf)) < count
            taken = scout & best & (total != 0)
            grown = jnp.sum(taken, 1, keepdims=True, dtype=jnp.int32)
            weak = rank(jnp.where(p.alive & ~scout, -jnp.abs(p.weight), -jnp.inf)) < grown
            there = p.reached[:, None]
            open_ = (scout & ~taken) | weak | (~p.alive & there)
            bare = p.with_structure({"index": jnp.where(open_, p.sources, p.index)})
            drawn = bare.proposed(k, net[p.src], net[p.dst], p.spare, net.alive(p.src))
            # As many slots of each unit are filled as it has spare, in order; more are open where
            # synapses were cut.
            place = jnp.cumsum(open_, 1) - 1
            tried = open_ & (place < p.spare) & (done < 1)
            found = jnp.take_along_axis(drawn, jnp.clip(place, 0, p.spare - 1), 1)
            found = jnp.where(tried, found, p.sources)
            index = jnp.where(open_, found, p.index)
            structure[p.name] = {"index": index}
            theta[p.name] = {"weight": jnp.where(open_, 0, p.weight)}
            fresh[p.name] = {"weight": open_ | taken}
            kept[p.name] = {"scout": tried & (found < p.sources), "sum": jnp.zeros_like(total)}
        return kept, net.with_theta(theta).with_structure(structure), fresh
