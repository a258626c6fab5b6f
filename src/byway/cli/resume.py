"""`byway resume`: go on with a run that was stopped."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

from byway.cli import compare, train
from byway.cli.experiment import Experiment
from byway.cli.report import show
from byway.cli.settings import from_toml
from byway.training.run import Run
from byway.training.tune import TUNED


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
    again = Run.again(asked.folder)
    experiment = Experiment(*settings_of(asked.folder / "config.toml"))
    if all(rule.id in again.finished for rule in experiment.rules):
        print(
            f"every rule in {asked.folder} has finished; 'byway branch {asked.folder}' starts "
            "another run from its end"
        )
    experiment.train(again)
    show(again.folder)


def settings_of(config: Path, **changes: Any) -> tuple[list[str], Any]:
    """The rules and the settings of a run.

    Args:
        config: its configuration.
        changes: settings to change, dots in their names for tables.
    """
    if (config.parent / TUNED).is_file():
        changes = {"tuned": str(config.parent)} | changes
    return from_toml({"rules": compare.VERB, "rule": train.VERB}, config, changes)
