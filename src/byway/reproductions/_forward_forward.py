"""What the reproductions of forward-forward on MNIST share: Hinton 2022, with the optimiser of
public programs.
"""

from collections.abc import Hashable, Mapping
from typing import Any, ClassVar

import optax
from typing_extensions import override

from byway.named import task
from byway.network.builders import mlp
from byway.reproductions._claims import TEST_ERROR, Quantity
from byway.reproductions._reproduction import Comparison

LAYERS, WIDTH, BATCH, IMAGES = 4, 2000, 100, 59_999
RATE, HEAD_RATE, MOMENTUM = 1e-3, 1e-2, 0.9
DECAY, HEAD_DECAY = 3e-4, 3e-3


class ForwardForward(Comparison):
    """Abstract: one rule on MNIST, four layers of 2,000 unless a figure has another network.

    Attributes:
        rule: its name.
        setting: of the task, besides that it validates on one image.
        rate: at which hidden layers learn.
    """

    quantity: ClassVar[Quantity] = TEST_ERROR
    rule: ClassVar[str]
    setting: ClassVar[Mapping[str, Any]] = {}
    rate: ClassVar[float] = RATE

    @override
    def task(self):
        return task("mnist", validation=1, **self.setting)

    @override
    def rules(self):
        return (self.rule,)

    @override
    def net(self):
        def build(task, rule):
            """784-2000-2000-2000-2000-10, the head reads all hidden layers but the first."""
            sizes = (task.input_shape, *[WIDTH] * LAYERS, task.outputs)
            return mlp(*sizes, readout_from=range(1, LAYERS), **rule.network_options)

        return build

    @override
    def options(self, epochs):
        made = optimiser(epochs * (IMAGES // BATCH), self.rate)
        return {"batch": BATCH, "optimiser": made, "looks": 0}

    @override
    def settings(self):
        said = f"momentum {MOMENTUM}, rate {self.rate:g} and decay {DECAY:g}, of the head "
        said += f"{HEAD_RATE:g} and {HEAD_DECAY:g}; the rate falls to zero in the second half"
        return super().settings() | {"optimiser": said}


def optimiser(updates: int, layer_rate: float = RATE) -> optax.GradientTransformation:
    """Momentum and decay, each for layers and head; the rate falls to zero in the second half."""

    def part(rate: float, decay: float) -> optax.GradientTransformation:
        fall = optax.linear_schedule(rate, 0.0, updates - updates // 2, updates // 2)
        return optax.chain(optax.add_decayed_weights(decay), optax.sgd(fall, momentum=MOMENTUM))

    parts: dict[Hashable, optax.GradientTransformation] = {
        "layer": part(layer_rate, DECAY),
        "head": part(HEAD_RATE, HEAD_DECAY),
    }
    return optax.multi_transform(
        parts,
        lambda theta: {name: "head" if name.endswith("-output") else "layer" for name in theta},
    )
