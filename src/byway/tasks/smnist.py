"""Sequential MNIST (smnist): an image is read pixel by pixel, in 784 time steps, and named at the
end.

    x   "steps pixels": one grey level in each of 784 steps, or several in fewer, scaled to [0, 1];
        row by row
    y   10 classes, asked for at the last step; the splits of `mnist`

With `--smnist.pixels 28` it is `mnist_rows`; with 4 or 7 it is a long memory at a shorter price.

Source   Le, Jaitly and Hinton, A simple way to initialize recurrent networks of rectified linear
         units, 2015, section 4.2
"""

from byway.core.hyper import hyper
from byway.tasks._scanned import ScannedMNIST


class SMNIST(ScannedMNIST):
    """MNIST, one pixel a time step."""

    pixels: int = hyper(1, "pixels a time step shows, a divisor of 784", low=1, high=784)
    validation: int = hyper(5_000, "images kept from training for validation", low=1)
