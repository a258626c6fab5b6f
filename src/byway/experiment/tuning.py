"""Searches from Python: `tune`."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from typing_extensions import Unpack, override

from byway.core.errors import ConfigError, RunError
from byway.core.given import require_folder, require_none, require_whole
from byway.core.score import Score
from byway.core.task import Split, Task
from byway.experiment.compare import USUAL, Builder, builder_of, rules_of, task_of
from byway.experiment.engines import HERE, engine
from byway.experiment.experiment import Experiment, telling_where
from byway.experiment.jobs import Engine, Job, Say, Tell
from byway.experiment.options import JobOptions
from byway.experiment.places import DATA, noted, require_same_data
from byway.learning.rule import Rule
from byway.network.network import Network
from byway.runs.folder import CONFIG, as_written, replace, write_json
from byway.system.together import alone
from byway.training.abreast import validated
from byway.training.checkpoint import locked
from byway.training.options import taking
from byway.training.plan import Plan
from byway.training.progress import bar
from byway.training.tune import RATE, TUNED, Found, Values, search, with_values, write_tuned

TRIALS = 20


class Tuned(dict[str, Found]):
    """What a search found, by rule: `tuned["dfa"].values`.

    Attributes:
        score: what trials were judged by, on the validation split.
    """

    def __init__(self, score: Score, found: Mapping[str, Found] = {}):
        super().__init__(found)
        self.score = score

    @property
    def rates(self) -> dict[str, float]:
        """The learning rates that were found, as `compare` takes them."""
        return {label: one.values[RATE] for label, one in self.items()}

    def rules(self, rules: Mapping[str, Rule]) -> dict[str, Rule]:
        """Rules by label, with the hyper-parameters that were found for them."""
        return {label: with_values(rule, self[label].values) for label, rule in rules.items()}

    @override
    def __repr__(self) -> str:
        lines = [
            f"{label}: {self.score.said(one.score)} after {one.trials} trials, "
            f"{self.score.said(one.start)} as it stands"
            for label, one in self.items()
        ]
        return "<Tuned: " + "\n        ".join(lines or ["nothing"]) + ">"


@taking(JobOptions, seeds=2)
def tune(
    rules: Sequence[str | Rule] | Mapping[str, Rule] = USUAL,
    net: Network | Builder | None = None,
    task: str | Task = "digits",
    *,
    trials: int = TRIALS,
    data: dict[str, Split] | None = None,
    out: Path | str | None = None,
    progress: bool | None = None,
    **options: Unpack[JobOptions],
) -> Tuned:
    """Give each rule the same number of trials over the ranges that its fields declare.

    The learning rate is searched a factor of ten up and down. Trials are judged by the task's main
    score on the validation split, on average over seeds; the test split is not touched. The first
    trial is the rule as it stands.

    Args:
        rules: names or rules; or rules by labels of your own.
        net: the network that every rule trains; or what makes one from the task and the rule.
        task: its name, or a task.
        trials: how many of each rule.
        data: what `task.load()` gave.
        out: a folder that keeps the trials; where it holds some of the same search, that is
            resumed.
        progress: whether to draw a progress bar; by default where a person is watching.
        options: see `JobOptions`.

    Returns:
        What was found, by rule.

    Raises:
        BywayError: whatever is wrong with the arguments.
    """
    if out is not None:
        require_folder("out", out)
    learned = task_of(task)
    for name in ("patience", "best", "parallel"):
        why = "in a search, where trials share a program"
        require_none(name, options.get(name) or None, why, f"leave {name} out")
    given: dict[str, Any] = {"seeds": 2, "looks": 0, **options}
    where = engine(given.pop("jobs", None), given.pop("on", None))
    experiment = Experiment(rules_of(rules), builder_of(net), learned, given, data=data)
    folder = None if out is None else Path(out)
    return searched(experiment, trials, folder, progress=progress, where=where)


def searched(
    experiment: Experiment,
    trials: int,
    folder: Path | None = None,
    config: str = "",
    overwrite: bool = False,
    progress: bool | None = None,
    say: Say = lambda text: None,
    where: Engine = HERE,
) -> Tuned:
    """Search for each rule of an experiment, or resume a search.

    Args:
        experiment: the rules, and what they train.
        trials: how many of each rule.
        folder: where trials and findings are kept.
        config: the settings of the search, as TOML: a folder with others is refused.
        overwrite: whether a search that lies there may be replaced.
        progress: whether to draw progress bars.
        say: told in words what happens to jobs.
        where: where the searches run, a job for each rule.
    """
    require_whole("trials", trials)
    if not alone():
        given = f"a search in {jax.process_count()} processes of jax.distributed"
        raise ConfigError(given, "one process", "search in one, or with on='ray'")
    if not experiment.task.scores:
        raise ConfigError(
            f"the task {experiment.task.id}, which scores nothing",
            "a score to judge trials by",
            "choose another task",
        )
    entries = [entry for entry in experiment.entries if not entry.added]
    jobs = [Job(entry.label, tuple(experiment.seeds)) for entry in entries]
    do = partial(_search, experiment, trials, folder)
    found: dict[str, Found] = {}
    if folder is None:
        found = {job.label: one for job, one in where.run(do, jobs, progress, say)}
        return Tuned(experiment.task.scores[0], _in_order(found, jobs))
    with (
        locked(folder),
        telling_where(f"the same command with --out {folder} continues from there"),
    ):
        _keep_config(folder, config, overwrite)
        _keep_data(folder, experiment, overwrite)
        for job, one in where.run(do, jobs, progress, say):
            found[job.label] = one
            write_tuned(folder / TUNED, _in_order(found, jobs))
    return Tuned(experiment.task.scores[0], _in_order(found, jobs))


def _in_order(found: Mapping[str, Found], jobs: Sequence[Job]) -> dict[str, Found]:
    """What was found so far, rules as they were asked for."""
    return {job.label: found[job.label] for job in jobs if job.label in found}


def _search(
    experiment: Experiment,
    trials: int,
    folder: Path | None,
    job: Job,
    progress: bool | Tell | None,
    say: Say,
) -> Found:
    """Search for one rule."""
    task, main = experiment.task, experiment.task.scores[0]
    entry = experiment.entry(job)
    path = None if folder is None else folder / "trials" / f"{job.label}.jsonl"
    plan = Plan(task, entry.options | {"looks": 0})

    def score(values: list[Values]) -> list[float]:
        rules = [with_values(entry.rule, one) for one in values]
        rates = [one[RATE] for one in values]
        return validated(entry.net, rules, rates, task, experiment.data, plan)

    seen: list[float] = []
    with bar(entry.label, trials, progress) as advance:
        tell = _telling(main, seen, advance)
        lr = entry.options.get("lr")
        return search(entry.rule, score, trials, path, lr=lr, higher=main.higher, on_trial=tell)


def _telling(
    main: Score, seen: list[float], advance: Callable[[int, str], Any]
) -> Callable[[int, float], None]:
    def tell(number: int, value: float) -> None:
        seen.append(value)
        finite = np.isfinite(seen).any()
        best = (np.nanmax if main.higher else np.nanmin)(seen) if finite else value
        advance(number, f"trial {number}: {main.said(value)}, best {main.said(float(best))}")

    return tell


def _keep_config(folder: Path, config: str, overwrite: bool) -> None:
    path = folder / CONFIG
    if path.is_file() and not overwrite and path.read_text(encoding="utf-8") != config:
        raise RunError(
            f"{folder} holds a search with other settings",
            "the same ones, to resume it",
            "choose another folder with --out",
        )
    if overwrite:
        for old in (folder / "trials").glob("*.jsonl"):
            old.unlink()
    replace(path, config)


def _keep_data(folder: Path, experiment: Experiment, overwrite: bool) -> None:
    """Note which data a search is on; one on others is refused."""
    path = folder / "data.json"
    if path.is_file() and not overwrite:
        with as_written(path):
            held = json.loads(path.read_text(encoding="utf-8"))
            require_same_data(held, experiment.data, folder)
    write_json(path, {DATA: noted(experiment.task, experiment.data, folder)})
