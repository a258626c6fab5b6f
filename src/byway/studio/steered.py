"""A training that is watched and steered: the thread that does what is asked trains, in short
stretches.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from typing_extensions import override

from byway.core.errors import ConfigError
from byway.core.task import Split
from byway.experiment.experiment import Experiment
from byway.studio.pace import Pace
from byway.studio.side import DRAWN
from byway.studio.simulation import OFTEN, Simulation
from byway.studio.trainer import Trainer
from byway.training.step import Start

# Rules side by side.
SIDES = 2
# What a task may be changed into, to watch what is forgotten.
PERMUTED = "{}, inputs permuted"
SHARED = ("train", "validation")


class Steered(Simulation):
    """Trains one rule, or two side by side on the same samples from the same weights.

    Args:
        experiment: the rules, one or two, their networks, the task and the options.
        folder: where files are saved; made when the first is.
        starts: by label, what a rule begins with; drawn by default.
        speed: updates a second at first; as many as it can by default.
        edges: synapses that are drawn at most.
        paused: whether it waits to be told to run.
        tour: whether the page begins with its guided tour.

    Raises:
        ConfigError: more than two rules, or a speed or a number of synapses that the page could
            not ask for.
    """

    def __init__(
        self,
        experiment: Experiment,
        folder: Path,
        starts: Mapping[str, Start] | None = None,
        speed: float | None = None,
        edges: int = DRAWN,
        paused: bool = False,
        tour: bool = False,
    ):
        # Nobody asked to see the control of a rule.
        asked = [entry for entry in experiment.entries if not entry.added]
        if len(asked) > SIDES:
            raise ConfigError(
                f"{len(asked)} rules: {', '.join(entry.label for entry in asked)}",
                "one, or two side by side",
                "compare more with 'byway compare'",
            )
        self._trainers = [
            Trainer(experiment, entry, (starts or {}).get(entry.label)) for entry in asked
        ]
        super().__init__(self._trainers, folder, Pace(speed, paused), edges, tour)
        self._tasks = {experiment.task.id: experiment.data} | _others(experiment)
        self.limits = self.limits._replace(tasks=list(self._tasks))
        self._does |= {
            "set": self._set,
            "silence": self._silence,
            "lesion": self._lesion,
            "restore": self._restore,
            "task": self._switch,
        }
        self._epochs = self._end = experiment.steps

    @override
    def _turn(self):
        if most := self._pace.most():
            with self._between:
                self._advance(most)
        self._measure()

    @override
    def _pause_between(self):
        return self._pace.wait()

    def _advance(self, most: int) -> None:
        """Train a stretch."""
        began = time.perf_counter()
        for trainer, sums in zip(self._trainers, self._sums, strict=True):
            # In step: a second rule goes as far as the first.
            most, scores = trainer.advance(most)
            for name, values in scores.items():
                sums.setdefault(name, []).append(values)
        self._pace.made(most, time.perf_counter() - began)
        self._judge()

    def _judge(self) -> None:
        """Stop where a number is not finite any more, and pause where all epochs are done."""
        if failed := [one.label for one in self._trainers if one.failed]:
            self._failed = (
                f"a number of {' and '.join(failed)} stopped being finite at update "
                f"{self._update:,}: begin anew with a smaller learning rate"
            )
            self._pace.step(0)
            self._notice(self._failed)
        if self._update >= self._end:
            self._end += self._epochs
            self._finished = True
            self._pace.step(0)
            self._notice(f"all epochs are done, at update {self._update:,}; run goes on")
            self._measure(now=True)

    @override
    def _run(self, value):
        self._finished = False
        super()._run(value)

    def _set(self, value: tuple[str, float]) -> None:
        for trainer in self._trainers:
            trainer.set(*value)

    def _silence(self, value: dict[str, Any]) -> None:
        units = self._sides[0].hidden(value)
        for side, trainer in zip(self._sides, self._trainers, strict=True):
            trainer.silence(side.mask(units))
        self._silenced = sorted({*self._silenced, *units})
        self._look(now=True)

    def _restore(self, value: None) -> None:
        for trainer in self._trainers:
            trainer.restore()
        self._silenced = []
        self._look(now=True)

    def _lesion(self, value: dict[str, Any]) -> None:
        units = self._sides[0].hidden(value)
        for side, trainer in zip(self._sides, self._trainers, strict=True):
            trainer.lesion(side.mask(units))
        self._notice(f"cut off {len(units)} units at update {self._update:,}")
        self._look(now=True)

    def _switch(self, value: str) -> None:
        self._task = value
        for trainer in self._trainers:
            trainer.loop.teach({name: self._tasks[value][name] for name in SHARED})
            # What was learned before is scored from here on, too: it may be forgotten.
            trainer.follow({name: splits["validation"] for name, splits in self._tasks.items()})
        self._every["scores"] = OFTEN["scores"].least
        self._notice(f"from update {self._update:,} on the task is {value}")


def _others(experiment: Experiment) -> dict[str, dict[str, Split]]:
    """What the task may be changed into, by name: its samples with the numbers of each input in
    another order, which is the same for all.
    """
    data = experiment.data
    if any(data[name].fetched for name in SHARED) or experiment.task.in_time:
        return {}
    shape = data["train"].x.shape[1:]
    order = np.random.default_rng(0).permutation(int(np.prod(shape)))

    def mixed(split: Split) -> Split:
        x = np.asarray(split.x)
        return Split(jnp.asarray(x.reshape(len(x), -1)[:, order].reshape(-1, *shape)), split.y)

    name = PERMUTED.format(experiment.task.id)
    return {name: {part: mixed(data[part]) for part in SHARED}}
