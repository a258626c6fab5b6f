"""What the reproductions on convolutional networks share: rules, options, and what is measured."""

from typing import ClassVar

from typing_extensions import override

from byway.named import task as task_called
from byway.reproductions._claims import TEST_ERROR
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
