"""MNIST (mnist): handwritten digits, 28x28.

    x   (28, 28, 1), grey levels scaled to [0, 1]
    y   10 classes; 55,000 train, 5,000 validation (the last of the official training part), 10,000
        test

Source   LeCun, Cortes and Burges, The MNIST database of handwritten digits
"""

from typing import ClassVar

from byway.core.hyper import hyper
from byway.tasks._images import MNIST_FILES, IDXTask


class MNIST(IDXTask):
    """28x28 handwritten digits."""

    files: ClassVar = MNIST_FILES
    validation: int = hyper(5_000, "images kept from training for validation", low=1)
