"""Direct feedback alignment on MNIST without any knowledge of pixels.

The error goes straight to each hidden layer, through fixed random weights.

Source   Nøkland, Direct feedback alignment provides learning in deep neural networks, NeurIPS 2016
         (arXiv 1609.01596), the abstract: 1.45 % with dropout
Verified read in the abstract; the network behind the number was not at hand
Differs  two hidden layers of 800 tanh units, twenty epochs of Adam, and no dropout, which Byway
         does not have
"""

from typing_extensions import override

from byway.experiment.networks import NetSettings
from byway.named import task
from byway.reproductions._claims import TEST_ERROR, Reaches
from byway.reproductions._reproduction import Budget, Comparison


class DfaMnist(Comparison):
    """Nøkland 2016, permutation-invariant MNIST."""

    quantity = TEST_ERROR
    claims = (Reaches("dfa", 1.45, within=0.2),)
    budget = Budget(epochs=20, seeds=3)
    quick = Budget(epochs=1, seeds=1)

    @override
    def task(self):
        return task("mnist", validation=1)

    @override
    def rules(self):
        return ("frozen", "dfa")

    @override
    def net(self):
        return NetSettings(hidden=(800, 800), activation="tanh")

    @override
    def options(self, epochs):
        return {"batch": 128, "looks": 0}
