"""e-prop draws a curve from spikes, not far behind backpropagation through time.

A recurrent network of spiking units hears one fixed pattern of spikes and draws a sum of four
sinusoids, a thousand steps long. The publication says that e-prop comes near backpropagation
through time and shows it in plots; that near means within 0.05, about the error that is left with
the latter, is ours.

Source   Bellec et al., A solution to the learning dilemma for recurrent networks of spiking
         neurons, Nat. Commun. 11:3625, 2020, pattern generation, in the supplement; the program
         published with it (IGITUGraz/eligibility_propagation)
Verified that e-prop approaches backpropagation through time, in the abstract; settings, in the
         program; no number of a table
Differs  the slope that stands in for that of a spike is a sixth of the published one: with that,
         the gradient through a thousand steps of spikes grows beyond what float32 holds, and
         backpropagation through time does not learn at all; Adam at 3e-3 in place of plain descent;
         no price of activity
"""

from typing_extensions import override

from byway.core.task import Task
from byway.named import cell, rule
from byway.named import task as task_called
from byway.network.builders import rnn
from byway.reproductions._claims import Keeps, Measured, Quantity
from byway.reproductions._reproduction import Budget, Comparison

UNITS, TAU, DAMPENING = 100, 30.0, 0.05


class EpropPattern(Comparison):
    """Bellec et al. 2020, pattern generation."""

    quantity = Quantity("normalised root mean squared error", higher=False, digits=3)
    claims = (Keeps("symmetric", up="bptt", within=0.05), Keeps("random", "bptt", within=0.05))
    budget = Budget(epochs=20, seeds=5)
    quick = Budget(epochs=1, seeds=1)
    measured = Measured(
        values={
            "bptt": [0.0430, 0.0552, 0.0385, 0.1190, 0.0352],
            "frozen": [0.6500, 0.7137, 0.6357, 0.5788, 0.4369],
            "symmetric": [0.0656, 0.0459, 0.0433, 0.0479, 0.0498],
            "random": [0.0596, 0.0564, 0.0545, 0.0869, 0.2721],
        },
        machine="2 cores",
        when="2026-11",
        minutes=3.6,
    )

    @override
    def task(self) -> Task:
        return task_called("pattern_generation")

    @override
    def rules(self):
        return {
            "bptt": rule("bptt"),
            "frozen": rule("frozen"),
            "symmetric": rule("eprop", symmetric=True),
            "random": rule("eprop"),
        }

    @override
    def net(self):
        def build(task, rule):
            """100-100-1, spiking units that project to each other, a leaky readout."""
            units = cell("lif", tau=TAU, dampening=DAMPENING)
            readout = cell("leaky", phi="identity", tau=TAU)
            return rnn(task.input_shape, UNITS, task.outputs, activation=units, readout=readout)

        return build

    @override
    def options(self, epochs):
        return {"batch": 1, "lr": 3e-3, "looks": 0}
