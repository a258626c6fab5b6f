"""Many runs as one table: what was learnt, by which rule, from which seed, with which settings.
Read from the run folders by DuckDB.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from byway.core.errors import ConfigError, RunError
from byway.core.score import Score
from byway.report.run import CONFIG, VERSIONS, Run, read_run
from byway.report.summary import Interval, paired_interval
from byway.training.tune import RATE

# By column of the table `runs`, a row for each seed of each rule: its type, and what it is. After
# these comes one for each test score that any of the runs declares, by its name and as it is
# printed.
COLUMNS = {
    "run": ("VARCHAR", "the run folder"),
    "started": ("VARCHAR", "when, in UTC"),
    "task": ("VARCHAR", "what was learnt"),
    "rule": ("VARCHAR", "by which rule"),
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
    "epochs": ("INTEGER", "passes over the training split, as set; NULL for the task's suggestion"),
    "batch": ("INTEGER", "samples in an update; so too"),
    "optimiser": ("VARCHAR", "the optimiser"),
    "lr": ("DOUBLE", "its learning rate, as set or as tuned; NULL for the rule's own"),
    "schedule": ("VARCHAR", "the schedule of the rate"),
    "network": ("VARCHAR", "the network in words; NULL unless finished"),
    "byway": ("VARCHAR", "the version that ran it"),
    "settings": ("JSON", "every setting, as JSON"),
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
        lr: the learning rate, as set or as tuned; None for the rule's own.
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


def folders(places: Iterable[Path]) -> list[Path]:
    """Every run folder at or below the places.

    Raises:
        RunError: a place that is not there.
    """
    found = []
    for place in places:
        if not place.is_dir():
            raise RunError(
                f"there is no folder {place}",
                "run folders, or a folder that holds some",
                "name one, such as runs",
            )
        found += [
            path.parent
            for path in sorted(place.rglob(VERSIONS))
            if (path.parent / CONFIG).is_file()
        ]
    return list(dict.fromkeys(found))


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
        runs = [run for folder in folders(places) if (run := self._read(folder)) is not None]
        self._main = {str(run.folder): next(iter(run.scores), None) for run in runs}
        measured = dict.fromkeys(score.name for run in runs for score in run.scores)
        names = {name: f"{name}_score" if name in COLUMNS else name for name in measured}
        made = [f"{name} {kind}" for name, (kind, _) in COLUMNS.items()] + [
            f"{_quoted(name)} DOUBLE" for name in names.values()
        ]
        self._columns = [*COLUMNS, *names.values()]
        self._base.execute(f"CREATE TABLE runs ({', '.join(made)})")
        rows = [
            _row(run, rule, seed, names)
            for run in runs
            for rule in run.rules
            for seed in _seeds(run, rule)
        ]
        if rows:
            self._base.executemany(f"INSERT INTO runs VALUES ({', '.join('?' * len(made))})", rows)

    def _read(self, folder: Path) -> Run | None:
        try:
            return read_run(folder, finished=False)
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
            groups.append(
                Group(
                    run,
                    started,
                    task,
                    rule,
                    counts,
                    epoch,
                    self._main[run],
                    scores,
                    validation,
                    seconds,
                    lr,
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
    if mine.score != other.score:
        return None
    return paired_interval(
        np.array(
            [mine.test[seed] - other.test[seed] for seed in mine.test if seed in other.test], float
        )
    )


def _seeds(run: Run, rule: str) -> list[int]:
    if rule in run.finished:
        return run.finished[rule].seeds
    first, count = run.settings.get("first_seed", 0), run.settings.get("seeds", 1)
    return [*range(first, first + count)]


def _row(run: Run, rule: str, seed: int, measured: Iterable[str]) -> Sequence[Any]:
    done, curves, settings = run.finished.get(rule), run.curves.get(rule), run.settings
    scores, main = {score.name: score for score in run.scores}, next(iter(run.scores), None)
    test = (
        {}
        if done is None
        else {name: _printed(scores, name, done.test, done.seeds.index(seed)) for name in scores}
    )
    reached = validation = None
    if curves is not None and seed in curves.seeds:
        reached = int(curves.epochs[-1])
        last = {name: values[:, -1] for name, values in curves.validation.items()}
        validation = (
            None if main is None else _printed(scores, main.name, last, curves.seeds.index(seed))
        )
    value = None if main is None else test.get(main.name)
    lost = done is not None and (seed in done.failures or (main is not None and value is None))
    return [
        str(run.folder),
        str(run.versions.get("started", "")),
        run.task or settings.get("task"),
        rule,
        seed,
        "stopped" if done is None else "failed" if lost else "finished",
        None if main is None else main.heading,
        value,
        validation,
        reached,
        None if done is None else done.seconds,
        *(settings.get(name) for name in ("epochs", "batch", "optimiser")),
        run.tuned.get(rule, {}).get(RATE, settings.get("lr")),
        settings.get("schedule"),
        None if done is None else done.network,
        run.versions.get("byway"),
        json.dumps(settings, default=str),
        *(test.get(name) for name in measured),
    ]


def _printed(
    scores: Mapping[str, Score], name: str, held: Mapping[str, np.ndarray], index: int
) -> float | None:
    """One seed's score as it is printed; None where it is not there, or no number."""
    value = held[name][index] if name in held else np.nan
    return scores[name].scale * float(value) if np.isfinite(value) else None


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _first_line(problem: Exception) -> str:
    return str(problem).partition("\n")[0]
