"""Handwritten digits, 8x8 (digits): the default task, embedded in scikit-learn, no download.

    x   (8, 8, 1), 17 grey levels scaled to [0, 1]
    y   10 classes; 1,797 images: 1,257 train, 180 validation, 360 test, shuffled once with a fixed seed

Source   E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998: the
         test part, as scikit-learn ships it
"""

from typing import ClassVar

import numpy as np

from byway.core.hyper import hyper
from byway.core.task import Suggestion
from byway.tasks._images import Images, ImageTask

TEST_SIZE = 360


class Digits(ImageTask):
    """8x8 digits, embedded."""

    suggests: ClassVar[Suggestion] = Suggestion(hidden=(128, 128), epochs=30, batch=32)
    validation: int = hyper(180, "images kept from training for validation", low=1)

    input_shape: ClassVar[tuple[int, ...]] = (8, 8, 1)
    outputs: ClassVar[int] = 10
    white: ClassVar[int] = 16

    def read(self):
        """See `ImageTask.read`."""
        from sklearn.datasets import load_digits

        flat, labels = (np.asarray(a, np.uint8) for a in load_digits(return_X_y=True))
        order = np.random.default_rng(0).permutation(len(labels))
        x = flat[order].reshape(-1, *self.input_shape)
        y = labels[order]
        return Images(x[:-TEST_SIZE], y[:-TEST_SIZE], x[-TEST_SIZE:], y[-TEST_SIZE:])
