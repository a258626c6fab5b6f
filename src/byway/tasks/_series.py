"""What tasks share that generate a series and ask for its future: windows that need no file, a
warm-up that does not count, and scores in the units of the series.
"""

from abc import abstractmethod
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from typing_extensions import override

from byway.core.encoding import Encoding
from byway.core.errors import ConfigError
from byway.core.score import NRMSE, Score
from byway.core.signal import Closeness, Payoff, SquaredError
from byway.core.task import Split, Suggestion
from byway.tasks._encoded import standardised
from byway.tasks._sequences import SequenceTask
from byway.tasks._targets import Numbers

# Numbers that are held in memory at once, at most: 8 GB.
MOST = 10**9
SCORES = (NRMSE, *(score for score in Numbers.scores if score is not NRMSE))


class SeriesTask(SequenceTask):
    """Abstract: sequences that are generated when they are loaded, by numpy in double precision.
    Each begins at a point of its own, so no sequence continues another.

    A network takes (x - mean) / deviation and learns (y - target_mean) / target_deviation, by
    constants of the task; errors and answers are in the units of the series.

    Attributes:
        warmup: first steps of a sequence that do not count, since nothing has been seen yet.
        samples: training sequences; a tenth as many, and at least 10, for validation and for test.
        seed: draws the sequences.
        mean: what is taken off each input.
        deviation: what it is then divided by.
        target_mean: what is taken off each target.
        target_deviation: what it is then divided by.
    """

    scores: ClassVar[tuple[Score, ...]] = SCORES
    payoff: ClassVar[Payoff] = Closeness()
    suggests: ClassVar[Suggestion] = Suggestion(hidden=(100,), epochs=20, batch=5)

    warmup: eqx.AbstractVar[int]
    samples: eqx.AbstractVar[int]
    seed: eqx.AbstractVar[int]

    mean: ClassVar[tuple[float, ...]]
    deviation: ClassVar[tuple[float, ...]]
    target_mean: ClassVar[tuple[float, ...]]
    target_deviation: ClassVar[tuple[float, ...]]

    @override
    def __check_init__(self):
        if self.warmup >= self.length:
            raise ConfigError(
                f"{self.id} with warmup = {self.warmup} and length = {self.length}",
                "a warm-up shorter than a sequence: no step would count",
                "lower warmup, or raise length",
            )
        if self.samples * self.length > MOST:
            raise ConfigError(
                f"{self.id} with {self.samples:,} sequences of {self.length:,} steps",
                f"{MOST:,} steps at most: they are held in memory",
                "lower samples or length",
            )

    @property
    @override
    def input_shape(self):
        return (len(self.mean),)

    @property
    @override
    def outputs(self):
        return len(self.target_mean)

    @property
    @override
    def encoding(self):
        return Encoding(
            shape=self.input_shape,
            sequences=True,
            in_time=True,
            mean=np.array(self.mean),
            deviation=np.array(self.deviation),
            **self._numbers.meaning,
        )

    @abstractmethod
    def generate(
        self, draw: np.random.Generator, count: int
    ) -> tuple[Float[np.ndarray, "count time in"], Float[np.ndarray, "count time out"]]:
        """So many sequences: inputs and targets, `length` steps of each."""

    @override
    def load(self):
        rest = max(self.samples // 10, 10)
        sizes = {"train": self.samples, "validation": rest, "test": rest}
        counts = np.arange(self.length) >= self.warmup
        made = {}
        for number, (name, size) in enumerate(sizes.items()):
            # From a generator of its own, so a split does not depend on the size of another.
            x, y = self.generate(np.random.default_rng([self.seed, number]), size)
            x = standardised(x, np.array(self.mean), np.array(self.deviation))
            y = y[..., 0] if self._numbers.flat else y
            kept = self._numbers.kept(y, np.broadcast_to(counts, y.shape[:2]))
            made[name] = Split(jnp.asarray(x, float), jnp.asarray(kept))
        return made

    @override
    def batch(self, split, index, key):
        return split.x[index].astype(float), self._numbers.signal(
            split.y[index].astype(float), True
        )

    @override
    def score(self, output, signal):
        return self._numbers.score(output, signal)

    @property
    def _numbers(self) -> Numbers:
        return numbers(self.target_mean, self.target_deviation)


def numbers(mean: tuple[float, ...], deviation: tuple[float, ...]) -> Numbers:
    """Targets of which a network learns (y - mean) / deviation, constants both."""
    centre = np.zeros(len(mean))
    return Numbers(SquaredError(), np.array(mean), np.array(deviation), centre, len(mean) == 1)


def forecasting(
    series: Float[np.ndarray, "count more numbers"], horizon: int
) -> tuple[Float[np.ndarray, "count time numbers"], Float[np.ndarray, "count time numbers"]]:
    """Each step of a series beside the one `horizon` steps later."""
    return series[:, :-horizon], series[:, horizon:]
