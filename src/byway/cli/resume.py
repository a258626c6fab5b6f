"""`byway resume`: go on with a run that was stopped."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

from byway.cli import compare, train
from byway.cli.experiment import going, made
from byway.cli.settings import from_toml
from byway.core.errors import RunError
from byway.runs.folder import CONFIG, RunFolder


@dataclasses.dataclass(frozen=True)
class Resume:
    """Go on with a run that was stopped, or killed, from its last checkpoints.

    Rules that finished are left as they are; what comes out is, to the bit, what would have come
    out without the stop.

    Attributes:
        folder: the run folder.
    """

    folder: Annotated[Path, tyro.conf.Positional]


def run(argv: Sequence[str]) -> None:
    """Run the verb with its flags."""
    asked = tyro.cli(Resume, args=list(argv), prog="byway resume")
    again = RunFolder.again(asked.folder)
    experiment = made(*settings_of(asked.folder))
    if all(again.job(entry.label, experiment.seeds).finished for entry in experiment.entries):
        print(
            f"every rule in {asked.folder} has finished; 'byway branch {asked.folder}' starts "
            "another run from its end"
        )
    going(experiment, again)


def settings_of(folder: Path, **changes: Any) -> tuple[list[str], Any]:
    """The rules and the settings of a run.

    Args:
        folder: the run.
        changes: settings to change, dots in their names for tables.

    Raises:
        RunError: the run was made in Python, from things that no file can hold.
    """
    if not (folder / CONFIG).is_file():
        raise RunError(
            f"{folder} has no {CONFIG}: it was made in Python",
            "a run of the command line",
            "call byway.compare again with the same arguments, out= and resume=True",
        )
    return from_toml({"rules": compare.VERB, "rule": train.VERB}, folder / CONFIG, changes)
