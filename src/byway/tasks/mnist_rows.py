"""MNIST by rows (mnist_rows): an image is read row by row, in 28 time steps, and named at the end.

    x   "28 28": one row of grey levels a step, scaled to [0, 1]
    y   10 classes, asked for at the last step; the splits of `mnist`

Source   LeCun, Cortes and Burges, The MNIST database of handwritten digits
"""

from typing import ClassVar

from byway.core.hyper import hyper
from byway.tasks._scanned import ScannedMNIST


class MNISTRows(ScannedMNIST):
    """MNIST, one row a time step."""

    pixels: ClassVar[int] = 28
    validation: int = hyper(5_000, "images kept from training for validation", low=1)
