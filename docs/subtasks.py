"""Draws what a code came to mean: `python docs/subtasks.py` trains `subtask` on digits and writes
docs/images/subtasks.svg; needs matplotlib and a minute.
"""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import byway
from byway.rules.local._codes import Prior
from byway.rules.local.subtask import Subtask

SHOWN = 7
TASK = byway.task("digits")


def learned() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The code of each class, "classes k"; what the test images are said to be, "samples k"; the
    images, and their classes.
    """
    net = byway.mlp(64, 128, 128, 10, code=4)
    result = byway.fit(net, Subtask(), TASK, epochs=30, seeds=1, looks=0, progress=False)
    learner: Any = jax.tree.map(lambda a: a[0], result.learners)
    prior: Prior = learner.memory.prior
    code = Subtask().represented(learner.gamma, prior, jnp.eye(10))["code"]
    split = TASK.load()["test"]
    x, _ = TASK.batch(split, jnp.arange(split.size), jax.random.key(0))
    said = learner.net.forward(x.reshape(len(x), -1)).post["code"]
    return np.asarray(code), np.asarray(said), np.asarray(split.x), np.asarray(split.y)


def draw(path: Path) -> None:
    """Images nearest to each code, the classes' confusion, and how far codes are apart."""
    import matplotlib.pyplot as plt

    code, said, x, y = learned()
    off = ((said[:, None] - code[None]) ** 2).sum(-1)
    nearest, classes = off.argmin(1), len(code)
    confusion = np.array(
        [[np.mean(nearest[y == a] == b) for b in range(classes)] for a in range(classes)]
    )
    apart = np.sqrt(((code[:, None] - code[None]) ** 2).sum(-1))
    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "byway", "font.size": 8})
    figure = plt.figure(figsize=(9, 3.4), layout="constrained")
    left, middle, right = figure.subfigures(1, 3, width_ratios=(1, 1.05, 1.05))
    for row in range(classes):
        for column, image in enumerate(np.argsort(off[:, row])[:SHOWN]):
            axes = left.add_subplot(classes, SHOWN, row * SHOWN + column + 1)
            axes.imshow(x[image, ..., 0], cmap="gray_r")
            axes.set_xticks([])
            axes.set_yticks([])
            for spine in axes.spines.values():
                spine.set_edgecolor("#b4460f" if y[image] != row else "#cccccc")
            if column == 0:
                axes.set_ylabel(str(row), rotation=0, labelpad=8, va="center")
    left.suptitle("test images nearest to the code of a class")
    for part, values, title, over in (
        (middle, confusion, "share of a class (row) nearest to a code", "Blues"),
        (right, apart, "distance between codes", "Greys"),
    ):
        axes = part.subplots()
        axes.imshow(values, cmap=over, vmin=0)
        axes.set_xticks(range(classes))
        axes.set_yticks(range(classes))
        for a in range(classes):
            for b in range(classes):
                if values[a, b] >= 0.005:
                    dark = values[a, b] > 0.6 * values.max()
                    text = f"{values[a, b]:.2f}".lstrip("0")
                    axes.text(
                        b, a, text, ha="center", va="center", fontsize=6, color="w" if dark else "k"
                    )
        part.suptitle(title)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    draw(Path(__file__).parent / "images" / "subtasks.svg")
