"""What tasks share that read an image some pixels at a time and name it at the end."""

import dataclasses
import math
from typing import ClassVar

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Int
from typing_extensions import override

from byway.core.errors import ConfigError
from byway.core.task import Suggestion
from byway.tasks._images import MNIST_FILES, IDXTask
from byway.tasks._sequences import at_the_end


class ScannedMNIST(IDXTask):
    """Abstract: MNIST, as a sequence of pixels.

    Attributes:
        pixels: how many of them a time step shows.
    """

    in_time: ClassVar[bool] = True
    suggests: ClassVar[Suggestion] = Suggestion(hidden=(128,), epochs=10, batch=128)
    files: ClassVar = MNIST_FILES
    image_shape: ClassVar[tuple[int, ...]] = (28, 28, 1)

    pixels: eqx.AbstractVar[int]  # pyright: ignore[reportGeneralTypeIssues]  what stands in for it has a default

    @override
    def __check_init__(self):
        whole = math.prod(self.image_shape)
        if whole % self.pixels:
            able = [str(n) for n in range(1, whole + 1) if whole % n == 0]
            raise ConfigError(
                f"{self.id} with {self.pixels} pixels a step",
                f"a divisor of {whole}, so that steps show as many each: {', '.join(able)}",
                "choose one of these",
            )

    @property
    @override
    def input_shape(self):
        return (self.pixels,)

    @property
    def length(self) -> int:
        """Time steps of a sequence."""
        return math.prod(self.image_shape) // self.pixels

    @property
    def scan(self) -> Int[np.ndarray, " pixels"] | None:
        """The order in which pixels are read, as numbers from 0, row by row; None for that very
        order.
        """
        return None

    @property
    @override
    def encoding(self):
        return dataclasses.replace(
            super().encoding,
            in_time=True,
            taken=(self.length, self.pixels),
            order=self.scan,
            at_end=True,
        )

    @override
    def batch(self, split, index, key):
        x, signal = super().batch(split, index, key)
        target, weight = jax.vmap(lambda one: at_the_end(one, self.length))(signal.target)
        flat = x.reshape(len(x), -1)
        flat = flat if self.scan is None else flat[:, self.scan]
        return flat.reshape(len(x), self.length, self.pixels), dataclasses.replace(
            signal, target=target, weight=weight
        )
