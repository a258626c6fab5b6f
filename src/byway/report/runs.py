"""Many runs as one table: what was learnt, by which rule, from which seed, with which settings.
Read from the run folders by DuckDB.
"""

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from byway.core.errors import ConfigError, RunError
from byway.core.metric import Metric
from byway.core.score import Score
from byway.report.table import measured_of
from byway.runs.folder import folders, read
from byway.runs.outcomes import Outcomes
from byway.runs.statistics import Interval, paired_interval
from byway.training.outcome import Outcome

# By column of the table `runs`, a row for each seed of each rule: its type, and what it is. After
# these comes one for each test score that any of the runs declares, and one for each metric that
# is worth a column, by their names and as they are printed.
COLUMNS = {
    "run": ("VARCHAR", "the run folder"),
    "started": ("VARCHAR", "when, in UTC"),
    "task": ("VARCHAR", "what was learnt"),
    "rule": ("VARCHAR", "by which rule, as it is called in its run"),
    "seed": ("INTEGER", "from which seed"),
    "state": (
        "VARCHAR",
        "finished, failed (a number stopped being finite) or stopped (before its end)",
    ),
    "score": ("VARCHAR", "the task's main score, with its unit"),
    "test": ("DOUBLE", "that score on the test split; NULL unless finished"),
    "validation": (
        "DOUBLE",
        "that score on the validation split after the last epoch that was reached",
    ),
    "epoch": ("INTEGER", "the last epoch that was reached"),
    "seconds": ("DOUBLE", "training time of all seeds of the rule together [s]"),
    "epochs": ("INTEGER", "passes over the training split"),
    "batch": ("INTEGER", "samples in an update"),
    "optimiser": ("VARCHAR", "the optimiser; NULL of one that has no name"),
    "lr": ("DOUBLE", "its learning rate"),
    "schedule": ("VARCHAR", "the schedule of the rate"),
    "network": ("VARCHAR", "the network in words"),
    "byway": ("VARCHAR", "the version that ran it"),
    "settings": ("JSON", "every resolved setting, as JSON"),
}


@dataclasses.dataclass(frozen=True)
class Group:
    """The seeds of one rule in one run.

    Attributes:
        run: the run folder.
        started: when.
        task: the task.
        rule: the rule.
        states: how many seeds are in which state.
        epoch: the last epoch that was reached; None before the first was measured.
        score: the task's main score; None where there is none, or where nothing says what it means.
        test: by seed, that score on the test split, as it is printed, of those that finished.
        validation: its mean on the validation split at the last epoch.
        seconds: training time of all seeds together [s]; None where it has not finished.
        lr: the learning rate; None of an optimiser that has no name.
        test_size: samples of the test split; 0 where that is not known.
    """

    run: str
    started: str
    task: str
    rule: str
    states: dict[str, int]
    epoch: int | None
    score: Score | None
    test: dict[int, float]
    validation: float | None
    seconds: float | None
    lr: float | None
    test_size: int


class Runs:
    """A table of runs; see `COLUMNS`.

    Args:
        places: folders of runs, or folders that hold some.

    Attributes:
        broken: what is wrong with each run that cannot be read, and is left out.

    Raises:
        RunError: a folder that is not there.
    """

    def __init__(self, places: Iterable[Path]):
        import duckdb

        self._error, self._base = duckdb.Error, duckdb.connect()
        self.broken: list[str] = []
        found = [run for folder in folders([*places]) if (run := self._read(folder)) is not None]
        self._found = {str(run.folder): run for run in found}
        rows = [row for run in found for row in rows_of(run)]
        measured = dict.fromkeys(name for row in rows for name in row if name not in COLUMNS)
        kinds = [f"{name} {kind}" for name, (kind, _) in COLUMNS.items()]
        kinds += [f"{_quoted(name)} DOUBLE" for name in measured]
        self._columns = [*COLUMNS, *measured]
        self._base.execute(f"CREATE TABLE runs ({', '.join(kinds)})")
        if rows:
            values = [[row.get(name) for name in self._columns] for row in rows]
            marks = ", ".join("?" * len(kinds))
            self._base.executemany(f"INSERT INTO runs VALUES ({marks})", values)

    def _read(self, folder: Path) -> Outcomes | None:
        try:
            return read(folder)
        except RunError as problem:
            self.broken.append(problem.given)
            return None

    def where(self, condition: str) -> None:
        """Leave only the rows for which a condition in SQL holds, such as "task = 'mnist' AND epoch
        > 5".
        """
        self._run(f"DELETE FROM runs WHERE ({condition}) IS NOT TRUE", condition)

    def groups(self) -> list[Group]:
        """A group for each rule of each run, the oldest run first."""
        found = self._base.execute(
            "SELECT run, any_value(started), any_value(task), rule, list(state), max(epoch), "
            "list(seed ORDER BY seed), "
            "list(test ORDER BY seed), avg(validation), any_value(seconds), any_value(lr) "
            "FROM runs GROUP BY run, rule ORDER BY 2, run, rule"
        ).fetchall()
        groups = []
        for run, started, task, rule, states, epoch, seeds, test, validation, seconds, lr in found:
            counts = {
                state: states.count(state)
                for state in ("finished", "failed", "stopped")
                if state in states
            }
            scores = {
                seed: value for seed, value in zip(seeds, test, strict=True) if value is not None
            }
            outcome = self._found[run][rule]
            groups.append(
                Group(
                    run,
                    started,
                    task,
                    rule,
                    counts,
                    epoch,
                    outcome.score,
                    scores,
                    validation,
                    seconds,
                    lr,
                    outcome.test_size,
                )
            )
        return groups

    def export(self, path: Path) -> None:
        """Write the table, a row for each seed, as .csv or .parquet.

        Raises:
            ConfigError: another ending.
            RunError: it cannot be written.
        """
        formats = {".csv": "FORMAT csv, HEADER", ".parquet": "FORMAT parquet"}
        if path.suffix not in formats:
            raise ConfigError(
                f"a table called {path.name}",
                "a name that ends in .csv or .parquet",
                "choose one of the two",
            )
        quoted = str(path).replace("'", "''")
        try:
            self._base.execute(
                f"COPY (SELECT * FROM runs ORDER BY started, run, rule, seed) TO '{quoted}' "
                f"({formats[path.suffix]})"
            )
        except self._error as problem:
            raise RunError(
                f"{path} cannot be written: {_first_line(problem)}",
                "a file in a folder that is there",
                "choose another",
            ) from None

    def _run(self, sql: str, condition: str) -> None:
        try:
            self._base.execute(sql)
        except self._error as problem:
            raise ConfigError(
                f"the condition {condition!r}: {_first_line(problem)}",
                f"SQL over the columns {', '.join(self._columns)}",
                "for example \"rule = 'dfa' AND epoch > 5\"",
            ) from None


def difference(mine: Group, other: Group) -> Interval | None:
    """The paired difference in the test score over common seeds, with its 95 % interval; None with
    fewer than two, or of two scores.
    """
    if mine.score is None or mine.score != other.score:
        return None
    common = [seed for seed in mine.test if seed in other.test]
    differences = np.array([mine.test[seed] - other.test[seed] for seed in common], float)
    grain = mine.score.scale * mine.score.grain(min(mine.test_size, other.test_size))
    return paired_interval(differences, grain)


def rows_of(run: Outcomes) -> Iterator[dict[str, Any]]:
    """A row for each seed of each rule, by column (see `COLUMNS`), and more of what was
    measured.
    """
    for outcome in run.values():
        for index, seed in enumerate(outcome.seeds):
            yield _row(run, outcome, index, seed)


def _row(run: Outcomes, outcome: Outcome, index: int, seed: int) -> dict[str, Any]:
    main, settings, history = outcome.score, outcome.settings, outcome.history
    test = {score.name: _printed(score, outcome.test, index) for score in outcome.scores}
    last = history.last("validation")
    reached = any(np.isfinite(values[index]) for values in last.values())
    value = None if main is None else test[main.name]
    lost = outcome.finished and (seed in outcome.failures or (main is not None and value is None))
    state = "failed" if lost else "finished" if outcome.finished else "stopped"
    row = {
        "run": "" if run.folder is None else str(run.folder),
        "started": str(run.about.get("started", "")),
        "task": outcome.task_id,
        "rule": outcome.label,
        "seed": seed,
        "state": state,
        "score": None if main is None else main.heading,
        "test": value,
        "validation": None if main is None else _printed(main, last, index),
        "epoch": outcome.epochs if reached or outcome.history else None,
        "seconds": (outcome.seconds or None) if outcome.finished else None,
        **{n: settings.get(n) for n in ("epochs", "batch", "optimiser", "lr", "schedule")},
        "network": outcome.network,
        "byway": run.about.get("byway"),
        "settings": json.dumps(settings, default=str),
    }
    means = {m.name: _hidden_mean(outcome, m, index) for m in outcome.metrics if m.column}
    own = {f"{name}_score" if name in row else name: v for name, v in (test | means).items()}
    return row | own


def _printed(score: Score, held: Mapping[str, np.ndarray], index: int) -> float | None:
    """One seed's score as it is printed; None where it is not there, or no number."""
    value = held[score.name][index] if score.name in held else np.nan
    return score.scale * float(value) if np.isfinite(value) else None


def _hidden_mean(outcome: Outcome, metric: Metric, index: int) -> float | None:
    """One seed's last mean over hidden projections, or what was measured of the whole network, as
    it is printed.
    """
    curves = outcome.history.group(metric.name).items()
    last = [c.last[index] for name, c in curves if measured_of(outcome, name)]
    finite = [value for value in last if np.isfinite(value)]
    return metric.scale * float(np.mean(finite)) if finite else None


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _first_line(problem: Exception) -> str:
    return str(problem).partition("\n")[0]
