"""The synapses that are drawn: the strongest of each projection, each in a slot that it keeps, and
what changed of them since the last look.

    score = |w|, and STAYS times that of a synapse that is drawn already

Of each projection the best by this score are drawn, as many as its fair share of all slots. So a
synapse has to be stronger by that factor than one that is drawn to take its slot, and none comes
and goes because weights jitter. Those that were born within the last few looks, and those of units
that are looked at, come first. Of a convolution, whose weights all places share, the synapses of
the units in the middle are drawn.
"""

import collections
import dataclasses
import weakref
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32, Int8, UInt8, UInt32

from byway.core.given import require_whole
from byway.network.network import Network
from byway.network.projections import Projection
from byway.network.sparse import FixedFanIn
from byway.studio.scene import Scene, alive
from byway.studio.wires import AllPairs, Wires, wires

# By how much a synapse is preferred that is drawn; that is new; whose unit is looked at.
STAYS, NEW, LOOKED_AT = 1.25, 1e3, 1e6
# For so many looks a synapse is new; the share of all slots that such take, about, at most.
YOUNG, ROOM = 10, 0.25
# A slot without a synapse; the largest byte of a weight, and of a delay or an age; how far an age
# moves before it is told again.
FREE, FULL, BYTE, OLDER = 2**32 - 1, 127, 255, 16
# The scale is such that this share of what is drawn fits; it is kept while that share comes to
# between these parts of it, and is then set so that there is room to grow.
FITS, LOW, HIGH, GROWTH = 0.995, 0.6, 1.0, 1.15
LIMIT = 2**24


@dataclasses.dataclass(frozen=True, eq=False)
class Edges:
    """All slots.

    Attributes:
        version: of what is drawn.
        scale: the weight that byte 127 stands for.
        total: how many synapses there are, drawn or not.
        limit: how many slots.
        src: by slot the presynaptic unit.
        dst: the postsynaptic unit; `FREE` where there is no synapse.
        weight: from -127 to 127, in units of scale / 127.
        delay: how many time steps late it is.
        age: since when it is there, from 0, now, to 255, all the time.
        projection: the number of its projection.
    """

    version: int
    scale: float
    total: int
    limit: int
    src: UInt32[np.ndarray, " slots"]
    dst: UInt32[np.ndarray, " slots"]
    weight: Int8[np.ndarray, " slots"]
    delay: UInt8[np.ndarray, " slots"]
    age: UInt8[np.ndarray, " slots"]
    projection: UInt8[np.ndarray, " slots"]


@dataclasses.dataclass(frozen=True, eq=False)
class Changed:
    """Slots that changed; see `Edges`.

    Attributes:
        base: the version that they make the next one of.
        version: the one that they make.
        scale: see `Edges`.
        total: see `Edges`.
        whole: whether there is no base, as slots began anew: take the snapshot in its place.
        slot: which ones.
        src: of each, as `Edges` has it.
        dst: likewise.
        weight: likewise.
        delay: likewise.
        age: likewise.
        projection: likewise.
    """

    base: int
    version: int
    scale: float
    total: int
    whole: bool
    slot: UInt32[np.ndarray, " changed"]
    src: UInt32[np.ndarray, " changed"]
    dst: UInt32[np.ndarray, " changed"]
    weight: Int8[np.ndarray, " changed"]
    delay: UInt8[np.ndarray, " changed"]
    age: UInt8[np.ndarray, " changed"]
    projection: UInt8[np.ndarray, " changed"]


PARTS: Mapping[str, Any] = {
    "src": np.uint32,
    "dst": np.uint32,
    "weight": np.int8,
    "delay": np.uint8,
    "age": np.uint8,
    "projection": np.uint8,
}


class _Bundle:
    """What is drawn of one projection, and since when its synapses are there.

    Attributes:
        entry: of each synapse that is drawn its entry.
        slot: its slot.
    """

    def __init__(self, listed: Wires):
        self.listed = listed
        self.entry = np.zeros(0, np.int64)
        self.slot = np.zeros(0, np.int64)
        self._index: np.ndarray | None = None
        self._since: np.ndarray | None = None
        self._new: collections.deque[np.ndarray] = collections.deque(maxlen=YOUNG)

    def note(self, p: Projection, update: int) -> None:
        """Note which entries of a fixed fan-in hold another synapse than at the last look."""
        if not isinstance(p, FixedFanIn):
            return
        index = np.asarray(p.index).ravel()
        if self._index is None or self._since is None:
            self._index, self._since = index.copy(), np.zeros(index.shape, np.int32)
            return
        other = np.flatnonzero(index != self._index)
        self._index[other], self._since[other] = index[other], update
        self._new.append(other)

    def since(self, entry: np.ndarray) -> np.ndarray:
        """At which update the synapses of some entries came to be."""
        return np.zeros(len(entry), np.int32) if self._since is None else self._since[entry]

    def new(self) -> np.ndarray:
        """The entries of the last few looks that hold a new synapse, the newest first."""
        if not any(len(one) for one in self._new):
            return np.zeros(0, np.int64)
        late = np.concatenate(list(self._new)[::-1])
        return late[np.sort(np.unique(late, return_index=True)[1])]


class Synapses:
    """Which synapses are drawn, and what changed of them.

    Args:
        scene: the scene.
        limit: how many are drawn at most.
    """

    def __init__(self, scene: Scene, limit: int):
        self._scene = scene
        self._bundles: dict[str, _Bundle] = {}
        self._scale, self._total, self._version, self._anew = 0.0, 0, 0, True
        self._there: np.ndarray | None = None
        self._unit_since = np.zeros(scene.size, np.int32)
        self._seen: tuple[Any, ...] = ()
        self._held: list[weakref.ref[Any]] = []
        self._limit = -1
        self.limit = limit

    @property
    def limit(self) -> int:
        """How many synapses are drawn at most; another one begins all slots anew."""
        return self._limit

    @limit.setter
    def limit(self, limit: int) -> None:
        require_whole("limit", limit, 0, LIMIT)
        if limit == self._limit:
            return
        self._limit, self._anew = limit, True
        self._parts = {name: np.zeros(limit, kind) for name, kind in PARTS.items()}
        self._parts["dst"][:] = FREE
        for bundle in self._bundles.values():
            bundle.entry, bundle.slot = bundle.entry[:0], bundle.slot[:0]

    def look(self, net: Network, update: int, focus: Sequence[int] = ()) -> Changed | None:
        """Compare what is drawn with the network as it is now.

        Args:
            net: the network; of its weights and wiring NumPy arrays serve best.
            update: how many updates were made.
            focus: units whose synapses come first.

        Returns:
            What changed; None where nothing did.
        """
        seen = (update, self._limit, *focus)
        arrays = [a for p in net.projections for a in (p.weight, *p.structure.values())]
        arrays = [a for a in arrays if a is not None]
        known = len(arrays) == len(self._held) and all(
            held() is a for held, a in zip(self._held, arrays, strict=True)
        )
        if known and seen == self._seen and not self._anew:
            return None
        self._seen, self._held = seen, [weakref.ref(a) for a in arrays]
        there = {p.name: alive(net, p.name) for p in net.populations}
        self._note_units(np.concatenate(list(there.values())), update)
        scored = []
        for p in net.projections:
            bundle = self._bundles.get(p.name)
            if bundle is None:
                bundle = self._bundles[p.name] = _Bundle(wires(net, p))
            bundle.note(p, update)
            scored.append((p, bundle, *self._scored(p, bundle, there, focus)))
        self._total = sum(count for *_, count in scored)
        shares = _shares([count for *_, count in scored], self._limit)
        free = [
            self._kept(bundle, score, share)
            for (_, bundle, _, score, _), share in zip(scored, shares, strict=True)
        ]
        now = {name: a.copy() for name, a in self._parts.items()}
        self._place(free, now)
        weights = {p.name: w[bundle.entry] for p, bundle, w, _, _ in scored}
        rescaled = self._rescale(net, weights)
        for number, (p, bundle, *_) in enumerate(scored):
            self._write(net, number, bundle, weights[p.name], update, now)
        return self._changed(now, rescaled)

    def snapshot(self) -> Edges:
        """All slots, as the last look left them."""
        parts = {name: a.copy() for name, a in self._parts.items()}
        return Edges(self._version, self._scale, self._total, self._limit, **parts)

    def ages(self, update: int) -> Float32[np.ndarray, " units"]:
        """For which share of the run each unit is there; NaN where there is none.

        Args:
            update: how many updates were made, at the last look.
        """
        age = 1 - self._unit_since / max(update, 1)
        there = np.ones(self._scene.size, bool) if self._there is None else self._there
        return np.where(there, np.clip(age, 0, 1), np.nan).astype(np.float32)

    def _note_units(self, there: np.ndarray, update: int) -> None:
        if self._there is not None:
            self._unit_since[there & ~self._there] = update
        self._there = there

    def _scored(
        self,
        p: Projection,
        bundle: _Bundle,
        there: Mapping[str, np.ndarray],
        focus: Collection[int],
    ) -> tuple[np.ndarray, np.ndarray, int]:
        """The weight of each entry, its score, below 0 where there is no synapse, and how many
        there are.
        """
        listed = bundle.listed
        weight = listed.weights(p)
        score = np.abs(weight)
        absent = listed.absent(p)
        if type(listed) is AllPairs and not (there[p.src].all() and there[p.dst].all()):
            absent = ~(there[p.src][:, None] & there[p.dst][None]).ravel()
        score[bundle.entry] *= STAYS
        room = ROOM * self._limit / max(len(self._bundles), 1)
        score[bundle.new()[: int(room)]] += NEW
        for unit in focus:
            name, index = self._scene.where(int(unit))
            if name in (p.src, p.dst):
                at = self._at(p, listed, name, index)
                score[at] = LOOKED_AT + score[at]
        if absent is None:
            return weight, score, len(weight)
        score[absent] = -1
        return weight, score, len(weight) - int(np.count_nonzero(absent))

    def _at(self, p: Projection, listed: Wires, name: str, index: int) -> np.ndarray:
        """The entries that begin or end at a unit."""
        if isinstance(listed, AllPairs):
            rows, columns = listed.units
            out = index * columns + np.arange(columns) if name == p.src else np.zeros(0, int)
            into = np.arange(rows) * columns + index if name == p.dst else np.zeros(0, int)
            return np.union1d(out, into)
        ends = listed.ends(p, np.arange(len(listed.weights(p))))
        return np.flatnonzero(
            ((ends.src == index) & (name == p.src)) | ((ends.dst == index) & (name == p.dst))
        )

    def _kept(self, bundle: _Bundle, score: np.ndarray, share: int) -> np.ndarray:
        """Keep what is among the best of a projection; what is new among them waits for a slot."""
        best = _best(score, share, bundle.entry)
        chosen = np.zeros(len(score), bool)
        chosen[best] = True
        stays = chosen[bundle.entry]
        chosen[bundle.entry] = False
        gone = bundle.slot[~stays]
        new = np.flatnonzero(chosen)
        waiting = np.full(len(new), -1)
        bundle.entry = np.concatenate([bundle.entry[stays], new])
        bundle.slot = np.concatenate([bundle.slot[stays], waiting])
        return gone

    def _place(self, gone: Sequence[np.ndarray], now: dict[str, np.ndarray]) -> None:
        """Give what waits a slot."""
        for name, a in now.items():
            a[np.concatenate(gone)] = FREE if name == "dst" else 0
        free = np.flatnonzero(now["dst"] == FREE)
        used = 0
        for bundle in self._bundles.values():
            waits = np.flatnonzero(bundle.slot < 0)
            bundle.slot[waits] = free[used : used + len(waits)]
            used += len(waits)

    def _rescale(self, net: Network, weights: Mapping[str, np.ndarray]) -> bool:
        """Set the scale anew if weights have outgrown it, or become much smaller; whether it was.
        What brings units as they are has no weights to go by.
        """
        sizes = [np.abs(weights[p.name]) for p in net.projections if p.weight is not None]
        every = np.concatenate(sizes) if sizes else np.zeros(0)
        every = every[np.isfinite(every)]
        if not len(every):
            self._scale = self._scale or 1.0
            return False
        place = min(int(FITS * len(every)), len(every) - 1)
        size = float(np.partition(every, place)[place])
        if self._scale and LOW <= size / self._scale <= HIGH:
            return False
        scale = GROWTH * size or self._scale or 1.0
        changed = scale != self._scale
        self._scale = scale
        return changed

    def _write(
        self,
        net: Network,
        number: int,
        bundle: _Bundle,
        weight: np.ndarray,
        update: int,
        now: dict[str, np.ndarray],
    ) -> None:
        """What is in the slots of a projection, of its number."""
        p, slot = net.projections[number], bundle.slot
        if not len(slot):
            return
        ends = bundle.listed.ends(p, bundle.entry)
        src = self._scene.units(p.src).start + ends.src
        dst = self._scene.units(p.dst).start + ends.dst
        byte = np.nan_to_num(weight / self._scale * FULL, nan=0.0, posinf=FULL, neginf=-FULL)
        since = np.maximum(
            bundle.since(bundle.entry), np.maximum(self._unit_since[src], self._unit_since[dst])
        )
        age = np.clip(BYTE * (1 - since / max(update, 1)), 0, BYTE).astype(np.uint8)
        # A new synapse in a slot tells its age, and an old one when it has moved on a good deal.
        old, same = self._parts, self._parts["dst"][slot] == dst
        same &= self._parts["src"][slot] == src
        near = np.abs(old["age"][slot].astype(int) - age) < OLDER
        now["age"][slot] = np.where(same & near, old["age"][slot], age)
        now["src"][slot], now["dst"][slot] = src, dst
        now["weight"][slot] = np.clip(np.rint(byte), -FULL, FULL).astype(np.int8)
        delay = net.topology.delays.get(p.name, 0)
        if isinstance(p, FixedFanIn) and p.late is not None:
            delay = np.asarray(p.late).ravel()[bundle.entry]
        now["delay"][slot] = np.minimum(delay, BYTE)
        now["projection"][slot] = min(number, BYTE)

    def _changed(self, now: dict[str, np.ndarray], rescaled: bool) -> Changed | None:
        differs = np.zeros(self._limit, bool)
        for name, a in now.items():
            differs |= a != self._parts[name]
        slot = np.flatnonzero(differs)
        if not (len(slot) or rescaled or self._anew):
            return None
        base, whole = self._version, self._anew
        self._version, self._parts, self._anew = base + 1, now, False
        parts = {name: a[slot] for name, a in now.items()}
        return Changed(
            base,
            self._version,
            self._scale,
            self._total,
            whole,
            slot.astype(np.uint32),
            **parts,
        )


def _shares(counts: Sequence[int], limit: int) -> list[int]:
    """How many of each are drawn: as many of each, and what some have too few for goes to the
    others.
    """
    shares, left = [0] * len(counts), limit
    order = sorted(range(len(counts)), key=lambda i: counts[i])
    for done, i in enumerate(order):
        shares[i] = min(counts[i], left // (len(order) - done))
        left -= shares[i]
    return shares


def _best(score: np.ndarray, share: int, drawn: np.ndarray) -> np.ndarray:
    """The entries of the largest scores, none below 0."""
    if share <= 0:
        return np.zeros(0, np.int64)
    # All of the best are at least as good as the worst of as many that are known.
    known = len(drawn) >= share
    floor = np.partition(score[drawn], -share)[-share] if known else 0
    some = np.flatnonzero(score >= max(floor, 0))
    if len(some) <= share:
        return some
    return some[np.argpartition(score[some], -share)[-share:]]
