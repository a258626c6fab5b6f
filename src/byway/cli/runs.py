"""`byway runs`: what was run, how it ended, and how it compares."""

import dataclasses
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from byway.cli.table import print_table, terminal
from byway.core.errors import ConfigError
from byway.report.runs import COLUMNS, Group, Runs, difference
from byway.report.table import signed
from byway.runs.statistics import mean_and_spread


@dataclasses.dataclass(frozen=True)
class List:
    """List runs, filter them, compare them after the fact, export them.

    For example: byway runs --where "task = 'mnist' AND epoch > 5" --sort score --export mnist.csv

    Attributes:
        places: run folders, or folders that hold some; 'runs' by default.
        where: a condition in SQL over the columns of the table; 'byway runs --columns' explains
            them.
        sort: started, run, rule, task, score (the best first, task by task) or seconds.
        against: RUN/RULE whose test score every other one is compared with, seed by seed.
        export: a file, .csv or .parquet, for the whole table: a row for each seed.
        columns: explain the columns instead.
    """

    places: Annotated[tuple[Path, ...], tyro.conf.Positional] = (Path("runs"),)
    where: str | None = None
    sort: str = "started"
    against: str | None = None
    export: Path | None = None
    columns: bool = False


def run(argv: Sequence[str]) -> None:
    """Run the verb with its flags."""
    asked = tyro.cli(List, args=list(argv), prog="byway runs")
    if asked.columns:
        for name, (kind, text) in COLUMNS.items():
            print(f"{name:12} {kind:8} {text}")
        print("and a column for each test score, by its name, as it is printed")
        return
    runs = Runs(asked.places)
    if asked.where is not None:
        runs.where(asked.where)
    groups = _sorted(runs.groups(), asked.sort)
    for problem in runs.broken:
        print(f"left out: {problem}", file=sys.stderr)
    _print(groups, None if asked.against is None else _find(groups, asked.against))
    if asked.export is not None:
        runs.export(asked.export)
        print(f"written to {asked.export}")


def _sorted(groups: list[Group], by: str) -> list[Group]:
    orders = {
        "started": lambda g: g.started,
        "run": lambda g: g.run,
        "rule": lambda g: g.rule,
        "task": lambda g: g.task,
        "score": _rank,
        "seconds": lambda g: g.seconds or 0.0,
    }
    if by not in orders:
        raise ConfigError(f"--sort {by}", f"one of {', '.join(orders)}", "choose one of these")
    return sorted(groups, key=orders[by])


def _find(groups: list[Group], name: str) -> Group:
    folder, _, rule = name.rpartition("/")
    for group in groups:
        if Path(group.run).resolve() == Path(folder).resolve() and group.rule == rule:
            return group
    known = ", ".join(f"{group.run}/{group.rule}" for group in groups[:8]) or "none"
    raise ConfigError(
        f"--against {name}", f"RUN/RULE of one that is listed: {known}", "choose one of these"
    )


def _mean(group: Group) -> tuple[float, float]:
    import numpy as np

    mean, spread = mean_and_spread(np.array([*group.test.values()], float))
    return float(mean), float(spread)


def _rank(group: Group) -> tuple[str, str, float]:
    """By task and score, the best first; what has none comes last."""
    if group.score is None or not group.test:
        return group.task, "" if group.score is None else group.score.heading, math.inf
    return group.task, group.score.heading, _mean(group)[0] * (-1 if group.score.higher else 1)


def _print(groups: list[Group], against: Group | None) -> None:
    rates, scores = any(g.lr is not None for g in groups), {g.score for g in groups}
    one = next(iter(scores)) if len(scores) == 1 else None
    told = (
        [f"validation {one.heading}", f"test {one.heading}"]
        if one
        else ["score", "validation", "test"]
    )
    headings = ["run", "rule", "task", "started", "state", "epoch", *told, "time [s]"]
    headings += ["lr"] if rates else []
    unit = (
        f" [{against.score.step}]"
        if against is not None and against.score is not None and against.score.step
        else ""
    )
    headings += [] if against is None else [f"difference to {against.run}/{against.rule}{unit}"]
    rows = []
    for g in groups:
        state = (
            next(iter(g.states))
            if len(g.states) == 1
            else ", ".join(f"{n} {state}" for state, n in g.states.items())
        )
        cells = [
            g.run,
            g.rule,
            g.task,
            g.started[:16].replace("T", " "),
            state,
            "–" if g.epoch is None else str(g.epoch),
        ]
        cells += [] if one else ["–" if g.score is None else g.score.heading]
        cells += [*_scored(g), "–" if g.seconds is None else f"{g.seconds:.3g}"]
        if rates:
            cells.append("–" if g.lr is None else f"{g.lr:.3g}")
        if against is not None:
            d = None if g is against else difference(g, against)
            digits = g.score.digits(g.test.values()) if g.score else 0
            told = [] if d is None else [signed(v, digits) for v in (d.mean, d.low, d.high)]
            cells.append(
                "baseline" if g is against else "{} ({} to {})".format(*told) if told else "–"
            )
        rows.append(cells)
    words = range(5) if one else [*range(5), 6]
    print_table(terminal(), headings, rows, words, lead=2)
    print(f"{len({g.run for g in groups})} runs")


def _scored(group: Group) -> tuple[str, str]:
    """The main score on validation and on the test split."""
    if group.score is None:
        return "–", "–"
    digits = group.score.digits(group.test.values() or [group.validation or 0.0])
    mean, spread = _mean(group) if group.test else (math.nan, math.nan)
    test = (
        f"{mean:.{digits}f}" + (f" ± {spread:.{digits}f}" if len(group.test) > 1 else "")
        if group.test
        else "–"
    )
    return "–" if group.validation is None else f"{group.validation:.{digits}f}", test
