"""What every task of labelled samples shares: batches with one-hot targets, and their scores."""

from abc import abstractmethod
from typing import ClassVar

import jax
from jaxtyping import Array, Float
from typing_extensions import override

from byway.core.encoding import Encoding
from byway.core.errors import look_up
from byway.core.hyper import hyper
from byway.core.score import ACCURACY, LOSS, Score
from byway.core.signal import LOSSES, Payoff, Right, Signal
from byway.core.task import Task


class LabelledTask(Task):
    """Abstract: classify independent samples; a split's y are the numbers of the classes.

    Attributes:
        names: what each class is called; by default its number.
    """

    names: ClassVar[tuple[str, ...]] = ()
    scores: ClassVar[tuple[Score, ...]] = (ACCURACY, LOSS)
    payoff: ClassVar[Payoff] = Right()

    loss: str = hyper(
        "cross_entropy", "cross_entropy, after a softmax; or squared_error, to the one-hot label"
    )

    @override
    def __check_init__(self):
        look_up("loss", self.loss, LOSSES)

    @property
    @override
    def encoding(self):
        labels = self.names or tuple(range(self.outputs))
        return Encoding(shape=self.input_shape, labels=labels, loss=self.loss)

    @abstractmethod
    def scaled(self, x: Array) -> Float[Array, "batch *inputs"]:
        """Samples of a split, "batch *inputs", as the network takes them."""

    @override
    def batch(self, split, index, key):
        x, labels = (a.at[index].get(mode="promise_in_bounds") for a in split)
        target = jax.nn.one_hot(labels, self.outputs, dtype=float)
        return self.scaled(x), Signal(target, LOSSES[self.loss], payoff=self.payoff)

    @override
    def score(self, output, signal):
        return {
            ACCURACY.name: signal.weigh(Right().value(output, signal.target)),
            LOSS.name: signal.loss(output),
        }
