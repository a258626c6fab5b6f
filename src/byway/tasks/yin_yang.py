"""Yin and yang (yin_yang): which part of the figure a point lies in, told by when inputs spike.

    x   "4": the point (a, b) in the unit square and (1 - a, 1 - b), as spike times: early +
        (late - early) a. A rule that knows no spikes takes them as numbers
    y   3 classes, yin, yang and the two dots, as many samples of each; 1,000 for validation, 1,000
        for test

Points are drawn evenly over each class. No linear readout of x gets far, and hidden layers that do
not learn stay behind those that do.

Source   Kriener, Goeltz and Petrovici, The Yin-Yang dataset, 2022, arXiv 2102.08211; times as in
         Goeltz et al., Fast and energy-efficient neuromorphic deep learning with first-spike times,
         Nat. Mach. Intell. 3:823, 2021; differs in: the draw of the samples
"""

from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from typing_extensions import override

from byway.core.errors import ConfigError
from byway.core.hyper import hyper
from byway.core.task import Split, Suggestion
from byway.tasks._labelled import LabelledTask

# Of the figure and of its dots.
RADIUS, DOT = 0.5, 0.1
REST = 1_000


class YinYang(LabelledTask):
    """The three parts of the figure."""

    suggests: ClassVar[Suggestion] = Suggestion(hidden=(120,), epochs=100, batch=50)
    names: ClassVar[tuple[str, ...]] = ("yin", "yang", "dot")
    samples: int = hyper(5_000, "training samples", low=1, high=10_000_000)
    early: float = hyper(0.15, "time of the spike that stands for 0", unit="time", low=0.0)
    late: float = hyper(2.0, "time of the spike that stands for 1", unit="time", low=0.0)
    seed: int = hyper(0, "draws the samples", low=0)

    input_shape: ClassVar[tuple[int, ...]] = (4,)
    outputs: ClassVar[int] = 3

    @override
    def __check_init__(self):
        if self.late <= self.early:
            raise ConfigError(
                f"early = {self.early:g} and late = {self.late:g}",
                "a first time before the last",
                "raise late, or lower early",
            )

    @override
    def load(self):
        made = {}
        for number, (name, size) in enumerate(
            {"train": self.samples, "validation": REST, "test": REST}.items()
        ):
            points, labels = _drawn(np.random.default_rng([self.seed, number]), size)
            times = self.early + (self.late - self.early) * np.hstack([points, 1 - points])
            made[name] = Split(jnp.asarray(times.astype(np.float32)), jnp.asarray(labels))
        return made

    @override
    def scaled(self, x):
        return x.astype(float)


def _drawn(
    draw: np.random.Generator, size: int
) -> tuple[Float[np.ndarray, "samples 2"], Int[np.ndarray, " samples"]]:
    """Points, each of a class that is drawn first, and their classes."""
    wanted, points = draw.integers(0, 3, size), np.zeros((size, 2))
    left = np.arange(size)
    while len(left):
        tried = draw.uniform(0, 2 * RADIUS, (len(left), 2))
        hit = which(tried) == wanted[left]
        points[left[hit]] = tried[hit]
        left = left[~hit]
    return points, wanted


def which(points: Float[np.ndarray, "samples 2"]) -> Int[np.ndarray, " samples"]:
    """The class of each point: 0 yin, 1 yang, 2 a dot; -1 outside the figure."""
    off = lambda a: np.hypot(points[:, 0] - a, points[:, 1] - RADIUS)
    left, right = off(RADIUS / 2), off(3 * RADIUS / 2)
    # A half of the disc, and the left lobe to it, but not the right one.
    yang = (left <= RADIUS / 2) | ((points[:, 1] > RADIUS) & (right > RADIUS / 2))
    part = np.where((left < DOT) | (right < DOT), 2, yang.astype(int))
    return np.where(off(RADIUS) <= RADIUS, part, -1)
