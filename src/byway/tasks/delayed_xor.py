"""Delayed exclusive or (delayed_xor): two bits, far apart; say at the end whether they differ.

    x   "time 2": the bits, as +1 or -1, at the first step and at `gap` steps after it, 0 elsewhere;
        and a mark, 1 at both
    y   2 classes, same or different, asked for at the last step

No linear readout of the two bits can answer: the network has to hold the first and combine it with
the second.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from typing_extensions import override

from byway.core.hyper import hyper
from byway.core.signal import CrossEntropy, Loss
from byway.core.task import Suggestion
from byway.tasks._sequences import DrawnTask, at_the_end


class DelayedXOR(DrawnTask):
    """Exclusive or of two bits that are far apart."""

    suggests: ClassVar[Suggestion] = Suggestion(hidden=(32,), epochs=10, batch=32)
    gap: int = hyper(8, "time steps from the first bit to the second", low=1, high=1_000_000)
    wait: int = hyper(4, "time steps from the second bit to the answer", low=0, high=1_000_000)
    noise: float = hyper(
        0.1, "standard deviation of the noise on the bits' input at every step", low=0.0
    )
    samples: int = hyper(5_000, "training sequences", low=1, high=100_000_000)

    input_shape: ClassVar[tuple[int, ...]] = (2,)
    outputs: ClassVar[int] = 2
    criterion: ClassVar[Loss] = CrossEntropy()
    at_end: ClassVar[bool] = True

    @property
    @override
    def length(self):
        return self.gap + self.wait + 1

    @override
    def draw(self, key):
        bits_key, noise_key = jax.random.split(key)
        bits = jax.random.bernoulli(bits_key, shape=(2,))
        when = jnp.array([0, self.gap])
        shown = self.noise * jax.random.normal(noise_key, (self.length,))
        shown = shown.at[when].add(jnp.where(bits, 1.0, -1.0))
        marks = jnp.zeros(self.length).at[when].set(1.0)
        differ = (bits[0] != bits[1]).astype(int)
        return jnp.stack([shown, marks], 1), *at_the_end(jax.nn.one_hot(differ, 2), self.length)
