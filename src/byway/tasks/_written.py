"""What tasks share whose answer is written, symbol by symbol, to images put side by side."""

from abc import abstractmethod
from typing import ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from typing_extensions import override

from byway.core.encoding import Encoding
from byway.core.errors import DataError, look_up
from byway.core.hyper import hyper
from byway.core.score import ACCURACY, LOSS, Score
from byway.core.signal import LOSSES, CrossEntropy, Loss, Signal
from byway.core.task import Split, Suggestion, Task
from byway.tasks._images import ImageTask
from byway.tasks.digits import Digits
from byway.tasks.mnist import MNIST

IMAGES: dict[str, type[Digits | MNIST]] = {"digits": Digits, "mnist": MNIST}
SYMBOLS = Score(
    "symbols",
    unit="%",
    scale=100.0,
    best=1.0,
    meaning="Of the symbols of an answer, the share that is right; the accuracy counts answers of "
    "which every symbol is.",
)


class Written(Loss):
    """Softmax and cross-entropy for each symbol of an answer, added up.

    Attributes:
        length: how many symbols an answer has; outputs are "length symbols" in a row.
    """

    length: int = eqx.field(static=True)

    @override
    def value(self, output, target):
        return jnp.sum(CrossEntropy().value(self.parted(output), self.parted(target)), -1)

    @override
    def link(self, output):
        """The softmax of each symbol."""
        return jax.nn.softmax(self.parted(output), -1).reshape(output.shape)

    def parted(self, output: Float[Array, "*batch out"]) -> Float[Array, "*batch length symbols"]:
        """Symbol by symbol."""
        return output.reshape(*output.shape[:-1], self.length, -1)


class Answered(NamedTuple):
    """Images and what is to be written: pixels uint8, and symbols as numbers "samples length"."""

    x: np.ndarray
    y: np.ndarray


class WrittenTask(Task):
    """Abstract: write the answer to what some images show, symbol by symbol.

    Attributes:
        symbols: what may be written, one character each.
    """

    suggests: ClassVar[Suggestion] = Suggestion(hidden=(256, 128), epochs=20, batch=64)
    scores: ClassVar[tuple[Score, ...]] = (ACCURACY, SYMBOLS, LOSS)
    symbols: ClassVar[str]

    images: str = hyper("digits", "the task that the images are from: digits, embedded, or mnist")
    loss: str = hyper(
        "cross_entropy",
        "cross_entropy, after a softmax for each symbol; or squared_error, to the one-hot symbols",
    )

    @override
    def __check_init__(self):
        super().__check_init__()
        look_up("task of images", self.images, IMAGES)
        look_up("loss", self.loss, LOSSES)

    @property
    @abstractmethod
    def wide(self) -> int:
        """How many images stand side by side."""

    @property
    @abstractmethod
    def written(self) -> int:
        """How many symbols an answer has."""

    @abstractmethod
    def compose(
        self, x: np.ndarray, y: np.ndarray, part: str, draw: np.random.Generator
    ) -> Answered:
        """The samples of a part, of the images "images height width 1" of that part and what digit
        each shows.
        """

    @property
    def source(self) -> ImageTask:
        """Whose images they are."""
        return IMAGES[self.images]()

    @property
    @override
    def input_shape(self):
        height, width, channels = self.source.image_shape
        return height, self.wide * width, channels

    @property
    @override
    def outputs(self):
        return self.written * len(self.symbols)

    @property
    @override
    def encoding(self):
        return Encoding(shape=self.input_shape, levels=self.source.white)

    @override
    def load(self):
        """No image is in two splits: each split is composed of its own."""
        found = {}
        for number, (part, split) in enumerate(self.source.load().items()):
            draw = np.random.default_rng(number)
            x, y = self.compose(np.asarray(split.x), np.asarray(split.y), part, draw)
            found[part] = Split(jnp.asarray(x), jnp.asarray(y, jnp.uint8))
        return found

    @override
    def check(self, part, split):
        x, y = np.asarray(split.x), np.asarray(split.y)
        if x.dtype != np.uint8 or x.shape[1:] != self.input_shape:
            raise DataError(
                f"{part} images of type {x.dtype} and shape {x.shape[1:]}",
                f"uint8 and {self.input_shape}",
                "convert them",
            )
        if y.shape != (len(x), self.written) or y.dtype.kind not in "iu":
            raise DataError(
                f"{part} answers of type {y.dtype} and shape {y.shape}",
                f"{self.written} whole numbers for each of {len(x):,} samples",
                "write each answer as the numbers of its symbols",
            )
        if y.min() < 0 or y.max() >= len(self.symbols):
            raise DataError(
                f"{part} symbols from {y.min()} to {y.max()}",
                f"from 0 to {len(self.symbols) - 1}",
                "check how symbols are numbered",
            )

    @override
    def batch(self, split, index, key):
        x, y = (a.at[index].get(mode="promise_in_bounds") for a in split)
        target = jax.nn.one_hot(y, len(self.symbols), dtype=float).reshape(len(x), -1)
        criterion = Written(self.written) if self.loss == "cross_entropy" else LOSSES[self.loss]
        return self.source.scaled(x), Signal(target, criterion)

    @override
    def score(self, output, signal):
        said, right = (
            jnp.argmax(Written(self.written).parted(a), -1) for a in (output, signal.target)
        )
        same = said == right
        return {
            ACCURACY.name: jnp.all(same, -1).astype(output.dtype),
            SYMBOLS.name: jnp.mean(same, -1, dtype=output.dtype),
            LOSS.name: signal.loss(output),
        }


def beside(*images: np.ndarray) -> np.ndarray:
    """Images "samples height width 1" side by side."""
    return np.concatenate(images, 2)
