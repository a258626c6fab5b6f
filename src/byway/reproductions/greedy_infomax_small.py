"""Feature maps that learn from contrasts of patches, beside maps as they are drawn; in small.

Three convolutions learn without labels to tell what lies below a place; a linear readout learns
what is what. The numbers are of other images and of a far smaller network than the published ones,
and only that the maps have learnt something is held against the claim.

Source   Löwe, O'Connor and Veeling, Putting an end to end-to-end: gradient-isolated learning of
         representations, NeurIPS 2019 (arXiv 1905.11786), the table of STL-10: linear readout of
         Greedy InfoMax 81.9, of a network as drawn 27.0 % accuracy
Verified no: numbers are from memory, and the authors' repository (loeweX/Greedy_InfoMax) gives none
Differs  10,000 images of Fashion-MNIST in place of 105,000 of STL-10, convolutions of 16, 32 and 32
         channels in place of modules of a ResNet-50, two epochs; the readout learns along with the
         maps
"""

from typing_extensions import override

from byway.experiment.networks import NetSettings
from byway.named import task
from byway.reproductions._claims import TEST_ACCURACY, Measured, Trails
from byway.reproductions._reproduction import Budget, Comparison


class GreedyInfomaxSmall(Comparison):
    """Löwe et al. 2019, on Fashion-MNIST."""

    quantity = TEST_ACCURACY
    claims = (Trails("frozen", behind="gim", by=81.9 - 27.0, least=1.0),)
    budget = Budget(epochs=2, seeds=3, minutes=6)
    quick = Budget(epochs=1, seeds=1, minutes=1)
    measured = Measured(
        values={"frozen": [68.22, 69.51, 70.27], "gim": [73.91, 74.51, 74.65]},
        machine="2 cores",
        when="2026-11",
        minutes=5.9,
    )

    @override
    def task(self):
        return task("fashion_mnist", validation=50_000)

    @override
    def rules(self):
        return ("frozen", "gim")

    @override
    def net(self):
        return NetSettings(kind="convnet", channels=(16, 32, 32))

    @override
    def options(self, epochs):
        return {"batch": 64, "lr": 3e-3, "looks": 0}
