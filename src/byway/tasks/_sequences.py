"""What every task in time shares: sequences drawn from their number, targets that count at some
steps, scores.
"""

from abc import abstractmethod
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key
from typing_extensions import override

from byway.core.encoding import Encoding
from byway.core.keys import seeded
from byway.core.score import ACCURACY, LOSS, Score
from byway.core.signal import CrossEntropy, Loss, Payoff, Right, Signal, loss_called
from byway.core.task import Split, Suggestion, Task


class SequenceTask(Task):
    """Abstract: scores of sequences.

    Attributes:
        length: time steps of a sequence.
        payoff: 1 where an output is right, 0 elsewhere; the accuracy is its mean.
    """

    in_time: ClassVar[bool] = True
    scores: ClassVar[tuple[Score, ...]] = (ACCURACY, LOSS)
    payoff: ClassVar[Payoff] = Right()
    suggests: ClassVar[Suggestion] = Suggestion(hidden=(64,), epochs=10, batch=32)

    length: eqx.AbstractVar[int]

    @override
    def score(self, output, signal):
        return {
            ACCURACY.name: signal.weigh(self.payoff.value(output, signal.target)),
            LOSS.name: signal.loss(output),
        }


class DrawnTask(SequenceTask):
    """Abstract: a task whose samples are drawn, each from its own number, so that a split is a
    range of numbers.

    Nothing is stored but the numbers: a sequence is drawn where it is used, and is the same each
    time.

    Attributes:
        samples: training sequences; a tenth as many, and at least 200, for validation and for test.
        criterion: the loss.
        at_end: whether a sequence has one answer, that of its last step.
    """

    samples: eqx.AbstractVar[int]
    criterion: ClassVar[Loss]
    at_end: ClassVar[bool] = False

    @property
    @override
    def encoding(self):
        """Sequences are inputs already; outputs are classes, or numbers as they are."""
        classes = isinstance(self.criterion, CrossEntropy)
        return Encoding(
            shape=self.input_shape,
            sequences=True,
            in_time=True,
            labels=tuple(range(self.outputs)) if classes else (),
            target_mean=None if classes else np.zeros(self.outputs),
            flat=self.outputs == 1,
            loss=loss_called(self.criterion),
            at_end=self.at_end,
        )

    @abstractmethod
    def draw(
        self, key: Key[Array, ""]
    ) -> tuple[Float[Array, "time inputs"], Float[Array, "time out"], Float[Array, " time"]]:
        """One sequence: inputs, targets, and what each step counts (sums to one)."""

    @override
    def load(self):
        rest = max(self.samples // 10, 200)
        ends = {"train": (0, self.samples), "validation": (self.samples, self.samples + rest)}
        ends["test"] = (ends["validation"][1], ends["validation"][1] + rest)
        return {
            name: Split(numbers := jnp.arange(*span, dtype=jnp.uint32), numbers)
            for name, span in ends.items()
        }

    @override
    def batch(self, split: Split, index: Int[Array, " batch"], key: Key[Array, ""]):
        keys = jax.vmap(lambda n: jax.random.fold_in(seeded(0), n))(split.x[index])
        x, target, weight = jax.vmap(self.draw)(keys)
        return x, Signal(target, self.criterion, weight, self.payoff)


def at_the_end(
    target: Float[Array, " out"], length: int
) -> tuple[Float[Array, "time out"], Float[Array, " time"]]:
    """Targets and weights of a sequence of which only the last step counts."""
    return jnp.broadcast_to(target[None], (length, *target.shape)), jax.nn.one_hot(
        length - 1, length, dtype=target.dtype
    )
