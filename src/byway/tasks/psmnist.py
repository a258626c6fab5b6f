"""Permuted sequential MNIST (psmnist): the pixels of `smnist` in an order that was drawn once, so
what belongs together lies far apart in time.

    x   "steps pixels": one grey level in each of 784 steps, or several in fewer, scaled to [0, 1];
        in one order for all images
    y   10 classes, asked for at the last step; the splits of `mnist`

Source   Le, Jaitly and Hinton, A simple way to initialize recurrent networks of rectified linear
         units, 2015, section 4.2; the order is our own, as theirs was not published
"""

import numpy as np
from typing_extensions import override

from byway.core.hyper import hyper
from byway.tasks._scanned import ScannedMNIST


class PSMNIST(ScannedMNIST):
    """MNIST, one pixel a time step, in an order that was drawn once."""

    pixels: int = hyper(1, "pixels a time step shows, a divisor of 784", low=1, high=784)
    seed: int = hyper(0, "draws the order", low=0)
    validation: int = hyper(5_000, "images kept from training for validation", low=1)

    @property
    @override
    def scan(self):
        return np.random.default_rng(self.seed).permutation(28 * 28)
