"""The run folder: what a training leaves on disk, written as it goes, so that a kill loses little.

config.toml         every setting, given or default
versions.json       what ran it, and where
metrics.jsonl       a line for each rule, seed and epoch
microscope.jsonl    a line for each rule, seed and look
results.json        what the task scores; test scores, times and failures of each rule that has
                    finished
audit.json          what each rule's updates read
checkpoints/RULE/STEP/      the training of a rule after so many batches, whole
weights/RULE.safetensors    the trained weights, "seeds ..." each
report.html         the page
"""

import itertools
import json
import math
import os
import platform
import shutil
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np

from byway.core.errors import RunError
from byway.core.task import Task
from byway.network.describe import describe
from byway.network.network import Network
from byway.system.machine import cores
from byway.training.checkpoint import locked
from byway.training.result import Result
from byway.training.rows import Look, Row
from byway.training.weights import save

PACKAGES = ("jax", "jaxlib", "equinox", "optax", "numpy")


class Run:
    """A run folder being written; begun or opened again.

    Attributes:
        folder: where it is.
        finished: the results of the rules that have finished, by name.
    """

    def __init__(self, folder: Path, finished: dict[str, Any]):
        self.folder, self.finished = folder, finished

    @classmethod
    def begin(
        cls,
        folder: Path,
        task: Task,
        config: str,
        overwrite: bool = False,
        unique: bool = False,
        **about: Any,
    ) -> "Run":
        """A new run.

        Args:
            folder: where; made, with its parents.
            task: what is learned.
            config: the settings, as TOML.
            overwrite: whether a run that lies there already may be replaced.
            unique: whether to add -2, -3 ... to a name that is taken, as by another process that
                began at the same moment.
            about: what else to note of it.

        Raises:
            RunError: the folder exists and may not be replaced, or cannot be written.
        """
        run = cls(Path(folder), {})
        if unique:
            run.folder = _claimed(run.folder)
        elif run.folder.exists():
            run._make_way(overwrite)
        try:
            (run.folder / "weights").mkdir(parents=True)
        except OSError as problem:
            raise _cannot_be_made(run.folder, problem) from problem
        run.write_json(
            "versions.json",
            versions() | {"started": datetime.now(UTC).isoformat(timespec="seconds")} | about,
        )
        run._replace("config.toml", config)
        run._keep_results(task)
        return run

    @classmethod
    def again(cls, folder: Path) -> "Run":
        """A run that was stopped, to go on with.

        Raises:
            RunError: there is none.
        """
        folder = Path(folder)
        if missing := [
            name for name in ("versions.json", "config.toml") if not (folder / name).is_file()
        ]:
            raise RunError(
                f"{folder} has no {' and no '.join(missing)}",
                "the folder of a run",
                "name one that train or compare began",
            )
        results = folder / "results.json"
        return cls(
            folder, dict(_held(results.read_bytes(), "rules", results)) if results.is_file() else {}
        )

    def checkpoints(self, rule: str) -> Path:
        """Where the checkpoints of a rule are."""
        return self.folder / "checkpoints" / rule

    def begin_rule(self, rule: str) -> None:
        """Forget what was measured of a rule that had not finished: it is measured again, or read
        from its checkpoint.
        """
        for name in ("metrics.jsonl", "microscope.jsonl"):
            path = self.folder / name
            if path.is_file():
                lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
                others = [
                    line
                    for line in lines
                    if line.endswith("\n") and _held(line, "rule", path) != rule
                ]
                if len(others) < len(lines):
                    self._replace(name, "".join(others))

    def write_json(self, name: str, value: Any) -> None:
        """Write a JSON file whole: a reader never sees half of it. NaN becomes null."""
        self._replace(name, json.dumps(_plain(value), indent=1) + "\n")

    def add_row(self, rule: str, seeds: list[int], row: Row) -> None:
        """Append what was measured after an epoch, a line a seed."""
        moment = {"epoch": row.epoch, "step": row.step, "seconds": row.seconds}
        self._append(
            "metrics.jsonl", rule, seeds, moment, {"train": row.train, "validation": row.validation}
        )

    def add_look(self, rule: str, seeds: list[int], look: Look) -> None:
        """Append what the microscope saw, a line a seed."""
        self._append(
            "microscope.jsonl",
            rule,
            seeds,
            {"epoch": look.epoch, "step": look.step, "seconds": look.seconds},
            look.seen,
        )

    def add_result(self, result: Result, net: Network) -> None:
        """Keep a rule's weights and add it to the finished ones."""
        save(result, self.folder / "weights" / f"{result.rule.id}.safetensors")
        self.finished[result.rule.id] = {
            "seeds": result.seeds,
            "test": result.test,
            "others": result.others,
            "seconds": result.seconds,
            "compile_seconds": result.compile_seconds,
            "looks": len(result.looks),
            "look_seconds": result.look_seconds,
            "look_compile_seconds": result.look_compile_seconds,
            "step_bytes": result.step_bytes,
            "failures": {str(seed): why for seed, why in result.failures.items()},
            "advice": {str(seed): text for seed, text in result.advice.items()},
            "network": describe(net),
        }
        self._keep_results(result.task)

    def _keep_results(self, task: Task) -> None:
        scores = [score.to_json() for score in task.scores]
        self.write_json("results.json", {"task": task.id, "scores": scores, "rules": self.finished})

    def _append(
        self,
        name: str,
        rule: str,
        seeds: list[int],
        moment: dict[str, Any],
        parts: dict[str, dict[str, np.ndarray]],
    ) -> None:
        with (self.folder / name).open("a", encoding="utf-8") as stream:
            for i, seed in enumerate(seeds):
                line = {"rule": rule, "seed": seed, **moment}
                line |= {
                    part: {k: v[i] for k, v in values.items()} for part, values in parts.items()
                }
                stream.write(json.dumps(_plain(line)) + "\n")

    def _make_way(self, overwrite: bool) -> None:
        if not overwrite:
            raise RunError(
                f"{self.folder} exists",
                "a folder that is not there yet",
                "choose another with --out, or add --overwrite",
            )
        if not (self.folder / "versions.json").is_file():
            raise RunError(
                f"{self.folder} is no run folder",
                "one that an earlier run made",
                "choose another with --out",
            )
        with locked(self.folder):
            shutil.rmtree(self.folder)

    def _replace(self, name: str, text: str) -> None:
        partial = self.folder / f".{name}.partial"
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, self.folder / name)


def _claimed(folder: Path) -> Path:
    """This folder, or the first of folder-2, folder-3 ... that was not there: made, so that no
    other process gets it.
    """
    for number in itertools.count(1):
        mine = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
        try:
            mine.mkdir(parents=True)
            break
        except FileExistsError:
            continue
        except OSError as problem:
            raise _cannot_be_made(mine, problem) from problem
    return mine


def _cannot_be_made(folder: Path, problem: OSError) -> RunError:
    return RunError(
        f"{folder} cannot be made: {problem.strerror}",
        "a folder that can be written",
        "choose another with --out",
    )


def versions() -> dict[str, Any]:
    """What a run was made with."""
    device = jax.devices()[0]
    found: dict[str, Any] = {name: version(name) for name in ("byway", *PACKAGES)}
    return found | {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": cores(),
        "device": device.device_kind,
        "devices": jax.device_count(),
    }


def _held(text: str | bytes, name: str, path: Path) -> Any:
    """What a JSON object holds under a name."""
    try:
        return json.loads(text)[name]
    except (ValueError, LookupError, TypeError) as problem:
        raise RunError(
            f"{path} is not as a run writes it: {problem}",
            "the file as the run wrote it",
            "restore it, or begin another run",
        ) from problem


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value
