"""Synthetic gradients that see the label, on MNIST: layers that learn at once, from guesses.

Three hidden layers of 256. Beside each stands a linear predictor, which is told the label and
guesses what the loss will owe to the layer.

Source   Jaderberg et al., Decoupled neural interfaces using synthetic gradients, ICML 2017 (arXiv
         1608.05343), the table of fully connected networks on MNIST, three layers: cDNI 2.2,
         backprop 2.0, layers that do not learn 9.3 %
Verified no: numbers and settings are from memory, and the paper was not at hand
Differs  no batch normalisation, which Byway does not have
"""

import optax
from typing_extensions import override

from byway.experiment.networks import NetSettings
from byway.named import task
from byway.reproductions._claims import TEST_ERROR, Reaches
from byway.reproductions._reproduction import Budget, Comparison
from byway.reproductions._staircase import staircase

BATCH, IMAGES, UPDATES = 256, 55_000, 500_000


class CdniMnist(Comparison):
    """Jaderberg et al. 2017, cDNI, three layers of 256."""

    quantity = TEST_ERROR
    claims = (Reaches("dni", 2.2, within=0.4), Reaches("bp", 2.0, within=0.4))
    budget = Budget(epochs=UPDATES // (IMAGES // BATCH), seeds=1, minutes=190)
    quick = Budget(epochs=5, seeds=1, minutes=0.4)

    @override
    def task(self):
        return task("mnist")

    @override
    def rules(self):
        return ("bp", "frozen", "dni")

    @override
    def net(self):
        return NetSettings(hidden=(256, 256, 256))

    @override
    def options(self, epochs):
        rate = staircase(3e-5, epochs * (IMAGES // BATCH), falls=(0.6, 0.8), factor=0.1)
        return {"batch": BATCH, "optimiser": optax.adam(rate), "looks": 0}

    @override
    def settings(self):
        said = "adam, rate 0.00003, a tenth of it after 60 and after 80 % of the epochs"
        return super().settings() | {"optimiser": said}
