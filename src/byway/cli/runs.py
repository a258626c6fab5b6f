"""`byway runs`: what was run, how it ended, and how it compares."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from byway.cli.table import print_table, terminal
from byway.core.errors import ConfigError
from byway.report.runs import COLUMNS, Group, Runs, difference
from byway.report.summary import mean_and_spread, signed


@dataclasses.dataclass(frozen=True)
class List:
    """List runs, filter them, compare them after the fact, export them.

    For example: byway runs --where "task = 'mnist' AND accuracy > 97" --sort accuracy --export mnist.csv

    Attributes:
        places: run folders, or folders that hold some; 'runs' by default.
        where: a condition in SQL over the columns of the table; 'byway runs --columns' explains them.
        sort: started, run, rule, task, accuracy or seconds.
        against: RUN/RULE whose test accuracy every other one is compared with, seed by seed.
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
        return
    runs = Runs(asked.places)
    if asked.where is not None:
        runs.where(asked.where)
    groups = _sorted(runs.groups(), asked.sort)
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
        "accuracy": lambda g: -_mean(g)[0] if g.accuracy else 0.0,
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
    raise ConfigError(f"--against {name}", f"RUN/RULE of one that is listed: {known}", "choose one of these")


def _mean(group: Group) -> tuple[float, float]:
    import numpy as np

    mean, spread = mean_and_spread(np.array([*group.accuracy.values()], float))
    return float(mean), float(spread)


def _print(groups: list[Group], against: Group | None) -> None:
    rates = any(g.lr is not None for g in groups)
    headings = ["run", "rule", "task", "started", "state", "epoch", "validation [%]", "test accuracy [%]", "time [s]"]
    headings += ["lr"] if rates else []
    headings += [] if against is None else [f"difference to {against.run}/{against.rule} [points]"]
    rows = []
    for g in groups:
        mean, spread = _mean(g) if g.accuracy else (None, None)
        accuracy = "–" if mean is None else f"{mean:.2f}" + (f" ± {spread:.2f}" if len(g.accuracy) > 1 else "")
        state = next(iter(g.states)) if len(g.states) == 1 else ", ".join(f"{n} {state}" for state, n in g.states.items())
        cells = [g.run, g.rule, g.task, g.started[:16].replace("T", " "), state, "–" if g.epoch is None else str(g.epoch)]
        cells += ["–" if g.validation is None else f"{g.validation:.2f}", accuracy, "–" if g.seconds is None else f"{g.seconds:.3g}"]
        if rates:
            cells.append("–" if g.lr is None else f"{g.lr:.3g}")
        if against is not None:
            d = None if g is against else difference(g, against)
            cells.append("baseline" if g is against else "–" if d is None else f"{signed(d.mean)} ({signed(d.low)} to {signed(d.high)})")
        rows.append(cells)
    print_table(terminal(), headings, rows, range(5), lead=2)
    print(f"{len({g.run for g in groups})} runs")
