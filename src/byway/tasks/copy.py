"""Copy (copy): repeat a pattern of symbols after a delay.

    x   "time symbols+2", one-hot: the pattern, then blanks, then a cue to answer, then blanks
    y   blanks do not count; from the cue on, the pattern, one symbol a step

Source   Hochreiter and Schmidhuber, Long short-term memory, Neural Comput. 9:1735, 1997; in the
         form of Arjovsky, Shah and Bengio, Unitary evolution recurrent neural networks, 2016,
         section 5.1; differs in: only the answer counts
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from typing_extensions import override

from byway.core.hyper import hyper
from byway.core.signal import CrossEntropy, Loss
from byway.core.task import Suggestion
from byway.tasks._sequences import DrawnTask


class Copy(DrawnTask):
    """Repeat a pattern after a delay."""

    suggests: ClassVar[Suggestion] = Suggestion(hidden=(64,), epochs=20, batch=32)
    pattern: int = hyper(4, "symbols to remember", low=1, high=100_000)
    delay: int = hyper(5, "blanks between the pattern and the cue", low=0, high=1_000_000)
    symbols: int = hyper(4, "how many different symbols there are", low=2, high=100_000)
    samples: int = hyper(10_000, "training sequences", low=1, high=100_000_000)

    criterion: ClassVar[Loss] = CrossEntropy()

    @property
    @override
    def length(self):
        return 2 * self.pattern + self.delay

    @property
    @override
    def input_shape(self):
        """The symbols, a blank and the cue."""
        return (self.symbols + 2,)

    @property
    @override
    def outputs(self):
        return self.symbols

    @override
    def draw(self, key):
        pattern = jax.random.randint(key, (self.pattern,), 0, self.symbols)
        blank, cue = self.symbols, self.symbols + 1
        shown = (
            jnp.full(self.length, blank)
            .at[: self.pattern]
            .set(pattern)
            .at[self.pattern + self.delay]
            .set(cue)
        )
        wanted = jnp.zeros(self.length, int).at[-self.pattern :].set(pattern)
        counts = jnp.zeros(self.length).at[-self.pattern :].set(1 / self.pattern)
        return jax.nn.one_hot(shown, self.symbols + 2), jax.nn.one_hot(wanted, self.symbols), counts
