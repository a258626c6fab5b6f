"""Supervised forward-forward on MNIST: four layers of 2,000 units.

The label stands in the first ten pixels; each layer makes its activity large where the label is
right and small where it is wrong, and knows nothing of the others.

Source   Hinton, The forward-forward algorithm: some preliminary investigations, 2022 (arXiv
         2212.13345), section 3.3: four layers of 2,000, 60 epochs
Verified in a public write-up that quotes the paper's numbers, not in the paper
Differs  59,999 training images; momentum, decay, and rates that fall to zero in the second half are
         those of public programs for three layers of 1,000, as the paper does not give all of its
         own
"""

from typing import ClassVar

from byway.reproductions._claims import Measured, Reaches
from byway.reproductions._forward_forward import ForwardForward
from byway.reproductions._reproduction import Budget


class ForwardForwardMnist(ForwardForward):
    """Hinton 2022, label in the image."""

    rule: ClassVar[str] = "ff"
    claims = (Reaches("ff", 1.36, within=0.15),)
    budget = Budget(epochs=60, seeds=1, minutes=120)
    quick = Budget(epochs=1, seeds=1, minutes=3)
    measured = Measured(values={"ff": [1.42]}, machine="NVIDIA H200", when="2026-11", minutes=0.5)
