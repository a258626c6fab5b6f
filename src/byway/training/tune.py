"""The same search for every rule: so many trials, over the ranges that its fields declare, judged on the validation split alone.

The first trial is the rule as it stands, so what is found is never worse than that on what it is judged by. Optuna proposes the
others (a tree-structured Parzen estimator), from a seed of their own number: a search that was stopped goes on as if it had not been.
Trials are kept as JSON lines.
"""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from byway.core.errors import RunError, not_installed
from byway.core.rule import Rule

RATE = "lr"
# What was found, in the folder of the search and in those of the runs made with it.
TUNED = "tuned.json"
# How far around the rate that a rule starts from, and from which ratio on a range is searched evenly in its logarithm.
RATE_SPAN, LOG_FROM = 10.0, 10.0


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

    values: dict[str, float]
    score: float
    start: float
    trials: int


def space(rule: Rule, lr: float | None = None) -> dict[str, Range]:
    """What is searched for a rule: its learning rate, and each hyper-parameter that declares a range.

    Args:
        rule: the rule.
        lr: the rate in the middle; the rule's own by default.
    """
    middle = rule.learning_rate if lr is None else lr
    ranges = {RATE: Range(middle / RATE_SPAN, middle * RATE_SPAN)}
    for field in dataclasses.fields(rule):
        if (search := field.metadata.get("search")) is not None:
            ranges[field.name] = Range(*search, whole=field.type is int)
    return ranges


def start(rule: Rule, lr: float | None = None) -> dict[str, float]:
    """The values that a rule has as it stands."""
    return {name: getattr(rule, name) for name in space(rule) if name != RATE} | {RATE: rule.learning_rate if lr is None else lr}


def tune(
    rule: Rule,
    score: Callable[[dict[str, float]], float],
    trials: int,
    path: Path,
    *,
    lr: float | None = None,
    higher: bool = True,
    seed: int = 0,
    on_trial: Callable[[int, float], None] | None = None,
) -> Found:
    """Search for the values with which a rule scores best, or go on with a search.

    Args:
        rule: the rule.
        score: how a training with such values scores on validation; not finite where it failed, which is worse than any number.
        trials: how many there are to be in all.
        path: the file that keeps them, as JSON lines.
        lr: the rate in the middle of the range; the rule's own by default.
        higher: whether a higher score is better.
        seed: of the proposals.
        on_trial: called after each trial, also one of an earlier process, with its number from 1 and its score.

    Raises:
        ConfigError: optuna is not installed.
        RunError: the file cannot be read or written.
    """
    try:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend
    except ImportError:
        raise not_installed("optuna", "tune") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    ranges, worst = space(rule, lr), -math.inf if higher else math.inf
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        storage = JournalStorage(JournalFileBackend(str(path)))
        study = optuna.create_study(
            storage=storage, study_name=rule.id, direction="maximize" if higher else "minimize", load_if_exists=True
        )
    except (OSError, ValueError) as problem:
        raise RunError(f"{path} cannot be used: {problem}", "the trials of this search", "choose another folder with --out") from problem
    for left in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):  # by a process that was killed
        study.tell(left.number, state=optuna.trial.TrialState.FAIL)
    done = list(study.get_trials(states=(optuna.trial.TrialState.COMPLETE,)))
    for i, trial in enumerate(done, 1):
        _tell(on_trial, i, trial.values[0])
    for i in range(len(done), trials):
        study.sampler = optuna.samplers.TPESampler(seed=seed + i, n_startup_trials=max(3, trials // 3))
        if i == 0:
            study.enqueue_trial(start(rule, lr))
        trial = study.ask()
        values = {name: _suggest(trial, name, where) for name, where in ranges.items()}
        found = score(values)
        study.tell(trial, found if math.isfinite(found) else worst)
        _tell(on_trial, i + 1, found)
    done = study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))
    # Of equals the first: the rule as it stands, if it is one.
    best = max(done, key=lambda trial: (trial.values[0] if higher else -trial.values[0], -trial.number))
    return Found(dict(best.params), best.values[0], done[0].values[0], len(done))


def _suggest(trial: Any, name: str, where: Range) -> float:
    if where.whole:
        return trial.suggest_int(name, int(where.low), int(where.high), log=where.log)
    return trial.suggest_float(name, where.low, where.high, log=where.log)


def _tell(listener: Callable[[int, float], None] | None, number: int, score: float) -> None:
    if listener is not None:
        listener(number, score)
