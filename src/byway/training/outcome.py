"""What training by one rule leaves behind, in plain arrays and words: all that a report needs, in
memory or read from disk.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from typing_extensions import override

from byway.core.metric import Metric
from byway.core.score import Score
from byway.metrics.predictions import IMBALANCED
from byway.training.history import History, Scores

# What training costs, as tables show it.
SECONDS = Metric("seconds", "training time", unit="s", higher=False, column=True)
STEP_BYTES = Metric("step_bytes", "memory of a step", unit="B", higher=False, column=True)
COSTS = (SECONDS, STEP_BYTES)
OUTPUT, HIDDEN = "output", "hidden"
# Along what answers that are numbers follow each other in time.
STEPS, SAMPLES = "steps", "samples"


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class Outcome:
    """One rule on one task: curves, test scores, costs.

    Attributes:
        label: what it is called among the outcomes of a run: the rule's name, or with what sets it
            apart.
        rule_id: the rule's name; frozen for a control, whichever rule runs its network.
        task_id: the task's name.
        seeds: the seeds, in the order of every array.
        scores: what the task declares, the main one first.
        metrics: what else was measured while training.
        history: every number over the time of training.
        network: the network in words.
        projections: by projection, from the input on, whether it is "hidden" or feeds the
            "output".
        first: the projections that come from the input.
        input_shape: the shape of one input.
        control: the label of the frozen network that it is to be held against, if there is one.
        settings: every resolved setting that decides what is learned, defaults too.
        finished: whether training came to its end.
        test: scores on the test split after the last epoch, "seeds"; NaN for a seed that failed.
        others: the same on each further split that the task has, by its name.
        test_size: samples of the test split; 0 where that is not known.
        labels: the label of each class; empty where answers are no classes.
        over_time: along what answers that are numbers follow each other in time: the "steps" of a
            sequence, or the "samples" of a series; empty where they do not.
        test_classes: how many test samples each class has; empty where that is not known.
        failures: by seed, why it stopped early.
        advice: what the rule has to say of its last epoch, and growth of its course, by seed.
        stopped: why all seeds stopped before the last epoch, where somebody asked for it.
        seconds: training time of all seeds together, without compiling [s].
        compile_seconds: time to compile the training program [s].
        looks: how often the microscope looked.
        look_seconds: time that this took, for all seeds together, without compiling [s]; no part of
            `seconds`.
        look_compile_seconds: time to compile the microscope [s].
        step_bytes: memory of one compiled update of one learner [B], on one device also where
            several share its layers.
        stages: where layers were shared among devices, the projections that each trained.
        speed_up: how many times as long an update took while these devices worked one after
            another; 0 where there is one device.
        audit: the verdict and the findings of the audit, as JSON; empty where none was made.
        each: what an entry of every array is of: a "seed"; or a "fold", with all its seeds.
        overlap: of folds, tested samples for each that is trained on; 0 of seeds.
    """

    label: str
    rule_id: str
    task_id: str
    seeds: list[int]
    scores: tuple[Score, ...] = ()
    metrics: tuple[Metric, ...] = ()
    history: History = dataclasses.field(default_factory=History)
    network: str = ""
    projections: dict[str, str] = dataclasses.field(default_factory=dict)
    first: list[str] = dataclasses.field(default_factory=list)
    input_shape: list[int] = dataclasses.field(default_factory=list)
    control: str | None = None
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    finished: bool = True
    test: Scores = dataclasses.field(default_factory=dict)
    others: dict[str, Scores] = dataclasses.field(default_factory=dict)
    test_size: int = 0
    labels: list[Any] = dataclasses.field(default_factory=list)
    over_time: str = ""
    test_classes: list[int] = dataclasses.field(default_factory=list)
    failures: dict[int, str] = dataclasses.field(default_factory=dict)
    advice: dict[int, str] = dataclasses.field(default_factory=dict)
    stopped: str | None = None
    seconds: float = 0.0
    compile_seconds: float = 0.0
    looks: int = 0
    look_seconds: float = 0.0
    look_compile_seconds: float = 0.0
    step_bytes: int = 0
    stages: list[list[str]] = dataclasses.field(default_factory=list)
    speed_up: float = 0.0
    audit: dict[str, Any] = dataclasses.field(default_factory=dict)
    each: str = "seed"
    overlap: float = 0.0

    @property
    def score(self) -> Score | None:
        """The task's main score, by which rules are judged; None where it has none."""
        return next(iter(self.scores), None)

    @property
    def main(self) -> Float[np.ndarray, " seeds"]:
        """The main score on the test split, of each seed; NaN for a seed that failed, and where the
        task has none.
        """
        nothing = np.full(len(self.seeds), np.nan)
        return nothing if self.score is None else self.test.get(self.score.name, nothing)

    @property
    def imbalanced(self) -> bool:
        """Whether the test split has far more samples of one class than of another."""
        held = self.test_classes
        return bool(held) and max(held) >= IMBALANCED * min(held)

    @property
    def epochs(self) -> int:
        """How many epochs were trained."""
        validation = self.history.group("validation")
        return int(max((curve.epochs[-1] for curve in validation.values()), default=0))

    @property
    def survived(self) -> int:
        """How many seeds came to the end."""
        if self.score is None:
            return len(self.seeds) - len(self.failures)
        return int(np.isfinite(self.main).sum())

    @override
    def __str__(self) -> str:
        lost = f", {len(self.failures)} failed" if self.failures else ""
        seeds = f"{len(self.seeds)} seed{'s' if len(self.seeds) > 1 else ''}"
        stages = f", in {len(self.stages)} stages" if self.stages else ""
        faster = f" {self.speed_up:.2f} times as fast as one after another"
        shared = stages + (faster if self.speed_up else "")
        took = f"{self.seconds:.1f} s{shared}{lost}"
        return f"{self.label} on {self.task_id}: {self._tested()}{seeds} in {took}"

    @override
    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self}>"

    def _tested(self) -> str:
        if self.score is None:
            return ""
        score = self.score
        good = score.scale * self.main[np.isfinite(self.main)]
        if not good.size:
            return f"test {score.title} no seed survived, "
        digits = score.digits(good)
        spread = f" ± {good.std(ddof=1):.{digits}f}" if good.size > 1 else ""
        unit = f" {score.unit}" if score.unit else ""
        return f"test {score.title} {good.mean():.{digits}f}{unit}{spread}, "


def joined(parts: Sequence[Outcome]) -> Outcome:
    """The outcome of several jobs, each of other seeds of one rule; whole if each of them is."""
    if len(parts) == 1:
        return parts[0]
    parts = sorted(parts, key=lambda part: part.seeds)
    first, done = parts[0], all(part.finished for part in parts)

    def together(held: Sequence[Scores]) -> Scores:
        """Each score of all seeds; NaN of those whose job did not measure it."""
        names = dict.fromkeys(name for one in held for name in one)
        missing = [np.full(len(part.seeds), np.nan) for part in parts]
        return {
            name: np.concatenate([one.get(name, no) for one, no in zip(held, missing, strict=True)])
            for name in names
        }

    return dataclasses.replace(
        first,
        seeds=[seed for part in parts for seed in part.seeds],
        history=History.joined([p.history for p in parts], [len(p.seeds) for p in parts]),
        finished=done,
        test=together([part.test for part in parts]) if done else {},
        others={
            split: together([part.others.get(split, {}) for part in parts])
            for split in (first.others if done else {})
        },
        failures={seed: why for part in parts for seed, why in part.failures.items()},
        advice={seed: text for part in parts for seed, text in part.advice.items()},
        seconds=sum(part.seconds for part in parts),
        compile_seconds=sum(part.compile_seconds for part in parts),
        look_seconds=sum(part.look_seconds for part in parts),
        look_compile_seconds=sum(part.look_compile_seconds for part in parts),
    )
