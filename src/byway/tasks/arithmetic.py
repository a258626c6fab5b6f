"""Arithmetic (arithmetic): two handwritten digits with a sign between them; write the result.

    x   (8, 24, 1), grey levels scaled to [0, 1]; (28, 84, 1) with MNIST's images. The sign, which
        is plus, minus or times, is drawn, and moved by a pixel at most
    y   3 symbols of 12: the sign of the result, + or -, its tens and its ones; 20,000 samples to
        train on, 2,000 each to validate and test, drawn once, from images of its own for each split

Source   the images of `digits` and `mnist`
"""

from typing import ClassVar

import numpy as np
from typing_extensions import override

from byway.core.hyper import hyper
from byway.tasks._written import Answered, WrittenTask, beside

PLUS, MINUS, TIMES = range(3)


class Arithmetic(WrittenTask):
    """Compute what two digits and a sign say."""

    symbols: ClassVar[str] = "+-0123456789"
    wide: ClassVar[int] = 3
    written: ClassVar[int] = 3
    samples: int = hyper(20_000, "training samples; a tenth each to validate and test", low=10)

    @override
    def compose(self, x, y, part, draw):
        count = self.samples if part == "train" else self.samples // 10
        one, two = draw.integers(0, len(x), (2, count))
        a, b, sign = y[one].astype(int), y[two].astype(int), draw.integers(0, 3, count)
        result = np.choose(sign, [a + b, a - b, a * b])
        drawn = signs(x.shape[1], self.source.white)[sign]
        moves = draw.integers(-1, 2, (count, 2))
        middle = np.stack(
            [np.roll(image, move, (0, 1)) for image, move in zip(drawn, moves, strict=True)]
        )
        size = np.abs(result)
        written = np.stack([result < 0, 2 + size // 10, 2 + size % 10], 1)
        return Answered(beside(x[one], middle, x[two]), written)


def signs(side: int, white: int) -> np.ndarray:
    """Images of plus, minus and times, uint8 "3 side side 1", with an edge of a quarter left."""
    at = np.arange(side) - (side - 1) / 2
    down, across = np.meshgrid(at, at, indexing="ij")
    thick, inside = side / 10, np.maximum(abs(down), abs(across)) < side / 4
    minus = abs(down) < thick
    plus = minus | (abs(across) < thick)
    times = np.minimum(abs(down - across), abs(down + across)) < thick * np.sqrt(2)
    return (np.stack([plus, minus, times]) & inside)[..., None].astype(np.uint8) * np.uint8(white)
