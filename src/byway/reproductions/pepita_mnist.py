"""PEPITA on MNIST with one hidden layer: a second pass in place of a way back.

The error is added to the input through fixed random weights, and each layer learns from how far
that moved it.

Source   Dellaferrera and Kreiman, Error-driven input modulation: solving the credit assignment
         problem without a backward pass, ICML 2022 (arXiv 2201.11665), the table of test
         accuracies: fully connected networks on MNIST, PEPITA 98.01 ± 0.09 and BP 98.63 ± 0.03 %
Verified the numbers in a parsed copy of the paper's table; all settings in the authors' program
         (GiorgiaD/PEPITA, README.md and functions.py)
Differs  pepita alone has dropout, of a tenth of the hidden units, the same in both passes (it had
         97.68 ± 0.04 % without), bp and frozen layers have none; weights are drawn from normal
         distributions of the same variance; 59,999 training images
"""

import optax
from typing_extensions import override

from byway.experiment.networks import NetSettings
from byway.named import rule, task
from byway.reproductions._claims import TEST_ACCURACY, Measured, Reaches
from byway.reproductions._reproduction import Budget, Comparison
from byway.reproductions._staircase import staircase

BATCH, IMAGES = 64, 59_999


class PepitaMnist(Comparison):
    """Dellaferrera and Kreiman 2022, 784-1024-10."""

    quantity = TEST_ACCURACY
    claims = (Reaches("pepita", 98.01, within=0.3), Reaches("bp", 98.63, within=0.3))
    budget = Budget(epochs=100, seeds=5, minutes=75)
    quick = Budget(epochs=1, seeds=1, minutes=0.6)
    measured = Measured(
        values={
            "bp": [98.50, 98.54, 98.59, 98.49, 98.61],
            "frozen": [96.00, 96.29, 95.95, 95.93, 95.92],
            "pepita": [97.93, 98.0, 98.03, 98.17, 98.01],
        },
        machine="1 core of an AMD EPYC, busy",
        when="2026-11",
        minutes=76.9,
    )

    @override
    def task(self):
        return task("mnist", validation=1)

    @override
    def rules(self):
        return {"bp": rule("bp"), "frozen": rule("frozen"), "pepita": rule("pepita", dropout=0.1)}

    @override
    def net(self):
        return NetSettings(hidden=(1024,), bias=False)

    @override
    def options(self, epochs):
        rate = staircase(0.1, epochs * (IMAGES // BATCH), falls=(0.6, 0.9), factor=0.1)
        return {"batch": BATCH, "optimiser": optax.sgd(rate, momentum=0.9), "looks": 0}

    @override
    def settings(self):
        said = "momentum 0.9, rate 0.1, a tenth of it after 60 % and after 90 % of the epochs"
        return super().settings() | {"optimiser": said}
