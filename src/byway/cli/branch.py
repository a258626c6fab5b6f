"""`byway branch`: another run that starts where a run stands, with a change."""

import dataclasses
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

from byway.cli.experiment import begun, going
from byway.cli.resume import restored
from byway.core.errors import ConfigError, RunError
from byway.runs.folder import RunFolder
from byway.training.checkpoint import branch, choose

# What a checkpoint cannot be resumed with if it changes: who learns what, in which order.
FIXED = ("rule", "rules", "task", "tasks", "folds", "seeds", "first_seed", "batch", "net")


@dataclasses.dataclass(frozen=True)
class Branch:
    """Start another run from a checkpoint of a run, with a change.

    For example 'byway branch runs/a --set epochs=60 lr=1e-4', or '--set ff.peer=0.1'. The run that
    it starts from is left as it is. Where the optimiser is another one, its moments start anew.

    Attributes:
        folder: the run to start from.
        set: what to change, as NAME=VALUE, under the names of config.toml.
        at: the checkpoint to start from, by its step; the latest by default. More are there in a
            run with --keep.
        data: where the file or folder of your own data is now, if it was moved.
        out: the new run folder; runs/branch-TASK-TIME by default.
        overwrite: replace the run that lies there.
    """

    folder: Annotated[Path, tyro.conf.Positional]
    set: tuple[str, ...] = ()
    at: int | None = None
    data: Path | None = None
    out: Path | None = None
    overwrite: bool = False


def run(argv: Sequence[str]) -> None:
    """Run the verb with its flags."""
    asked = tyro.cli(Branch, args=list(argv), prog="byway branch")
    old = RunFolder.again(asked.folder)
    changes = dict(_change(text) for text in asked.set)
    settings, experiment = restored(asked.folder, asked.data, **changes)
    settings = dataclasses.replace(settings, out=asked.out, overwrite=asked.overwrite)
    jobs = {
        (entry.label, seeds): job.checkpoints
        for entry in experiment.entries
        for seeds in old.parts(entry.label)
        if (job := old.job(entry.label, seeds)).checkpoints.is_dir()
    }
    if not jobs:
        raise RunError(
            f"{asked.folder} has no checkpoint",
            "one to start from",
            "let the run get to its first checkpoint",
        )
    chosen = {job: choose(checkpoints, asked.at) for job, checkpoints in jobs.items()}
    for (label, _), step in chosen.items():
        if step >= experiment.steps:
            raise ConfigError(
                f"the checkpoint of {label} after {step:,} batches, with settings that end at "
                f"{experiment.steps:,}",
                "something left to learn",
                "add --set epochs=..., or choose an earlier one with --at",
            )
    steps = {label: step for (label, _), step in chosen.items()}
    about = {"branched_from": str(asked.folder), "branched_at": steps}
    new = begun(experiment, "branch", settings, **about)
    for entry in experiment.entries:
        for seeds in old.parts(entry.label):  # dealt as they were
            new.job(entry.label, seeds).path.mkdir(parents=True)
    for (label, seeds), step in chosen.items():
        branch(jobs[label, seeds], new.job(label, seeds).checkpoints, step)
    going(experiment, new)


def _change(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ConfigError(f"--set {text}", "NAME=VALUE", "for example --set lr=1e-4")
    if name.split(".")[0] in FIXED:
        raise ConfigError(
            f"--set {text}",
            f"a change of anything but {', '.join(FIXED)}",
            "start a new run with 'byway compare'",
        )
    try:
        return name, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name, value
