"""One trained graph, three questions: which digit is this, what does a 3 look like, what is the
half that I cannot see?

A graph of three populations with projections both ways is trained by predictive coding on 8x8
digits, pixels and label held. What is held after that is up to you: the pixels, the label, or the
upper half of the pixels. Everything else settles.

    python examples/one_graph.py            # numbers, and the picture runs/one_graph.svg

Source   Salvatori et al., Learning on arbitrary graph topologies via predictive coding, 2022, arXiv
         2201.13180
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import optax

import byway

HIDDEN = 256
FORWARDS = (("input", "hidden"), ("hidden", "output"))
BOTH_WAYS = (*FORWARDS, ("output", "hidden"), ("hidden", "input"))
EPOCHS, BATCH, RATE, DECAY = 60, 64, 2e-3, 5.0
ROWS = 4  # of the eight that are seen, from the top
SEEN = np.arange(8)[:, None, None] < ROWS + np.zeros((8, 8, 1), int)
# Few steps teach, many answer: what is hidden comes back slowly, because hidden units and pixels
# settle on each other.
ANSWERS = {"steps": 1500, "rate": 0.1}


def trained(
    seeds: int = 1,
    epochs: int = EPOCHS,
    edges: Sequence[tuple[str, str]] = BOTH_WAYS,
    decay: float = DECAY,
) -> byway.Result:
    """Train the graph, pixels and label held; decay keeps hidden units from copying any image."""
    task = byway.task("digits", loss="squared_error")
    net = byway.graph({"input": task.input_shape, "hidden": HIDDEN, "output": task.outputs}, edges)
    updates = epochs * (task.load()["train"].size // BATCH)
    adam = optax.adamw(optax.cosine_decay_schedule(RATE, updates), weight_decay=decay)
    return byway.fit(
        net,
        byway.rule("pc", rate=0.1),
        task,
        epochs=epochs,
        batch=BATCH,
        seeds=seeds,
        optimiser=adam,
    )


def images(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Pixels from 0 to 1, and labels."""
    part = byway.task("digits").load()[split]
    return np.asarray(part.x) / 16, np.asarray(part.y)


class Graph:
    """The three questions to one trained network."""

    def __init__(self, net: byway.Network):
        self.net, self.rule = net, byway.rule("pc", **ANSWERS)

    def classify(self, x: np.ndarray) -> np.ndarray:
        """Hold the pixels, read the label."""
        return self._settled({"input": x})["output"].argmax(1)

    def generate(self, labels: Sequence[int]) -> np.ndarray:
        """Hold the label, read the pixels."""
        return self._settled({"output": np.eye(10)[list(labels)]})["input"].clip(0, 1)

    def complete(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Hold the upper half of the pixels, read the lower one, and the label with it."""
        found = self._settled({"input": np.where(SEEN, x, 0)}, {"input": SEEN})
        return found["input"].clip(0, 1), found["output"].argmax(1)

    def _settled(
        self, values: dict[str, np.ndarray], held: dict[str, np.ndarray] | None = None
    ) -> dict[str, np.ndarray]:
        given = {name: jnp.asarray(v, float) for name, v in values.items()}
        phase = self.rule.complete(
            self.net, given, {name: jnp.asarray(mask) for name, mask in (held or {}).items()}
        )
        return {name: np.asarray(activity) for name, activity in phase.post.items()}


def flat(x: np.ndarray) -> np.ndarray:
    """One row an image."""
    return x.reshape(len(x), -1)


def nearest(x: np.ndarray, known: np.ndarray) -> np.ndarray:
    """For each row of x the index of the nearest row of `known`."""
    return np.argmin((x**2).sum(1)[:, None] - 2 * x @ known.T + (known**2).sum(1), 1)


def baselines() -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Other ways to fill the lower half, all from the training images: the mean, the nearest
    neighbour, and ridge regression.
    """
    train, _ = images("train")
    above, below = flat(train[:, :ROWS]), flat(train[:, ROWS:])

    def features(x):
        return np.concatenate([flat(x[:, :ROWS]), np.ones((len(x), 1))], 1)

    def ridge(penalty):
        a = features(train)
        return np.linalg.solve(a.T @ a + penalty * np.eye(a.shape[1]), a.T @ below)

    held_out, _ = images("validation")
    best = min(
        (ridge(p) for p in (0.01, 0.1, 1.0, 10.0)),
        key=lambda w: np.mean((features(held_out) @ w - flat(held_out[:, ROWS:])) ** 2),
    )
    return {
        "mean image": lambda x: np.broadcast_to(below.mean(0), (len(x), below.shape[1])),
        "nearest neighbour": lambda x: below[nearest(flat(x[:, :ROWS]), above)],
        "ridge regression": lambda x: np.clip(features(x) @ best, 0, 1),
    }


def error(lower: np.ndarray, x: np.ndarray) -> float:
    """Mean squared error a pixel of the lower half."""
    return float(np.mean((lower.reshape(len(x), -1) - flat(x[:, ROWS:])) ** 2))


def measured(graph: Graph) -> dict[str, float]:
    """How good the three answers of one network are, on the test split."""
    (train, known), (x, y) = images("train"), images("test")
    filled, label = graph.complete(x)
    drawn = graph.generate(range(10))
    return {
        "accuracy": float(np.mean(graph.classify(x) == y)),
        "accuracy from the upper half": float(np.mean(label == y)),
        "error of completion": error(filled[:, ROWS:], x),
        "generated images whose nearest training image has their label": float(
            np.sum(known[nearest(flat(drawn), flat(train))] == np.arange(10))
        ),
    }


def graphs_of(result: byway.Result) -> list[Graph]:
    """One for each seed."""
    return [Graph(result.learner(i).net) for i in range(len(result.seeds))]


def control(rule: str, *hidden: int, seeds: int, epochs: int) -> np.ndarray:
    """Test accuracies of a perceptron on the same data."""
    task = byway.task("digits")
    return byway.fit(
        byway.mlp(task.input_shape, *hidden, 10),
        byway.rule(rule),
        task,
        epochs=epochs,
        batch=BATCH,
        seeds=seeds,
    ).accuracy


def picture(graph: Graph) -> str:
    """The answers as an SVG: ten test images, one of each class, and below them the ten that the
    labels alone gave.
    """
    x, y = images("test")
    some = x[[np.flatnonzero(y == label)[0] for label in range(10)]]
    rows = {
        "test image": some,
        "what is seen": np.where(SEEN, some, np.nan),
        "completed": graph.complete(some)[0],
        "nearest neighbour": np.concatenate(
            [some[:, :ROWS], baselines()["nearest neighbour"](some).reshape(10, 8 - ROWS, 8, 1)], 1
        ),
        "from the label alone": graph.generate(range(10)),
    }
    side, gap, left = 6, 8, 150
    step = 8 * side + gap
    width, height = left + 10 * step + gap, len(rows) * step + gap
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        'font-family="sans-serif" font-size="13">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for i, (name, shown) in enumerate(rows.items()):
        top = gap + i * step
        parts.append(f'<text x="{gap}" y="{top + 4 * side + 4}" fill="#222">{name}</text>')
        for j, image in enumerate(shown):
            parts.append(
                f'<g shape-rendering="crispEdges" transform="translate({left + j * step} {top}) '
                f'scale({side})">'
            )
            parts += _pixels(image[..., 0])
            parts.append("</g>")
    return "\n".join([*parts, "</svg>\n"])


def _pixels(image: np.ndarray) -> list[str]:
    """One path for each of the 17 grey levels that the data have; what is hidden is blue."""
    level = np.where(np.isnan(image), -1, np.round(16 * np.nan_to_num(image))).astype(int)
    paths = []
    for grey in np.unique(level):
        shade = round(255 * (1 - grey / 16))
        fill = "#d5e3f0" if grey < 0 else f"#{shade:02x}{shade:02x}{shade:02x}"
        paths.append(
            f'<path fill="{fill}" '
            f'd="{"".join(f"M{c} {r}h1v1h-1z" for r, c in np.argwhere(level == grey))}"/>'
        )
    return paths


def _spread(values: Sequence[float], scale: float = 1.0, digits: int = 2) -> str:
    values = np.asarray(values) * scale
    return f"{values.mean():.{digits}f}" + (
        f" ± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else ""
    )


def main() -> None:
    """Train, ask, print and draw."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--epochs", type=int, default=EPOCHS)
    options.add_argument("--out", type=Path, default=Path("runs/one_graph.svg"))
    chosen = options.parse_args()
    byway.use_all_cores()
    result = trained(chosen.seeds, chosen.epochs)
    graphs = graphs_of(result)
    answers = [measured(graph) for graph in graphs]
    print(
        f"\nOne graph, {HIDDEN} hidden units, {chosen.seeds} seeds, trained in "
        f"{result.seconds:.1f} s"
    )
    budget = {"seeds": chosen.seeds, "epochs": chosen.epochs}
    untold = trained(**budget, edges=[edge for edge in BOTH_WAYS if edge != ("output", "hidden")])
    x, y = images("test")
    accuracies = {
        "the graph, pixels held": [a["accuracy"] for a in answers],
        "the graph, upper half held": [a["accuracy from the upper half"] for a in answers],
        "without the projection output-hidden": [
            float(np.mean(graph.classify(x) == y)) for graph in graphs_of(untold)
        ],
        "forward projections only": trained(**budget, edges=FORWARDS).accuracy,
        "forward projections only, no decay": trained(**budget, edges=FORWARDS, decay=0.0).accuracy,
        "control: frozen hidden layer": control("frozen", HIDDEN, **budget),
        "control: linear readout of pixels": control("bp", **budget),
    }
    print("\nTest accuracy [%]")
    for name, values in accuracies.items():
        print(f"  {name:<37} {_spread(values, 100)}")
    print("\nLower half, mean squared error a pixel")
    print(f"  {'the graph':<37} {_spread([a['error of completion'] for a in answers], digits=4)}")
    for name, fill in baselines().items():
        print(f"  {name:<37} {error(fill(x), x):.4f}")
    nearest_has_it = [
        a["generated images whose nearest training image has their label"] for a in answers
    ]
    print(
        "\nOf ten images from a label alone, the nearest training image has that label in "
        f"{_spread(nearest_has_it, digits=1)}"
    )
    for seed, said in (result.advice | result.failures).items():
        print(f"seed {seed}: {said}")
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(picture(graphs[0]))
    print(f"picture: {chosen.out}")


if __name__ == "__main__":
    main()
