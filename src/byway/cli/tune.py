"""`byway tune`: the same search for every rule."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from byway.cli.experiment import made
from byway.cli.flags import Flag
from byway.cli.settings import Verb, to_toml
from byway.core.given import require_whole
from byway.core.registry import called
from byway.experiment.compare import USUAL
from byway.experiment.engines import engine
from byway.experiment.places import PATH
from byway.experiment.tuning import TRIALS, Tuned, searched
from byway.training.tune import RATE, TUNED

DOC = """Give each rule the same number of trials over the ranges that its fields declare, and
keep the best.

The learning rate is searched a factor of ten up and down. Trials are judged by the task's main
score on the validation split, on average over seeds; the test split is not touched. The first
trial is the rule as it stands. Stopped or killed, the same command resumes where it was. Then
'byway compare --tuned FOLDER' trains each rule with what was found for it."""
OWN = [
    Flag(
        "rules",
        str,
        ",".join(USUAL),
        "rules to tune, separated by commas or spaces; 'byway list' names them",
    ),
    Flag("seeds", int, 2, "networks in each trial"),
    Flag("trials", int, TRIALS, "trials of each rule"),
]
# Nothing looks at trials, and none is kept; a search is on one task, and never sees a test split.
WITHOUT = (
    *("probe", "looks", "look_at", "save_every", "keep", "track", "tuned", "patience", "best"),
    *("folds", "tasks", "parallel"),
)
VERB = Verb("tune", DOC, OWN, WITHOUT)


def run(argv: Sequence[str]) -> None:
    """Run the verb with its flags."""
    go(VERB.read(argv))


def go(settings: Any) -> None:
    """Begin a search, or resume one."""
    require_whole("trials", settings.trials, fix="leave trials out for its default")
    experiment = made(VERB.names(settings), settings)
    folder = settings.out or Path("runs") / f"tune-{experiment.task.id}"
    where, say = engine(settings.jobs, settings.on), lambda text: print(text, flush=True)
    config, overwrite = to_toml(settings), settings.overwrite
    found = searched(experiment, settings.trials, folder, config, overwrite, say=say, where=where)
    _print(found)
    print(
        f"kept in {folder / TUNED}: byway compare --task {settings.task}{_path(settings)} "
        f"--rules {settings.rules} --tuned {folder}"
    )


def _path(settings: Any) -> str:
    """The flag that says where the data of the search are, if they are in a file."""
    task = called(settings.task)
    path = getattr(getattr(settings, task, None), PATH, None)
    return "" if path is None else f" --{task}.path {path}"


def _print(found: Tuned) -> None:
    main = found.score
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
