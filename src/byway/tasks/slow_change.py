"""Slowly changing regression (slow_change): a stream of bits, most of which stay as they are for a
long time.

    x   "21": 15 slow bits, of which one flips every `block` samples; 5 bits drawn anew for each
        sample; and a 1
    y   a sum of `units` threshold units of x, each with weights and a sign of its own in {-1, 1}:
        y = sum_i s_i H(w_i x - theta_i),
        theta_i = beta (m + 1) - S_i, with S_i the number of weights of -1; half the squared error

Samples come in the order of the stream, one after another: nothing is seen twice, and an epoch is
the whole stream. What the network has to do never changes, only where it has to do it; yet backprop
gets worse at it. Validation and test are samples of the world as the stream leaves it.

Source   Dohare et al., Loss of plasticity in deep continual learning, Nature 632:768, 2024, "Slowly
         changing regression"; differs in: signs of what the units add, no noise
"""

from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from typing_extensions import override

from byway.core.encoding import Encoding
from byway.core.hyper import hyper
from byway.core.signal import Signal, SquaredError
from byway.core.task import Split, Suggestion, Task

SLOW, FAST = 15, 5


class SlowChange(Task):
    """A stream in which one bit flips now and then."""

    suggests: ClassVar[Suggestion] = Suggestion(hidden=(5,), epochs=1, batch=1)
    samples: int = hyper(200_000, "samples in the stream", low=1, high=100_000_000)
    block: int = hyper(10_000, "samples between one flip and the next", low=1, high=100_000_000)
    units: int = hyper(100, "threshold units that make the target", low=1, high=100_000)
    beta: float = hyper(
        0.7, "where the thresholds are: the higher, the rarer a unit is on", low=0.0, high=1.0
    )
    seed: int = hyper(0, "draws the stream and the target", low=0)

    input_shape: ClassVar[tuple[int, ...]] = (SLOW + FAST + 1,)
    outputs: ClassVar[int] = 1

    @property
    @override
    def encoding(self):
        """Bits are inputs as they are."""
        return Encoding(
            shape=self.input_shape,
            levels=1,
            target_mean=np.zeros(1),
            flat=True,
            loss="squared_error",
        )

    @override
    def load(self):
        draw = np.random.default_rng(self.seed)
        weights, signs = (
            draw.choice([-1.0, 1.0], (self.units, SLOW + FAST + 1)),
            draw.choice([-1.0, 1.0], self.units),
        )
        theta = self.beta * (SLOW + FAST + 1) - np.sum(weights < 0, 1)
        flips = np.eye(SLOW, dtype=int)[draw.integers(0, SLOW, -(-self.samples // self.block))]
        flips[0] = draw.integers(0, 2, SLOW)  # what the bits are at first
        slow = np.cumsum(flips, 0) % 2
        ends = {name: np.full(1_000, len(slow) - 1) for name in ("validation", "test")}
        made = {}
        for name, block in ({"train": np.arange(self.samples) // self.block} | ends).items():
            x = np.concatenate(
                [
                    slow[block],
                    draw.integers(0, 2, (len(block), FAST)),
                    np.ones((len(block), 1), int),
                ],
                1,
            )
            # All samples with all units at once would take gigabytes.
            parts = np.array_split(x, len(x) // 10_000 + 1)
            y = np.concatenate([(part @ weights.T > theta) @ signs for part in parts])
            made[name] = Split(jnp.asarray(x.astype(np.uint8)), jnp.asarray(y[:, None]))
        return made

    @override
    def order(self, key, size):
        """The order of the stream."""
        return jnp.arange(size)

    @override
    def batch(self, split, index, key):
        return split.x[index].astype(float), Signal(split.y[index].astype(float), SquaredError())
