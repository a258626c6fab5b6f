"""The run folder: names, schema, reading and writing are here, and nowhere else.

run.json                    version of this format, when and where it ran, what was asked for,
                            which data and where they lay
config.toml                 every setting, to run the same again; not of a run made in Python
jobs/LABEL/FIRST-LAST/      a job: one rule, these seeds; whoever writes it writes nothing else
    job.json                what it is: rule, seeds, task, network, settings, what is measured
    audit.json              what each update reads, on this very network
    history.jsonl           a line for each seed and moment
    outcome.json            once it has finished: test scores, failures, costs
    weights.safetensors     the trained weights, "seeds ..." each
    predictions.safetensors what each seed answers to each test sample, and the truth
    checkpoints/STEP/       the training after so many updates, whole
reach.json                  how far back each rule assigns credit, if that was measured
report.html                 the page

A study is a folder of such folders, which differ in one thing, beside

study.json                  version of this format, when and where it ran, in what its runs differ,
                            and which there are, each in the folder of its name
config.toml                 every setting, to run the same again; not of a study made in Python
report.html                 the page

A reader takes what it knows and shows as missing what is not there, so a later Byway may add to
every file, and an earlier one still reads it. NaN is written as null.
"""

import contextlib
import itertools
import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from byway.core.errors import ConfigError, RunError
from byway.core.metric import Metric
from byway.core.score import Score
from byway.metrics.predictions import Predictions
from byway.runs.outcomes import Outcomes
from byway.runs.study import StudyOutcomes
from byway.training.checkpoint import locked
from byway.training.history import History, Reading
from byway.training.outcome import Outcome, joined

FORMAT = 1
RUN, CONFIG, JOBS, PAGE = "run.json", "config.toml", "jobs", "report.html"
STUDY = "study.json"
JOB, AUDIT, HISTORY, OUTCOME = "job.json", "audit.json", "history.jsonl", "outcome.json"
WEIGHTS, PREDICTIONS = "weights.safetensors", "predictions.safetensors"
CHECKPOINTS, REACH = "checkpoints", "reach.json"
# What the two files of a job hold of its outcome.
STATIC = (
    *("label", "rule_id", "task_id", "seeds", "network", "projections", "first"),
    *("input_shape", "control", "settings", "test_size", "labels", "over_time"),
)
MEASURED = (
    *("test", "others", "failures", "advice", "stopped", "seconds", "compile_seconds"),
    *("looks", "look_seconds", "look_compile_seconds", "step_bytes"),
    *("test_classes", "stages", "speed_up"),
)
# Of that, what is left out where there is nothing to say.
IF_ANY = ("labels", "over_time", "test_classes", "stages", "speed_up")
# What makes a job another one.
DECISIVE = ("rule_id", "task_id", "seeds", "network", "settings")
ADVICE = "name a folder that 'byway compare', 'byway train' or save() wrote"


class JobFolder:
    """The folder of one job, to write.

    Args:
        path: where it is.
    """

    def __init__(self, path: Path):
        self.path = path

    @property
    def checkpoints(self) -> Path:
        """Where its checkpoints are."""
        return self.path / CHECKPOINTS

    @property
    def weights(self) -> Path:
        """Where its trained weights are."""
        return self.path / WEIGHTS

    @property
    def begun(self) -> bool:
        """Whether it is said what it is: of all jobs of a run, before the first of them trains."""
        return (self.path / JOB).is_file()

    @property
    def finished(self) -> bool:
        """Whether it came to its end."""
        return (self.path / OUTCOME).is_file()

    def differs(self, outcome: Outcome) -> str | None:
        """By what it is another job than that of an outcome; None if it is the same.

        Raises:
            RunError: its file is broken.
        """
        mine = json.loads(json.dumps(_plain({name: getattr(outcome, name) for name in DECISIVE})))
        with as_written(self.path / JOB):
            held = read_json(self.path / JOB)
            for name in DECISIVE:
                if name in held and held[name] != mine[name]:
                    return f"{name} {held[name]} in place of {mine[name]}"
        return None

    @property
    def devices(self) -> int | None:
        """How many devices of JAX it has been trained on; None before that, and where it is not
        known.
        """
        if not self.begun:
            return None
        with as_written(self.path / JOB):
            held = read_json(self.path / JOB).get("devices")
            return None if held is None else int(held)

    def begin(self, outcome: Outcome, devices: int | None = None) -> None:
        """Say what the job is, and begin its history anew: what a checkpoint holds is told again.

        Args:
            outcome: of which only what is known before training is written.
            devices: how many devices of JAX it is trained on.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        held = _held(outcome, STATIC)
        scores, metrics = (
            [m.to_json() for m in some] for some in (outcome.scores, outcome.metrics)
        )
        more = {} if devices is None else {"devices": devices}
        write_json(self.path / JOB, held | {"scores": scores, "metrics": metrics} | more)
        if outcome.audit:
            write_json(self.path / AUDIT, outcome.audit)
        replace(self.path / HISTORY, "")

    def add(self, seeds: Sequence[int], reading: Reading) -> None:
        """Append what was measured at one moment."""
        moment = {"step": reading.step, "epoch": reading.epoch, "seconds": reading.seconds}
        with (self.path / HISTORY).open("a", encoding="utf-8") as stream:
            for i, seed in enumerate(seeds):
                values = {name: v[i] for name, v in reading.items()}
                line = {"seed": seed, **moment, "values": values}
                stream.write(json.dumps(_plain(line)) + "\n")

    def keep(self, predictions: Predictions) -> None:
        """Write what the learners answer to the test split."""
        path = self.path / PREDICTIONS
        partial = path.with_name(f".{path.name}.partial")
        arrays = {"predictions": predictions.values, "truth": predictions.truth}
        # In C order: of arrays in another safetensors writes the wrong numbers.
        save_file({name: np.ascontiguousarray(a) for name, a in arrays.items()}, partial)
        os.replace(partial, path)

    def finish(self, outcome: Outcome) -> None:
        """Say how it ended; from then on the job counts as finished."""
        write_json(self.path / OUTCOME, _held(outcome, MEASURED))

    def save(self, outcome: Outcome) -> None:
        """Write all of an outcome that is in memory."""
        self.begin(outcome)
        for reading in _readings(outcome.history):
            self.add(outcome.seeds, reading)
        self.finish(outcome)


class RunFolder:
    """A run folder, to write.

    Args:
        path: where it is.
    """

    def __init__(self, path: Path):
        self.path = path

    @classmethod
    def begin(
        cls,
        path: Path,
        about: Mapping[str, Any],
        config: str = "",
        overwrite: bool = False,
        unique: bool = False,
    ) -> "RunFolder":
        """A new run.

        Args:
            path: where; made, with its parents.
            about: when and where it runs, and what was asked for.
            config: the settings, as TOML.
            overwrite: whether a run that lies there already may be replaced.
            unique: whether to add -2, -3 ... to a name that is taken, as by another process that
                began at the same moment.

        Raises:
            RunError: the folder exists and may not be replaced, or cannot be written.
        """
        path = _begun(Path(path), config, overwrite, unique)
        write_json(path / RUN, {"format": FORMAT, **about})
        return cls(path)

    @classmethod
    def again(cls, path: Path) -> "RunFolder":
        """A run that was stopped, to be resumed.

        Raises:
            RunError: there is none.
        """
        _about(Path(path))
        return cls(Path(path))

    @property
    def about(self) -> dict[str, Any]:
        """When and where it ran, what was asked for, and where its data lay.

        Raises:
            RunError: it is broken.
        """
        return _about(self.path)

    def note(self, **more: Any) -> None:
        """Add to that, or change it."""
        write_json(self.path / RUN, self.about | more)

    def job(self, label: str, seeds: Sequence[int]) -> JobFolder:
        """The folder of a job."""
        return JobFolder(self.path / JOBS / label / f"{seeds[0]}-{seeds[-1]}")

    def parts(self, label: str) -> list[tuple[int, ...]]:
        """The seeds of each job that there is of a rule, in their order."""
        found = []
        for path in (self.path / JOBS / label).glob("*-*"):
            first, _, last = path.name.partition("-")
            if first.isdecimal() and last.isdecimal():
                found.append(tuple(range(int(first), int(last) + 1)))
        return sorted(found)

    def jobs(self, label: str) -> list[JobFolder]:
        """The jobs that there are of a rule, in the order of their seeds."""
        return [self.job(label, seeds) for seeds in self.parts(label)]


class StudyFolder:
    """The folder of a study, to write.

    Args:
        path: where it is.
    """

    def __init__(self, path: Path):
        self.path = path

    @classmethod
    def begin(
        cls,
        path: Path,
        differs: str,
        sizes: Mapping[str, tuple[int, int]],
        about: Mapping[str, Any],
        config: str = "",
        overwrite: bool = False,
        unique: bool = False,
    ) -> "StudyFolder":
        """A new study, with no run in it yet.

        Args:
            path: where; made, with its parents.
            differs: in what its runs differ.
            sizes: by the name of a run, how many samples it trains on, and how many it tests.
            about: when and where it runs.
            config: as of `RunFolder.begin`; so are the others, and what is raised.
            overwrite: as there.
            unique: as there.
        """
        path = _begun(Path(path), config, overwrite, unique)
        runs = [{"name": name, "train": n, "test": m} for name, (n, m) in sizes.items()]
        write_json(path / STUDY, {"format": FORMAT, "differs": differs, "runs": runs, **about})
        return cls(path)

    @classmethod
    def again(cls, path: Path) -> "StudyFolder":
        """A study that was stopped, to be resumed.

        Raises:
            RunError: there is none, or it is broken.
        """
        made = cls(Path(path))
        made.sizes  # noqa: B018  reads it
        return made

    @property
    def about(self) -> dict[str, Any]:
        """When and where it ran, and what with."""
        return {
            name: value
            for name, value in _about(self.path, STUDY).items()
            if name not in ("format", "differs", "runs")
        }

    @property
    def differs(self) -> str:
        """In what its runs differ."""
        with as_written(self.path / STUDY):
            return str(_about(self.path, STUDY)["differs"])

    @property
    def sizes(self) -> dict[str, tuple[int, int]]:
        """By the name of a run, how many samples it trains on, and how many it tests."""
        with as_written(self.path / STUDY):
            held = _about(self.path, STUDY)["runs"]
            sizes = {str(one["name"]): (int(one["train"]), int(one["test"])) for one in held}
            for name in sizes:
                if name in ("", "..") or Path(name).name != name:
                    raise ValueError(f"a run called {name!r}")
            return sizes

    def run(self, name: str) -> Path:
        """Where a run is."""
        return self.path / name


def is_study(path: Path) -> bool:
    """Whether a folder is that of a study."""
    return (path / STUDY).is_file()


def read_study(path: Path) -> StudyOutcomes:
    """Read the folder of a study, whole or cut short by a kill; runs that have not begun are left
    out.

    Raises:
        RunError: the folder is missing, is no study, or is broken.
    """
    held = StudyFolder.again(path)
    there = {name: held.run(name) for name in held.sizes if (held.run(name) / RUN).is_file()}
    runs = {name: read(place) for name, place in there.items()}
    return StudyOutcomes(held.differs, runs, held.sizes, held.about, _config(held.path), held.path)


def read(path: Path, finished: bool = False) -> Outcomes:
    """Read a run folder, whole or cut short by a kill.

    Args:
        path: the folder.
        finished: whether a rule at least must have finished.

    Raises:
        RunError: the folder is missing, is no run folder, is broken, or no rule in it has finished.
    """
    path = Path(path)
    about = _about(path)
    text = _config(path)
    parts: dict[str, list[Outcome]] = {}
    for job in sorted((path / JOBS).glob(f"*/*/{JOB}")):
        one = _job(job.parent)
        parts.setdefault(one.label, []).append(one)
    with as_written(path / RUN):
        asked = [str(label) for label in about.get("asked", ())]
    order = [label for label in asked if label in parts]
    order += [label for label in parts if label not in order]
    run = Outcomes({label: joined(parts[label]) for label in order}, about, text, path)
    if finished and not run.finished:
        raise RunError(
            f"no rule has finished in {path}",
            "at least one finished rule",
            "run it again, and let it finish",
        )
    return run


def copied(path: Path, target: Path, overwrite: bool = False) -> Path:
    """A run folder once more, elsewhere, without its checkpoints.

    Raises:
        RunError: the target exists and may not be replaced, or cannot be written.
    """
    _about(path)
    if target.exists():
        _make_way(target, overwrite)
    try:
        shutil.copytree(path, target, ignore=shutil.ignore_patterns(CHECKPOINTS, ".lock"))
    except (OSError, shutil.Error) as problem:
        raise RunError(
            f"{path} cannot be copied to {target}: {problem}",
            "a folder that can be written",
            "choose another",
        ) from problem
    return target


def folders(places: Sequence[Path]) -> list[Path]:
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
        found += [path.parent for path in sorted(place.rglob(RUN))]
    return list(dict.fromkeys(found))


@contextlib.contextmanager
def as_written(path: Path) -> Iterator[None]:
    """While a file of a run is read: whatever is not in it as the run wrote it becomes a `RunError`
    that names the file.
    """
    kinds = (OSError, ValueError, LookupError, TypeError, AttributeError, ConfigError)
    try:
        yield
    except kinds as problem:
        said = f"{type(problem).__name__}: {problem}".partition("\n")[0]
        raise RunError(
            f"{path} is not as a run writes it: {said}",
            "the file as the run wrote it",
            "restore it, or run again",
        ) from problem


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file whole: a reader never sees half of it. NaN becomes null."""
    replace(path, json.dumps(_plain(value), indent=1) + "\n")


def replace(path: Path, text: str) -> None:
    """Write a file whole, or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def _held(outcome: Outcome, names: Sequence[str]) -> dict[str, Any]:
    """What a file of a job holds of its outcome."""
    held = {name: getattr(outcome, name) for name in names}
    return {name: value for name, value in held.items() if value or name not in IF_ANY}


def _config(path: Path) -> str:
    """What config.toml holds; nothing where there is none."""
    with as_written(path / CONFIG):
        config = path / CONFIG
        return config.read_text(encoding="utf-8") if config.is_file() else ""


def _about(path: Path, file: str = RUN) -> dict[str, Any]:
    """What run.json holds, or study.json."""
    if not path.is_dir():
        raise RunError(f"there is no folder {path}", "the folder of a run", ADVICE)
    if file == RUN and is_study(path):
        name = next(iter(StudyFolder(path).sizes), "")
        raise RunError(
            f"{path} is a study of several runs", "the folder of one run", f"name {path / name}"
        )
    if not (path / file).is_file():
        raise RunError(f"{path} has no {file}", "the folder of a run", ADVICE)
    with as_written(path / file):
        about = dict(read_json(path / file).items())
        version = int(about["format"])
    if version > FORMAT:
        raise RunError(
            f"{path}, in format {version} of a later Byway",
            f"format {FORMAT} or before",
            "read it with the Byway that wrote it, or a later one",
        )
    return about


def _job(path: Path) -> Outcome:
    """The outcome in a job's folder, as far as it has come."""
    with as_written(path / JOB):
        held = read_json(path / JOB)
        known = {name: held[name] for name in STATIC if name in held}
        seeds = [int(seed) for seed in known.pop("seeds")]
        scores = tuple(Score.from_json(one) for one in held.get("scores", ()))
        metrics = tuple(Metric.from_json(one) for one in held.get("metrics", ()))
        made = Outcome(**known, seeds=seeds, scores=scores, metrics=metrics, finished=False)
        _check_words(made)
    with as_written(path / HISTORY):
        history = _history(path / HISTORY, seeds)
    audit = {}
    with as_written(path / AUDIT):
        if (path / AUDIT).is_file():
            audit = read_json(path / AUDIT)
            _check_audit(audit)
    measured: dict[str, Any] = {}
    with as_written(path / OUTCOME):
        if (path / OUTCOME).is_file():
            measured = _measured(read_json(path / OUTCOME), seeds) | {"finished": True}
    held = vars(made) | {"history": history, "audit": audit} | measured
    return Outcome(**held)


def _check_words(outcome: Outcome) -> None:
    words = (outcome.label, outcome.rule_id, outcome.task_id, outcome.network)
    if not all(isinstance(word, str) for word in words) or not outcome.seeds:
        raise TypeError("a name that is no word, or no seeds")
    if not all(isinstance(label, str | int | float) for label in outcome.labels):
        raise TypeError("a label that is neither text nor a number")
    dict.items(outcome.projections)
    dict.items(outcome.settings)


def _measured(held: Mapping[str, Any], seeds: Sequence[int]) -> dict[str, Any]:
    made = {name: held[name] for name in MEASURED if name in held}
    made["test"] = _scores(held.get("test", {}), seeds)
    made["others"] = {split: _scores(v, seeds) for split, v in held.get("others", {}).items()}
    for name in ("failures", "advice"):
        made[name] = {int(seed): str(why) for seed, why in held.get(name, {}).items()}
    for name in ("seconds", "compile_seconds", "look_seconds", "look_compile_seconds"):
        made[name] = float(held.get(name, 0.0))
    for name in ("looks", "step_bytes"):
        made[name] = int(held.get(name, 0))
    made["speed_up"] = float(held.get("speed_up", 0.0))
    made["stages"] = [[str(name) for name in one] for one in held.get("stages", ())]
    made["test_classes"] = [int(count) for count in held.get("test_classes", ())]
    return made


def _scores(
    held: Mapping[str, Sequence[float | None]], seeds: Sequence[int]
) -> dict[str, np.ndarray]:
    if any(len(values) != len(seeds) for values in held.values()):
        raise ValueError("no score for each seed")
    return {name: np.array([_number(v) for v in values], float) for name, values in held.items()}


def _history(path: Path, seeds: Sequence[int]) -> History:
    """The lines of a history; a kill may have cut the last one short, and that one is left out."""
    moments: dict[int, Reading] = {}
    for line in _lines(path):
        step, at = int(line["step"]), seeds.index(int(line["seed"]))
        new = Reading(step, float(line["epoch"]), _number(line["seconds"]), {})
        held = moments.setdefault(step, new).numbers
        for name, value in line["values"].items():
            held.setdefault(str(name), np.full(len(seeds), np.nan))[at] = _number(value)
    return History(moments.values())


def _lines(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    made = []
    for number, line in enumerate(lines, 1):
        try:
            made.append(json.loads(line))
        except json.JSONDecodeError as error:
            if number < len(lines):
                raise RunError(
                    f"line {number} of {path} is no JSON: {error}",
                    "one JSON object a line",
                    "delete that line",
                ) from error
    return made


def _readings(history: History) -> list[Reading]:
    """A history as moments, each with what was measured together."""
    moments: dict[tuple[bytes, ...], list[str]] = {}
    for name, curve in history.items():
        moments.setdefault((curve.steps.tobytes(), name.partition("/")[0].encode()), []).append(
            name
        )
    made = []
    for names in moments.values():
        first = history[names[0]]
        for i, step in enumerate(first.steps):
            values = {name: history[name].values[:, i] for name in names}
            made.append(Reading(int(step), float(first.epochs[i]), float(first.seconds[i]), values))
    return sorted(made, key=lambda reading: reading.step)


def _check_audit(entry: Mapping[str, Any]) -> None:
    """Raise `TypeError`, or what is missing, unless an audit is made as the page reads it."""
    for part, kind in (("verdict", dict), ("updates", dict), ("findings", list)):
        if not isinstance(entry[part], kind):
            raise TypeError(f"{part} is no {kind.__name__}")
    for update in entry["updates"].values():
        named = [name for part in ("reads", "transported", "waits_for") for name in update[part]]
        if not all(isinstance(name, str) for name in named):
            raise TypeError("an update reads what has no name")


def _begun(path: Path, config: str, overwrite: bool, unique: bool) -> Path:
    """A folder for a run or a study, with its settings."""
    if unique:
        path = _claimed(path)
    elif path.exists():
        _make_way(path, overwrite)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise _cannot_be_made(path, problem) from problem
    if config:
        replace(path / CONFIG, config)
    return path


def _claimed(path: Path) -> Path:
    """This folder, or the first of path-2, path-3 ... that was not there: made, so that no other
    process gets it.
    """
    for number in itertools.count(1):
        mine = path if number == 1 else path.with_name(f"{path.name}-{number}")
        try:
            mine.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as problem:
            raise _cannot_be_made(mine, problem) from problem
        return mine
    raise AssertionError("there is always another number")


def _make_way(path: Path, overwrite: bool) -> None:
    if not overwrite:
        raise RunError(
            f"{path} exists",
            "a folder that is not there yet",
            "choose another with --out, or add --overwrite",
        )
    if not (path / RUN).is_file() and not is_study(path):
        raise RunError(
            f"{path} is no run folder",
            "one that an earlier run made",
            "choose another with --out",
        )
    with locked(path):
        shutil.rmtree(path)


def _cannot_be_made(path: Path, problem: OSError) -> RunError:
    return RunError(
        f"{path} cannot be made: {problem.strerror}",
        "a folder that can be written",
        "choose another with --out",
    )


def read_json(path: Path) -> dict[str, Any]:
    """What a JSON file holds."""
    return json.loads(path.read_text(encoding="utf-8"))


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value
