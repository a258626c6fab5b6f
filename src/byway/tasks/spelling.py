"""Spelling (spelling): write the name of a handwritten digit, letter by letter.

    x   (8, 8, 1), grey levels scaled to [0, 1]; (28, 28, 1) with MNIST's images
    y   5 symbols of 16: the English name, filled up with blanks; the splits of the task that the
        images are from

Source   the images of `digits` and `mnist`
"""

from typing import ClassVar

import numpy as np
from typing_extensions import override

from byway.tasks._written import Answered, WrittenTask

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
LENGTH = max(map(len, NAMES))


class Spelling(WrittenTask):
    """Spell the name of a digit."""

    symbols: ClassVar[str] = " " + "".join(sorted(set("".join(NAMES))))
    wide: ClassVar[int] = 1
    written: ClassVar[int] = LENGTH

    @override
    def compose(self, x, y, part, draw):
        names = np.array([[self.symbols.index(a) for a in name.ljust(LENGTH)] for name in NAMES])
        return Answered(x, names[y])
