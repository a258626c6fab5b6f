"""The same search for every rule: so many trials, over the ranges that its fields declare, judged
on the validation split alone.

The first trial is the rule as it stands, so what is found is never worse than that on what it is
judged by. Optuna proposes the others (a tree-structured Parzen estimator), several at a time, which
are trained side by side (`training.abreast`). A proposal follows from the trials of the rounds
before and a seed of its own, so a search that was stopped resumes as if it had not been. Trials are
kept as JSON lines: {"values": {name: number}, "score": number}, null for a score that is no number.
"""

import dataclasses
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from byway.core.errors import RunError, not_installed
from byway.learning.rule import Rule

RATE = "lr"
# What was found, in the folder of the search and in those of the runs made with it.
TUNED = "tuned.json"
# How far around the rate that a rule starts from, and from which ratio on a range is searched
# evenly in its logarithm.
RATE_SPAN, LOG_FROM = 10.0, 10.0
# Trials of a round. More would share a program better and know less of each other.
ABREAST = 5
Values = dict[str, float]


@dataclasses.dataclass(frozen=True)
class Range:
    """Where a number is searched.

    Attributes:
        low: the smallest.
        high: the largest.
        whole: whether only whole numbers count.
    """

    low: float
    high: float
    whole: bool = False

    @property
    def log(self) -> bool:
        """Whether it is searched evenly in its logarithm."""
        return self.low > 0 and self.high / self.low >= LOG_FROM


@dataclasses.dataclass(frozen=True)
class Found:
    """The best of a search.

    Attributes:
        values: the learning rate as "lr", and hyper-parameters of the rule.
        score: the score of the best trial.
        start: the same of the rule as it stands.
        trials: how many were made.
    """

    values: Values
    score: float
    start: float
    trials: int


def space(rule: Rule, lr: float | None = None) -> dict[str, Range]:
    """What is searched for a rule: its learning rate, and each hyper-parameter that declares a
    range.

    Args:
        rule: the rule.
        lr: the rate in the middle; the rule's own by default.
    """
    middle = rule.learning_rate if lr is None else lr
    ranges = {RATE: Range(middle / RATE_SPAN, middle * RATE_SPAN)}
    for field in dataclasses.fields(rule):
        if (search := field.metadata.get("search")) is not None:
            held = getattr(rule, field.name)  # which somebody may have set outside
            ranges[field.name] = Range(
                min(search[0], held), max(search[1], held), whole=field.type is int
            )
    return ranges


def start(rule: Rule, lr: float | None = None) -> Values:
    """The values that a rule has as it stands."""
    return {name: getattr(rule, name) for name in space(rule) if name != RATE} | {
        RATE: rule.learning_rate if lr is None else lr
    }


def with_values(rule: Rule, values: Values) -> Rule:
    """The rule with hyper-parameters of a trial."""
    return dataclasses.replace(
        rule, **{name: value for name, value in values.items() if name != RATE}
    )


def read_tuned(path: Path, names: Sequence[str]) -> dict[str, Values]:
    """What a search found for each of some rules, from its folder or its file.

    Raises:
        RunError: there is none, it is none, or a rule is not in it.
    """
    path = path / TUNED if path.is_dir() else path
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        found = {name: dict(one["values"]) for name, one in held.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
        raise RunError(
            f"{path} is no result of a search: {problem}",
            "what 'byway tune' wrote",
            "name its folder",
        ) from problem
    if missing := [name for name in names if name not in found]:
        raise RunError(
            f"{path} without {', '.join(missing)}",
            "every rule that is compared",
            "tune it too, with the same command and more rules",
        )
    return {name: found[name] for name in names}


def write_tuned(path: Path, found: Mapping[str, Found]) -> None:
    """Keep what was found, by rule: what `read_tuned` reads."""
    partial = path.with_suffix(".partial")
    held = {name: dataclasses.asdict(one) for name, one in found.items()}
    partial.write_text(json.dumps(held, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)


def search(
    rule: Rule,
    score: Callable[[list[Values]], Sequence[float]],
    trials: int,
    path: Path | None = None,
    *,
    lr: float | None = None,
    higher: bool = True,
    seed: int = 0,
    on_trial: Callable[[int, float], None] | None = None,
) -> Found:
    """Search for the values with which a rule scores best, or resume a search.

    Args:
        rule: the rule.
        score: of the values of several trials, how a run with each scores on validation; not
            finite where it failed, which is worse than any number.
        trials: how many there are to be in all.
        path: the file that keeps them; they are kept in memory alone by default.
        lr: the rate in the middle of the range; the rule's own by default.
        higher: whether a higher score is better.
        seed: of the proposals.
        on_trial: called after each trial, also one of an earlier process, with its number from 1
            and its score.

    Raises:
        ConfigError: optuna is not installed.
        RunError: the file cannot be read or written, or holds no such trials.
    """
    ranges, worst = space(rule, lr), -math.inf if higher else math.inf
    file = _Trials(path, ranges, worst)
    done = file.read()
    for number, (_, found) in enumerate(done, 1):
        _tell(on_trial, number, found)
    while (made := len(done)) < trials:
        first = made - made % ABREAST
        study = _Study(ranges, done[:first], higher, seed + first, max(3, trials // 3))
        proposed = study.proposals(min(ABREAST, trials - first), start(rule, lr))[made - first :]
        scores = [found if math.isfinite(found) else worst for found in score(proposed)]
        new = list(zip(proposed, scores, strict=True))
        file.add(new)
        for number, (_, found) in enumerate(new, made + 1):
            _tell(on_trial, number, found)
        done += new
    # Of equals the first: the rule as it stands, if it is one.
    values, best = max(done, key=lambda trial: trial[1] if higher else -trial[1])
    return Found(values, best, done[0][1], len(done))


class _Trials:
    """The file of a search: what was tried, and how it scored."""

    def __init__(self, path: Path | None, ranges: dict[str, Range], worst: float):
        self.path, self.ranges, self.worst = path, ranges, worst

    def read(self) -> list[tuple[Values, float]]:
        """All of them. A line that was torn while it was written is dropped."""
        if self.path is None:
            return []
        with self._told():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
            whole = text[: text.rfind("\n") + 1]
            if whole != text:
                self.path.write_text(whole, encoding="utf-8")
            return [self._trial(json.loads(line)) for line in whole.splitlines()]

    def add(self, trials: list[tuple[Values, float]]) -> None:
        """Keep some more."""
        lines = [
            json.dumps({"values": values, "score": score if math.isfinite(score) else None})
            for values, score in trials
        ]
        if self.path is None:
            return
        with self._told(), self.path.open("a", encoding="utf-8") as file:
            file.write("".join(f"{line}\n" for line in lines))

    def _trial(self, held: dict[str, Any]) -> tuple[Values, float]:
        values, score = held["values"], held["score"]
        if values.keys() != self.ranges.keys():
            raise ValueError(f"trials of {', '.join(values)} and not of {', '.join(self.ranges)}")
        return values, self.worst if score is None else float(score)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
            fix = "choose another folder with --out, or begin again with --overwrite"
            raise RunError(
                f"{self.path} cannot be used: {problem}", "the trials of this search", fix
            ) from problem


class _Study:
    """What Optuna makes of the trials so far."""

    def __init__(
        self,
        ranges: dict[str, Range],
        done: list[tuple[Values, float]],
        higher: bool,
        seed: int,
        blind: int,
    ):
        try:
            import optuna
        except ImportError:
            raise not_installed("optuna", "tune") from None
        self.ranges, said = ranges, optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        try:
            # Of the trials of its own round it supposes that they turn out badly, so that they do
            # not all lie in one place.
            sampler = optuna.samplers.TPESampler(
                seed=seed, n_startup_trials=blind, constant_liar=True
            )
            self.study = optuna.create_study(
                direction="maximize" if higher else "minimize", sampler=sampler
            )
        finally:
            optuna.logging.set_verbosity(said)
        shapes = {name: self._shape(optuna.distributions, where) for name, where in ranges.items()}
        for values, score in done:
            self.study.add_trial(
                optuna.trial.create_trial(params=values, distributions=shapes, value=score)
            )

    def proposals(self, count: int, first: Values) -> list[Values]:
        """What to try next; at the very start that is `first`, and then what is drawn."""
        if not self.study.trials:
            self.study.enqueue_trial(first)
        return [
            {name: self._drawn(trial, name, where) for name, where in self.ranges.items()}
            for trial in self._asked(count)
        ]

    def _asked(self, count: int) -> Iterator[Any]:
        for _ in range(count):
            yield self.study.ask()

    @staticmethod
    def _drawn(trial: Any, name: str, where: Range) -> float:
        if where.whole:
            return trial.suggest_int(name, int(where.low), int(where.high), log=where.log)
        return trial.suggest_float(name, where.low, where.high, log=where.log)

    @staticmethod
    def _shape(kinds: Any, where: Range) -> Any:
        if where.whole:
            return kinds.IntDistribution(int(where.low), int(where.high), log=where.log)
        return kinds.FloatDistribution(where.low, where.high, log=where.log)


def _tell(listener: Callable[[int, float], None] | None, number: int, score: float) -> None:
    if listener is not None:
        listener(number, score)
