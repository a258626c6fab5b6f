"""What every task of labelled samples shares: batches with one-hot targets, and their scores."""

from abc import abstractmethod
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from byway.core.errors import look_up
from byway.core.hyper import hyper
from byway.core.score import ACCURACY, LOSS, Score
from byway.core.signal import LOSSES, Signal
from byway.core.task import Task


class LabelledTask(Task):
    """Abstract: classify independent samples; a split's y are the numbers of the classes."""

    scores: ClassVar[tuple[Score, ...]] = (ACCURACY, LOSS)

    loss: str = hyper("cross_entropy", "cross_entropy, after a softmax; or squared_error, to the one-hot label")

    def __check_init__(self):
        look_up("loss", self.loss, LOSSES)

    @abstractmethod
    def scaled(self, x: Array) -> Float[Array, "batch *inputs"]:
        """Samples of a split, "batch *inputs", as the network takes them."""

    def batch(self, split, index, key):
        """See `Task.batch`."""
        x, labels = (a.at[index].get(mode="promise_in_bounds") for a in split)
        target = jax.nn.one_hot(labels, self.outputs, dtype=float)
        return self.scaled(x), Signal(target, LOSSES[self.loss])

    def score(self, output, signal):
        """See `Task.score`."""
        right = jnp.argmax(output, -1) == jnp.argmax(signal.target, -1)
        return {ACCURACY.name: signal.weigh(right.astype(float)), LOSS.name: signal.loss(output)}
