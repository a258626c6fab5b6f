"""Handwritten digits, 8x8 (digits): the default task, embedded in scikit-learn, no download.

    x   (8, 8, 1), 17 grey levels scaled to [0, 1]
    y   10 classes; 1,797 images: 1,257 train, 180 validation, 360 test, shuffled once with a fixed
        seed. With `fold` all of them are one pool, of which one fold is tested

Source   E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning
         Repository, 1998: the test part, as scikit-learn ships it
"""

from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import numpy as np
from typing_extensions import override

from byway.core.errors import DataError
from byway.core.hyper import hyper
from byway.core.task import Suggestion
from byway.tasks._folds import FOLD, fold_of, folded
from byway.tasks._images import Images, ImageTask

TEST_SIZE = 360


class Digits(ImageTask):
    """8x8 digits, embedded."""

    suggests: ClassVar[Suggestion] = Suggestion(hidden=(128, 128), epochs=30, batch=32)
    validation: int = hyper(180, "images kept from training for validation", low=1)
    fold: str = hyper("", FOLD)

    input_shape: ClassVar[tuple[int, ...]] = (8, 8, 1)
    outputs: ClassVar[int] = 10
    white: ClassVar[int] = 16

    @override
    def __check_init__(self):
        if self.fold:
            fold_of(self.fold)

    @override
    def read(self):
        rows = np.loadtxt(_file(), np.uint8, delimiter=",")
        rows = rows[np.random.default_rng(0).permutation(len(rows))]
        x, y = rows[:, :-1].reshape(-1, *self.input_shape), rows[:, -1]
        if self.fold:
            rest, tested = folded(y, self.fold, seed=0)
            return Images(x[rest], y[rest], x[tested], y[tested])
        return Images(x[:-TEST_SIZE], y[:-TEST_SIZE], x[-TEST_SIZE:], y[-TEST_SIZE:])


def _file() -> Path:
    """Where scikit-learn keeps them. Importing it to ask takes longer than the demo takes to learn
    from them.
    """
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise DataError(
            "digits without scikit-learn",
            "the file that it ships",
            "install Byway again, with all it depends on",
        )
    return Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"
