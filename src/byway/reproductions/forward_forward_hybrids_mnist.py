"""Forward-forward without labels on MNIST: images against hybrids of two images.

Four layers of 2,000 learn to be active for images and quiet for hybrids; a linear readout of the
last three, normalised, learns what is what.

Source   Hinton, The forward-forward algorithm: some preliminary investigations, 2022 (arXiv
         2212.13345), section 3.2: four layers of 2,000, 100 epochs
Verified in a public write-up that quotes the paper's numbers, not in the paper
Differs  59,999 training images; masks are blurred six times, which the paper leaves open; the
         readout learns along with the layers; momentum, decay and the course of the rate are those
         of public programs with labels
Miss     not looked into: other numbers of blurs and other rates were not tried at this length
"""

from typing import ClassVar

from byway.reproductions._claims import Measured, Reaches
from byway.reproductions._forward_forward import ForwardForward
from byway.reproductions._reproduction import Budget


class ForwardForwardHybridsMnist(ForwardForward):
    """Hinton 2022, hybrid images for negatives."""

    rule: ClassVar[str] = "ff_unsupervised"
    claims = (Reaches("ff_unsupervised", 1.37, within=0.2),)
    budget = Budget(epochs=100, seeds=1)
    quick = Budget(epochs=1, seeds=1)
    measured = Measured(values={"ff_unsupervised": [1.84]}, machine="NVIDIA H200", when="2026-11")
