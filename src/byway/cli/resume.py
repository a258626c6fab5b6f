"""`byway resume`: resume a run that was stopped."""

import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import tyro

from byway.cli import compare, train
from byway.cli.experiment import going, going_study, made
from byway.cli.settings import from_toml
from byway.core.errors import RunError
from byway.core.registry import called
from byway.experiment.engines import engine
from byway.experiment.experiment import Experiment
from byway.experiment.places import other_data, places, require_same_data
from byway.runs.folder import CONFIG, RunFolder, StudyFolder, is_study, read_study


@dataclasses.dataclass(frozen=True)
class Resume:
    """Go on with a run that was stopped, or killed, from its last checkpoints.

    Rules that finished are left as they are; what comes out is, to the bit, what would have come
    out without the stop.

    Attributes:
        folder: the run folder, or that of a study.
        data: where the file or folder of your own data is now, if it was moved; by default it is
            looked for where it was, and then where it was as seen from the run folder.
        jobs: how many jobs run at once; see 'byway compare --help jobs'.
        on: ray, to run them on a cluster.
    """

    folder: Annotated[Path, tyro.conf.Positional]
    data: Path | None = None
    jobs: int | None = None
    on: str | None = None


def run(argv: Sequence[str]) -> None:
    """Run the verb with its flags."""
    asked = tyro.cli(Resume, args=list(argv), prog="byway resume")
    if is_study(asked.folder):
        study = StudyFolder.again(asked.folder)
        if not read_study(asked.folder).unfinished:
            print(f"every run in {asked.folder} has finished")
        makes = {name: partial(_restored, study.run(name), asked.data) for name in study.sizes}
        settings = settings_of(study.run(next(iter(study.sizes))))[1]
        where = engine(asked.jobs, asked.on, settings.parallel)
        going_study(makes, study, where)
        return
    again = RunFolder.again(asked.folder)
    settings, experiment = restored(asked.folder, asked.data)
    where = engine(asked.jobs, asked.on, settings.parallel)
    if all(job.finished for entry in experiment.entries for job in again.jobs(entry.label)):
        print(
            f"every rule in {asked.folder} has finished; 'byway branch {asked.folder}' starts "
            "another run from its end"
        )
    going(experiment, again, where)


def _restored(folder: Path, data: Path | None) -> Experiment:
    return restored(folder, data)[1]


def restored(folder: Path, data: Path | None = None, **changes: Any) -> tuple[Any, Experiment]:
    """The settings and the experiment of a run, with its data, wherever these are now.

    Args:
        folder: the run.
        data: where the data are, if somebody says so.
        changes: settings to change, dots in their names for tables.

    Raises:
        RunError: the data are not to be found, or are others; or the run was made in Python.
    """
    about = RunFolder.again(folder).about
    names, settings = settings_of(folder, **changes)
    task = called(settings.task)
    if any(name.partition(".")[0] == task for name in changes):  # to learn from others
        return settings, made(names, settings)
    tables = [
        dataclasses.replace(getattr(settings, task), path=place)
        for place in places(about, folder, data)
    ]
    tried = [dataclasses.replace(settings, **{task: table}) for table in tables] or [settings]
    # Where other data lie in the old place, the run's own may lie beside it.
    for one in tried[:-1]:
        experiment = made(names, one)
        if other_data(about, experiment.data) is None:
            return one, experiment
    experiment = made(names, tried[-1])
    require_same_data(about, experiment.data, folder)
    return tried[-1], experiment


def settings_of(folder: Path, **changes: Any) -> tuple[list[str], Any]:
    """The rules and the settings of a run.

    Args:
        folder: the run.
        changes: settings to change, dots in their names for tables.

    Raises:
        RunError: the run was made in Python, from things that no file can hold.
    """
    if not (folder / CONFIG).is_file():
        figure = RunFolder.again(folder).about.get("reproduction")
        raise RunError(
            f"{folder} has no {CONFIG}: it was made in Python",
            "a run of the command line",
            f"call 'byway reproduce {figure} --out {folder}' as before"
            if figure
            else "call byway.compare again with the same arguments, out= and resume=True",
        )
    return from_toml({"rules": compare.VERB, "rule": train.VERB}, folder / CONFIG, changes)
