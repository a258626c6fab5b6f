"""`byway tune`: the same search for every rule."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from byway.cli.experiment import Experiment
from byway.cli.settings import Verb, to_toml
from byway.core.errors import ConfigError, RunError
from byway.core.score import Score
from byway.learning.rule import Rule
from byway.training.abreast import validated
from byway.training.checkpoint import locked
from byway.training.options import Options
from byway.training.progress import bar
from byway.training.tune import RATE, TUNED, Found, Values, tune, with_values

DOC = """Give each rule the same number of trials over the ranges that its fields declare, and
keep the best.

The learning rate is searched a factor of ten up and down. Trials are judged by the task's main
score on the validation split, on average over seeds; the test split is not touched. The first
trial is the rule as it stands. Stopped or killed, the same command goes on where it was. Then
'byway compare --tuned FOLDER' trains each rule with what was found for it."""
OWN = [
    (
        "rules",
        str,
        "bp,frozen,fa,dfa,ff",
        "rules to tune, separated by commas; 'byway list' names them.",
    ),
    ("seeds", int, 2, "networks in each trial."),
    ("trials", int, 20, "trials of each rule."),
]
# A trial leaves its accuracy, and nothing else.
VERB = Verb("tune", DOC, OWN, without=("probe", "looks", "look_at", "save_every", "keep", "track"))


def run(argv: Sequence[str]) -> None:
    """Run the verb with its flags."""
    go_on(VERB.read(argv))


def go_on(settings: Any) -> None:
    """Begin a search, or go on with it."""
    if settings.trials < 1:
        raise ConfigError(
            f"trials = {settings.trials}",
            "a whole number from 1",
            "leave trials out for its default",
        )
    experiment = Experiment(VERB.names(settings), settings)
    if not experiment.task.scores:
        raise ConfigError(
            f"the task {experiment.task.id}, which scores nothing",
            "a score to judge trials by",
            "choose another task",
        )
    folder = settings.out or Path("runs") / f"tune-{experiment.task.id}"
    found = {}
    with locked(folder):
        _keep_config(folder, to_toml(settings), settings.overwrite)
        for rule in experiment.rules:
            found[rule.id] = _search(experiment, rule, folder)
            write(folder / TUNED, found)
    _print(found, experiment.task.scores[0])
    print(
        f"kept in {folder / TUNED}: byway compare --task {experiment.task.id} --rules "
        f"{settings.rules} --tuned {folder}"
    )


def write(path: Path, found: dict[str, Found]) -> None:
    """Keep what was found, by rule."""
    partial = path.with_suffix(".partial")
    partial.write_text(
        json.dumps({name: dataclasses.asdict(one) for name, one in found.items()}, indent=1) + "\n",
        encoding="utf-8",
    )
    partial.replace(path)


def _search(experiment: Experiment, rule: Rule, folder: Path) -> Found:
    settings, net = experiment.settings, experiment.nets[experiment.rules.index(rule)]
    options = Options.given(**experiment.options_of(rule) | {"looks": 0, "look_at": None})

    def score(trials: list[Values]) -> list[float]:
        rules, rates = (
            [with_values(rule, values) for values in trials],
            [values[RATE] for values in trials],
        )
        return validated(net, rules, rates, experiment.task, experiment.data, options)

    main, seen = experiment.task.scores[0], []
    with bar(rule.id, settings.trials) as advance:

        def tell(number: int, value: float) -> None:
            seen.append(value)
            best = (
                (np.nanmax if main.higher else np.nanmin)(seen)
                if np.isfinite(seen).any()
                else value
            )
            advance(number, f"trial {number}: {main.said(value)}, best {main.said(best)}")

        path = folder / "trials" / f"{rule.id}.jsonl"
        return tune(
            rule, score, settings.trials, path, lr=settings.lr, higher=main.higher, on_trial=tell
        )


def _keep_config(folder: Path, config: str, overwrite: bool) -> None:
    path = folder / "config.toml"
    if path.is_file() and not overwrite and path.read_text(encoding="utf-8") != config:
        raise RunError(
            f"{folder} holds a search with other settings",
            "the same ones, to go on with it",
            "choose another folder with --out",
        )
    if overwrite:
        for old in (folder / "trials").glob("*.jsonl"):
            old.unlink()
    path.write_text(config, encoding="utf-8")


def _print(found: dict[str, Found], main: Score) -> None:
    table = Table(
        title=escape(f"{main.heading} on the validation split"), header_style="bold", pad_edge=False
    )
    digits = main.digits(main.scale * one.score for one in found.values())
    for heading in ("rule", "trials", "as it stands", "best", "with"):
        table.add_column(heading, justify="left" if heading in ("rule", "with") else "right")
    for name, one in found.items():
        values = ", ".join(
            f"{k} {v:.3g}" for k, v in sorted(one.values.items(), key=lambda pair: pair[0] != RATE)
        )
        table.add_row(
            name,
            str(one.trials),
            *(f"{main.scale * value:.{digits}f}" for value in (one.start, one.score)),
            values,
        )
    Console(width=120).print(table)
