"""Local error signals on MNIST, images shifted by up to two pixels each time.

Three layers of 1,024, each of which learns from two heads of its own: what they predict, and how
alike they find samples of one class.

Source   Nøkland and Eidnes, Training neural networks with local error signals, ICML 2019 (arXiv
         1901.06656), the table of MNIST with jitter of two pixels, mlp: predsim 0.62, backprop
         0.75 %
Verified in the authors' repository (anokland/local-loss, README.md), with the command that made it
Differs  no batch normalisation and no dropout, which the rule does not have; the output learns
         alone, where theirs learns together with the last hidden layer; 59,999 training images
"""

import optax
from typing_extensions import override

from byway.experiment.networks import NetSettings
from byway.named import task
from byway.reproductions._claims import TEST_ERROR, Reaches
from byway.reproductions._reproduction import Budget, Comparison
from byway.reproductions._staircase import staircase

BATCH, IMAGES = 128, 59_999


class PredsimMnist(Comparison):
    """Nøkland and Eidnes 2019, three layers of 1,024, two pixels of jitter."""

    quantity = TEST_ERROR
    claims = (Reaches("predsim", 0.62, within=0.15), Reaches("bp", 0.75, within=0.15))
    budget = Budget(epochs=100, seeds=3, minutes=340)
    quick = Budget(epochs=1, seeds=1, minutes=1.1)

    @override
    def task(self):
        return task("mnist", validation=1, jitter=2)

    @override
    def rules(self):
        return ("bp", "frozen", "predsim")

    @override
    def net(self):
        return NetSettings(hidden=(1024, 1024, 1024), activation="leaky_relu")

    @override
    def options(self, epochs):
        falls = (0.5, 0.75, 0.89, 0.94)
        rate = staircase(5e-4, epochs * (IMAGES // BATCH), falls, factor=0.25)
        return {"batch": BATCH, "optimiser": optax.adam(rate), "looks": 0}

    @override
    def settings(self):
        said = "adam, rate 0.0005, a quarter of it after 50, 75, 89 and 94 % of the epochs"
        return super().settings() | {"optimiser": said}
