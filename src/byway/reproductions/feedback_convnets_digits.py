"""Random feedback falls behind backprop on convolutions, on digits: a failure that should happen.

The same as `feedback_convnets` where nothing has to be fetched: the numbers are of other data than
the published ones, and only that both rules fall behind is held against the claim.

Source   BioTorch (jsalbert/biotorch), Benchmarks.md, LeNet on Fashion-MNIST: test error BP 9.2, FA
         13.06, DFA 12.81 %
Verified read in the authors' repository, whose README has another table with 8.88, 12.77 and 12.76
Differs  8x8 digits in place of Fashion-MNIST; convolutions of 16 and 32 channels, then the readout
"""

from typing_extensions import override

from byway.experiment.networks import NetSettings
from byway.reproductions._claims import Trails
from byway.reproductions._convnets import FeedbackOnConvnets
from byway.reproductions._reproduction import Budget

BP, FA, DFA = 9.2, 13.06, 12.81


class FeedbackConvnetsDigits(FeedbackOnConvnets):
    """BioTorch, on digits."""

    on = "digits"
    claims = (
        Trails("fa", behind="bp", by=FA - BP, least=1.0),
        Trails("dfa", behind="bp", by=DFA - BP, least=1.0),
    )
    budget = Budget(epochs=30, seeds=5)
    quick = Budget(epochs=1, seeds=1)

    @override
    def net(self):
        return NetSettings(kind="convnet", channels=(16, 32))
