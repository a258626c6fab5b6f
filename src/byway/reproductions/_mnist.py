"""What the reproductions on MNIST without any knowledge of pixels share."""

from typing import ClassVar

from typing_extensions import override

from byway.experiment.networks import NetSettings
from byway.named import task as task_called
from byway.reproductions._reproduction import Comparison

# Test accuracy [%] of backprop and of the control, measured once for all rules beside them.
CONTROLS = {
    "bp": [98.38, 98.43, 98.33, 98.48, 98.41],
    "frozen": [91.86, 91.71, 91.83, 91.82, 91.94],
}


class DenseOnMnist(Comparison):
    """Abstract: a rule beside backprop and the control, two hidden layers of 500.

    Attributes:
        of: the name of the rule.
    """

    of: ClassVar[str]

    @override
    def task(self):
        return task_called("mnist")

    @override
    def rules(self):
        return ("bp", "frozen", self.of)

    @override
    def net(self):
        return NetSettings(hidden=(500, 500))

    @override
    def options(self, epochs):
        return {"batch": 128}
