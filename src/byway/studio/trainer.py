"""One rule that trains one network, in stretches of a few updates, with numbers that may change on
the way.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from byway.core.hyper import hypers
from byway.core.metric import Metric
from byway.core.signal import Signal
from byway.core.task import Split
from byway.experiment.experiment import Entry, Experiment
from byway.learning.growth import Growth
from byway.learning.learner import Learner
from byway.learning.rule import Rule
from byway.metrics.growing import GROWING
from byway.metrics.microscope import ANGLE
from byway.network.network import Network
from byway.network.sparse import FixedFanIn
from byway.studio.silence import cut, silenced
from byway.training.history import flat
from byway.training.loop import Loop
from byway.training.predictor import Predictor
from byway.training.programs import in_precision
from byway.training.step import NOISE, Start, branch, concluded

# Of a number without bounds of its own: how far below and above where it starts it may be set.
FAR = 100.0
RATE = "lr"


class Control(NamedTuple):
    """A number that may be set while it runs.

    Attributes:
        name: its key: "lr", or a rule's or a policy's id and the number's name, "rigl.share".
        title: what it is called.
        meaning: what it does.
        value: what it is.
        low: the least it may be.
        high: the most.
        log: whether a slider divides it evenly in its logarithm.
    """

    name: str
    title: str
    meaning: str
    value: float
    low: float
    high: float
    log: bool


class Trainer:
    """Trains one entry of an experiment, one seed of it.

    Args:
        experiment: what it is part of; the first seed is trained.
        entry: which.
        start: what it begins with; drawn by default.

    Attributes:
        loop: what trains.
        update: updates made.
        label: the entry's.
    """

    def __init__(self, experiment: Experiment, entry: Entry, start: Start | None = None):
        plan, task = experiment.plan(entry), experiment.task
        optimisers, _ = plan.prepare(entry.net, entry.rule, task, experiment.data)
        self.loop = Loop(
            entry.rule,
            entry.net.as_learnt(False),
            task,
            experiment.data,
            optimisers,
            plan.batch,
            plan.all_seeds[:1],
            plan.probe,
            plan.every,
            plan.growth,
            plan.rests(experiment.data),
            None if start is None else [start],
        )
        self.label, self.update = entry.label, 0
        self._rate = plan.rate(entry.rule)
        self._controls = self._declared()
        self._followed: tuple[str, ...] = ()
        self._before: dict[str, dict[str, Array]] | None = None
        self._silent: Bool[Array, " units"] | None = None
        self._gone: Bool[Array, " units"] | None = None

    @property
    def rule(self) -> Rule:
        """The rule, with the numbers that it has now."""
        return self.loop.rule

    @property
    def failed(self) -> bool:
        """Whether a number is not finite any more."""
        return bool(self.loop.failed[0] >= 0)

    def advance(self, most: int) -> tuple[int, dict[str, np.ndarray]]:
        """Train some updates, of one epoch.

        Args:
            most: how many at most.

        Returns:
            How many were made, and the training scores of each, "updates *parts".
        """
        first = self.update % self.loop.steps
        last = min(first + most, self.loop.steps)
        if self._silent is not None or self._gone is not None:
            # After each update, so that at each one the others hear nothing of these units.
            last = first + 1
        scores, _ = self.loop.train(first, last)
        if self._silent is not None:
            self._with_net(_silenced_all(self.loop.learners.net, self._silent))
        if self._gone is not None:
            self._with_net(_cut_all(self.loop.learners.net, self._gone))
        self.update += last - first
        return last - first, {name: values[0] for name, values in scores.items()}

    def learner(self) -> Learner:
        """What has been learned so far, without moments, in buffers that training leaves alone."""
        return _first(self.loop.learners)

    def scores(self, means: Mapping[str, np.ndarray]) -> dict[str, float]:
        """The scores in training and on validation, and what has become of the wiring, by names of
        two parts, in the units of `titles`.

        Args:
            means: of what `advance` gave since the last time, over updates, "1 *parts" each.
        """
        groups = {
            "train": self.loop.finished(dict(means)),
            **{name: self.loop.score(name) for name in ("validation", *self._followed)},
            **self.loop.grown(),
        }
        found = {name: float(values[0]) for name, values in flat(groups).items()}
        metrics = {one.name: one for one in (*GROWING, *self.loop.task.scores)}
        scale = lambda name: next(
            (metrics[part].scale for part in name.split("/") if part in metrics), 1.0
        )
        return {name: scale(name) * value for name, value in found.items()}

    def follow(self, others: Mapping[str, Split]) -> None:
        """Let `scores` be those on other samples too, by their names."""
        self.loop.data |= {name: self.loop.layout.share(split) for name, split in others.items()}
        self._followed = tuple(others)

    def angles(self) -> dict[str, float]:
        """The angle of each projection's update to the true gradient [degree], where there is
        one.
        """
        seen, _ = self.loop.look()
        return {f"{ANGLE.name}/{p}": float(v[0]) for p, v in seen.get(ANGLE.name, {}).items()}

    def batch(self, split: Split, index: np.ndarray) -> tuple[Array, Signal]:
        """Some samples as the network gets them now."""
        key, task = branch(self.loop.learners.key[0], NOISE, 0), self.loop.task
        made = task.batch(split, jnp.asarray(index, jnp.int32), key)
        return in_precision(task.drift(*made, self.loop.learners.step[0]), self.loop.net.dtype)

    def titles(self) -> dict[str, dict[str, str]]:
        """Title and unit of what `scores`, `angles` and training give, by name."""
        metrics: dict[str, Metric] = {m.name: m for m in (*GROWING, ANGLE)}
        made = {}
        for part in ("train", "validation"):
            for score in self.loop.task.scores:
                made[f"{part}/{score.name}"] = _said(score, part)
        for name, metric in metrics.items():
            made[name] = _said(metric, "")
        return made

    def controls(self) -> list[Control]:
        """What may be set, with the values of now."""
        return list(self._controls.values())

    def set(self, name: str, value: float) -> None:
        """Set a number, from the next update on; nothing where it is another rule's."""
        owner, _, field = name.partition(".")
        if name not in self._controls:
            return
        if name == RATE:
            self.loop.change(lr=value)
        elif owner == self.rule.id:
            self.loop.change(rule=dataclasses.replace(self.rule, **{field: value}))
        else:
            growth: list[Growth] = [
                dataclasses.replace(policy, **{field: value}) if policy.id == owner else policy
                for policy in self.loop.growth
            ]
            self.loop.change(growth=growth)
        self._controls[name] = self._controls[name]._replace(value=value)

    def save(self, path: Path) -> None:
        """Write what has been learned so far, as `byway.load` reads it.

        Raises:
            RunError: it cannot be written.
        """
        learner, task = concluded(self.rule, self.learner()), self.loop.task
        about = {"byway": version("byway"), "task": task.id, "updates": self.update}
        net, seed = learner.net.as_learnt(), self.loop.seeds[0]
        made = Predictor(net, self.rule, learner.gamma, task.encoding, learner.key, seed, about)
        made.save(path)

    def silence(self, mask: Bool[np.ndarray, " units"]) -> None:
        """Let the others hear nothing of some units, until `restore`; those silenced before stay
        so.
        """
        before = self._before or self.loop.learners.net.theta
        old = jnp.zeros(mask.shape, bool) if self._silent is None else self._silent
        self._before = jax.tree.map(jnp.copy, before)
        self._silent = old | jnp.asarray(mask)
        self._with_net(_silenced_all(self.loop.learners.net, self._silent))

    def restore(self) -> None:
        """Let the units that were silenced send again, by the weights that they had."""
        if self._before is None or self._silent is None:
            return
        net = self.loop.learners.net
        self._with_net(_restored_all(net, net.with_theta(self._before), self._silent))
        self._before = self._silent = None

    def lesion(self, mask: Bool[np.ndarray, " units"]) -> None:
        """Cut some units off: no rule brings them back. Free slots of a fixed fan-in stay so by
        themselves; other weights are held at zero.
        """
        gone = jnp.asarray(mask)
        self._with_net(_cut_all(self.loop.learners.net, gone))
        if not all(isinstance(p, FixedFanIn) for p in self.loop.net.projections):
            self._gone = gone if self._gone is None else self._gone | gone

    def _with_net(self, net: Network) -> None:
        held = eqx.tree_at(lambda one: one.net, self.loop.learners, net)
        self.loop.learners = self.loop.layout.place(held)

    def _declared(self) -> dict[str, Control]:
        made = {}
        if self._rate is not None:
            made[RATE] = Control(
                RATE, "learning rate", "", self._rate, self._rate / FAR, self._rate * FAR, True
            )
        for owner in (self.rule, *self.loop.growth):
            for field in hypers(type(owner)):
                if field.metadata["live"] and np.isfinite(value := getattr(owner, field.name)):
                    low, high = _range(value, field.metadata)
                    log = low > 0 and high / low >= FAR
                    name = f"{owner.id}.{field.name}"
                    title, meaning = f"{owner.id} {field.name}", field.metadata["doc"]
                    made[name] = Control(name, title, meaning, value, low, high, log)
        return made


def _range(value: float, about: Mapping[str, Any]) -> tuple[float, float]:
    """Where a number may be set: as it declares, and else around where it starts."""
    search: Sequence[float] = about["search"] or (value / FAR, value * FAR or 1.0)
    low = about["low"] if about["low"] is not None else min(search[0], value)
    high = about["high"] if about["high"] is not None else max(search[1], value)
    return float(low), float(high)


def _said(metric: Metric, part: str) -> dict[str, str]:
    title = metric.title or metric.name
    return {"title": f"{title}, {part}" if part else title, "unit": metric.unit}


@jax.jit
def _first(learners: Learner) -> Learner:
    return dataclasses.replace(jax.tree.map(lambda a: a[0], learners), moments=())


@eqx.filter_jit
def _silenced_all(nets: Network, mask: Array) -> Network:
    return jax.vmap(lambda net: silenced(net, mask))(nets)


@eqx.filter_jit
def _cut_all(nets: Network, mask: Array) -> Network:
    return jax.vmap(lambda net: cut(net, mask))(nets)


@eqx.filter_jit
def _restored_all(nets: Network, before: Network, mask: Array) -> Network:
    """Networks whose weights out of some units are those of before."""

    def one(net: Network, old: Network) -> Network:
        zero, heard = silenced(old, mask), old
        theta = jax.tree.map(
            lambda now, with_, without: jnp.where(with_ != without, with_, now),
            net.theta,
            heard.theta,
            zero.theta,
        )
        return net.with_theta(theta)

    return jax.vmap(one)(nets, before)
