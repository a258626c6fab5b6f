"""Mono-Forward beside backprop on MNIST: each layer learns by the scores it gives each class.

Near enough is a tenth of a point on average. It is behind on each of five seeds, by that at most on
average: what holds is that no more is lost.

Source   Gong, Li and Abdulla, Mono-Forward: backpropagation-free algorithm for efficient neural
         network training harnessing local errors, 2025 (arXiv 2501.09238v1), the abstract: it
         "consistently matches or surpasses the accuracy of backpropagation across all tasks", of
         which MNIST is one
Verified read in the abstract; networks and numbers were not at hand. The second version, of 2026,
         has another abstract, which says so of forward-forward and no more of backprop
Differs  two hidden layers of 500 relu units, ten epochs of Adam, 55,000 images; answers are those
         of the readout, one pass
"""

from byway.reproductions._claims import TEST_ACCURACY, Keeps, Measured
from byway.reproductions._mnist import CONTROLS, DenseOnMnist
from byway.reproductions._reproduction import Budget


class MonoForwardMnist(DenseOnMnist):
    """Gong, Li and Abdulla 2025, dense layers on MNIST."""

    of = "mono_forward"
    quantity = TEST_ACCURACY
    claims = (Keeps("mono_forward", up="bp", within=0.1),)
    budget = Budget(epochs=10, seeds=5, minutes=6)
    quick = Budget(epochs=1, seeds=1, minutes=0.3)
    measured = Measured(
        values=CONTROLS | {"mono_forward": [98.33, 98.35, 98.32, 98.32, 98.24]},
        machine="2 cores; backprop and the control on a machine that was not noted",
        when="2026-11",
    )
