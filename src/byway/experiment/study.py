"""A study, in memory or on disk: what `compare` and `train` return of folds or of several tasks."""

import contextlib
import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, overload

from typing_extensions import override

from byway.core.display import html
from byway.core.errors import BywayError, RunError, not_installed
from byway.core.given import require_folder
from byway.experiment.engines import HERE
from byway.experiment.experiment import Door, Experiment, Listener, telling_where
from byway.experiment.jobs import Engine, Say
from byway.experiment.run import Run
from byway.report.runs import rows_of
from byway.report.study import write_study_page
from byway.runs.folder import PAGE, RunFolder, StudyFolder, is_study, read, read_study
from byway.runs.provenance import provenance
from byway.runs.study import StudyOutcomes
from byway.system.together import told
from byway.training.checkpoint import locked


@dataclasses.dataclass(frozen=True, repr=False)
class Study(StudyOutcomes):
    """Runs that differ in one thing, the fold that is tested or the task: `study.runs["fold-1"]` is
    one of them, whole.

    Attributes:
        differs: in what its runs differ: "fold" or "task".
        runs: by name, in their order; those that have begun.
        sizes: by name, of each run how many samples it trains on, and how many it tests.
        about: when and where it ran, and what with.
        config: its settings as TOML, with which the same can be run again; empty where there is no
            such file.
        folder: where it is on disk, if it is.
    """

    runs: Mapping[str, Run]

    @classmethod
    def of(cls, held: StudyOutcomes) -> "Study":
        """These outcomes as a study."""
        runs = {name: Run.of(run) for name, run in held.runs.items()}
        return cls(held.differs, runs, held.sizes, held.about, held.config, held.folder)

    def report(self, path: Path | str | None = None) -> Path:
        """Write the page of the study, and beside each of its runs that is on disk the page of
        that.

        Args:
            path: the file; report.html in the study's folder by default.

        Raises:
            RunError: no rule has finished, the page cannot be written, or there is no folder.
        """
        if path is None and self.folder is None:
            raise RunError(
                "a report of a study that is nowhere on disk",
                "a place for the page",
                "name a file, as in study.report('report.html')",
            )
        if self.folder is not None:
            for run in self.runs.values():
                if run.finished:
                    run.report()
        return write_study_page(
            self, Path(self.folder or "") / PAGE if path is None else Path(path)
        )

    def to_frame(self) -> Any:
        """A frame of pandas with a row for each seed of each rule of each run, in the columns of
        `byway runs`, and the name of its run.

        Raises:
            ConfigError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise not_installed("pandas", "frames") from None
        rows = [
            {self.differs: name, **row} for name, run in self.runs.items() for row in rows_of(run)
        ]
        return pd.DataFrame(rows)

    def _repr_html_(self) -> str:
        return html(self)

    @override
    def __repr__(self) -> str:
        lines = [f"{name}: {run!r}" for name, run in self.runs.items()]
        return "<Study: " + "\n ".join(lines or ["nothing has begun"]) + ">"


@dataclasses.dataclass(frozen=True)
class Member:
    """A run of a study, to be.

    Attributes:
        make: makes its experiment, anew each time: only the run whose turn it is has its data in
            memory.
        config: its settings as TOML; nothing where it is made in Python.
        about: what else to note of it.
    """

    make: Callable[[], Experiment]
    config: Callable[[Experiment], str] = lambda experiment: ""
    about: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def sizes_of(members: Mapping[str, Member]) -> dict[str, tuple[int, int]]:
    """Check every run of a study.

    Returns:
        By name, how many samples it trains on, and how many it tests.

    Raises:
        BywayError: whatever is wrong with any of them.
    """
    return {name: _size(_made(name, member.make)) for name, member in members.items()}


def begin_study(
    differs: str,
    members: Mapping[str, Member],
    path: Path,
    verb: str,
    config: str = "",
    overwrite: bool = False,
    unique: bool = False,
) -> StudyFolder:
    """Check every run of a study, and make its folder with theirs in it.

    Args:
        differs: in what the runs differ.
        members: by name.
        path: where.
        verb: what is done, for who repeats it.
        config: the settings of the study, as TOML.
        overwrite: whether what lies there may be replaced.
        unique: whether to change the name if it is taken.

    Raises:
        BywayError: whatever is wrong with any of the runs; then nothing is written.
    """
    ready, sizes = {}, {}
    for name, member in members.items():
        experiment = _made(name, member.make)
        noted = experiment.about(path / name, verb=verb, **member.about)
        ready[name], sizes[name] = (noted, member.config(experiment)), _size(experiment)
    about = {**provenance(), "verb": verb}

    def write() -> str:
        folder = StudyFolder.begin(path, differs, sizes, about, config, overwrite, unique)
        for name, (noted, text) in ready.items():
            RunFolder.begin(folder.run(name), noted, text)
        return str(folder.path)

    return StudyFolder(Path(told(write)))


def run_study(
    makes: Mapping[str, Callable[[], Experiment]],
    differs: str,
    sizes: dict[str, tuple[int, int]],
    folder: StudyFolder | None = None,
    on_epoch: Listener | None = None,
    on_look: Listener | None = None,
    progress: bool | None = None,
    say: Say = lambda text: None,
    engine: Engine = HERE,
    door: Door | None = None,
) -> Study:
    """Train every run of a study that has not finished, one after another.

    Args:
        makes: by name, what makes the experiment of each.
        differs: in what the runs differ.
        sizes: of the runs.
        folder: where to write; in memory alone by default.
        on_epoch: as of `Experiment.run`, told of "fold-1/dfa".
        on_look: so too.
        progress: as there, and so are the others.
        say: as there.
        engine: as there.
        door: as there.
    """
    runs = {}

    def train(name: str, number: int, here: RunFolder | None) -> None:
        say(f"{name}, run {number} of {len(makes)}")
        epoch, look = _within(name, on_epoch), _within(name, on_look)
        made = _made(name, makes[name])
        runs[name] = made.run(here, epoch, look, progress, say, engine, door)

    if folder is None:
        for number, name in enumerate(makes, 1):
            train(name, number, None)
        return Study(differs, runs, sizes, provenance())
    kept = f"'byway resume {folder.path}' continues from there"
    with contextlib.ExitStack() as stack, telling_where(kept):
        told(lambda: stack.enter_context(locked(folder.path)))
        for number, name in enumerate(makes, 1):
            train(name, number, RunFolder.again(folder.run(name)))
    return dataclasses.replace(Study.of(read_study(folder.path)), runs=runs)


@overload
def open(folder: Path | str) -> Run: ...
@overload
def open(folder: Path | str, kind: type[Study]) -> Study: ...
def open(folder: Path | str, kind: type[Run] | type[Study] = Run) -> Run | Study:
    """What is on disk, whole or cut short by a kill: the run `byway.open("runs/demo")`, the study
    `byway.open("runs/folds", byway.Study)`.

    Args:
        folder: where it is.
        kind: `byway.Study` for a study; a run by default.

    Raises:
        RunError: the folder is missing, holds the other of the two, or is broken.
    """
    require_folder("folder", folder)
    path = Path(folder)
    if kind is Study:
        return Study.of(read_study(path))
    if is_study(path):
        raise RunError(
            f"{path} is a study of several runs",
            "the folder of one run",
            f"call byway.open({str(path)!r}, byway.Study), or name one of its runs",
        )
    return Run.of(read(path))


def _made(name: str, make: Callable[[], Experiment]) -> Experiment:
    """The experiment of a run; what is wrong with it names the run."""
    try:
        return make()
    except BywayError as error:
        raise type(error)(f"{name}: {error.given}", error.wanted, error.fix) from error


def _size(experiment: Experiment) -> tuple[int, int]:
    return experiment.data["train"].size, experiment.data["test"].size


def _within(name: str, listener: Listener | None) -> Listener | None:
    if listener is None:
        return None
    return lambda label, reading: listener(f"{name}/{label}", reading)
