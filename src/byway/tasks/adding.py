"""Adding (adding): add the two marked numbers of a sequence.

    x   "time 2": numbers drawn uniformly from [0, 1], and marks: 1 at one step of each half, 0
        elsewhere
    y   the sum of the two marked numbers, asked for at the last step; half the squared error

An answer is right where it is less than 0.04 away. Answering 1 always costs a loss of 1/12.

Source   Hochreiter and Schmidhuber, Long short-term memory, Neural Comput. 9:1735, 1997, section
         5.4; differs in: the length is fixed, marks are 0 and 1, the sum is not rescaled
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from typing_extensions import override

from byway.core.hyper import hyper
from byway.core.signal import Loss, Near, Payoff, SquaredError
from byway.core.task import Suggestion
from byway.tasks._sequences import DrawnTask, at_the_end


class Adding(DrawnTask):
    """Add two marked numbers."""

    suggests: ClassVar[Suggestion] = Suggestion(hidden=(64,), epochs=20, batch=32)
    length: int = hyper(30, "time steps of a sequence", low=2, high=1_000_000)
    samples: int = hyper(10_000, "training sequences", low=1, high=100_000_000)

    input_shape: ClassVar[tuple[int, ...]] = (2,)
    outputs: ClassVar[int] = 1
    criterion: ClassVar[Loss] = SquaredError()
    at_end: ClassVar[bool] = True
    payoff: ClassVar[Payoff] = Near(0.04)

    @override
    def draw(self, key):
        numbers, first, second = jax.random.split(key, 3)
        values = jax.random.uniform(numbers, (self.length,))
        half = self.length // 2
        marks = jax.nn.one_hot(jax.random.randint(first, (), 0, half), self.length)
        marks += jax.nn.one_hot(jax.random.randint(second, (), half, self.length), self.length)
        return jnp.stack([values, marks], 1), *at_the_end(
            jnp.sum(values * marks)[None], self.length
        )
