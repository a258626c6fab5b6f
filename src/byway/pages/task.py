"""The page of a task: shapes, splits, settings, what trains well on it, and a few of its
samples.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from byway.core.task import Split, Task
from byway.pages.drawing import LONG, images_svg, sequence_svg
from byway.pages.words import body, card, sentences, settings, table
from byway.tasks._images import ImageTask
from byway.tasks._sequences import DrawnTask, SequenceTask
from byway.tasks._series import SeriesTask
from byway.tasks.data import Data

# What needs no file beside the package's own. Anything else would have to be downloaded.
EMBEDDED = ("digits", "slow_change", "yin_yang")


def task_page(task: Task) -> str:
    """The page, as Markdown. It downloads nothing: samples and splits are shown of what is embedded
    or drawn.
    """
    about, here = card(type(task)), task.id in EMBEDDED or isinstance(task, DrawnTask | SeriesTask)
    splits = task.load() if here else {}
    hidden, epochs, batch = task.suggests
    lines = [
        f"# {task.id}",
        "",
        f"**{about.headline}**",
        "",
        *(_samples(task, splits["train"]) if here else []),
        *body(about),
        "",
    ]
    lines += sentences(about, "Limits", "Source")
    shape, outputs = _sizes(task)
    rows = [
        ["one input" + (", at each time step" if task.in_time else ""), shape],
        ["outputs", outputs],
    ]
    rows += [[f"samples in {name}", f"{split.size:,}"] for name, split in splits.items()]
    lines += ["## Shapes and splits", "", *table(["of", "size"], rows)]
    lines += [
        "Training looks at `train`, progress and tuning at `validation`; nothing is selected on "
        "`test`.",
        "",
    ]
    if isinstance(task, Data):
        lines += ["[Your own data](/how-to/your-data.md) has examples.", ""]
    elif not here:
        lines += [
            "Its files are looked for in `$BYWAY_DATA` and in the cache, downloaded where they "
            "have a public address, and checked against "
            "their checksums each time. None was downloaded for this page, so it shows no samples.",
            "",
        ]
    lines += ["## Settings", "", *settings(task)]
    flags = f"--net.hidden {' '.join(map(str, hidden))} --epochs {epochs} --batch {batch}"
    lines += [
        "## Run it",
        "",
        f"What trains well here, and is used where nothing else is said: `{flags}`.",
        "",
    ]
    long = isinstance(task, SeriesTask)  # for rtrl
    in_time = "bptt,esn,frozen" if long else "bptt,rtrl,frozen"
    rules = in_time if task.in_time else "bp,dfa,frozen"
    path = " --data.path FILE" if isinstance(task, Data) else ""
    lines += [f"    byway compare --task {task.id}{path} --rules {rules} --seeds 4", ""]
    return "\n".join(lines)


def tasks_page(tasks: Sequence[Task]) -> str:
    """The list of all tasks, as Markdown."""
    rows = [
        [
            f"[`{task.id}`](tasks/{task.id}.md)",
            card(type(task)).headline,
            *_sizes(task),
            "yes" if task.in_time else "no",
        ]
        for task in tasks
    ]
    return "\n".join(
        ["# Tasks", "", *table(["task", "what it is", "one input", "outputs", "in time"], rows)]
    )


def _sizes(task: Task) -> tuple[str, str]:
    """The shape of an input and the number of outputs."""
    if isinstance(task, Data):
        return "as in the data", "one for each class or number"
    return "x".join(map(str, task.input_shape)), str(task.outputs)


def _samples(task: Task, split: Split) -> list[str]:
    """Some samples of a split, drawn; nothing of those that are neither images nor sequences."""
    if isinstance(task, ImageTask):
        labels = np.asarray(split.y)
        first = [int(np.flatnonzero(labels == c)[0]) for c in range(task.outputs)]
        picture = images_svg(
            np.asarray(split.x)[first, ..., 0] / task.white, [str(c) for c in range(task.outputs)]
        )
        return [
            "<figure>",
            picture,
            "<figcaption>The first training image of each class.</figcaption>",
            "</figure>",
            "",
        ]
    if not isinstance(task, SequenceTask):
        return []
    x, signal = task.batch(split, jnp.arange(2), jax.random.key(0))
    weight = np.asarray(signal.weight)
    shown = [
        sequence_svg(
            np.asarray(x[i]),
            np.asarray(signal.target[i]),
            weight[i],
            f"training sequence {i} of {task.id}",
        )
        for i in range(2)
    ]
    inks = "blue above zero, orange below. Targets are filled at the steps that count."
    lines = "inputs share a scale, as do targets, which are drawn at the steps that count."
    caption = f"Two training sequences, time to the right: {lines if x.shape[1] > LONG else inks}"
    return ["<figure>", *shown, f"<figcaption>{caption}</figcaption>", "</figure>", ""]
