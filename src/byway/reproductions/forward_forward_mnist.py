"""Supervised forward-forward on MNIST: four layers of 2,000 units.

The label stands in the first ten pixels; each layer makes its activity large where the label is
right and small where it is wrong, and knows nothing of the others.

Source   Hinton, The forward-forward algorithm: some preliminary investigations, 2022 (arXiv
         2212.13345), section 3.3: four layers of 2,000, 60 epochs
Verified in a public write-up that quotes the paper's numbers, not in the paper
Differs  59,999 training images; momentum, decay, and rates that fall to zero in the second half are
         those of public programs for three layers of 1,000, as the paper does not give all of its
         own
"""

from collections.abc import Hashable

import optax
from typing_extensions import override

from byway.named import task
from byway.network.builders import mlp
from byway.reproductions._claims import TEST_ERROR, Measured, Reaches
from byway.reproductions._reproduction import Budget, Comparison

LAYERS, WIDTH, BATCH, IMAGES = 4, 2000, 100, 59_999
RATE, HEAD_RATE, MOMENTUM = 1e-3, 1e-2, 0.9
DECAY, HEAD_DECAY = 3e-4, 3e-3


class ForwardForwardMnist(Comparison):
    """Hinton 2022, label in the image."""

    quantity = TEST_ERROR
    claims = (Reaches("ff", 1.36, within=0.15),)
    budget = Budget(epochs=60, seeds=1, minutes=120)
    quick = Budget(epochs=1, seeds=1, minutes=3)
    measured = Measured(values={"ff": [1.42]}, machine="NVIDIA H200", when="2026-11", minutes=0.5)

    @override
    def task(self):
        return task("mnist", validation=1)

    @override
    def rules(self):
        return ("ff",)

    @override
    def net(self):
        def build(task, rule):
            """784-2000-2000-2000-2000-10, the head reads all hidden layers but the first."""
            sizes = (task.input_shape, *[WIDTH] * LAYERS, task.outputs)
            return mlp(*sizes, readout_from=range(1, LAYERS), **rule.network_options)

        return build

    @override
    def options(self, epochs):
        return {"batch": BATCH, "optimiser": _optimiser(epochs * (IMAGES // BATCH)), "looks": 0}

    @override
    def settings(self):
        said = f"momentum {MOMENTUM}, rate {RATE:g} and decay {DECAY:g}, of the head {HEAD_RATE:g} "
        said += f"and {HEAD_DECAY:g}; the rate falls to zero in the second half"
        return super().settings() | {"optimiser": said}


def _optimiser(updates: int) -> optax.GradientTransformation:
    """Momentum and decay, each for layers and head; the rate falls to zero in the second half."""

    def part(rate: float, decay: float) -> optax.GradientTransformation:
        fall = optax.linear_schedule(rate, 0.0, updates - updates // 2, updates // 2)
        return optax.chain(optax.add_decayed_weights(decay), optax.sgd(fall, momentum=MOMENTUM))

    parts: dict[Hashable, optax.GradientTransformation] = {
        "layer": part(RATE, DECAY),
        "head": part(HEAD_RATE, HEAD_DECAY),
    }
    return optax.multi_transform(
        parts,
        lambda theta: {name: "head" if name.endswith("-output") else "layer" for name in theta},
    )
