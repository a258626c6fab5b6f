"""Sparse projections: each unit reads a few others, and which ones is an array, so that it can be
drawn, saved and grown.
"""

import math
from collections.abc import Sequence
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key
from typing_extensions import override

from byway.core.errors import ConfigError, ShapeError
from byway.core.given import is_number, require_whole, shown
from byway.network.fan_out import FanOut, by_source
from byway.network.nearby import TOGETHER, cells, drawn_near
from byway.network.populations import Population
from byway.network.projections import Dense, Projection
from byway.network.space import distances

# What a synapse costs in one sample beside an entry of a dense matrix, and what it costs to build
# the matrix, in samples: for one of up to CACHED entries, and for larger ones. And what it costs to
# go through synapses at all, where there are several samples. From `python -m benchmarks.sparse`.
CACHED, WITHIN, BEYOND, BEGUN = 2**22, (8, 20), (15, 220), 70
# Up to how many pairs of units wiring is drawn at once, from the odds of all of them.
DRAWN = 2**24


class FixedFanIn(Projection):
    """Each unit of `dst` has the same number of slots; a slot holds a synapse from a unit of `src`,
    or is free. Weight "post slots", bias "post". A unit without synapses has no bias either: it is
    silent.

    Products run over a dense matrix with zeros in it, or synapse by synapse, whichever takes less
    time for the sizes at hand.

    Attributes:
        src: the presynaptic population.
        dst: the postsynaptic population.
        src_shape: its shape.
        dst_shape: its shape.
        weight: "post slots"; 0 where a slot is free.
        bias: "post", or None.
        index: "post slots", the unit of `src`, counted flat, that each synapse comes from; in a row
            each at most once. The number of units of `src` where a slot is free.
        spare: how many slots of each unit are free when the wiring is drawn.
        reach: lambda, where the odds of a synapse fall with the distance d of its ends as exp(-d /
            lambda) and no unit reads itself [um]; None for the same odds everywhere.
        among: how many synapses a unit has in all, where other projections bring it some too, so
            that its weights are drawn smaller; None where there are no others.
        speed: of conduction [um a time step], where each synapse has a delay of its own: its length
            over the speed, rounded up to whole steps, from 1 to `delay`. None where all have the
            same.
        late: "post slots", the delay of each synapse then [steps]; else None.
    """

    src: str = eqx.field(static=True)
    dst: str = eqx.field(static=True)
    src_shape: tuple[int, ...] = eqx.field(static=True)
    dst_shape: tuple[int, ...] = eqx.field(static=True)
    weight: Float[Array, "post slots"]
    bias: Float[Array, " post"] | None
    index: Int[Array, "post slots"]
    spare: int = eqx.field(static=True, default=0, kw_only=True)
    reach: float | None = eqx.field(static=True, default=None, kw_only=True)
    among: int | None = eqx.field(static=True, default=None, kw_only=True)
    speed: float | None = eqx.field(static=True, default=None, kw_only=True)
    late: Int[Array, "post slots"] | None = eqx.field(default=None, kw_only=True)

    axes: ClassVar[tuple[str, ...]] = ("post", "pre")

    @override
    def __check_init__(self):
        super().__check_init__()
        if self.reach is not None and not (
            self.reach == math.inf or (is_number(self.reach) and self.reach > 0)
        ):
            raise ConfigError(
                f"a reach of {shown(self.reach)} for {self.name}",
                "a length above 0 [um]",
                "leave it out for the same odds at any distance",
            )
        if self.speed is not None and not (
            is_number(self.speed) and 0 < self.speed < math.inf and self.delay is not None
        ):
            raise ConfigError(
                f"a speed of {shown(self.speed)} for {self.name}, with a delay of {self.delay}",
                "a speed above 0 [um a time step], and the longest delay [time steps]",
                "leave the speed out for one delay of all synapses",
            )

    @classmethod
    def between(
        cls,
        src: Population,
        dst: Population,
        fan_in: int,
        *,
        bias: bool = True,
        index: Array | np.ndarray | None = None,
        spare: int = 0,
        **more,
    ) -> "FixedFanIn":
        """One with weights of zero; `Network.redraw` draws weights and wiring.

        Args:
            src: the presynaptic population.
            dst: the postsynaptic population.
            fan_in: how many units of `src` each unit reads.
            bias: whether each unit has one.
            index: which ones, to begin with, "post fan".
            spare: how many slots more each unit has, free at first, into which it can grow.
            more: reach, among, speed, label and delay, see above and `Projection`.

        Raises:
            ShapeError: more units to read than there are, or a table out of range.
        """
        require_whole("fan_in", fan_in, 1, 2**28)
        require_whole("spare", spare, 0, 2**28)
        others = src.size - (src.name == dst.name and more.get("reach") is not None)
        if fan_in + spare > others:
            more_slots = f" and {spare} slots more" if spare else ""
            raise ShapeError(
                f"a fan-in of {fan_in}{more_slots} from {src.name!r}",
                f"at most its {others} units",
                "choose a smaller one",
            )
        if index is None:
            index = np.broadcast_to(np.arange(fan_in), (dst.size, fan_in))
        held = np.asarray(index)
        if held.shape != (dst.size, fan_in) or held.dtype.kind not in "iu":
            raise ShapeError(
                f"a wiring table of {held.dtype} and shape {held.shape}",
                f"whole numbers, {(dst.size, fan_in)}",
                "reshape it",
            )
        if held.min() < 0 or held.max() >= src.size:
            raise ShapeError(
                f"a wiring table with entries from {held.min()} to {held.max()}",
                f"units of {src.name!r}, 0 to {src.size - 1}",
                "mend it",
            )
        if np.any(np.diff(np.sort(held, 1), axis=1) == 0):
            raise ShapeError(
                "a wiring table in which a unit reads another twice",
                "each at most once in a row",
                "mend it",
            )
        b = jnp.zeros(dst.size) if bias else None
        index = jnp.pad(
            jnp.asarray(index, jnp.int32), ((0, 0), (0, spare)), constant_values=src.size
        )
        return cls(
            src.name,
            dst.name,
            src.shape,
            dst.drive,
            jnp.zeros(index.shape),
            b,
            index,
            spare=spare,
            late=None if more.get("speed") is None else jnp.ones(index.shape, jnp.int32),
            **more,
        ).timed(src, dst)

    @property
    @override
    def structure(self):
        return {"index": self.index} | ({} if self.late is None else {"late": self.late})

    @property
    @override
    def note(self) -> str:
        room = f", room for {self.spare} more" if self.spare else ""
        return ", ".join(
            filter(None, [f"{self.fan_in} of {self.sources} each{room}", super().note])
        )

    @property
    @override
    def window(self):
        return None if self.late is None or self.delay == 1 else self.delay

    @property
    def slots(self) -> int:
        """How many synapses a unit has room for."""
        return self.weight.shape[1]

    @property
    @override
    def fan_in(self) -> int:
        """How many synapses a unit begins with."""
        return self.slots - self.spare

    @property
    @override
    def fan_out(self) -> int:
        """How many units one unit of `src` reaches on average, at the start."""
        return max(1, round(self.fan_in * len(self.weight) / self.sources))

    @property
    @override
    def offset(self):
        return 0.0 if self.bias is None else self._heard(self.bias).reshape(1, *self.dst_shape)

    @property
    def sources(self) -> int:
        """How many units `src` has."""
        return int(np.prod(self.src_shape))

    @property
    def choices(self) -> int:
        """How many units there are to read."""
        return self.sources - (self.reach is not None and self.src == self.dst)

    @property
    def alive(self) -> Bool[Array, "post slots"]:
        """Which slots hold a synapse."""
        return self.index < self.sources

    @property
    @override
    def reached(self):
        return jnp.any(self.alive, 1)

    @override
    def by_entries(self):
        """The dense projection with zeros in it."""
        ends = self.src, self.dst, self.src_shape, self.dst_shape
        held = _scattered(self.weight, self.index, self.sources), self.bias
        return Dense(*ends, *held, label=self.label, delay=self.delay)

    @override
    def by_source(self):
        """Its synapses, sorted by source; where each has a delay of its own, itself."""
        if self.late is not None:
            return self
        ends = self.src, self.dst, self.src_shape, self.dst_shape
        held = by_source(self.index, self.weight, self.sources)
        bias = None if self.bias is None else self._heard(self.bias)
        return FanOut(*ends, bias=bias, label=self.label, delay=self.delay, **held)

    @override
    def redraw(self, key, src, dst):
        """The wiring is drawn too, by its odds; with the same odds each set of units is equally
        likely.
        """
        return redrawn([self], key[None], [(src, dst)])[0]

    def timed(self, src: Population, dst: Population) -> "FixedFanIn":
        """The same with synapses as late as they are long, where each has a delay of its own.

        Args:
            src: the presynaptic population, for its positions.
            dst: the postsynaptic population.
        """
        if self.late is None or self.speed is None:
            return self
        ends = src.position.at[self.index].get(mode="clip")
        far = jnp.sqrt(jnp.sum((ends - dst.position[:, None]) ** 2, 2))
        late = jnp.clip(jnp.ceil(far / self.speed), 1, self.delay).astype(self.late.dtype)
        return self.with_structure({"late": late})

    def drawn(self, key: Key[Array, ""], dst: Population) -> Float[Array, "post slots"]:
        """Weights for all slots, as they are drawn at the start."""
        return self.weighed(jax.random.normal(key, self.weight.shape, self.weight.dtype), dst)

    @override
    def weighed(self, noise, dst):
        shrink = 1.0 if self.among is None else np.sqrt(self.fan_in / self.among).item()
        return shrink * super().weighed(noise, dst)

    def proposed(
        self,
        key: Key[Array, ""],
        src: Population,
        dst: Population,
        count: int,
        only: Bool[Array, " pre"] | None = None,
    ) -> Int[Array, "post count"]:
        """Units to read that each unit does not read yet, drawn without replacement by their odds.

        Args:
            key: the randomness.
            src: the presynaptic population, for its positions.
            dst: the postsynaptic population.
            count: how many for each unit; where there are fewer, the rest are as free slots.
            only: which units may be read; all by default.

        Of many units those that are drawn are looked for by where they are, and only where that
        takes too long are all looked at.
        """
        if not _many(dst.size * self.sources) or 2 * (self.slots + count) > self.choices:
            return self.ranked(key, src, dst, count, only)[0]
        here, rest = jax.random.split(key)
        found = self._near(here, src, dst, count, only)
        none = found == self.sources

        def all_looked_at():
            bare = self.with_structure({"index": jnp.concatenate([self.index, found], 1)})
            drawn = bare.ranked(rest, src, dst, count, only)[0]
            nth = jnp.maximum(jnp.cumsum(none, 1) - 1, 0)
            return jnp.where(none, jnp.take_along_axis(drawn, nth, 1), found)

        return jax.lax.cond(jnp.any(none), all_looked_at, lambda: found)

    def _near(self, key, src, dst, count, only) -> Int[Array, "post count"]:
        """What each unit draws, some units at a time."""
        there = jnp.ones(self.sources, bool) if only is None else only
        near, reach = cells(src.position, there), math.inf if self.reach is None else self.reach
        barred = self.index
        if self.choices < self.sources:
            own = jnp.arange(dst.size, dtype=barred.dtype)
            barred = jnp.concatenate([barred, own[:, None]], 1)
        blocks = math.ceil(dst.size / TOGETHER)

        def cut(a: Array) -> Array:
            more = blocks * TOGETHER - dst.size
            return jnp.pad(a, ((0, more), (0, 0)), mode="edge").reshape(blocks, TOGETHER, -1)

        draw = lambda one: drawn_near(one[0], one[1], src.position, near, reach, one[2], count)
        each = jax.random.split(key, blocks), cut(dst.position), cut(barred)
        found = jax.lax.map(draw, each).reshape(-1, count)[: dst.size]
        return found.astype(self.index.dtype)

    def ranked(
        self,
        key: Key[Array, ""],
        src: Population,
        dst: Population,
        count: int,
        only: Bool[Array, " pre"] | None = None,
        liked: Float[Array, " pre"] | None = None,
    ) -> tuple[Int[Array, "post count"], Float[Array, "post count"]]:
        """What each unit draws (see `proposed`), and the number by which each was drawn, log odds
        plus Gumbel noise (Vieira 2014, Kool et al. 2019), largest first. `liked` is added to the
        log odds.
        """
        own = jnp.asarray(self.choices < self.sources)
        reach, pairs = self.reach, (dst.position, src.position)
        drawn, best = _ranked(key, *pairs, self.index, only, liked, reach, own, count)
        return drawn.astype(self.index.dtype), best

    @override
    def forward(self, pre):
        flat = pre.reshape(len(pre), -1)
        current = (
            flat @ self._dense(self.weight)
            if self._by_matrix(len(flat))
            else self._summed(flat, self.weight)
        )
        return current.reshape(len(pre), *self.dst_shape) + self.offset

    @override
    def backward(self, delta, weight=None):
        weight, flat = self.weight if weight is None else weight, delta.reshape(len(delta), -1)
        back = (
            flat @ self._dense(weight).T
            if self._by_matrix(len(flat))
            else self._spread(flat, weight)
        )
        return back.reshape(len(delta), *self.arriving)

    @override
    def outer(self, pre, delta):
        flat, post = pre.reshape(len(pre), -1), delta.reshape(len(delta), -1) / len(pre)
        if self._by_matrix(len(flat)):
            met = post.T @ flat
            update = {"weight": met.at[self._rows, self._places].get(mode="fill", fill_value=0)}
        else:
            update = {"weight": self._met(flat, post)}
        return update if self.bias is None else update | {"bias": self._heard(post.sum(0))}

    @override
    def at_pre(self, pre):
        """Of shape "batch post slots"; 0 where a slot is free."""
        return pre.reshape(len(pre), -1).at[:, self._places].get(mode="fill", fill_value=0)

    @override
    def at_post(self, delta):
        """Of shape "batch post 1"."""
        return delta.reshape(len(delta), -1, 1)

    def _heard(self, bias: Float[Array, " post"]) -> Float[Array, " post"]:
        return jnp.where(self.reached, bias, 0)

    @property
    def _rows(self) -> Int[Array, "post 1"]:
        return jnp.arange(len(self.weight))[:, None]

    @property
    def _arrivals(self) -> int:
        """How many numbers arrive in one sample."""
        return self.sources * (self.window or 1)

    @property
    def _places(self) -> Int[Array, "post slots"]:
        """Which of these each synapse takes: that of its unit, of so many steps before."""
        if self.late is None:
            return self.index
        there = (self.late - 1) * self.sources + self.index
        return jnp.where(self.alive, there, self._arrivals)

    def _dense(self, weight: Float[Array, "post slots"]) -> Float[Array, "pre post"]:
        return _scattered(weight, self._places, self._arrivals)

    def _by_matrix(self, batch: int) -> bool:
        arrivals = self._arrivals
        synapse, built = WITHIN if arrivals * len(self.weight) <= CACHED else BEYOND
        begun = 0 if batch == 1 else BEGUN
        return arrivals * (batch + built) < synapse * self.slots * (batch + begun)

    # Synapse by synapse. On a CPU what a unit sends in all samples of a batch lies together, and a
    # loop goes from slot to slot or from unit to unit: nothing of "batch post slots" is ever held.

    def _summed(self, pre: Float[Array, "batch pre"], weight) -> Float[Array, "batch post"]:
        if not _on_cpu():
            return jnp.sum(self.at_pre(pre) * weight[None], 2)
        sent = jnp.pad(pre.T, ((0, 1), (0, 0)))  # a free slot reads the zero at the end
        start = jnp.zeros((len(weight), len(pre)), pre.dtype)
        slot = lambda current, one: (current + one[0][:, None] * sent[one[1]], None)
        return jax.lax.scan(slot, start, (weight.T, self._places.T))[0].T

    def _spread(self, delta: Float[Array, "batch post"], weight) -> Float[Array, "batch pre"]:
        if not _on_cpu():
            bare = jnp.zeros((len(delta), self._arrivals), delta.dtype)
            return bare.at[:, self._places].add(delta[:, :, None] * weight[None], mode="drop")
        start = jnp.zeros((self._arrivals, len(delta)), delta.dtype)
        unit = lambda back, one: (
            back.at[one[1]].add(one[0][:, None] * one[2][None], mode="drop"),
            None,
        )
        return jax.lax.scan(unit, start, (weight, self._places, delta.T))[0].T

    def _met(self, pre: Float[Array, "batch pre"], post) -> Float[Array, "post slots"]:
        if not _on_cpu():
            return jnp.sum(self.at_pre(pre) * post[:, :, None], 0)
        sent, back = jnp.pad(pre.T, ((0, 1), (0, 0))), post.T
        return jax.lax.map(lambda index: jnp.sum(sent[index] * back, 1), self._places.T).T


def _scattered(
    weight: Float[Array, "post slots"], index: Int[Array, "post slots"], size: int
) -> Float[Array, "pre post"]:
    """The dense matrix with zeros in it; `size` is how many rows it has."""
    bare = jnp.zeros((len(weight), size), weight.dtype)
    rows = jnp.arange(len(weight))[:, None]
    return bare.at[rows, index].add(weight, mode="drop").T


def redrawn(
    several: Sequence[FixedFanIn],
    keys: Key[Array, " several"],
    ends: Sequence[tuple[Population, Population]],
) -> list[FixedFanIn]:
    """Projections with fresh wiring and weights, each as if it were alone.

    Those between as many units share a loop that draws, so that it is compiled once.

    Args:
        several: the projections.
        keys: one for each.
        ends: src and dst of each.
    """
    alike: dict[tuple, list[int]] = {}
    for i, p in enumerate(several):
        kind = p.sources, len(p.weight), p.reach, p.weight.dtype
        alike.setdefault(kind, []).append(i)
    made = {}
    for places in alike.values():
        group = [several[i] for i in places]
        wiring, weights = jax.vmap(jax.random.split)(keys[jnp.asarray(places)]).T
        found = _wired(group, wiring, [ends[i] for i in places])
        size = max(p.weight.size for p in group)
        # What is drawn of fewer numbers is the beginning of what is drawn of more.
        noise = jax.lax.map(lambda k, n=size, p=group[0]: _normal(k, n, p), weights)
        for i, p, index, own in zip(places, group, found, noise, strict=True):
            drawn = p.with_structure({"index": index}).timed(*ends[i])
            weight = p.weighed(own[: p.weight.size].reshape(p.weight.shape), ends[i][1])
            theta = {"weight": jnp.where(drawn.alive, weight, 0)}
            if p.bias is not None:
                theta["bias"] = jnp.zeros_like(p.bias)
            made[i] = drawn.with_theta(theta)
    return [made[i] for i in range(len(several))]


def _normal(key: Key[Array, ""], size: int, like: FixedFanIn) -> Float[Array, " size"]:
    return jax.random.normal(key, (size,), like.weight.dtype)


def _wired(
    group: Sequence[FixedFanIn],
    keys: Key[Array, " several"],
    ends: Sequence[tuple[Population, Population]],
) -> list[Int[Array, "post slots"]]:
    """Tables for projections between as many units."""
    first, count = group[0], max(p.fan_in for p in group)
    there = [jnp.arange(src.size) < (src.size if src.born is None else src.born) for src, _ in ends]
    if _many(first.sources * len(first.weight)):
        bare = [p.with_structure({"index": jnp.full_like(p.index, p.sources)}) for p in group]
        several = zip(bare, keys, ends, there, strict=True)
        drawn = [p.proposed(key, *pair, p.fan_in, only) for p, key, pair, only in several]
    else:
        none = jnp.zeros((len(first.weight), 0), first.index.dtype)
        own = jnp.asarray([p.choices < p.sources for p in group])
        here, far = ([end[side].position for end in ends] for side in (1, 0))
        each = keys, jnp.stack(here), jnp.stack(far), jnp.stack(there), own

        def draw(one):
            key, here, far, only, own = one
            return _ranked(key, here, far, none, only, None, first.reach, own, count)[0]

        drawn = jax.lax.map(draw, each)
    tables = []
    for p, found, (_, dst) in zip(group, drawn, ends, strict=True):
        taken = jnp.sort(found[:, : p.fan_in].astype(p.index.dtype), axis=1)
        if dst.born is not None:
            taken = jnp.where(jnp.arange(dst.size)[:, None] < dst.born, taken, p.sources)
        tables.append(jnp.full_like(p.index, p.sources).at[:, : p.fan_in].set(taken))
    return tables


def _ranked(
    key: Key[Array, ""],
    here: Float[Array, "post 3"],
    there: Float[Array, "pre 3"],
    held: Int[Array, "post held"],
    only: Bool[Array, " pre"] | None,
    liked: Float[Array, " pre"] | None,
    reach: float | None,
    own: Bool[Array, ""],
    count: int,
) -> tuple[Int[Array, "post count"], Float[Array, "post count"]]:
    """What each unit draws; where `own`, they are the units that are drawn, and none draws
    itself.
    """
    sources = len(there)

    def draw(one):
        key, unit, held = one
        odds = jax.random.gumbel(key, (sources,), there.dtype)
        if only is not None:
            odds = jnp.where(only, odds, -jnp.inf)
        if liked is not None:
            odds = odds + liked.astype(odds.dtype)
        if reach is not None:
            odds = odds - distances(here[unit][None], there)[0] / reach
        odds = odds.at[jnp.where(own, unit, sources)].set(-jnp.inf, mode="drop")
        best, found = jax.lax.top_k(odds.at[held].set(-jnp.inf, mode="drop"), count)
        return jnp.where(best > -jnp.inf, found, sources), best

    each = jax.random.split(key, len(here)), jnp.arange(len(here)), held
    return jax.lax.map(draw, each) if _many(len(here) * sources) else jax.vmap(draw)(each)


def _many(pairs: int) -> bool:
    return pairs > DRAWN


def _on_cpu() -> bool:
    return jax.default_backend() == "cpu"
