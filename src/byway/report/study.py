"""The report of a study: what its runs say together, in one table for the terminal, the page and a
notebook, in sentences, and with a link to the page of each run.
"""

import dataclasses
import math
from pathlib import Path
from typing import Any

from byway.core.errors import RunError
from byway.report.charts import styles
from byway.report.forest import forest
from byway.report.page import write_rendered
from byway.report.table import NONE, Table
from byway.report.words import join, reading
from byway.runs.folder import CONFIG, PAGE
from byway.runs.outcomes import CONTROL, Outcomes
from byway.runs.statistics import critical_difference
from byway.runs.study import FOLD, StudyOutcomes

# Of two rules that are equally good, one wins on all of five tasks one time in 16, and on all of
# six one in 32: fewer tasks than these say nothing of others, at 5 %.
FEWEST_TASKS = 6


@dataclasses.dataclass(frozen=True)
class Grid:
    """A table, as text.

    Attributes:
        headings: of the columns, with their units; the first column has the rules.
        rows: a cell for each column.
        words: the columns that hold words, which are set to the left.
    """

    headings: list[str]
    rows: list[list[str]]
    words: list[int]


def grids(study: StudyOutcomes) -> list[Grid]:
    """What a study found: of folds the means over them, and what each of them gave; of tasks what
    each gave, and ranks.
    """
    if study.differs != FOLD:
        return [_by_run(study)]
    table = Table(study.across)
    columns = table.filled()
    rows = [[column.cell(row) for column in columns] for row in table.rows.values()]
    words = [i for i, column in enumerate(columns) if column.words]
    return [Grid([column.heading for column in columns], rows, words), _by_run(study)]


def sentences(study: StudyOutcomes) -> list[str]:
    """What the numbers say."""
    if study.differs == FOLD:
        lost = [
            f"{label} lost {len(one.seeds) - one.survived} of {len(one.seeds)} seeds in {name}"
            for name, run in study.runs.items()
            for label, one in run.finished.items()
            if one.survived < len(one.seeds)
        ]
        said = [f"{join(lost)}: a fold with a lost seed counts as lost."] if lost else []
        return [*reading(Table(study.across)), *said]
    found = []
    for name, run in study.runs.items():
        if run.finished:
            said = reading(Table(run))[0]
            said = said[0].lower() + said[1:] if said.startswith(("No ", "On ")) else said
            found.append(f"{name}: {said}")
    return [*found, *_ranked(study)]


def write_study_page(study: StudyOutcomes, path: Path) -> Path:
    """Write the page of a study.

    Raises:
        RunError: no rule in it has finished, or the page cannot be written.
    """
    if not any(run.finished for run in study.runs.values()):
        raise RunError(
            "a study in which no rule has finished",
            "at least one finished rule",
            "resume it, and let it finish",
        )
    return write_rendered(path, "study.html.j2", **view(study))


def view(study: StudyOutcomes) -> dict[str, Any]:
    """All that templates show of a study."""
    every = Outcomes({label: run[label] for run in study.runs.values() for label in run})
    style = styles(every)
    across = study.across if study.differs == FOLD else None
    return {
        "study": study,
        "title": _title(study),
        "date": str(study.about.get("started", ""))[:16].replace("T", " "),
        "grids": grids(study),
        "style": style,
        "sentences": sentences(study),
        "forest": None if across is None else forest(across, Table(across), style),
        "runs": [
            (name, f"{name}/{PAGE}" if _has_page(study, name) else "", *sizes)
            for name, sizes in study.sizes.items()
        ],
        "failures": [
            (f"{name}, {label}, seed {seed}", why)
            for name, run in study.runs.items()
            for label, one in run.finished.items()
            for seed, why in one.failures.items()
        ],
        "about": {name: v for name, v in study.about.items() if isinstance(v, str | int)},
        "command": f"byway {study.about.get('verb', 'compare')} --config {CONFIG} --out again",
    }


def _has_page(study: StudyOutcomes, name: str) -> bool:
    run = study.runs.get(name)
    return run is not None and run.folder is not None and bool(run.finished)


def _title(study: StudyOutcomes) -> str:
    rules = study.rules
    who = join(rules) if len(rules) < 8 else f"{len(rules)} learning rules"
    if study.differs == FOLD:
        task = next((run.task_id for run in study.runs.values() if run), "")
        return f"{who} on {len(study.sizes)} folds of {task}"
    names = list(study.sizes)
    return f"{who} on {join(names) if len(names) < 5 else f'{len(names)} tasks'}"


def _by_run(study: StudyOutcomes) -> Grid:
    """The main score in each run; of tasks also who beats frozen layers on each, and the ranks."""
    tables = {name: Table(run) for name, run in study.runs.items() if run.finished and run.scores}
    ranks = study.ranks() if study.differs != FOLD else {}
    headings, columns = ["rule"], []
    labels = dict.fromkeys(label for table in tables.values() for label in table.rows)
    shown = {"test": [], "beats": []}
    for name, table in tables.items():
        score = study.runs[name].scores[0]
        unit = f" [{score.unit}]" if score.unit else ""
        shown["test"].append((f"{name}: test {score.title}{unit}", table, f"test {score.title}"))
        shown["beats"].append((f"{name}: beats {CONTROL} [seeds]", table, f"beats {CONTROL}"))
    for heading, table, column in shown["test"] + (shown["beats"] if study.differs != FOLD else []):
        headings.append(heading)
        columns.append([table.cell(x, column) if x in table.rows else NONE for x in labels])
    if ranks:
        headings.append("average rank")
        columns.append([f"{ranks[label]:.1f}" if label in ranks else NONE for label in labels])
    rows = [[label, *(column[i] for column in columns)] for i, label in enumerate(labels)]
    return Grid(headings, rows, [0])


def _ranked(study: StudyOutcomes) -> list[str]:
    """What ranks over tasks allow to be said."""
    ranks, tasks = study.ranks(), len(study.ranked)
    if len(ranks) < 2:
        return []
    if tasks < FEWEST_TASKS:
        over = f"{tasks} task{'s' if tasks > 1 else ''}"
        return [
            f"Ranks over {over} say nothing of other tasks: even of two rules that are equally "
            "good, one wins on all of five tasks one time in sixteen."
        ]
    order = sorted(ranks, key=lambda label: ranks[label])
    least = critical_difference(len(ranks), tasks)
    apart = [
        f"{better} from {join(worse)}"
        for i, better in enumerate(order)
        if (worse := [one for one in order[i + 1 :] if ranks[one] - ranks[better] > least])
    ]
    said = join([f"{label} {ranks[label]:.1f}" for label in order])
    head = (
        f"Average ranks over {tasks} tasks: {said}. By the test of Nemenyi, at 5 %, they have to "
        f"lie {math.ceil(100 * least) / 100:.2f} apart."
    )
    return [head, f"It tells {'; '.join(apart)}." if apart else "It tells no two rules apart."]
