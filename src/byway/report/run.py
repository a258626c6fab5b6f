"""Reads a run folder, whole or cut short by a kill."""

import contextlib
import dataclasses
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from safetensors import SafetensorError

from byway.core.errors import ConfigError, RunError
from byway.core.score import Score, declared
from byway.metrics.microscope import QUANTITIES
from byway.training.tune import TUNED

CONFIG, VERSIONS, METRICS, MICROSCOPE, RESULTS, AUDIT, WEIGHTS = (
    "config.toml",
    "versions.json",
    "metrics.jsonl",
    "microscope.jsonl",
    "results.json",
    "audit.json",
    "weights",
)
ADVICE = "name a folder that a finished 'byway compare' or 'byway train' wrote"


@dataclasses.dataclass(frozen=True)
class Finished:
    """A rule that trained to its end.

    Attributes:
        seeds: the seeds, in the order of every array.
        test: scores on the test split, by metric, "seeds"; NaN for a seed that failed.
        seconds: training time of all seeds together [s].
        compile_seconds: time to compile [s].
        looks: how often the microscope looked.
        look_seconds: the time that this took, for all seeds together [s].
        step_bytes: memory of one compiled update of one learner [B].
        failures: by seed, why it stopped early.
        network: the network in words.
        others: scores on each further split, by its name.
        scores: what the task declares, the main one first.
    """

    seeds: list[int]
    test: dict[str, Float[np.ndarray, " seeds"]]
    seconds: float
    compile_seconds: float
    looks: int
    look_seconds: float
    step_bytes: int
    failures: dict[int, str]
    network: str
    others: dict[str, dict[str, Float[np.ndarray, " seeds"]]] = dataclasses.field(
        default_factory=dict
    )
    scores: tuple[Score, ...] | None = None

    def __post_init__(self):
        if self.scores is None:
            object.__setattr__(self, "scores", declared(None, self.test))


@dataclasses.dataclass(frozen=True)
class Curves:
    """What was measured of one rule while it trained; NaN where a number is missing or was not
    finite.

    Attributes:
        seeds: the seeds, in the order of the arrays.
        epochs: epochs trained; 0 is the start.
        seconds: training time of all seeds together so far [s].
        validation: scores on the validation split, by metric.
    """

    seeds: list[int]
    epochs: Int[np.ndarray, " epochs"]
    seconds: Float[np.ndarray, " epochs"]
    validation: dict[str, Float[np.ndarray, "seeds epochs"]]


@dataclasses.dataclass(frozen=True)
class Looks:
    """What the microscope saw of one rule; NaN where a number is missing or has no meaning.

    Attributes:
        steps: updates before each look; 0 is the start.
        seen: by quantity, by projection.
    """

    steps: Int[np.ndarray, " looks"]
    seen: dict[str, dict[str, Float[np.ndarray, "seeds looks"]]]


@dataclasses.dataclass(frozen=True)
class Run:
    """A run folder.

    Attributes:
        folder: where it is.
        task: the task's name.
        scores: what the task declares, the main one first.
        config: the text of its configuration.
        settings: the same, parsed.
        versions: what it ran on.
        finished: by rule, in the order they were asked for.
        unfinished: rules that were asked for or begun, and have no result.
        curves: by rule, unfinished ones included.
        looks: by rule, those of them that the microscope has looked at.
        audit: by rule, as the audit wrote it; empty if there was none.
        tuned: by rule, the values that a search had found for it; empty if the run was not tuned.
    """

    folder: Path
    task: str
    scores: tuple[Score, ...]
    config: str
    settings: dict[str, Any]
    versions: dict[str, Any]
    finished: dict[str, Finished]
    unfinished: list[str]
    curves: dict[str, Curves]
    looks: dict[str, Looks]
    audit: dict[str, dict[str, Any]]
    tuned: dict[str, dict[str, float]]

    @property
    def rules(self) -> list[str]:
        """Every rule, the finished ones first."""
        return [*self.finished, *self.unfinished]


def read_run(folder: Path, finished: bool = True) -> Run:
    """Read a run folder.

    Args:
        folder: the folder that training wrote.
        finished: whether a rule at least must have finished.

    Raises:
        RunError: the folder is missing, is no run folder, is broken, or no rule in it has finished.
    """
    if not folder.is_dir():
        raise RunError(f"there is no folder {folder}", "the folder of a run", ADVICE)
    if missing := [
        name
        for name in (CONFIG, VERSIONS, *([METRICS] if finished else []))
        if not (folder / name).is_file()
    ]:
        raise RunError(f"{folder} has no {' and no '.join(missing)}", "the folder of a run", ADVICE)
    with as_written(folder / RESULTS):
        results = (
            _json(folder / RESULTS) if (folder / RESULTS).is_file() else {"task": "", "rules": {}}
        )
        names = [name for entry in results["rules"].values() for name in entry["test"]]
        scores = declared(results.get("scores"), names)
        done = {rule: _finished(entry, scores) for rule, entry in results["rules"].items()}
        task = str(results["task"])
    if finished and not done:
        raise RunError(
            f"no rule has finished in {folder}",
            "at least one finished rule",
            "run it again, and let it finish",
        )
    with as_written(folder / CONFIG):
        config = (folder / CONFIG).read_text(encoding="utf-8")
        settings = tomllib.loads(config)
        asked = _asked(settings)
    with as_written(folder / METRICS):
        rows = read_rows(folder / METRICS) if (folder / METRICS).is_file() else []
        curves = {rule: _curves(some) for rule, some in _by_rule(rows).items()}
        scores = scores or declared(
            None, [name for some in curves.values() for name in some.validation]
        )
    with as_written(folder / MICROSCOPE):
        seen = read_rows(folder / MICROSCOPE) if (folder / MICROSCOPE).is_file() else []
        looks = {rule: _looks(some) for rule, some in _by_rule(seen).items()}
    with as_written(folder / AUDIT):
        audit = _json(folder / AUDIT) if (folder / AUDIT).is_file() else {}
        for entry in audit.values():
            _check_audit(entry)
    with as_written(folder / TUNED):
        found = _json(folder / TUNED) if (folder / TUNED).is_file() else {}
        tuned = {
            rule: {name: float(value) for name, value in one["values"].items()}
            for rule, one in found.items()
        }
    with as_written(folder / VERSIONS):
        versions = dict(_json(folder / VERSIONS).items())
    unfinished = [rule for rule in dict.fromkeys([*asked, *curves]) if rule not in done]
    return Run(
        folder,
        task,
        scores,
        config,
        settings,
        versions,
        done,
        unfinished,
        curves,
        looks,
        audit,
        tuned,
    )


@contextlib.contextmanager
def as_written(path: Path) -> Iterator[None]:
    """While a file of a run is read: whatever is not in it as the run wrote it becomes a `RunError`
    that names the file.
    """
    try:
        yield
    except (
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        SafetensorError,
        ConfigError,
    ) as problem:
        said = f"{type(problem).__name__}: {problem}".partition("\n")[0]
        raise RunError(
            f"{path} is not as a run writes it: {said}",
            "the file as the run wrote it",
            "restore it, or run again",
        ) from problem


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a metrics file; a kill may have cut the last one short, and that one is left
    out.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as error:
            if number < len(lines):
                raise RunError(
                    f"line {number} of {path} is no JSON: {error}",
                    "one JSON object a line",
                    "delete that line",
                ) from error
    return rows


def _json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise RunError(
            f"{path} is no JSON: {error}",
            "the file as the run wrote it",
            "restore it, or run again",
        ) from error


def _check_audit(entry: Mapping[str, Any]) -> None:
    """Raise `TypeError`, or what is missing, unless an entry of the audit is made as the page reads
    it.
    """
    for part, kind in (("verdict", dict), ("updates", dict), ("findings", list)):
        if not isinstance(entry[part], kind):
            raise TypeError(f"{part} is no {kind.__name__}")
    for update in entry["updates"].values():
        if not all(
            isinstance(name, str)
            for part in ("reads", "transported", "waits_for")
            for name in list(update[part])
        ):
            raise TypeError("an update reads what has no name")


def _asked(settings: Mapping[str, Any]) -> list[str]:
    """The rules that the configuration names: `rules = "bp,dfa"` where several were compared, `rule
    = "dfa"` where one was trained.
    """
    return [
        name.strip()
        for name in settings.get("rules", settings.get("rule", "")).split(",")
        if name.strip()
    ]


def _finished(entry: Mapping[str, Any], scores: tuple[Score, ...]) -> Finished:
    return Finished(
        seeds=[int(seed) for seed in entry["seeds"]],
        test=_scores(entry["test"], entry["seeds"]),
        seconds=float(entry["seconds"]),
        compile_seconds=float(entry["compile_seconds"]),
        looks=int(entry.get("looks", 0)),  # a run from before the microscope has none
        look_seconds=float(entry.get("look_seconds", 0.0)),
        step_bytes=int(entry["step_bytes"]),
        failures={int(seed): why for seed, why in entry["failures"].items()},
        network=str(entry["network"]),
        others={
            split: _scores(held, entry["seeds"]) for split, held in entry.get("others", {}).items()
        },
        scores=scores,
    )


def _scores(
    held: Mapping[str, Sequence[float | None]], seeds: Sequence[int]
) -> dict[str, np.ndarray]:
    if not seeds or any(len(values) != len(seeds) for values in held.values()):
        raise ValueError("no score for each seed")
    return {name: np.array([_number(v) for v in values], float) for name, values in held.items()}


def _by_rule(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    return {
        rule: [row for row in rows if row["rule"] == rule]
        for rule in dict.fromkeys(row["rule"] for row in rows)
    }


def _curves(rows: list[dict[str, Any]]) -> Curves:
    """The rows of one rule as arrays."""
    seeds, epochs, tables = _tables(rows, "epoch", ("validation",))
    seconds = {row["epoch"]: _number(row["seconds"]) for row in rows}
    return Curves(
        seeds,
        np.array(epochs, int),
        np.array([seconds[e] for e in epochs], float),
        tables["validation"],
    )


def _looks(rows: list[dict[str, Any]]) -> Looks:
    """The looks at one rule as arrays."""
    _, steps, tables = _tables(rows, "step", QUANTITIES)
    return Looks(np.array(steps, int), tables)


def _tables(
    rows: list[dict[str, Any]], time: str, groups: Sequence[str]
) -> tuple[list[int], list[int], dict[str, dict[str, np.ndarray]]]:
    """The seeds and times there are, and by group and name an array "seeds times". A resumed run
    may repeat a time: its last row counts.
    """
    at = {(row["seed"], row[time]): row for row in rows}
    seeds, times = (sorted({key[axis] for key in at}) for axis in (0, 1))

    def table(group: str) -> dict[str, np.ndarray]:
        names = dict.fromkeys(name for row in at.values() for name in row[group])
        return {
            name: np.array(
                [
                    [_number(at.get((s, t), {}).get(group, {}).get(name)) for t in times]
                    for s in seeds
                ],
                float,
            )
            for name in names
        }

    return seeds, times, {group: table(group) for group in groups}


def _number(value: float | None) -> float:
    """JSON has no NaN, so the run writes null for it."""
    return float("nan") if value is None else float(value)
