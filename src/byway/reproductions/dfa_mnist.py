"""Direct feedback alignment on MNIST without any knowledge of pixels.

The error goes straight to each hidden layer, through fixed random weights.

Source   Nøkland, Direct feedback alignment provides learning in deep neural networks, NeurIPS 2016
         (arXiv 1609.01596), the abstract: 1.45 % with dropout
Verified read in the abstract; the network behind the number was not at hand
Differs  two hidden layers of 500 relu units, ten epochs of Adam, 55,000 images, and no dropout,
         which Byway does not have
Miss     no dropout and ten epochs: with the same settings backprop misses it, too
"""

from byway.reproductions._claims import TEST_ERROR, Measured, Reaches
from byway.reproductions._mnist import CONTROLS, DenseOnMnist
from byway.reproductions._reproduction import Budget


class DfaMnist(DenseOnMnist):
    """Nøkland 2016, permutation-invariant MNIST."""

    of = "dfa"
    quantity = TEST_ERROR
    claims = (Reaches("dfa", 1.45, within=0.2),)
    budget = Budget(epochs=10, seeds=5, minutes=4)
    quick = Budget(epochs=1, seeds=1, minutes=0.3)

    measured = Measured(
        values={
            **{name: [round(100 - one, 2) for one in each] for name, each in CONTROLS.items()},
            "dfa": [2.07, 2.14, 2.03, 2.07, 2.03],
        },
        machine="a machine that was not noted",
        when="2026-11",
    )
