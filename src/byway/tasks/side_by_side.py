"""Digits side by side (side_by_side): write down the number that a row of handwritten digits shows.

    x   (8, 8 length, 1), grey levels scaled to [0, 1]; 28 pixels a digit with MNIST's
    y   `length` symbols of 10, the digits from the left; 20,000 samples to train on, 2,000 each to
        validate and test, drawn once, from images of its own for each split

Source   the images of `digits` and `mnist`; as in Goodfellow et al., Multi-digit number recognition
         from street view imagery, 2014, a softmax for each symbol
"""

from typing import ClassVar

import numpy as np
from typing_extensions import override

from byway.core.hyper import hyper
from byway.tasks._written import Answered, WrittenTask, beside


class SideBySide(WrittenTask):
    """Read several digits side by side."""

    symbols: ClassVar[str] = "0123456789"
    length: int = hyper(2, "digits side by side", low=1, high=8)
    samples: int = hyper(20_000, "training samples; a tenth each to validate and test", low=10)

    @property
    @override
    def wide(self):
        return self.length

    @property
    @override
    def written(self):
        return self.length

    @override
    def compose(self, x, y, part, draw):
        count = self.samples if part == "train" else self.samples // 10
        chosen = draw.integers(0, len(x), (count, self.length))
        return Answered(beside(*np.moveaxis(x[chosen], 1, 0)), y[chosen])
