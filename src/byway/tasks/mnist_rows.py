"""MNIST by rows (mnist_rows): an image is read row by row, in 28 time steps, and named at the end.

    x   "28 28": one row of grey levels a step, scaled to [0, 1]
    y   10 classes, asked for at the last step; the splits of `mnist`

Source   LeCun, Cortes and Burges, The MNIST database of handwritten digits
"""

import dataclasses
from typing import ClassVar

import jax
from typing_extensions import override

from byway.core.hyper import hyper
from byway.core.task import Suggestion
from byway.tasks._images import MNIST_FILES, IDXTask
from byway.tasks._sequences import at_the_end


class MNISTRows(IDXTask):
    """MNIST, one row a time step."""

    in_time: ClassVar[bool] = True
    suggests: ClassVar[Suggestion] = Suggestion(hidden=(128,), epochs=10, batch=128)
    files: ClassVar = MNIST_FILES
    validation: int = hyper(5_000, "images kept from training for validation", low=1)

    input_shape: ClassVar[tuple[int, ...]] = (28,)
    image_shape: ClassVar[tuple[int, ...]] = (28, 28, 1)

    @property
    @override
    def encoding(self):
        rows = self.image_shape[:2]
        return dataclasses.replace(super().encoding, in_time=True, taken=rows, at_end=True)

    @override
    def batch(self, split, index, key):
        x, signal = super().batch(split, index, key)
        rows = self.image_shape[0]
        target, weight = jax.vmap(lambda one: at_the_end(one, rows))(signal.target)
        return x[..., 0], dataclasses.replace(signal, target=target, weight=weight)
