"""What one rule trains, as those who watch see it."""

import dataclasses
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from byway.core.metric import Metric
from byway.core.signal import Signal
from byway.core.task import Split
from byway.learning.learner import Learner
from byway.learning.rule import Rule
from byway.metrics.growing import GROWING
from byway.metrics.microscope import ANGLE
from byway.training.history import flat
from byway.training.loop import Loop
from byway.training.predictor import Predictor
from byway.training.programs import in_precision
from byway.training.step import NOISE, branch, concluded


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


class Trained:
    """What one rule trains, its first seed, as it is looked at.

    Args:
        loop: what trains.
        label: what it is called.

    Attributes:
        loop: the same.
        label: the same.
        update: updates made.
    """

    def __init__(self, loop: Loop, label: str):
        self.loop, self.label, self.update = loop, label, 0
        self._followed: tuple[str, ...] = ()

    @property
    def rule(self) -> Rule:
        """The rule, with the numbers that it has now."""
        return self.loop.rule

    @property
    def failed(self) -> bool:
        """Whether a number is not finite any more."""
        return bool(self.loop.failed[0] >= 0)

    def learner(self) -> Learner:
        """What has been learned so far, without moments, in buffers that training leaves alone."""
        return _first(self.loop.layout.on_one(self.loop.learners))

    def scores(self, means: Mapping[str, np.ndarray]) -> dict[str, float]:
        """The scores in training and on validation, and what has become of the wiring, by names of
        two parts, in the units of `titles`.

        Args:
            means: of the training scores since the last time, over updates, "seeds *parts" each.
        """
        groups = {
            "train": self.loop.finished(dict(means)) if means else {},
            **{name: self.loop.score(name) for name in ("validation", *self._followed)},
            **self.loop.grown(),
        }
        return self.said(flat(groups))

    def said(self, found: Mapping[str, np.ndarray]) -> dict[str, float]:
        """What was measured of the first seed, "seeds" each, in the units of `titles`."""
        metrics = {one.name: one for one in (*GROWING, *self.loop.task.scores)}
        scale = lambda name: next(
            (metrics[part].scale for part in name.split("/") if part in metrics), 1.0
        )
        return {name: scale(name) * float(values[0]) for name, values in found.items()}

    def angles(self) -> dict[str, float]:
        """The angle of each projection's update to the true gradient [degree], where there is
        one.
        """
        seen, _ = self.loop.look()
        return {f"{ANGLE.name}/{p}": float(v[0]) for p, v in seen.get(ANGLE.name, {}).items()}

    def batch(self, split: Split, index: np.ndarray) -> tuple[Array, Signal]:
        """Some samples as the network gets them now."""
        learner, task = self.learner(), self.loop.task
        made = task.batch(split, jnp.asarray(index, jnp.int32), branch(learner.key, NOISE, 0))
        return in_precision(task.drift(*made, learner.step), self.loop.net.dtype)

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
        """What may be set, with the values of now: nothing."""
        return []

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


def _said(metric: Metric, part: str) -> dict[str, str]:
    title = metric.title or metric.name
    return {"title": f"{title}, {part}" if part else title, "unit": metric.unit}


@jax.jit
def _first(learners: Learner) -> Learner:
    return dataclasses.replace(jax.tree.map(lambda a: a[0], learners), moments=())
