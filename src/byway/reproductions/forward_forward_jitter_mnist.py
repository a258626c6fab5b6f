"""Supervised forward-forward on MNIST, images shifted by up to two pixels each time.

As `forward_forward_mnist`, for 500 epochs, with 25 shifts of each training image; the test images
stay as they are.

Source   Hinton, The forward-forward algorithm: some preliminary investigations, 2022 (arXiv
         2212.13345), section 3.3: jitter of two pixels, 500 epochs
Verified in a public write-up that quotes the paper's numbers, not in the paper
Differs  59,999 training images; momentum, decay, and rates that fall to zero in the second half are
         those of public programs for three layers of 1,000, as the paper does not give all of its
         own
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from byway.reproductions._claims import Measured, Reaches
from byway.reproductions._forward_forward import ForwardForward
from byway.reproductions._reproduction import Budget


class ForwardForwardJitterMnist(ForwardForward):
    """Hinton 2022, label in the image, two pixels of jitter."""

    rule: ClassVar[str] = "ff"
    setting: ClassVar[Mapping[str, Any]] = {"jitter": 2}
    claims = (Reaches("ff", 0.64, within=0.15),)
    budget = Budget(epochs=500, seeds=1)
    quick = Budget(epochs=1, seeds=1)
    measured = Measured(values={"ff": [0.66]}, machine="NVIDIA H200", when="2026-11", minutes=3.6)
