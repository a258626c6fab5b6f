"""From settings to an experiment and its run folder: what the verbs that train share."""

import dataclasses
import time
from pathlib import Path
from typing import Any

from byway.cli.report import show
from byway.cli.settings import Verb, to_toml
from byway.core.errors import ConfigError
from byway.core.given import require_none
from byway.core.registry import called
from byway.experiment.engines import HERE, engine
from byway.experiment.experiment import Experiment, labelled
from byway.experiment.jobs import Engine
from byway.experiment.run import Run
from byway.named import growth as growth_called
from byway.named import rule as rule_called
from byway.named import task as task_called
from byway.rules import RULES
from byway.runs.folder import RunFolder, read
from byway.training.options import Options, declared
from byway.training.tune import RATE, read_tuned


def trained(verb: str, settings: Any, of: Verb) -> None:
    """Train what the settings of a verb say, and show it."""
    settings = with_tuned(settings, of.names(settings))
    experiment = made(of.names(settings), settings)
    where = engine(settings.jobs, settings.on)
    going(experiment, begun(experiment, verb, settings), where)


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
        options["growth"] = growth_called(growth, **_own(settings, called(growth)))
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
    given, plan = settings.out, experiment.plan(experiment.entries[0])
    name = f"{verb}-{experiment.task.id}-{time.strftime('%Y%m%d-%H%M%S')}"
    out = Path("runs") / name if given is None else given
    net = settings.net.resolved(experiment.task)
    whole = dataclasses.replace(
        settings, epochs=plan.epochs, batch=plan.batch, net=net, **_named(experiment, settings)
    )
    of = verb if verb != "branch" else "compare" if hasattr(settings, "rules") else "train"
    return experiment.begin(
        out, to_toml(whole), settings.overwrite, unique=given is None, verb=of, **about
    )


def going(experiment: Experiment, folder: RunFolder, where: Engine = HERE) -> None:
    """Train what has not finished, and show the run."""
    experiment.run(folder, say=lambda text: print(text, flush=True), engine=where)
    show(Run.of(read(folder.path)))


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
