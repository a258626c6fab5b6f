"""What each unit does, as numbers that a picture is coloured by.

    activity    of the sample that is shown
    potential   its summed current
    error       d_j, what the rule adds to the bias of unit j (ascent of the loss), mean of a batch
    angle       between what the rule learns for the weights that end at j, and the true gradient
    utility     mean |what j sends| over a batch, times sum_k |w_jk|

Without a bias d_j is what its weights' update U_ij = <a_i d_j> gives for it by least squares,
sum_i U_ij <a_i> / sum_i <a_i>^2: exact for a batch of one. Where many units share a bias, as those
of a map do, each has its share. What cannot be had is NaN: where a rule leaves no potential, learns
nothing, or has no true gradient.

In time, activity and potential are those of the last step that counts, and of units that spike
their mean over time; a unit that sends several numbers has their length, one with several drives
their sum.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from byway.core.hyper import Mould, numbers_of
from byway.core.metric import Metric
from byway.core.record import Phase, Record
from byway.core.signal import Signal
from byway.core.task import Task
from byway.learning.learner import Learner
from byway.learning.rule import Rule
from byway.learning.time import SequenceRule, StepRule, step_of
from byway.metrics.microscope import taught, true_gradient
from byway.network.network import Network
from byway.network.populations import Population
from byway.network.projections import Projection
from byway.studio.scene import Scene, alive
from byway.training.programs import in_precision
from byway.training.step import concluded

# The phases that stand for a prediction, the first that a record has.
PREDICTING = ("free", "settled", "neutral", "clean", "mean", "positive", "moving")
Units = Float[Array, " units"]
Batch = tuple[Array, Signal]


@dataclasses.dataclass(frozen=True)
class Quantity:
    """What units can be coloured by.

    Attributes:
        name: its own.
        title: what a person calls it.
        unit: of its values, empty where they are plain numbers.
        diverging: whether it has a sign, so that zero is the middle of its colours.
        meaning: how to read it.
    """

    name: str
    title: str
    unit: str
    diverging: bool
    meaning: str


ACTIVITY = Quantity(
    "activity",
    "activity",
    "",
    True,
    "What each unit sends for the sample that is shown; in time at the last step that counts, of "
    "units that spike their rate.",
)
POTENTIAL = Quantity(
    "potential",
    "potential",
    "",
    True,
    "The summed current into each unit for the sample that is shown, before its activation.",
)
ERROR = Quantity(
    "error",
    "teaching signal",
    "",
    True,
    "Which way and how far the rule pushes each unit, on average over some validation samples: "
    "what it takes off the unit's bias.",
)
ANGLE = Quantity(
    "angle",
    "angle of its credit",
    "°",
    False,
    "Between what the rule learns for the synapses into a unit and the true gradient. At 0° the "
    "unit is told what backprop would tell it; at 90° nothing of the kind.",
)
UTILITY = Quantity(
    "utility",
    "utility",
    "",
    False,
    "How much of a unit reaches others: its mean activity times the sizes of its outgoing weights.",
)
QUANTITIES = (ACTIVITY, POTENTIAL, ERROR, ANGLE, UTILITY)
# Of hidden units together, as curves. What a unit sends for two samples differs by more than this,
# or it says nothing.
RATE = Metric(
    "firing_rate",
    "firing rate",
    unit="%",
    scale=100.0,
    meaning="How often a hidden unit that spikes does so, as a share of the steps.",
)
DEAD = Metric(
    "dead",
    "dead units",
    unit="%",
    scale=100.0,
    higher=False,
    meaning="The share of the hidden units that send the same for all of some samples: the others "
    "learn nothing from them.",
)
SAME = 1e-6


class Shown(NamedTuple):
    """What a prediction left of each sample.

    Attributes:
        output: "batch out"; in time of the last step that counts.
        whole: the output as the rule gives it, "batch time out" in time.
        post: by population its activity, "batch *sent"; those that are not known are left out.
        u: by population its potential, "batch *drive".
    """

    output: Array
    whole: Array
    post: dict[str, Array]
    u: dict[str, Array]


class Probe:
    """What each unit does, by one compiled program for each quantity, made when it is first asked
    for.

    Args:
        rule: the rule that trains the network.
        net: the network; of its weights only the shapes matter.
        task: what it is trained on.
        scene: the order of the units.
    """

    def __init__(self, rule: Rule, net: Network, task: Task, scene: Scene):
        self._rule, self._in_time = rule, task.in_time
        self._sizes = [p.count for p in scene.populations]
        self._program = functools.lru_cache(maxsize=2 * len(QUANTITIES))(self._made)
        self._life = functools.lru_cache(maxsize=2)(self._made_life)

    def __call__(
        self,
        learner: Learner,
        shown_x: Float[Array, "one *inputs"],
        shown_signal: Signal,
        batch_x: Float[Array, "batch *inputs"],
        batch_signal: Signal,
        key: Key[Array, ""],
        *,
        quantity: str | None = None,
        rule: Rule | None = None,
    ) -> tuple[dict[str, Units], Float[Array, " out"]]:
        """What units do, "units" of all populations in the order of the scene.

        Args:
            learner: the learner, as it is between two updates.
            shown_x: the sample that is shown, a batch of one.
            shown_signal: its signal; only its weights count.
            batch_x: the samples that error, angle and utility are taken of.
            batch_signal: their signal.
            key: the key of f.
            quantity: which one; all by default.
            rule: the rule with the numbers that it has now; another number compiles nothing.

        Returns:
            By quantity its values, float32, NaN where it cannot be had; and the output for the
            sample that is shown.
        """
        numbers, mould = numbers_of(self._rule if rule is None else rule)
        batch = batch_x, batch_signal
        return self._program(mould, quantity)(numbers, learner, (shown_x, shown_signal), batch, key)

    def life(
        self, learner: Learner, x: Array, signal: Signal, key: Key[Array, ""], rule: Rule
    ) -> dict[str, float]:
        """Which share of the hidden units is dead, and how often those that spike do, by metric;
        without what cannot be had.

        Args:
            learner: the learner, as it is between two updates.
            x: the samples, "batch *inputs".
            signal: their signal; only its weights count.
            key: the key of f.
            rule: the rule with the numbers that it has now; another number compiles nothing.
        """
        numbers, mould = numbers_of(rule)
        found = jax.device_get(self._life(mould)(numbers, learner, (x, signal), key))
        net, same, fired = learner.net, [], []
        for name, (still, mean) in found.items():
            there = alive(net, name)
            same.append(still[there])
            if not _steady(net[name]):
                fired.append(mean[there])
        return {
            metric.name: metric.scale * float(np.concatenate(parts).mean())
            for metric, parts in ((DEAD, same), (RATE, fired))
            if sum(map(len, parts))
        }

    def _made_life(self, mould: Mould) -> Callable[..., dict[str, tuple[Array, Array]]]:
        def run(numbers: list[Any], learner: Learner, batch: Batch, key: Key[Array, ""]):
            rule = mould(numbers)
            batch = in_precision(batch, learner.net.dtype)
            learner = concluded(rule, learner)
            seen = predicted(rule, learner, *batch, key, self._in_time)
            hidden = {p.name for p in learner.net.hidden}
            return {
                name: (jnp.ptp(a, axis=0) <= SAME, jnp.mean(a, 0))
                for name, a in activity(learner.net, seen.post).items()
                if name in hidden
            }

        return jax.jit(run)

    def _made(self, mould: Mould, quantity: str | None) -> Callable[..., Any]:
        asked = [q.name for q in QUANTITIES] if quantity is None else [quantity]
        return jax.jit(functools.partial(self._run, mould, tuple(asked)))

    def _run(
        self,
        mould: Mould,
        asked: tuple[str, ...],
        numbers: list[Any],
        learner: Learner,
        shown: tuple[Array, Signal],
        batch: tuple[Array, Signal],
        key: Key[Array, ""],
    ) -> tuple[dict[str, Units], Array]:
        rule = mould(numbers)
        shown, batch = in_precision((shown, batch), learner.net.dtype)
        learner = concluded(rule, learner)
        net, seen = learner.net, predicted(rule, learner, *shown, key, self._in_time)
        made: dict[str, Callable[[], Mapping[str, Array]]] = {
            "activity": lambda: {k: a[0] for k, a in activity(net, seen.post).items()},
            "potential": lambda: {k: a[0] for k, a in _potential(net, seen.u).items()},
            "error": lambda: self._error(rule, learner, batch, key),
            "angle": lambda: _angle(rule, learner, batch, key),
            "utility": lambda: self._utility(rule, learner, batch, key),
        }
        values = {name: self._joined(net, made[name]()) for name in asked}
        return values, seen.output[0].astype(jnp.float32)

    def _joined(self, net: Network, parts: Mapping[str, Array]) -> Units:
        """One row for all populations; NaN for those that are not there."""
        rows = []
        for p, size in zip(net.populations, self._sizes, strict=True):
            found = parts.get(p.name)
            nothing = jnp.full(size, jnp.nan, jnp.float32)
            rows.append(nothing if found is None else found.reshape(-1).astype(jnp.float32))
        return jnp.concatenate(rows)

    def _error(
        self, rule: Rule, learner: Learner, batch: Batch, key: Key[Array, ""]
    ) -> dict[str, Array]:
        net = learner.net
        update = taught(rule, learner, *batch, key)
        found = {p.name: _biased(net, p, update) for p in net.populations}
        bare = {
            p.name: _by_weights(p, update[p.name]["weight"])
            for p in net.projections
            if not found[p.dst] and "weight" in update.get(p.name, {})
        }
        if any(each is not None for each in bare.values()):
            seen = predicted(rule, learner, *batch, key, self._in_time)
            for p in net.projections:
                by = bare.get(p.name)
                if by is not None and p.src in seen.post and not found[p.dst]:
                    found[p.dst] = [by(net[p.src].send(seen.post[p.src]))]
        return {
            name: functools.reduce(jnp.add, parts).reshape(-1, net[name].size).sum(0)
            for name, parts in found.items()
            if parts
        }

    def _utility(
        self, rule: Rule, learner: Learner, batch: Batch, key: Key[Array, ""]
    ) -> dict[str, Array]:
        net = learner.net
        seen = predicted(rule, learner, *batch, key, self._in_time)
        found = {}
        for population in net.populations:
            name, out = population.name, net.outgoing(population.name)
            if name not in seen.post or not out:
                continue
            sent = jnp.mean(jnp.abs(population.send(seen.post[name])), 0)
            reached = functools.reduce(jnp.add, [_outgoing(p) for p in out])
            found[name] = (sent * reached).reshape(-1, population.size).sum(0)
        return found


def predicted(
    rule: Rule,
    learner: Learner,
    x: Float[Array, "batch *inputs"],
    signal: Signal,
    key: Key[Array, ""],
    in_time: bool,
) -> Shown:
    """What the rule's prediction of a batch leaves of each sample.

    Args:
        rule: the rule.
        learner: a learner, as it is looked at (`concluded`).
        x: the inputs, "batch time *inputs" in time.
        signal: their signal; in time its weights say which steps count.
        key: the key of f.
        in_time: whether the inputs are sequences.
    """
    net = learner.net
    if not in_time:
        record = rule.predict(learner.gamma, net, x, key)
        phase = _phase(record)
        if phase is None:  # a rule that predicts by something else shows one pass of the network
            phase = net.forward(x) if net.unrunnable is None else Phase({}, {}, {}, {})
        post = {net.input: net.place(x)} | phase.post
        return Shown(record.output, record.output, post, phase.u)
    counts = jnp.ones(x.shape[:2], net.dtype) if signal.weight is None else signal.weight
    last = x.shape[1] - 1 - jnp.argmax(counts[:, ::-1] > 0, 1).astype(jnp.int32)
    if isinstance(rule, StepRule):
        return _stepped(rule, learner, x, key, last)
    record = rule.predict(learner.gamma, net, x, key, True)
    phase = _phase(record) or Phase({}, {}, {}, {})
    in_front = isinstance(rule, SequenceRule)
    course = lambda a: a if in_front else jnp.moveaxis(a, 1, 0)
    post = {net.input: jnp.moveaxis(_inputs(net, x), 1, 0)}
    post |= {name: course(a) for name, a in phase.post.items() if name != net.input}
    each = lambda name, a: _at(a, last) if _steady(net[name]) else jnp.mean(a, 0)
    return Shown(
        jnp.moveaxis(record.output, 1, 0)[last, jnp.arange(len(x))],
        record.output,
        {name: each(name, a) for name, a in post.items()},
        {name: _at(course(a), last) for name, a in phase.u.items()},
    )


def _stepped(rule: StepRule, learner: Learner, x: Array, key: Key[Array, ""], last: Array) -> Shown:
    """A rule that goes step by step: nothing is kept of a step but what is asked for."""
    net, steps = learner.net, x.shape[1]

    def run(state, t):
        state, record = rule.f(
            learner.gamma, net, state, step_of(x, t), None, jax.random.fold_in(key, t)
        )
        phase = _phase(record) or Phase({}, {}, {}, {})
        post = {net.input: net.place(step_of(x, t))} | phase.post
        return state, (record.output, post, phase.u)

    start = rule.start(learner.gamma, net, x.shape[0])[0]
    shapes = jax.eval_shape(lambda: run(start, jnp.int32(0))[1])
    zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)

    def step(held, t):
        state, (output, post, u) = held
        state, (now, fired, current) = run(state, t)
        here = last == t
        keep = lambda new, old: jnp.where(here.reshape(-1, *[1] * (new.ndim - 1)), new, old)
        post = {
            name: keep(a, post[name]) if _steady(net[name]) else post[name] + a / steps
            for name, a in fired.items()
        }
        u = {name: keep(a, u[name]) for name, a in current.items()}
        return (state, (keep(now, output), post, u)), now

    times = jnp.arange(steps, dtype=jnp.int32)
    (_, (output, post, u)), outputs = jax.lax.scan(step, (start, zeros), times)
    return Shown(output, jnp.moveaxis(outputs, 0, 1), post, u)


def activity(net: Network, post: Mapping[str, Array]) -> dict[str, Float[Array, "batch units"]]:
    """One number for each unit: the length of the several that it may send."""
    found = {}
    for name, a in post.items():
        many = a.reshape(len(a), -1, net[name].size)
        found[name] = many[:, 0] if many.shape[1] == 1 else jnp.sqrt(jnp.sum(many**2, 1))
    return found


def _potential(net: Network, u: Mapping[str, Array]) -> dict[str, Float[Array, "batch units"]]:
    return {name: a.reshape(len(a), -1, net[name].size).sum(1) for name, a in u.items()}


def _phase(record: Record) -> Phase | None:
    """The phase that stands for the prediction; None where the record has none."""
    named = [record.phases[name] for name in PREDICTING if name in record.phases]
    return next(iter([*named, *record.phases.values()]), None)


def _steady(population: Population) -> bool:
    """Whether one step of its units says what they do: those that spike are mostly silent."""
    return not population.cell.silent


def _inputs(net: Network, x: Float[Array, "batch time *inputs"]) -> Array:
    """The inputs of all steps, shaped like the input population."""
    return net.place(x.reshape(-1, *x.shape[2:])).reshape(*x.shape[:2], *net[net.input].shape)


def _at(course: Float[Array, "time batch *units"], last: Array) -> Float[Array, "batch *units"]:
    return course[last, jnp.arange(len(last))]


def _biased(net: Network, population: Population, update: Mapping[str, Any]) -> list[Array]:
    """What is added to the biases of a population's drives, unit by unit, "units" each."""
    found = []
    for p in net.incoming(population.name):
        bias = update.get(p.name, {}).get("bias")
        if bias is None or (population.cell.own and p.ports == population.cell.own):
            continue
        if bias.size < population.size:  # a map has one
            share = bias / (population.size // bias.size)
            bias = jnp.broadcast_to(share.reshape(1, 1, -1), population.shape)
        found.append(bias.reshape(-1, population.size).sum(0))
    return found


def _by_weights(p: Projection, update: Array) -> Callable[[Array], Array] | None:
    """What a weight's update says of the error of a unit, of what is sent to it, by least squares;
    None where places share weights.
    """
    if "" in p.axes:
        return None
    axes = tuple(i for i, axis in enumerate(p.axes) if axis == "pre")

    def by(sent: Float[Array, "batch *sent"]) -> Array:
        mean = jnp.broadcast_to(p.at_pre(jnp.mean(sent, 0, keepdims=True))[0], update.shape)
        square, met = jnp.sum(mean**2, axes), jnp.sum(update * mean, axes)
        return jnp.where(square > 0, met / jnp.where(square > 0, square, 1), jnp.nan)

    return by


def _outgoing(p: Projection) -> Float[Array, "*sent"]:
    """The summed sizes of the weights by which each unit of `src` is heard."""
    ones = jnp.ones((1, *p.dst_shape))
    if p.weight is None:
        return jnp.abs(p.backward(ones))[0]
    if not p.linear_in_weights:
        each = jnp.eye(math.prod(p.src_shape), dtype=p.weight.dtype)
        made = p.forward(each.reshape(-1, *p.src_shape)) - p.offset
        return jnp.abs(made).reshape(len(each), -1).sum(1).reshape(p.src_shape)
    heard = p.backward(ones.astype(p.weight.dtype), jnp.abs(p.weight))[0]
    return heard if p.window is None else heard.sum(0)


def _angle(rule: Rule, learner: Learner, batch: Batch, key: Key[Array, ""]) -> dict[str, Array]:
    """In degrees, NaN where either side is zero (Kahan 2006)."""
    net = learner.net
    true = true_gradient(rule, learner, *batch, key)
    if true is None:
        return {}
    update = taught(rule, learner, *batch, key)
    found = {}
    for population in net.populations:
        pairs = [
            (_rows(population, p, update[p.name]["weight"]), _rows(population, p, true[p.name]))
            for p in net.incoming(population.name)
            if "weight" in update.get(p.name, {}) and "post" in p.axes
        ]
        if not pairs:
            continue
        mine, right = (jnp.concatenate(rows) for rows in zip(*pairs, strict=True))
        lengths = [jnp.linalg.norm(rows, axis=0) for rows in (mine, right)]
        u, g = (
            rows / jnp.where(length > 0, length, 1)[None]
            for rows, length in zip((mine, right), lengths, strict=True)
        )
        apart, together = (jnp.linalg.norm(rows, axis=0) for rows in (u - g, u + g))
        angle = jnp.degrees(2 * jnp.arctan2(apart, together))
        found[population.name] = jnp.where((lengths[0] > 0) & (lengths[1] > 0), angle, jnp.nan)
    return found


def _rows(population: Population, p: Projection, weight: Array) -> Float[Array, "into units"]:
    """What ends at each unit, one column each: of a map all units have the same."""
    front = [i for i, axis in enumerate(p.axes) if axis != "post"]
    ends = [i for i, axis in enumerate(p.axes) if axis == "post"]
    many = math.prod(weight.shape[i] for i in ends)
    columns = jnp.transpose(weight, (*front, *ends)).reshape(-1, many)
    if many < population.size:
        return jnp.tile(columns, (1, population.size // many))
    return columns.reshape(-1, population.size)
