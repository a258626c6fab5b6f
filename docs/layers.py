"""Draws what each layer of forward-forward achieves alone: `python docs/layers.py` trains `ff` on
digits, three hidden layers of 128, and writes docs/images/layers.svg; needs matplotlib and a minute
or two.
"""

from pathlib import Path

import numpy as np

import byway

LAYERS, EPOCHS, SEEDS = 3, 60, 4
COLOURS = ("#56B4E9", "#0072B2", "#009E73", "#CC79A7", "black")


def learned() -> dict[str, np.ndarray]:
    """By what is read, validation accuracy [%], "seeds epochs", and on the test split, "seeds"."""
    task = byway.task("digits")
    net = byway.mlp(task.input_shape, *[128] * LAYERS, task.outputs, norm=True)
    result = byway.fit(
        net, byway.rule("ff"), task, epochs=EPOCHS, batch=32, seeds=SEEDS, looks=0, progress=False
    )
    parts = [f"/hidden{i}" for i in range(1, LAYERS + 1)]
    read = dict(zip(["1", "2", "3"], parts, strict=True)) | {"head": "/head", "2 and 3": ""}
    return {
        name: (
            100 * result.history[f"validation/accuracy{part}"].values,
            100 * result.test[f"accuracy{part}"],
        )
        for name, part in read.items()
    }


def draw(path: Path) -> None:
    """Curves on the left; on the right each seed at the end, on the test split."""
    import matplotlib.pyplot as plt

    found = learned()
    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "byway", "font.size": 8})
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(8, 3.2), layout="constrained", width_ratios=(1.5, 1)
    )
    for colour, (name, (curve, test)) in zip(COLOURS, found.items(), strict=True):
        mean, spread = curve.mean(0), curve.std(0, ddof=1)
        epochs = np.arange(len(mean))
        left.plot(epochs, mean, color=colour, label=_said(name))
        left.fill_between(epochs, mean - spread, mean + spread, color=colour, alpha=0.15, lw=0)
        at = list(found).index(name)
        right.plot(np.full(len(test), at), test, "o", color=colour, ms=3, alpha=0.6)
        right.plot([at - 0.3, at + 0.3], [test.mean()] * 2, color=colour, lw=2)
    left.set(xlabel="epoch", ylabel="validation accuracy [%]", ylim=(70, 100), xlim=(0, EPOCHS))
    left.legend(frameon=False)
    right.set(ylabel="test accuracy, each seed and mean [%]")
    right.set_xticks(range(len(found)), [_said(name).replace(" ", "\n", 1) for name in found])
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})


def _said(name: str) -> str:
    return {"head": "softmax head", "2 and 3": "layers 2 and 3"}.get(name, f"layer {name}")


if __name__ == "__main__":
    draw(Path(__file__).parent / "images" / "layers.svg")
