"""The outcomes of a run, by rule, and what they say beside each other."""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from typing_extensions import override

from byway.core.errors import unknown_name
from byway.core.score import Score
from byway.runs import statistics
from byway.runs.statistics import Interval, Wins
from byway.training.outcome import Outcome

# Backprop, and what it is called in time: no run has both.
BASELINES, CONTROL = ("bp", "bptt"), "frozen"


@dataclasses.dataclass(frozen=True, repr=False)
class Outcomes(Mapping[str, Outcome]):
    """What a run left, or has left so far: `run["dfa"]` is the outcome of one rule.

    Attributes:
        outcomes: by label, in the order in which they were asked for.
        about: when and where it ran, and what with.
        config: its settings as TOML, with which the same can be run again; empty where there is no
            such file.
        folder: where it is on disk, if it is.
    """

    outcomes: dict[str, Outcome]
    about: dict[str, Any] = dataclasses.field(default_factory=dict)
    config: str = ""
    folder: Path | None = None

    @override
    def __getitem__(self, label: str) -> Outcome:
        if label not in self.outcomes:
            raise unknown_name("rule of this run", label, list(self.outcomes))
        return self.outcomes[label]

    @override
    def __contains__(self, label: object) -> bool:
        return label in self.outcomes

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self.outcomes)

    @override
    def __len__(self) -> int:
        return len(self.outcomes)

    @property
    def finished(self) -> dict[str, Outcome]:
        """Those that came to their end."""
        return {label: one for label, one in self.outcomes.items() if one.finished}

    @property
    def unfinished(self) -> dict[str, Outcome]:
        """Those that did not, or not yet."""
        return {label: one for label, one in self.outcomes.items() if not one.finished}

    @property
    def task_id(self) -> str:
        """The task's name; empty of a run in which nothing has begun."""
        return next((one.task_id for one in self.outcomes.values()), "")

    @property
    def scores(self) -> tuple[Score, ...]:
        """What the task declares, the main score first."""
        return next((one.scores for one in self.outcomes.values()), ())

    @property
    def baseline(self) -> str:
        """What backprop is called in this run."""
        rules = {one.rule_id: label for label, one in reversed(self.outcomes.items())}
        return next((rules[rule] for rule in BASELINES if rule in rules), BASELINES[0])

    def control_of(self, label: str) -> Outcome | None:
        """The finished frozen network that a rule is held against: one of the same network."""
        control = self[label].control
        return None if control is None else self.finished.get(control)

    def difference(self, one: str, other: str, score: str | None = None) -> Interval | None:
        """A test score of one rule minus that of another on the same seeds, with its 95 % interval.

        Args:
            one: the label of a rule.
            other: that of another.
            score: the name of a score; the main one by default.

        Returns:
            None with fewer than two common seeds.

        Raises:
            UnknownNameError: a label or a score that is not there.
        """
        return statistics.difference(self[one], self[other], self._score(score))

    def wins(self, one: str, other: str, score: str | None = None) -> Wins | None:
        """On how many common seeds one rule scored better than another; None with no such seed."""
        return statistics.wins(self[one], self[other], self._score(score))

    def _score(self, name: str | None) -> Score:
        known = {score.name: score for score in self.scores}
        name = next(iter(known), "") if name is None else name
        if name not in known:
            raise unknown_name("score", name, known)
        return known[name]
