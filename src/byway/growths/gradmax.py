"""GradMax: new units change nothing, and begin where the gradient of the weights into them is
largest.

    M = < h (phi'(y) dL/dy)^T >,   averaged over the updates since the last time
    w_in = 0,   w_out = norm * q,   q = argmax |M_S q|, |q| = 1

Every so often up to `units` empty places of each population are taken by units. Each reads as many
others as the wiring gives every unit, the set S, drawn by its odds; M_S holds their rows of M, of
what they send beside the error at the output y. The gradient of its weights is M_S w_out times the
slope at its bias, so it is largest where q is the right singular vector of M_S of the largest
singular value: an eigenvector of M_S^T M_S. Units that are born together take directions at right
angles to each other, in turn, so that those that read the same are not alike; where there are as
many as outputs, from the start again. `norm` is that of the weights out of a unit on average, times
`scale`.

A unit begins with `bias`, as a relu has no slope at 0; what it sends then is the same for all
samples and taken off the bias of the output, so the answers of the network stay as they were.

Shapes   M "pre out" by projection; weight, index "post slots"
Claims   reads the teaching signal, of which it takes the error at the output, the activity of what
         a unit would read, and the weights: nothing of it is local
Limits   of networks without cycles, time and state, in which dense projections to an output with a
         bias, and they alone, leave a hidden population that fixed fan-ins alone enter, or fixed
         fan-ins too, which do not read a new unit yet; of populations that are not normalised
Source   Evci et al., GradMax: growing neural networks using gradient information, ICLR 2022, eqs.
         6-11 and the official code (norm); differs in: each unit has a wiring of its own, and is
         best for that among the directions that are left; M is averaged over many batches; a bias
         in place of a slope of 1 at 0 for relu
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float
from typing_extensions import override

from byway.core.errors import RuleError
from byway.core.hyper import hyper
from byway.growths._units import activity, at_output, no_room, places, wired
from byway.learning.growth import Growth, Source
from byway.network.network import Network
from byway.network.projections import Dense
from byway.network.sparse import FixedFanIn


class Gradmax(Growth):
    """Birth where the gradient is largest."""

    claims: ClassVar[frozenset[Source]] = frozenset({"weights", "activity", "signal"})
    every: int = hyper(400, "updates from one time to the next", low=1, high=2**31 - 1)
    units: int = hyper(4, "units born at a time in each population", low=1, high=2**20)
    scale: float = hyper(1.0, "norm of the weights out of a new unit, beside the mean", low=0.0)
    bias: float = hyper(0.1, "of a new unit")
    until: float = hyper(
        0.75, "share of a run after which no unit is born", low=0.0, high=1.0, live=False
    )

    @override
    def accepts(self, net):
        """It takes some hidden population that a dense projection leaves to the output."""
        if not (net.feedforward and _growing(net) and _told(net)):
            raise RuleError(
                "gradmax was given a network without hidden units that fixed fan-ins alone enter "
                "and that the output reads densely, or one with cycles, time or state, or whose "
                "output has no bias",
                "places that may be empty before an output with a bias",
                "build it with byway.grownet(..., born=0.5), for example",
            )

    @override
    def start(self, net):
        """The sum of M by projection, and whether no place was left."""
        out = net[net.output].size
        into = [p for h in _growing(net) for p in net.incoming(h.name)]
        return {
            "met": {p.name: jnp.zeros((net[p.src].size, out), net.dtype) for p in into},
            "full": jnp.zeros((), bool),
        }

    @override
    def heard(self, memory, net, record, signal):
        phase = activity(record, self.id)
        error = at_output(net, record, signal, phase)
        error = error.reshape(len(error), -1)
        met = {
            name: held + phase.pre[name].reshape(len(error), -1).T @ error / len(error)
            for name, held in memory["met"].items()
        }
        return memory | {"met": met}

    @override
    def grow(self, memory, net, key, done):
        theta, structure, fresh, full = {}, {}, {}, []
        told = _told(net)[0]
        lifted = jnp.zeros(net[net.output].size, net.dtype)
        for h, k in zip(growing := _growing(net), jax.random.split(key, len(growing)), strict=True):
            empty = ~net.alive(h.name)
            full.append(~jnp.any(empty))
            new = empty & (jnp.cumsum(empty) <= self.units)
            into = [p for p in net.incoming(h.name) if isinstance(p, FixedFanIn)]
            (readout,), grams, biased = _readouts(net, h), [], False
            for p, draw in zip(into, jax.random.split(k, len(into)), strict=True):
                found = wired(p, net, draw, net.alive(p.src))
                seen = memory["met"][p.name].at[found].get(mode="fill", fill_value=0)
                grams.append(jnp.einsum("usi,usj->uij", seen, seen))
                structure[p.name] = {"index": jnp.where(new[:, None], found, p.index)}
                theta[p.name] = {"weight": jnp.where(new[:, None], 0, p.weight)}
                fresh[p.name] = {"weight": jnp.broadcast_to(new[:, None], p.weight.shape)}
                if p.bias is not None:
                    first = 0.0 if biased else self.bias
                    theta[p.name]["bias"] = jnp.where(new, first, p.bias)
                    fresh[p.name]["bias"], biased = new, True
            size = jnp.sqrt(jnp.sum(readout.weight**2, 1))
            mean = jnp.sum(jnp.where(empty, 0, size)) / jnp.sum(~empty).astype(size.dtype)
            way = self.scale * mean * directions(sum(grams[1:], grams[0]), new, self.units)
            theta[readout.name] = {"weight": jnp.where(new[:, None], way, readout.weight)}
            fresh[readout.name] = {"weight": jnp.broadcast_to(new[:, None], way.shape)}
            sends = lambda drive, h=h: h.activate(jnp.full((1, *h.shape), drive, net.dtype))
            before, now = (sends(u).reshape(-1) for u in (0.0, self.bias if biased else 0.0))
            gone = jnp.where(new, before, 0) @ readout.weight - jnp.where(new, now, 0) @ way
            lifted = lifted + gone
        theta[told.name] = theta.get(told.name, {}) | {"bias": told.theta["bias"] + lifted}
        met = jax.tree.map(jnp.zeros_like, memory["met"])
        memory = {"met": met, "full": memory["full"] | jnp.all(jnp.stack(full))}
        return memory, net.with_theta(theta).with_structure(structure), fresh

    @override
    def advice(self, memory):
        return no_room(self.id) if memory["full"] else None


def directions(
    gram: Float[Array, "units out out"], new: Bool[Array, " units"], count: int
) -> Float[Array, "units out"]:
    """Of each of up to `count` new units, in order, the unit vector q at right angles to those
    before for which q^T gram q is largest.
    """
    size, order = gram.shape[1], jnp.cumsum(new)
    whole = jnp.eye(size, dtype=gram.dtype)

    def once(i, held):
        left, ways = held
        here = new & (order == i + 1)
        one = gram[jnp.argmax(here)]
        # What is added moves no eigenvector among those that are left, and keeps the best there.
        shifted = one + (jnp.trace(one) + jnp.finfo(one.dtype).tiny) * whole
        best = jnp.linalg.eigh(left @ shifted @ left)[1][:, -1]
        ways = jnp.where(here[:, None], best[None], ways)
        left = left - best[:, None] * best[None]
        return jnp.where((i + 1) % size == 0, whole, left), ways

    start = whole, jnp.zeros((len(new), size), gram.dtype)
    return jax.lax.fori_loop(0, count, once, start)[1]


def _growing(net: Network):
    """The populations whose new units the output reads at once, by one dense projection."""
    return [h for h in places(net) if not h.norm and len(_readouts(net, h)) == 1]


def _readouts(net: Network, h) -> list[Dense]:
    """The dense projections out of a population, where all of them go to the output."""
    dense = [p for p in net.outgoing(h.name) if isinstance(p, Dense)]
    return dense if all(p.dst == net.output for p in dense) else []


def _told(net: Network) -> list[Dense]:
    """The dense projections to the output that have a bias."""
    into = net.incoming(net.output)
    return [p for p in into if isinstance(p, Dense) and p.bias is not None]
