"""A unit that was picked: what it reads and who reads it, what it answers to, and what the network
loses without it; and of two units the strongest way from one to the other.

The way is the one that influence goes along most (`network/influence.py`): of what drives unit i,
unit j has the share p_ij = |w_ij| a_j / sum_k |w_ik| a_k, where a_j is how much j sends on average,
and a way has the product of the shares along it.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy import sparse
from scipy.sparse import csgraph

from byway.core.hyper import Mould, numbers_of
from byway.core.signal import Signal
from byway.core.task import Task
from byway.learning.learner import Learner
from byway.learning.rule import Rule
from byway.network.network import Network
from byway.network.projections import Dense, Projection
from byway.network.sparse import FixedFanIn
from byway.studio.probe import activity, predicted
from byway.studio.scene import Scene
from byway.studio.silence import silenced
from byway.studio.wires import Wires, host, strongest, wires
from byway.training.programs import in_precision
from byway.training.step import concluded

# Synapses each way, samples, and units of a way that are named; a unit is active above this size.
MOST, SAMPLES, NAMED, ACTIVE = 200, 8, 6, 1e-6
# Programs that are kept, one for each structure of a rule; and how many samples of the pool are for
# rules that settle, try every label, or go through sequences.
KEPT, FEW = 4, 64


class Answer(NamedTuple):
    """What a unit does on the pool.

    Arrays of JAX where it is computed, and of NumPy where it is read.

    Attributes:
        activity: of the unit, "samples".
        sent: how much each unit sends on average, "units".
        loss: the mean loss; NaN where there are no targets.
        without: the mean loss where nothing is heard of the unit.
    """

    activity: Any
    sent: Any
    loss: Any
    without: Any


class Found(NamedTuple):
    """Synapses that begin or end at a unit.

    Attributes:
        unit: at the other end, counted over all populations.
        weight: of each.
    """

    unit: Int[np.ndarray, " synapses"]
    weight: Float[np.ndarray, " synapses"]


class Pick:
    """What there is to say of a unit. Its number is an argument of the compiled program.

    Args:
        rule: the rule that trains the network.
        task: what it is trained on.
        scene: the order of the units.
        pool: some validation samples, the first ones, and their signal.
    """

    def __init__(self, rule: Rule, task: Task, scene: Scene, pool: tuple[Array, Signal]):
        slow = rule.settles or rule.writes_label or task.in_time
        some = FEW if slow else pool[0].shape[0]
        self._rule, self._task, self._scene = rule, task, scene
        self._pool: tuple[Array, Signal] = jax.tree.map(lambda a: a[:some], pool)
        self._inputs = np.asarray(self._pool[0])
        self._program = functools.lru_cache(maxsize=KEPT)(self._made)
        self._listed: dict[str, Wires] = {}

    def __call__(
        self,
        learner: Learner,
        units: Sequence[int],
        history: Any,
        *,
        rule: Rule | None = None,
    ) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """All of the unit that was picked last.

        Args:
            learner: the learner.
            units: none, one or two, counted over all populations.
            history: of the activity of that unit, "points 2": at which update, and what it was.
            rule: the rule with the numbers that it has now; another number compiles nothing.

        Returns:
            The head of the frame `selection`, and its arrays.
        """
        points = np.asarray(history, np.float32).reshape(-1, 2)
        if not units:
            return self._nothing(points)
        numbers, mould = numbers_of(self._rule if rule is None else rule)
        unit = int(units[-1])
        answer: Answer = jax.device_get(
            self._program(mould)(numbers, learner, jnp.int32(unit), self._pool)
        )
        net = learner.net
        incoming, outgoing = self.incoming(net, unit), self.outgoing(net, unit)
        name, index = self._scene.where(unit)
        way: list[int] = []
        share = None
        if len(units) > 1:
            way, share = self.way(net, int(units[0]), unit, answer.sent)
        facts = self._facts(net, name, index, incoming, outgoing, answer)
        if len(units) > 1:
            facts = [*self._told(way, share), *facts]
        best = _most(answer.activity)
        head = {
            "units": [int(one) for one in units],
            "title": self._title(units),
            "facts": [list(fact) for fact in facts],
            "samples": [
                {"index": i, "label": self._label(i), "value": float(answer.activity[i])}
                for i in best.tolist()
            ],
            "shape": list(self._pool[0].shape[1:]),
            "path_share": share,
        }
        ends = [_first(found) for found in (incoming, outgoing)]
        arrays = {
            "in_unit": ends[0].unit.astype(np.uint32),
            "in_weight": ends[0].weight.astype(np.float32),
            "out_unit": ends[1].unit.astype(np.uint32),
            "out_weight": ends[1].weight.astype(np.float32),
            "history": points,
            "samples": self._inputs[best].astype(np.float32),
            "path": np.array(way, np.uint32),
        }
        picture = self._picture(net, name, incoming)
        return head, arrays if picture is None else {**arrays, "picture": picture}

    def incoming(self, net: Network, unit: int) -> Found:
        """All synapses that end at a unit, the strongest first."""
        return self._synapses(net, unit, ending=True)

    def outgoing(self, net: Network, unit: int) -> Found:
        """All synapses that begin at a unit, the strongest first."""
        return self._synapses(net, unit, ending=False)

    def way(
        self, net: Network, first: int, last: int, sent: Float[np.ndarray, " units"]
    ) -> tuple[list[int], float | None]:
        """The strongest way from one unit to another, along synapses.

        Args:
            net: the network.
            first: where it begins.
            last: where it ends.
            sent: how much each unit sends on average; NaN counts as 1.

        Returns:
            Its units, none where there is no way; and the product of the shares along it.
        """
        heard = np.nan_to_num(np.asarray(sent, float), nan=1.0)
        total, parts = np.zeros(self._scene.size), []
        starts, ends = self._between(net, first, last)
        for p in net.projections:
            listed = self._wires(net, p)
            size, absent = np.abs(listed.weights(p)), listed.absent(p)
            src, dst = self._scene.units(p.src), self._scene.units(p.dst)
            if absent is None and len(size) == net[p.src].size * net[p.dst].size:
                size = size.reshape(net[p.src].size, -1) * heard[src, None]
                total[dst] += size.sum(0)
                a, b = np.flatnonzero(starts[src]), np.flatnonzero(ends[dst])
                pairs = np.repeat(a, len(b)), np.tile(b, len(a))
                drive = size[pairs]
            else:
                entry = np.arange(len(size)) if absent is None else np.flatnonzero(~absent)
                pairs = listed.ends(p, entry)
                drive = size[entry] * heard[src][pairs[0]]
                total[dst] += np.bincount(pairs[1], drive, net[p.dst].size)
                some = starts[src][pairs[0]] & ends[dst][pairs[1]]
                pairs, drive = [one[some] for one in pairs], drive[some]
            some = drive > 0
            parts.append((pairs[0][some] + src.start, pairs[1][some] + dst.start, drive[some]))
        source, target, drive = (np.concatenate(each) for each in zip(*parts, strict=True))
        # Backwards from the end the largest product is the least sum of -log p; a length of zero
        # would be no edge. Of several synapses between two units the strongest counts.
        far = -np.log(np.minimum(drive / total[target], 1.0)) + 1e-12
        if len({(p.src, p.dst) for p in net.projections}) < len(net.projections):
            target, source, far = _least(target, source, far)
        shape = self._scene.size, self._scene.size
        matrix = sparse.csr_array((far, (target, source)), shape=shape)
        length, before = csgraph.dijkstra(matrix, indices=last, return_predecessors=True)
        if first == last or not np.isfinite(length[first]):
            return [], None
        way = [first]
        while way[-1] != last:
            way.append(int(before[way[-1]]))
        return way, float(np.exp(-length[first]))

    def _between(self, net: Network, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """At which units the synapses of a way may begin, and at which end."""
        begin, stop = self._scene.where(first)[0], self._scene.where(last)[0]
        upstream = {p.name: net.upstream(p.name) for p in net.populations}
        masks = np.zeros((2, self._scene.size), bool)
        for p in net.projections:
            if begin in upstream[p.src] and p.dst in upstream[stop]:
                masks[0, self._scene.units(p.src)] = True
                masks[1, self._scene.units(p.dst)] = True
        for one, name, mask in ((first, begin, masks[0]), (last, stop, masks[1])):
            if not any(name in upstream[p.src] and p.dst == name for p in net.projections):
                mask[self._scene.units(name)] = False
                mask[one] = True
        return masks[0], masks[1]

    def _made(self, mould: Mould) -> Callable[..., Any]:
        return jax.jit(functools.partial(self._answer, mould))

    def _answer(
        self,
        mould: Mould,
        numbers: list[Any],
        learner: Learner,
        unit: Int[Array, ""],
        pool: tuple[Array, Signal],
    ) -> Answer:
        rule = mould(numbers)
        x, signal = in_precision(pool, learner.net.dtype)
        learner = concluded(rule, learner)
        key = learner.key

        def loss(net: Network) -> tuple[Array, dict[str, Array]]:
            one = dataclasses.replace(learner, net=net)
            seen = predicted(rule, one, x, signal, key, self._task.in_time)
            if not signal.taught:
                return jnp.full((), jnp.nan), seen.post
            return jnp.sum(signal.loss(seen.whole)) / len(x), seen.post

        net = learner.net
        whole, post = loss(net)
        without, _ = loss(silenced(net, jnp.arange(self._scene.size, dtype=jnp.int32) == unit))
        each = activity(net, post)
        sends = activity(net, {name: net[name].send(a) for name, a in post.items()})
        nothing = lambda p: jnp.full((len(x), p.size), jnp.nan, net.dtype)
        rows = jnp.concatenate([each.get(p.name, nothing(p)) for p in net.populations], 1)
        sent = jnp.concatenate([sends.get(p.name, nothing(p)) for p in net.populations], 1)
        mine = jax.lax.dynamic_index_in_dim(rows, unit, 1, keepdims=False)
        return Answer(mine, jnp.mean(jnp.abs(sent), 0), whole, without)

    def _synapses(self, net: Network, unit: int, ending: bool) -> Found:
        name, index = self._scene.where(unit)
        units, weights = [], []
        for p in net.incoming(name) if ending else net.outgoing(name):
            found = self._at(net, p, index, ending)
            other = self._scene.units(p.src if ending else p.dst).start
            units.append(found.unit + other)
            weights.append(found.weight)
        if not units:
            return Found(np.zeros(0, int), np.zeros(0, np.float32))
        unit_, weight = np.concatenate(units), np.concatenate(weights)
        order = np.argsort(-np.abs(weight), kind="stable")
        return Found(unit_[order], weight[order])

    def _at(self, net: Network, p: Projection, index: int, ending: bool) -> Found:
        """The synapses of a projection at a unit, with the unit at the other end in its own
        population.
        """
        if isinstance(p, FixedFanIn):
            table, weight = np.asarray(p.index), host(p.weight)
            if ending:
                there = np.flatnonzero(table[index] < p.sources)
                return Found(table[index, there], weight[index, there])
            post, slot = np.nonzero(table == index)
            return Found(post, weight[post, slot])
        sizes = net[p.src].size, net[p.dst].size
        if isinstance(p, Dense):
            weight = strongest(host(p.weight), sizes)
            row = weight[:, index] if ending else weight[index]
            return Found(np.arange(len(row)), row)
        # What any linear map does to one unit: its transpose, or itself. A unit may send several
        # numbers, or have several drives.
        shape = p.dst_shape if ending else p.src_shape
        own = sizes[1] if ending else sizes[0]
        parts = int(np.prod(shape)) // own
        one = np.zeros((parts, parts, own), net.dtype)
        one[np.arange(parts), np.arange(parts), index] = 1
        row = host((_back if ending else _ahead)(p, jnp.asarray(one.reshape(parts, *shape))))
        other = sizes[0] if ending else sizes[1]
        many = row.reshape(-1, other)
        row = many[np.argmax(np.abs(many), 0), np.arange(other)]
        there = np.flatnonzero(row)
        return Found(there, row[there])

    def _wires(self, net: Network, p: Projection) -> Wires:
        if p.name not in self._listed:
            self._listed[p.name] = wires(net, p, everywhere=True)
        return self._listed[p.name]

    def _picture(self, net: Network, name: str, incoming: Found) -> np.ndarray | None:
        """The weights from the input, as an image; only what it sees, if it sees a part."""
        shape = next(
            (s for s in (net[net.input].shape, self._task.input_shape) if len(s) == 3), None
        )
        read = any(p.src == net.input for p in net.incoming(name))
        if shape is None or not read or int(np.prod(shape)) != net[net.input].size:
            return None
        pixels = self._scene.units(net.input)
        mine = (incoming.unit >= pixels.start) & (incoming.unit < pixels.stop)
        image = np.zeros(int(np.prod(shape)), np.float32)
        image[incoming.unit[mine] - pixels.start] = incoming.weight[mine]
        image = image.reshape(shape)
        field = [np.flatnonzero(image.any(axes)) for axes in ((1, 2), (0, 2))]
        if not isinstance(net.incoming(name)[0], Dense | FixedFanIn) and len(field[0]):
            rows, columns = (slice(a[0], a[-1] + 1) for a in field)
            image = image[rows, columns]
        return np.ascontiguousarray(image)

    def _facts(
        self,
        net: Network,
        name: str,
        index: int,
        incoming: Found,
        outgoing: Found,
        answer: Answer,
    ) -> list[tuple[str, str]]:
        shape = net[name].shape
        at = ", ".join(f"{x:.0f}" for x in np.asarray(net[name].position)[index])
        place = " ".join(str(int(i)) for i in np.unravel_index(index, shape))
        values = answer.activity
        facts = [
            ("population", f"{name}, of {net[name].size:,} units"),
            ("place in it", f"{place} of {' × '.join(map(str, shape))}"),
            ("position", f"{at} µm"),
            ("synapses in", f"{len(incoming.unit):,}"),
            ("synapses out", f"{len(outgoing.unit):,}"),
        ]
        if np.isfinite(values).all():
            share = np.mean(np.abs(values) > ACTIVE)
            facts += [
                ("mean activity", f"{values.mean():.3g}"),
                ("active in", f"{100 * share:.0f} % of {len(values)} samples"),
            ]
        loss, without = float(answer.loss), float(answer.without)
        if np.isfinite(loss) and name != net.output:
            facts.append(("loss of these samples", f"{loss:.4g}"))
            change = f" ({100 * (without / loss - 1):+.1f} %)" if loss else ""
            facts.append(("loss if it is silenced", f"{without:.4g}{change}"))
        return facts

    def _told(self, way: Sequence[int], share: float | None) -> list[tuple[str, str]]:
        if share is None:
            return [("strongest way", "none: no synapses lead from the first to the second")]
        named = [" ".join(map(str, self._scene.where(unit))) for unit in way]
        if len(named) > NAMED:
            named = [*named[: NAMED // 2], "…", *named[-NAMED // 2 :]]
        return [
            ("strongest way", " → ".join(named)),
            ("its share", f"{100 * share:.3g} % of what drives the second unit"),
        ]

    def _title(self, units: Sequence[int]) -> str:
        return " → ".join(self._named(int(unit)) for unit in units)

    def _named(self, unit: int) -> str:
        name, index = self._scene.where(unit)
        labels = self._task.encoding.labels
        outputs = self._scene.populations[self._scene.number(name)]
        known = outputs.role == "output" and len(labels) == outputs.count
        return f"{name} {index}" + (f" ({labels[index]})" if known else "")

    def _label(self, sample: int) -> str:
        """What a sample of the pool is; empty where it has no label."""
        signal, labels = self._pool[1], self._task.encoding.labels
        if not labels or not signal.taught or signal.target.shape[-1] != len(labels):
            return ""
        target = np.asarray(signal.target[sample])
        if signal.weight is not None:
            target = target[int(np.flatnonzero(np.asarray(signal.weight[sample]) > 0)[-1])]
        return str(labels[int(np.argmax(target))])

    def _nothing(self, points: np.ndarray) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        shape = list(self._pool[0].shape[1:])
        head: Mapping[str, Any] = {
            "units": [],
            "title": "",
            "facts": [],
            "samples": [],
            "shape": shape,
            "path_share": None,
        }
        whole, number = np.zeros(0, np.uint32), np.zeros(0, np.float32)
        arrays = {
            "in_unit": whole,
            "in_weight": number,
            "out_unit": whole,
            "out_weight": number,
            "history": points,
            "samples": np.zeros((0, *shape), np.float32),
            "path": whole,
        }
        return dict(head), arrays


@jax.jit
def _ahead(p: Projection, one: Array) -> Array:
    return p.forward(one) - p.offset


@jax.jit
def _back(p: Projection, one: Array) -> Array:
    return p.backward(one)


def _first(found: Found) -> Found:
    return Found(found.unit[:MOST], found.weight[:MOST])


def _most(values: np.ndarray) -> np.ndarray:
    """The samples of the largest values, none where all are the same."""
    if not np.isfinite(values).all() or np.ptp(values) == 0:
        return np.zeros(0, int)
    return np.argsort(-values, kind="stable")[:SAMPLES]


def _least(
    target: np.ndarray, source: np.ndarray, far: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ends and lengths of synapses, of several between the same two units the shortest."""
    order = np.lexsort((far, source, target))
    target, source, far = target[order], source[order], far[order]
    other = (target[1:] != target[:-1]) | (source[1:] != source[:-1])
    keep = np.append(True, other)
    return target[keep], source[keep], far[keep]
