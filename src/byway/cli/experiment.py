"""From settings to an experiment and its run folder: what the verbs that train share."""

import dataclasses
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from byway.cli.report import show, show_study
from byway.cli.settings import Verb, policies_in, to_toml
from byway.core.errors import ConfigError
from byway.core.given import require_none
from byway.core.registry import called
from byway.experiment.engines import HERE, engine
from byway.experiment.experiment import Experiment, labelled
from byway.experiment.jobs import Engine
from byway.experiment.run import Run
from byway.experiment.study import Member, Study, begin_study, run_study
from byway.named import growth as growth_called
from byway.named import rule as rule_called
from byway.named import task as task_called
from byway.rules import RULES
from byway.runs.folder import RunFolder, StudyFolder, read, read_study
from byway.runs.study import FOLD, TASK
from byway.studio.door import Door
from byway.training.options import Options, declared
from byway.training.tune import RATE, read_tuned


def trained(verb: str, settings: Any, of: Verb) -> None:
    """Train what the settings of a verb say, and show it."""
    names, where = of.names(settings), engine(settings.jobs, settings.on, settings.parallel)
    if settings.folds is not None or settings.tasks is not None:
        studied(verb, settings, of, where)
        return
    settings = with_tuned(settings, names)
    experiment = made(names, settings)
    going(experiment, begun(experiment, verb, settings), where)


def studied(verb: str, settings: Any, of: Verb, where: Engine) -> None:
    """Train the runs of a study, and show it."""
    names = of.names(settings)
    if settings.tasks is None:
        differs, each, task = FOLD, of.folds(settings), called(settings.task)
        notes = {name: {FOLD: getattr(getattr(one, task), FOLD)} for name, one in each.items()}
    else:
        differs, each, notes = TASK, of.tasks(settings), {}
    members = {}
    for name, one in each.items():
        one = with_tuned(one, names)  # noqa: PLW2901
        config = partial(_resolved, settings=one)
        members[name] = Member(partial(made, names, one), config, notes.get(name, {}))
    name = f"{verb}-{differs}s-{time.strftime('%Y%m%d-%H%M%S')}"
    out = Path("runs") / name if settings.out is None else settings.out
    folder = begin_study(
        differs,
        members,
        out,
        verb,
        to_toml(settings),
        settings.overwrite,
        unique=settings.out is None,
    )
    makes = {name: member.make for name, member in members.items()}
    going_study(makes, folder, where)


def made(names: list[str], settings: Any) -> Experiment:
    """The experiment of settings; everything that can be wrong with them is found here.

    Args:
        names: the rules.
        settings: what a `Verb` read.
    """
    rules = labelled([rule_called(name, **_own(settings, called(name))) for name in names])
    task = task_called(settings.task, **_own(settings, called(settings.task)))
    known = [name for name in declared(Options) if hasattr(settings, name)]
    options = {name: getattr(settings, name) for name in known}
    if (growth := options["growth"]) is not None:
        named = policies_in(growth)
        options["growth"] = [growth_called(one, **_own(settings, called(one))) for one in named]
    rates = {name: getattr(getattr(settings, name, None), RATE, None) for name in names}
    rates = {name: rate for name, rate in rates.items() if rate is not None}
    track = getattr(settings, "track", ())
    return Experiment(rules, settings.net, task, options, rates, track=track)


def begun(experiment: Experiment, verb: str, settings: Any, **about: Any) -> RunFolder:
    """The run folder of settings, with all of them written out.

    Args:
        experiment: what is to be trained.
        verb: "train", "compare" or "branch"; names the folder where the settings do not.
        settings: what a `Verb` read.
        about: what else to note of the run.
    """
    given = settings.out
    name = f"{verb}-{experiment.task.id}-{time.strftime('%Y%m%d-%H%M%S')}"
    out = Path("runs") / name if given is None else given
    of = verb if verb != "branch" else "compare" if hasattr(settings, "rules") else "train"
    config = _resolved(experiment, settings)
    return experiment.begin(out, config, settings.overwrite, unique=given is None, verb=of, **about)


def _resolved(experiment: Experiment, settings: Any) -> str:
    """Settings as TOML, all of them written out."""
    plan = experiment.plan(experiment.entries[0])
    net = settings.net.resolved(experiment.task)
    named = _named(experiment, settings)
    return to_toml(
        dataclasses.replace(settings, epochs=plan.epochs, batch=plan.batch, net=net, **named)
    )


def going(experiment: Experiment, folder: RunFolder, where: Engine = HERE) -> None:
    """Train what has not finished, and show the run."""
    experiment.run(folder, say=print_now, engine=where, door=Door)
    show(Run.of(read(folder.path)))


def going_study(
    makes: Mapping[str, Callable[[], Experiment]], folder: StudyFolder, where: Engine = HERE
) -> None:
    """Train what has not finished of a study, and show it."""
    told = {"say": print_now, "engine": where, "door": Door}
    run_study(makes, folder.differs, folder.sizes, folder, **told)
    show_study(Study.of(read_study(folder.path)))


def print_now(text: str) -> None:
    """Print a line that is to be seen at once, also in a file."""
    print(text, flush=True)


def with_tuned(settings: Any, names: list[str]) -> Any:
    """Settings with what a search found for each rule, in the tables of the rules."""
    if getattr(settings, "tuned", None) is None:
        return settings
    why = "beside what was tuned, which has a rate for each rule"
    require_none("lr", settings.lr, why, "leave --tuned out")
    found = read_tuned(settings.tuned, names)
    tables = {}
    for name, values in found.items():
        table = getattr(settings, name)
        if unknown := sorted(values.keys() - vars(table).keys()):
            raise ConfigError(
                f"what was tuned of {name}, {', '.join(unknown)} among it",
                f"settings of {name}: {', '.join(vars(table))}",
                "tune it anew",
            )
        tables[name] = dataclasses.replace(table, **values)
    return dataclasses.replace(settings, tuned=None, **tables)


def _named(experiment: Experiment, settings: Any) -> dict[str, Any]:
    """The table of the task with the name that its data go by, also once their file has another."""
    task = called(settings.task)
    table = getattr(settings, task, None)
    if table is None or not hasattr(table, "name"):
        return {}
    return {task: dataclasses.replace(table, name=experiment.task.id)}


def _own(settings: Any, name: str) -> dict[str, Any]:
    """The settings of a rule, a task or what grows; the rate of a rule is none of its own."""
    table = getattr(settings, name, None)
    held = {} if table is None else dict(vars(table))
    if name in RULES.ids():
        held.pop(RATE, None)
    return held
