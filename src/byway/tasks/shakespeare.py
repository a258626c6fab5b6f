"""Tiny Shakespeare (shakespeare): read a text character by character, and say which one comes next.

    x   "100 65": the characters, one-hot
    y   the next character, at every step; scored in bits a character, the cross-entropy over ln 2

1,115,394 characters of 65 kinds. The text is cut into sequences of `length` characters, one after
another: the first nine tenths to train on, half of the rest each for validation and test, all in
the order of the text. A sequence begins without a memory of what stood before it, so its first
characters are harder to foresee.

Source   Karpathy, The unreasonable effectiveness of recurrent neural networks, 2015; the text is in
         the public domain
"""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import UInt8
from typing_extensions import override

from byway.core.encoding import Encoding
from byway.core.errors import DataError
from byway.core.hyper import hyper
from byway.core.score import ACCURACY, LOSS, Score
from byway.core.signal import CrossEntropy, Signal
from byway.core.task import Split, Suggestion
from byway.tasks._files import DataFile, locate
from byway.tasks._sequences import SequenceTask

FILE = DataFile(
    "text",
    "tinyshakespeare.txt",
    "https://raw.githubusercontent.com/karpathy/char-rnn/6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/data/tinyshakespeare/input.txt",
    "sha256:86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
)
CHARACTERS = "\n !$&',-.3:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
BITS = Score("bits", "bits a character", higher=False, best=0.0)


class Shakespeare(SequenceTask):
    """Foresee the next character."""

    scores: ClassVar[tuple[Score, ...]] = (BITS, ACCURACY, LOSS)
    suggests: ClassVar[Suggestion] = Suggestion(hidden=(128,), epochs=10, batch=32)
    length: int = hyper(100, "characters of a sequence", low=1, high=50_000)

    input_shape: ClassVar[tuple[int, ...]] = (len(CHARACTERS),)
    outputs: ClassVar[int] = len(CHARACTERS)

    @property
    @override
    def encoding(self):
        return Encoding(
            shape=self.input_shape,
            sequences=True,
            in_time=True,
            labels=tuple(CHARACTERS),
            loss="cross_entropy",
        )

    @override
    def load(self):
        numbers = characters(locate(FILE).read_text(encoding="utf-8"))
        train = len(numbers) * 9 // 10
        test = train + (len(numbers) - train) // 2
        cuts = {"train": (0, train), "validation": (train, test), "test": (test, len(numbers))}
        return {name: self._cut(numbers[first:last]) for name, (first, last) in cuts.items()}

    def _cut(self, numbers: UInt8[np.ndarray, " characters"]) -> Split:
        """Sequences of a stretch of the text, and their next characters; the rest is left out."""
        size = (len(numbers) - 1) // self.length
        x, y = (numbers[a : a + size * self.length].reshape(size, -1) for a in (0, 1))
        return Split(jnp.asarray(x), jnp.asarray(y))

    @override
    def batch(self, split, index, key):
        x, target = (
            jax.nn.one_hot(a[index], len(CHARACTERS), dtype=float) for a in (split.x, split.y)
        )
        weight = jnp.full(x.shape[:2], 1 / self.length)
        return x, Signal(target, CrossEntropy(), weight, self.payoff)

    @override
    def score(self, output, signal):
        return super().score(output, signal) | {BITS.name: signal.loss(output) / math.log(2)}


def characters(text: str) -> UInt8[np.ndarray, " characters"]:
    """The number of each character.

    Raises:
        DataError: there is one that is none of the 65.
    """
    if strange := sorted(set(text) - set(CHARACTERS)):
        raise DataError(
            f"a text with the character {strange[0]!r}",
            "those of tiny Shakespeare alone",
            "fetch it again",
        )
    places = np.zeros(128, np.uint8)
    places[np.frombuffer(CHARACTERS.encode("ascii"), np.uint8)] = np.arange(len(CHARACTERS))
    return places[np.frombuffer(text.encode("ascii"), np.uint8)]
