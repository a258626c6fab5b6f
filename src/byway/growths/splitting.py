"""Splitting: a unit that stands where its loss curves downwards becomes two, which part ways.

    S_i = < (dL/dh_i) phi''(u_i) x_i x_i^T >,   x_i = what arrives at the synapses of unit i
    v_i <- (v_i - rate S_i v_i / size_i) normalised,   c_i = v_i^T S_i v_i
    w_i <- w_i - eps |w_i| v_i,   w_new = w_i + eps |w_i| v_i

Each of the two has half of the weights out of i. Moved by eps along v and against it they together
change the loss by eps^2 / 2 v^T S v and by nothing of first order, so the best direction is the
eigenvector of the least eigenvalue of S, and where that is not below 0 nothing is gained. It is
sought while the network learns, by descending the quotient v^T S v / v^T v: S is never written out,
and costs what one more pass costs. size_i is the largest |S_i v_i| of late, and c_i a running mean.
phi'' is the slope's difference over `width`, which is something for relu, too.

Every so often those units of a population whose c is least, if it is below 0, are split, up to
`units` of them, into places that are empty. The answers of the network stay as they were but for
what is of second order in eps.

Shapes   v "post slots" by projection; c, size "units" by population; weight, index "post slots"
Claims   reads the teaching signal, of which it takes the error at the output, the activity of what
         a unit reads, its potential, and the weights, those out of it too: it is not local
Limits   of networks without cycles, time and state, and of hidden populations that fixed fan-ins
         alone enter and dense projections to the output alone leave, that are not normalised and
         send nothing at a potential of 0
Source   Liu, Wu and Wang, Splitting steepest descent for growing neural architectures, NeurIPS
         2019, for S and the halves; Wang et al., Energy-aware neural architecture
         optimization with fast splitting steepest descent, 2019, arXiv 1910.03103, for the
         quotient; Wu, Liu, Stone and Liu, Firefly neural architecture descent, NeurIPS 2020, for
         growth while the weights learn; differs in: units need not be at a minimum, S over batches
         as they come, no new units beside halves, phi'' as a difference
"""

from typing import ClassVar, cast

import jax.numpy as jnp
from typing_extensions import override

from byway.core.errors import RuleError
from byway.core.hyper import hyper
from byway.growths._units import activity, at_output, no_room, places
from byway.learning.growth import Growth, Source
from byway.network.cell import Derivative
from byway.network.network import Network
from byway.network.populations import Population
from byway.network.projections import Dense
from byway.network.sparse import FixedFanIn

# Of the running mean of the curvature, and of what the largest change is compared with: the share
# that is kept from update to update.
KEPT = 0.99


class Splitting(Growth):
    """Units that become two."""

    claims: ClassVar[frozenset[Source]] = frozenset({"weights", "activity", "signal"})
    every: int = hyper(400, "updates from one time to the next", low=1, high=2**31 - 1)
    units: int = hyper(4, "units split at a time in each population, at most", low=1, high=2**20)
    eps: float = hyper(
        1e-4, "how far the two halves are moved, as a share of the unit's weights", low=0.0
    )
    rate: float = hyper(0.1, "of the search for the direction", low=0.0, high=1.0)
    width: float = hyper(0.1, "half of what phi'' is a difference over", low=1e-9)
    until: float = hyper(
        0.75, "share of a run after which no unit is split", low=0.0, high=1.0, live=False
    )

    @override
    def accepts(self, net):
        """It takes some hidden population that the output alone reads, densely."""
        loud = [h.name for h in _split(net) if not _quiet(h)]
        if loud or not (net.feedforward and net.differentiable and _split(net)):
            raise RuleError(
                "splitting was given a network without hidden units that fixed fan-ins alone enter "
                "and that nothing but the output reads, densely, or whose units send something at "
                "a potential of 0 or are normalised, or one with cycles, time or state",
                "places that may be empty, right before the output",
                "build it with byway.grownet(..., regions=1, born=0.5), for example",
            )

    @override
    def start(self, net):
        """A direction for each unit, its curvature, the largest change, and whether no place was
        left.
        """
        units = {h.name: jnp.zeros(h.size, net.dtype) for h in _split(net)}
        ways = {
            p.name: jnp.full_like(p.weight, p.slots**-0.5)
            for h in _split(net)
            for p in _into(net, h)
        }
        return {"way": ways, "curve": units, "size": units, "full": jnp.zeros((), bool)}

    @override
    def told(self, memory, fresh):
        """Where synapses begin anew the search begins anew."""
        began = lambda name: fresh.get(name, {}).get("weight", False)
        ways = {
            name: jnp.where(began(name), way.shape[1] ** -0.5, way)
            for name, way in memory["way"].items()
        }
        return memory | {"way": ways}

    @override
    def heard(self, memory, net, record, signal):
        phase = activity(record, self.id)
        error = at_output(net, record, signal, phase)
        ways, curves, sizes = dict(memory["way"]), {}, {}
        for h in _split(net):
            u, into = phase.u[h.name], _into(net, h)
            above, below = (cast(Derivative, h.slope(u + d)) for d in (self.width, -self.width))
            bend = (above - below) / (2 * self.width)
            felt = sum((p.backward(error) for p in net.outgoing(h.name)), start=jnp.zeros_like(u))
            held = [jnp.where(p.alive, ways[p.name], 0) for p in into]
            unit = jnp.sqrt(sum((jnp.sum(v**2, 1) for v in held), start=jnp.zeros(h.size, u.dtype)))
            held = [v / jnp.where(unit > 0, unit, 1)[:, None] for v in held]
            along = sum(
                (
                    p.with_theta({"weight": v}).forward(phase.pre[p.name]) - p.offset
                    for p, v in zip(into, held, strict=True)
                ),
                start=jnp.zeros_like(u),
            )
            turn = [p.outer(phase.pre[p.name], felt * bend * along)["weight"] for p in into]
            sums = lambda terms, h=h, u=u: sum(terms, start=jnp.zeros(h.size, u.dtype))
            curve = sums(jnp.sum(v * t, 1) for v, t in zip(held, turn, strict=True))
            large = jnp.sqrt(sums(jnp.sum(t**2, 1) for t in turn))
            size = jnp.maximum(KEPT * memory["size"][h.name], large)
            step = (self.rate / jnp.where(size > 0, size, 1))[:, None]
            ways |= {p.name: v - step * t for p, v, t in zip(into, held, turn, strict=True)}
            curves[h.name] = KEPT * memory["curve"][h.name] + (1 - KEPT) * curve
            sizes[h.name] = size
        return memory | {"way": ways, "curve": curves, "size": sizes}

    @override
    def grow(self, memory, net, key, done):
        theta, structure, fresh, full = {}, {}, {}, []
        ways, curves = dict(memory["way"]), dict(memory["curve"])
        for h in _split(net):
            alive, curve = net.alive(h.name), curves[h.name]
            full.append(jnp.all(alive))
            worth = jnp.where(alive & (curve < 0), curve, jnp.inf)
            order, empty = jnp.argsort(worth), jnp.argsort(alive)
            # The nth best unit and the nth empty place, as long as there are both.
            nth = jnp.arange(h.size)
            both = (worth[order] < jnp.inf) & ~alive[empty] & (nth < self.units)
            parent = jnp.where(both, order, h.size)
            place = jnp.where(both, empty, h.size)
            splits = jnp.zeros(h.size, bool).at[parent].set(True, mode="drop")
            new = jnp.zeros(h.size, bool).at[place].set(True, mode="drop")
            of = nth.at[place].set(parent, mode="drop")  # whose half each unit is
            into = _into(net, h)
            held = {p.name: jnp.where(p.alive, ways[p.name], 0) for p in into}
            unit, long = (
                jnp.sqrt(sum((jnp.sum(a**2, 1) for a in some), start=jnp.zeros_like(curve)))
                for some in (held.values(), [p.weight for p in into])
            )
            far = self.eps * long / jnp.where(unit > 0, unit, 1)
            for p in into:
                moved = (far[:, None] * held[p.name])[of]
                side = jnp.where(new, 1, jnp.where(splits, -1, 0)).astype(moved.dtype)
                weight = p.weight[of] + side[:, None] * moved
                theta[p.name] = {"weight": weight}
                structure[p.name] = {"index": p.index[of]}
                fresh[p.name] = {"weight": jnp.broadcast_to(new[:, None], weight.shape)}
                if p.bias is not None:
                    theta[p.name]["bias"], fresh[p.name]["bias"] = p.bias[of], new
                again = (new | splits)[:, None]
                ways[p.name] = jnp.where(again, p.slots**-0.5, ways[p.name])
            for p in net.outgoing(h.name):
                half = jnp.where(new | splits, 0.5, 1.0).astype(p.weight.dtype)
                theta[p.name] = {"weight": half[:, None] * p.weight[of]}
                fresh[p.name] = {"weight": jnp.broadcast_to(new[:, None], p.weight.shape)}
            curves[h.name] = jnp.where(new | splits, 0, curve)
        memory = memory | {"way": ways, "curve": curves}
        memory["full"] = memory["full"] | jnp.all(jnp.stack(full))
        return memory, net.with_theta(theta).with_structure(structure), fresh

    @override
    def advice(self, memory):
        return no_room(self.id) if memory["full"] else None


def _split(net: Network) -> list[Population]:
    """The populations whose units are split."""
    return [h for h in places(net) if not h.norm and _read(net, h)]


def _read(net: Network, h: Population) -> bool:
    """Whether the output alone reads a population, each unit by weights of its own."""
    out = net.outgoing(h.name)
    return bool(out) and all(isinstance(p, Dense) and p.dst == net.output for p in out)


def _quiet(h: Population) -> bool:
    """Whether a unit at a potential of 0 sends nothing. A black box is not asked."""
    return not h.black_box and bool(jnp.all(h.activate(jnp.zeros((1, *h.shape))) == 0))


def _into(net: Network, h: Population) -> list[FixedFanIn]:
    return [p for p in net.incoming(h.name) if isinstance(p, FixedFanIn)]
