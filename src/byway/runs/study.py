"""A study: runs that differ in one thing, the fold that is tested or the task, and what they say
together.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from byway.core.errors import ConfigError
from byway.core.score import Score
from byway.runs import statistics
from byway.runs.outcomes import CONTROL, Outcomes
from byway.runs.statistics import Interval
from byway.training.history import History
from byway.training.outcome import Outcome

FOLD, TASK = "fold", "task"


@dataclasses.dataclass(frozen=True, repr=False)
class StudyOutcomes:
    """What the runs of a study left, or have left so far.

    Attributes:
        differs: in what its runs differ: "fold" or "task".
        runs: by name, in their order; those that have begun.
        sizes: by name, of each run how many samples it trains on, and how many it tests.
        about: when and where it ran, and what with.
        config: its settings as TOML, with which the same can be run again; empty where there is no
            such file.
        folder: where it is on disk, if it is.
    """

    differs: str
    runs: Mapping[str, Outcomes]
    sizes: dict[str, tuple[int, int]]
    about: dict[str, Any] = dataclasses.field(default_factory=dict)
    config: str = ""
    folder: Path | None = None

    @property
    def rules(self) -> list[str]:
        """The labels of the rules that were asked for, without controls that were added."""
        return list(
            dict.fromkeys(
                label
                for run in self.runs.values()
                for label, one in run.items()
                if not one.rule_id == CONTROL != label
            )
        )

    @property
    def unfinished(self) -> list[str]:
        """What has not finished, or not yet, as "fold-2, dfa"; of a run that has not begun, its
        name.
        """
        left = []
        for name in self.sizes:
            run = self.runs.get(name)
            left += [f"{name}, {label}" for label in run.unfinished] if run else [name]
        return left

    @property
    def scores(self) -> tuple[Score, ...]:
        """What all tasks declare, the main score of the first task first."""
        each = [run.scores for run in self.runs.values() if run]
        return tuple(one for one in each[0] if all(one in some for some in each)) if each else ()

    @property
    def across(self) -> Outcomes:
        """The folds as one run: what an entry is of a seed elsewhere is of a fold here, the mean
        over its seeds. A fold in which a seed was lost counts as lost.

        Raises:
            ConfigError: the runs differ in their tasks, whose scores have no mean.
        """
        if self.differs != FOLD:
            raise ConfigError(
                "a mean over tasks, whose scores mean different things",
                "one of its runs, or a study of folds",
                f"ask one run, as in study.runs[{next(iter(self.runs), '')!r}], or ranks()",
            )
        labels = dict.fromkeys(label for run in self.runs.values() for label in run)
        return Outcomes({label: self._across(label) for label in labels}, self.about, self.config)

    def difference(self, one: str, other: str, score: str | None = None) -> Interval | None:
        """A test score of one rule minus that of another, fold by fold, with its 95 % interval.

        Folds share training samples, so their differences vary less than those of new data would:
        the variance of the mean is that of the differences times 1/folds + tested/trained, the
        correction of Nadeau and Bengio (2003).

        Args:
            one: the label of a rule.
            other: that of another.
            score: the name of a score; the main one by default.

        Returns:
            None with fewer than two folds that both finished with all seeds.

        Raises:
            UnknownNameError: a label or a score that is not there.
            ConfigError: the runs differ in their tasks.
        """
        return self.across.difference(one, other, score)

    def differences(
        self, one: str, other: str, score: str | None = None
    ) -> dict[str, Interval | None]:
        """By run, a test score of one rule minus that of another, seed by seed, with its 95 %
        interval; see `Run.difference`.
        """
        return {name: run.difference(one, other, score) for name, run in self.runs.items() if run}

    def ranks(self) -> dict[str, float]:
        """By rule, its average rank over the tasks on which all rules finished: 1 is the best, and
        rules that did equally well share their ranks. A rule that lost a seed comes after all that
        lost fewer. Empty where there is no such task.
        """
        found = [self._ranks(run) for run in self.ranked.values()]
        return {
            label: float(np.mean([one[label] for one in found])) for label in self.rules if found
        }

    @property
    def ranked(self) -> dict[str, Outcomes]:
        """The runs that ranks are taken of: of a task with a score, all rules finished."""
        return {
            name: run
            for name, run in self.runs.items()
            if run.scores and all(label in run.finished for label in self.rules)
        }

    def _ranks(self, run: Outcomes) -> dict[str, float]:
        score = run.scores[0]
        places = {}
        for label in self.rules:
            outcome = run[label]
            mean = statistics.spread(outcome.test, score).mean
            worth = mean if score.higher else -mean
            lost = len(outcome.seeds) - outcome.survived
            places[label] = (lost, -worth if outcome.survived else 0.0)
        ranks = {}
        for label, mine in places.items():
            better = sum(other < mine for other in places.values())
            same = sum(other == mine for other in places.values())
            ranks[label] = better + (same + 1) / 2
        return ranks

    def _across(self, label: str) -> Outcome:
        parts = {
            number: run[label]
            for number, name in enumerate(self.sizes, 1)
            if (run := self.runs.get(name)) is not None and label in run
        }
        done = {number: one for number, one in parts.items() if one.finished}
        first = next(iter((done or parts).values()))
        trained, tested = np.mean([*self.sizes.values()], axis=0)
        kept = {field.name: getattr(first, field.name) for field in dataclasses.fields(Outcome)}
        changed = {
            "seeds": list(done or parts),
            "metrics": (),
            "history": History(),
            "finished": bool(done),
            "test": {
                score.name: np.array([_mean(one, score) for one in done.values()])
                for score in first.scores
            },
            "others": {},
            "test_size": int(tested),
            "failures": {},
            "advice": {},
            "seconds": sum((one.seconds for one in done.values()), 0.0),
            "compile_seconds": sum((one.compile_seconds for one in done.values()), 0.0),
            "each": FOLD,
            "overlap": float(tested / trained),
        }
        return Outcome(**kept | changed)


def _mean(outcome: Outcome, score: Score) -> float:
    """Over seeds; NaN where one was lost."""
    return float(np.mean(outcome.test.get(score.name, np.nan)))
