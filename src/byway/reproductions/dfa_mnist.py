"""Direct feedback alignment on MNIST without any knowledge of pixels.

The error goes straight to each hidden layer, through fixed random weights.

Source   Nøkland, Direct feedback alignment provides learning in deep neural networks, NeurIPS 2016
         (arXiv 1609.01596), the abstract: 1.45 % with dropout
Verified read in the abstract; the network behind the number was not at hand
Differs  two hidden layers of 500 relu units, ten epochs of Adam, 55,000 images, and no dropout,
         which Byway does not have
Miss     no dropout and ten epochs: backprop with the same settings has 1.6 %, and direct feedback
         alignment half a point more
"""

from typing_extensions import override

from byway.experiment.networks import NetSettings
from byway.named import task
from byway.reproductions._claims import TEST_ERROR, Measured, Reaches
from byway.reproductions._reproduction import Budget, Comparison


class DfaMnist(Comparison):
    """Nøkland 2016, permutation-invariant MNIST."""

    quantity = TEST_ERROR
    claims = (Reaches("dfa", 1.45, within=0.2),)
    budget = Budget(epochs=10, seeds=5, minutes=4)
    quick = Budget(epochs=1, seeds=1, minutes=0.3)

    measured = Measured(
        values={
            "bp": [1.62, 1.57, 1.67, 1.52, 1.59],
            "frozen": [8.14, 8.29, 8.17, 8.18, 8.06],
            "dfa": [2.07, 2.14, 2.03, 2.07, 2.03],
        },
        machine="a machine that was not noted",
        when="2026-11",
    )

    @override
    def task(self):
        return task("mnist")

    @override
    def rules(self):
        return ("bp", "frozen", "dfa")

    @override
    def net(self):
        return NetSettings(hidden=(500, 500))

    @override
    def options(self, epochs):
        return {"batch": 128}
