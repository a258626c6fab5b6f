"""Evidence accumulation (evidence): count cues on two sides, wait, and say which side had more.

    x   "2250 40": spikes, 1 or 0, in steps of 1 ms, of four groups of ten channels: the left cue,
        the right cue, the call to answer, and noise. A group is silent but for its time, and then
        fires at 40 Hz; noise does so at 10 Hz all along
    y   2 classes, left or right, asked for at every step while the call lasts

Seven cues come one each 150 ms, each for the last 100 of them. Then there is noise alone for
1,050 ms, and the call for 150 ms. In each sequence one side, drawn, has a chance of 0.7 at every
cue; the answer is the side that did get more. `scale` makes all of it shorter: durations are
multiplied by it and rates are divided by it, so as many spikes come in fewer steps.

The accuracy is that of steps, averaged over the call; a decision by the mean of the outputs over
the call, as elsewhere, is right a little more often.

Source   Bellec et al., A solution to the learning dilemma for recurrent networks of spiking
         neurons, Nat. Commun. 11:3625, 2020, Fig. 3; in the form of the code published with it;
         after Morcos and Harvey, Nat. Neurosci. 19:1672, 2016
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from typing_extensions import override

from byway.core.errors import ConfigError
from byway.core.hyper import hyper
from byway.core.signal import CrossEntropy, Loss
from byway.core.task import Suggestion
from byway.tasks._sequences import DrawnTask

GROUPS, CHANNELS = 4, 10
# Chances of a spike in a step, and of a cue on the side that is likelier.
RATE, NOISE, LIKELY = 0.04, 0.01, 0.7


class Evidence(DrawnTask):
    """Say which side had more cues."""

    suggests: ClassVar[Suggestion] = Suggestion(hidden=(100,), epochs=5, batch=32)
    cues: int = hyper(7, "how many cues come, an odd number", low=1, high=10_001)
    spacing: int = hyper(150, "from one cue to the next", unit="ms", low=1, high=1_000_000)
    cue: int = hyper(100, "how long a cue lasts", unit="ms", low=1, high=1_000_000)
    delay: int = hyper(1_050, "from the last cue to the call", unit="ms", low=0, high=1_000_000)
    call: int = hyper(150, "how long the call to answer lasts", unit="ms", low=1, high=1_000_000)
    scale: float = hyper(
        1.0, "what durations are multiplied by, and rates divided by", low=0.05, high=1.0
    )
    samples: int = hyper(3_200, "training sequences", low=1, high=100_000_000)

    input_shape: ClassVar[tuple[int, ...]] = (GROUPS * CHANNELS,)
    outputs: ClassVar[int] = 2
    criterion: ClassVar[Loss] = CrossEntropy()

    @override
    def __check_init__(self):
        if self.cues % 2 == 0:
            raise ConfigError(
                f"evidence with cues = {self.cues}",
                "an odd number: of an even one both sides may get as many",
                f"say {self.cues + 1}",
            )
        if self.cue > self.spacing:
            raise ConfigError(
                f"evidence with cue = {self.cue} and spacing = {self.spacing}",
                "cues that are over before the next one comes",
                "lower cue, or raise spacing",
            )

    def steps(self, duration: int) -> int:
        """Time steps of a duration in ms; one at least, where it is not zero."""
        return max(round(duration * self.scale), min(duration, 1))

    @property
    @override
    def length(self):
        return self.cues * self.steps(self.spacing) + self.steps(self.delay) + self.steps(self.call)

    @override
    def draw(self, key):
        sides, cues, spikes = jax.random.split(key, 3)
        chance = jnp.where(jax.random.bernoulli(sides), LIKELY, 1 - LIKELY)
        right = jax.random.bernoulli(cues, chance, (self.cues,))
        step, spacing = jnp.arange(self.length), self.steps(self.spacing)
        number = jnp.minimum(step // spacing, self.cues - 1)
        shown = (step < self.cues * spacing) & (step % spacing >= spacing - self.steps(self.cue))
        called = step >= self.length - self.steps(self.call)
        on = jnp.stack([shown & ~right[number], shown & right[number], called], 1).astype(float)
        fires = jnp.concatenate([RATE * on, jnp.full((self.length, 1), NOISE)], 1) / self.scale
        fires = jnp.repeat(fires, CHANNELS, 1)
        more = (2 * jnp.sum(right) > self.cues).astype(int)
        target = jnp.broadcast_to(jax.nn.one_hot(more, 2, dtype=float), (self.length, 2))
        return (
            jax.random.bernoulli(spikes, fires).astype(float),
            target,
            called.astype(float) / self.steps(self.call),
        )
