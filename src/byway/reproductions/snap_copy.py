"""A sparse influence matrix learns to copy, where a random one of rank one does not.

SnAp keeps, for each weight, its influence on the unit that it feeds; UORO keeps an unbiased
estimate of all influence, whose noise grows with units and steps. Both take about the memory of the
network itself.

Source   Menick et al., A practical sparse approximation for real time recurrent learning, ICLR 2021
         (arXiv 2006.07232): copying, GRU
Verified that SnAp with n = 1 substantially outperforms UORO, in the abstract; the publication
         counts how long a pattern is learnt, in plots, so how far UORO has to be behind is ours
Differs  patterns of 4 symbols and 5 blanks, of one length, with an update for each batch of
         sequences, in place of a curriculum of lengths with an update at every step; 64 units;
         accuracy of the copied symbols
"""

from typing_extensions import override

from byway.experiment.networks import NetSettings
from byway.named import task as task_called
from byway.reproductions._claims import TEST_ACCURACY, Measured, Trails
from byway.reproductions._reproduction import Budget, Comparison


class SnapCopy(Comparison):
    """Menick et al. 2021, copying."""

    quantity = TEST_ACCURACY
    claims = (Trails("uoro", behind="snap", by=None, least=5.0),)
    budget = Budget(epochs=5, seeds=3, minutes=5)
    quick = Budget(epochs=1, seeds=1, minutes=0.5)
    measured = Measured(
        values={
            "bptt": [94.5, 94.7, 93.575],
            "snap": [87.05, 87.075, 85.675],
            "uoro": [50.075, 48.325, 53.175],
            "frozen": [44.725, 40.925, 44.625],
        },
        machine="1 of 2 busy cores",
        when="2026-11",
        minutes=5.6,
    )

    @override
    def task(self):
        return task_called("copy")

    @override
    def rules(self):
        return ("bptt", "snap", "uoro", "frozen")

    @override
    def net(self):
        return NetSettings(kind="rnn", hidden=(64,), activation="gru")

    @override
    def options(self, epochs):
        return {"batch": 32, "lr": 1e-3, "looks": 0}
