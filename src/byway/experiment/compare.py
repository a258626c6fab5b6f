"""Experiments from Python: `compare` and `train`."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, overload

from typing_extensions import Unpack

from byway.core.errors import ConfigError, RunError
from byway.core.given import (
    require,
    require_folder,
    require_listener,
    require_none,
    require_whole,
    shown,
)
from byway.core.task import Split, Task
from byway.experiment.engines import engine
from byway.experiment.experiment import Experiment, Listener, labelled
from byway.experiment.networks import NetSettings
from byway.experiment.options import ExperimentOptions, StudyOptions
from byway.experiment.run import Run
from byway.experiment.study import Member, Study, begin_study, run_study, sizes_of
from byway.learning.rule import Rule
from byway.named import rule as rule_called
from byway.named import task as task_called
from byway.network.network import Network
from byway.runs.folder import RunFolder, StudyFolder
from byway.runs.study import FOLD, TASK
from byway.system.together import told
from byway.training.options import taking
from byway.training.tune import RATE, read_tuned, with_values

USUAL = ("bp", "frozen", "fa", "dfa", "ff")
# What a rule may be called, as folders are. An @ is in the names of controls that are added.
LABEL = r"\w[\w.+= -]*"
Builder = Callable[[Task, Rule], Network]
# More runs than this in a cross-validation were asked for by mistake.
MOST_FOLDS = 1000


@overload
def compare(
    rules: Sequence[str | Rule] | Mapping[str, Rule] = USUAL,
    net: Network | Builder | None = None,
    task: str | Task = "digits",
    *,
    folds: int,
    data: dict[str, Split] | None = None,
    progress: bool | None = None,
    on_epoch: Listener | None = None,
    on_look: Listener | None = None,
    **options: Unpack[ExperimentOptions],
) -> Study: ...
@overload
def compare(
    rules: Sequence[str | Rule] | Mapping[str, Rule] = USUAL,
    net: Network | Builder | None = None,
    task: str | Task = "digits",
    *,
    tasks: Sequence[str | Task],
    data: dict[str, Split] | None = None,
    progress: bool | None = None,
    on_epoch: Listener | None = None,
    on_look: Listener | None = None,
    **options: Unpack[ExperimentOptions],
) -> Study: ...
@overload
def compare(
    rules: Sequence[str | Rule] | Mapping[str, Rule] = USUAL,
    net: Network | Builder | None = None,
    task: str | Task = "digits",
    *,
    data: dict[str, Split] | None = None,
    progress: bool | None = None,
    on_epoch: Listener | None = None,
    on_look: Listener | None = None,
    **options: Unpack[ExperimentOptions],
) -> Run: ...
@taking(StudyOptions, seeds=8)
def compare(
    rules: Sequence[str | Rule] | Mapping[str, Rule] = USUAL,
    net: Network | Builder | None = None,
    task: str | Task = "digits",
    *,
    data: dict[str, Split] | None = None,
    progress: bool | None = None,
    on_epoch: Listener | None = None,
    on_look: Listener | None = None,
    **options: Unpack[StudyOptions],
) -> Run | Study:
    """Train several rules side by side: the same task, seeds, order of data and budget.

    Args:
        rules: names or rules; or rules by labels of your own, to compare two of one kind.
        net: the network that every rule trains; or what makes one from the task and the rule; by
            default what the task suggests, with what each rule cannot do without. Where `frozen` is
            among the rules, each rule is held against frozen layers in its own network, at no lower
            a rate; where that has to settle, against the same rule, its readout alone learning.
        task: its name, or a task.
        data: what `task.load()` gave.
        progress: whether to draw a progress bar; by default where a person is watching.
        on_epoch: called with the rule's label and what was measured at its start and after each
            epoch.
        on_look: the same for each look through the microscope.
        options: see `StudyOptions`.

    Returns:
        The run: `run["dfa"]`, `run.difference("dfa", "frozen")`, `run.report("page.html")`. With
        `folds` or `tasks` a study of several.

    Raises:
        BywayError: whatever is wrong with the arguments, before any rule trains.
    """
    return _experiment("compare", rules, net, task, data, progress, on_epoch, on_look, options, 8)


@overload
def train(
    rule: str | Rule = "dfa",
    net: Network | Builder | None = None,
    task: str | Task = "digits",
    *,
    folds: int,
    data: dict[str, Split] | None = None,
    progress: bool | None = None,
    on_epoch: Listener | None = None,
    on_look: Listener | None = None,
    **options: Unpack[ExperimentOptions],
) -> Study: ...
@overload
def train(
    rule: str | Rule = "dfa",
    net: Network | Builder | None = None,
    task: str | Task = "digits",
    *,
    tasks: Sequence[str | Task],
    data: dict[str, Split] | None = None,
    progress: bool | None = None,
    on_epoch: Listener | None = None,
    on_look: Listener | None = None,
    **options: Unpack[ExperimentOptions],
) -> Study: ...
@overload
def train(
    rule: str | Rule = "dfa",
    net: Network | Builder | None = None,
    task: str | Task = "digits",
    *,
    data: dict[str, Split] | None = None,
    progress: bool | None = None,
    on_epoch: Listener | None = None,
    on_look: Listener | None = None,
    **options: Unpack[ExperimentOptions],
) -> Run: ...
@taking(StudyOptions)
def train(
    rule: str | Rule = "dfa",
    net: Network | Builder | None = None,
    task: str | Task = "digits",
    *,
    data: dict[str, Split] | None = None,
    progress: bool | None = None,
    on_epoch: Listener | None = None,
    on_look: Listener | None = None,
    **options: Unpack[StudyOptions],
) -> Run | Study:
    """Train one rule, as `byway train` does: like `fit`, and a run with its audit, which can be
    saved, opened and reported.

    Args:
        rule: its name, or a rule.
        net: the network; or what makes one from the task and the rule; by default what the task
            suggests.
        task: its name, or a task.
        data: what `task.load()` gave.
        progress: whether to draw a progress bar; by default where a person is watching.
        on_epoch: called with the rule's label and what was measured at its start and after each
            epoch.
        on_look: the same for each look through the microscope.
        options: see `StudyOptions`.

    Returns:
        The run, with one outcome. With `folds` or `tasks` a study of several.

    Raises:
        BywayError: whatever is wrong with the arguments, before anything trains.
    """
    return _experiment("train", [rule], net, task, data, progress, on_epoch, on_look, options, 1)


def _experiment(
    verb: str,
    rules: Sequence[str | Rule] | Mapping[str, Rule],
    net: Network | Builder | None,
    task: str | Task,
    data: dict[str, Split] | None,
    progress: bool | None,
    on_epoch: Listener | None,
    on_look: Listener | None,
    options: Mapping[str, Any],
    seeds: int,
) -> Run | Study:
    learned = task_of(task)
    options = {"seeds": seeds, **options}
    own = {
        name: options.pop(name, None)
        for name in ("rates", "tuned", "track", "out", "overwrite", "resume", "jobs", "on")
    }
    folds, tasks = options.pop("folds", None), options.pop("tasks", None)
    chosen = rules_of(rules)
    _check(own, on_epoch, on_look)
    named = {} if folds is None else fold_names(folds, own["tuned"])
    rates = dict(own["rates"] or {})
    if own["tuned"] is not None:
        require_none(
            "rates",
            own["rates"],
            "beside what was tuned, which has a rate for each rule",
            "leave tuned out",
        )
        tuned = read_tuned(Path(own["tuned"]), list(chosen))
        chosen = {label: with_values(rule, tuned[label]) for label, rule in chosen.items()}
        rates = {label: tuned[label][RATE] for label in chosen}
    if own["out"] is None:
        fix = "name a run folder with out="
        for name in ("overwrite", "resume", "jobs", "on"):
            require_none(name, own[name] or None, "without a run folder", fix)
        require_none("track", list(own["track"] or ()) or None, "without a run folder", fix)
        for name in ("save_every", "keep"):
            require_none(name, options.get(name), "without a run folder", fix)
    where = engine(own["jobs"], own["on"], options.get("parallel"))
    if where.away:
        for name, listener in (("on_epoch", on_epoch), ("on_look", on_look)):
            why = "beside jobs in processes of their own"
            require_none(name, listener, why, "leave jobs and on out")
    track, build = tuple(own["track"] or ()), builder_of(net)
    made = lambda one, data=None: Experiment(chosen, build, one, options, rates, data, track)
    out = None if own["out"] is None else Path(own["out"])
    if folds is None and tasks is None:
        experiment = made(learned, data)
        folder = None if out is None else _folder(experiment, out, verb, own)
        return experiment.run(folder, on_epoch, on_look, progress, engine=where)
    require_none("data", data, "beside folds or tasks, which have data of their own", "load none")
    if tasks is None:
        differs, members = FOLD, _folds(learned, named, made)
    else:
        require_none("folds", folds, "beside tasks", "leave tasks out")
        differs, members = TASK, _tasks(task, tasks, made)
    folder = None if out is None else _study_folder(differs, members, out, verb, own)
    sizes = sizes_of(members) if folder is None else folder.sizes
    makes = {name: member.make for name, member in members.items()}
    return run_study(makes, differs, sizes, folder, on_epoch, on_look, progress, engine=where)


def _folds(
    task: Task, names: Mapping[str, str], made: Callable[[Task], Experiment]
) -> dict[str, Member]:
    """The runs of a cross-validation."""
    return {
        name: Member(lambda fold=fold: made(task.in_fold(fold)), about={FOLD: fold})
        for name, fold in names.items()
    }


def fold_names(folds: Any, tuned: Any = None) -> dict[str, str]:
    """The runs of a cross-validation: by name, which fold each is.

    Args:
        folds: how many.
        tuned: the search that settings come from, if they do.

    Raises:
        ConfigError: there are not as many, or the search has seen what is to be tested.
    """
    require_whole("folds", folds, low=2, high=MOST_FOLDS)
    require_none(
        "tuned",
        tuned,
        "beside folds: each sample is tested, and the search has seen most of them",
        "say hyper-parameters that were found on other data",
    )
    return {f"{FOLD}-{i}": f"{i}/{folds}" for i in range(1, folds + 1)}


def _tasks(task: str | Task, tasks: Any, made: Callable[[Task], Experiment]) -> dict[str, Member]:
    """The runs of several tasks."""
    if isinstance(tasks, str) or not isinstance(tasks, Sequence):
        raise ConfigError(f"tasks = {shown(tasks)}", "a list of tasks", "as in ['digits', 'mnist']")
    several = [task_of(one) for one in tasks]
    require_several_tasks([one.id for one in several], task if isinstance(task, str) else task.id)
    return {one.id: Member(partial(made, one)) for one in several}


def require_several_tasks(names: Sequence[str], task: str) -> None:
    """Raise `ConfigError` unless these are several tasks, each once, and no other is named beside
    them.
    """
    if len(names) < 2 or len(set(names)) < len(names):
        raise ConfigError(
            f"the tasks {', '.join(names) or '(none)'}",
            "two or more, each once",
            "for one alone say task; call data of your own by names of their own",
        )
    if task != "digits":
        raise ConfigError(f"task = {task!r} beside tasks", "one of the two", "leave task out")


def _study_folder(
    differs: str, members: Mapping[str, Member], path: Path, verb: str, own: Mapping[str, Any]
) -> StudyFolder:
    """The folder of a study: a new one, or the one that is to be resumed."""
    if not own["resume"]:
        return begin_study(differs, members, path, verb, overwrite=bool(own["overwrite"]))
    _no_overwrite(own)
    if not told(path.exists):
        return begin_study(differs, members, path, verb)
    held = StudyFolder.again(path)
    if held.differs != differs or [*held.sizes] != [*members]:
        raise RunError(
            f"{path} holds the runs {', '.join(held.sizes)}",
            ", ".join(members),
            "call it with the arguments that it was made with, or choose another folder",
        )
    return held


def _folder(made: Experiment, path: Path, verb: str, own: Mapping[str, Any]) -> RunFolder:
    """The run folder: a new one, or the one that is to be resumed."""
    if not own["resume"]:
        return made.begin(path, "", bool(own["overwrite"]), verb=verb)
    _no_overwrite(own)
    return RunFolder.again(path) if told(path.exists) else made.begin(path, verb=verb)


def _no_overwrite(own: Mapping[str, Any]) -> None:
    fix = "leave one of the two out"
    require_none("overwrite", own["overwrite"] or None, "beside resume", fix)


def _check(own: Mapping[str, Any], on_epoch: Any, on_look: Any) -> None:
    """Raise `ConfigError` unless what an experiment is told besides is of the right kind."""
    rates, track = own["rates"] or {}, () if own["track"] is None else own["track"]
    require(Mapping, "rates", rates, "learning rates by rule", 'for example {"dfa": 0.01}')
    require((list, tuple), "track", track, "a list of trackers", 'for example ["tensorboard"]')
    for name in ("tuned", "out"):
        if own[name] is not None:
            require_folder(name, own[name])
    for name, listener in (("on_epoch", on_epoch), ("on_look", on_look)):
        require_listener(name, listener)


def task_of(given: str | Task) -> Task:
    """The task, from what a person gives."""
    made = task_called(given) if isinstance(given, str) else given
    require(Task, "task", made, "a name or a task", "for example byway.task('digits')")
    return made


def rules_of(given: Sequence[str | Rule] | Mapping[str, Rule]) -> dict[str, Rule]:
    """Rules by label, from what a person gives."""
    if isinstance(given, Mapping):
        for label, rule in given.items():
            if not isinstance(label, str) or not re.fullmatch(LABEL, label):
                raise ConfigError(
                    f"a rule called {shown(label)}",
                    "letters, digits, spaces and any of _ - + = . after a letter or a digit",
                    "it names a folder and a line in charts: call it otherwise",
                )
            require(Rule, f"the rule {label}", rule, "a rule", "for example byway.rule('dfa')")
        return dict(given)
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise ConfigError(f"rules = {shown(given)}", "a list of rules", "as in ['bp', 'dfa']")
    rules = [rule_called(one) if isinstance(one, str) else one for one in given]
    for rule in rules:
        require(Rule, "a rule", rule, "a name or a rule", "for example byway.rule('dfa')")
    return labelled(rules)


def builder_of(net: Network | Builder | None) -> Builder:
    """What makes a network of a task and a rule, from what a person gives."""
    if net is None:
        return NetSettings()
    if isinstance(net, Network):
        return lambda task, rule: net
    if not callable(net):
        raise ConfigError(
            f"net = {shown(net)}",
            "a network, or a function of the task and the rule that makes one",
            "leave it out for what the task suggests",
        )
    return net
