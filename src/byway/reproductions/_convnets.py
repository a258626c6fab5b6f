"""What the reproductions on convolutional networks share: rules, options, and what is measured."""

from typing import ClassVar

from typing_extensions import override

from byway.named import task as task_called
from byway.reproductions._claims import TEST_ERROR, Trails
from byway.reproductions._reproduction import Comparison


class FeedbackOnConvnets(Comparison):
    """Abstract: how far random feedback falls behind backprop on a convolutional network.

    Attributes:
        on: the name of the task.
    """

    quantity = TEST_ERROR
    on: ClassVar[str]

    @override
    def task(self):
        return task_called(self.on)

    @override
    def rules(self):
        return ("bp", "frozen", "fa", "dfa")

    @override
    def options(self, epochs):
        return {"looks": 0}


def fall_behind(bp: float, fa: float, dfa: float, least: float) -> tuple[Trails, ...]:
    """The claims of published errors: how far random feedback falls behind backprop, of which at
    least so much is wanted here.
    """
    return tuple(
        Trails(name, behind="bp", by=error - bp, least=least)
        for name, error in (("fa", fa), ("dfa", dfa))
    )


# BioTorch, LeNet on Fashion-MNIST.
ON_FASHION = fall_behind(9.2, 13.06, 12.81, least=1.0)
