"""Pattern generation (pattern_generation): draw one curve from a fixed pattern of spikes.

    x   "1000 100": spikes, 1 or 0, of 100 channels at 50 Hz, in steps of 1 ms; drawn once
    y   a sum of four sinusoids with 1, 2, 3 and 5 periods in the sequence, amplitudes from
        [0.5, 2] and phases drawn once; shifted to begin at 0 and scaled to lie within [-1, 1];
        half the squared error at every step

There is one pattern, and it is the training, the validation and the test split: it is to be
reproduced, not generalised from. An epoch shows it `samples` times.

Source   Bellec et al., A solution to the learning dilemma for recurrent networks of spiking
         neurons, Nat. Commun. 11:3625, 2020, Supplementary Fig. "Learning performance for pattern
         generation"; in the form of the code published with it
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from typing_extensions import override

from byway.core.hyper import hyper
from byway.core.keys import seeded
from byway.core.score import Score
from byway.core.signal import Closeness, Loss, Payoff, SquaredError
from byway.core.task import Split, Suggestion
from byway.tasks._sequences import DrawnTask
from byway.tasks._series import SCORES, numbers

CHANNELS, RATE, PERIODS = 100, 0.05, (1, 2, 3, 5)


class PatternGeneration(DrawnTask):
    """One curve from one pattern of spikes."""

    scores: ClassVar[tuple[Score, ...]] = SCORES
    suggests: ClassVar[Suggestion] = Suggestion(hidden=(100,), epochs=20, batch=1)
    length: int = hyper(1_000, "time steps of the pattern", unit="ms", low=20, high=1_000_000)
    samples: int = hyper(100, "how often an epoch shows it", low=1, high=100_000_000)
    seed: int = hyper(0, "draws the pattern and the curve", low=0)

    input_shape: ClassVar[tuple[int, ...]] = (CHANNELS,)
    outputs: ClassVar[int] = 1
    criterion: ClassVar[Loss] = SquaredError()
    payoff: ClassVar[Payoff] = Closeness()

    @override
    def load(self):
        one, many = (jnp.zeros(count, jnp.uint32) for count in (1, self.samples))
        return {"train": Split(many, many), "validation": Split(one, one), "test": Split(one, one)}

    @override
    def draw(self, key):
        """The pattern, whatever the key."""
        spikes, amplitudes, phases = jax.random.split(seeded(self.seed), 3)
        x = jax.random.bernoulli(spikes, RATE, (self.length, CHANNELS)).astype(float)
        amplitude = jax.random.uniform(amplitudes, (len(PERIODS),), minval=0.5, maxval=2.0)
        phase = jax.random.uniform(phases, (len(PERIODS),), maxval=2 * jnp.pi)
        turns = jnp.outer(jnp.linspace(0.0, 2 * jnp.pi, self.length), jnp.array(PERIODS, float))
        curve = jnp.sin(turns + phase[None]) @ amplitude
        curve = curve - curve[0]
        curve = curve / jnp.max(jnp.abs(curve))
        return x, curve[:, None], jnp.full(self.length, 1 / self.length)

    @override
    def score(self, output, signal):
        return numbers((0.0,), (1.0,)).score(output, signal)
