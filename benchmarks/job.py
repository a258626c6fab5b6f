"""What is trained in a benchmark: plain facts, so that they can be sent to any process."""

import dataclasses
from dataclasses import dataclass


@dataclass(frozen=True)
class Job:
    """One training to be timed; an epoch of it is one run.

    Attributes:
        rule: the id of the learning rule.
        sizes: the layers.
        batch: samples in an update.
        steps: updates in an epoch; 0 for as many as the training split has batches. Samples repeat
            where it has too few.
        readout_from: hidden layers that feed the output.
        task: the id of the task.
        loss: the task's loss; empty for the one it has by default.
        activation: phi of the hidden layers.
        hyper: the rule's hyper-parameters, as pairs of a name and a value.
        length: time steps of a sample; 0 where a sample has no time.
    """

    rule: str
    sizes: tuple[int, ...] = (784, 500, 500, 10)
    batch: int = 64
    steps: int = 0
    readout_from: tuple[int, ...] = (-1,)
    task: str = "mnist"
    loss: str = ""
    activation: str = "relu"
    hyper: tuple[tuple[str, float], ...] = ()
    length: int = 0

    def args(self, **changes) -> dict:
        """This job, or one changed a little, as what goes over a pipe."""
        return {"job": dataclasses.asdict(dataclasses.replace(self, **changes))}


MNIST = {
    (rule, batch): Job(rule, batch=batch) for rule in ("bp", "fa", "dfa") for batch in (64, 256)
}
FF = Job("ff", (784, 500, 500, 500, 10), readout_from=(1, 2))
FF_PUBLIC = dataclasses.replace(FF, batch=100, steps=50)
SMALL = Job("bp", (64, 128, 10), batch=32, steps=1000, task="digits")
PERTURBED = {
    rule: Job(rule, batch=128, steps=20, hyper=(("draws", 4),))
    for rule in ("forward_gradient", "weight_perturbation")
}
PC = Job(
    "pc",
    (784, 256, 64, 10),
    batch=200,
    loss="squared_error",
    activation="tanh",
    hyper=(("steps", 20), ("rate", 0.1)),
)
# A sequence is an update, and a run is as many as take about a second.
RTRL = Job("rtrl", (2, 32, 1), batch=32, steps=10, activation="tanh", length=50)
BPTT = Job("bptt", (2, 128, 1), batch=32, steps=50, activation="tanh", length=200)
EPROP = Job("eprop", (2, 128, 1), batch=32, steps=50, activation="lif", length=200)
