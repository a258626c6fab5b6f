"""What the gradient of a neural ODE is taken of, for any library."""

from typing import NamedTuple

import numpy as np

INPUTS, OUTPUTS = 32, 10
# As Byway names the projections of `byway.ode`.
NAMES = ("input-flow", "flow-hidden1", "hidden1-flow", "flow-output")


class Work(NamedTuple):
    """What a gradient is taken of.

    Attributes:
        states: how many, and how many hidden units.
        batch: samples.
        steps: of the solver, over a time of 1.
    """

    states: int
    batch: int
    steps: int

    def drawn(self) -> tuple[dict, np.ndarray, np.ndarray]:
        """Weights, inputs and one-hot targets, the same in every process."""
        draw = np.random.default_rng(0)
        shapes = dict(
            zip(
                NAMES,
                (
                    (INPUTS, self.states),
                    (self.states, self.states),
                    (self.states, self.states),
                    (self.states, OUTPUTS),
                ),
                strict=True,
            )
        )
        theta = {
            name: {
                "weight": draw.normal(size=shape) / np.sqrt(shape[0]),
                # Two projections end at the states: the second has no bias.
                **({} if name == "hidden1-flow" else {"bias": draw.normal(size=shape[1]) / 10}),
            }
            for name, shape in shapes.items()
        }
        x = draw.normal(size=(self.batch, INPUTS))
        return theta, x, np.eye(OUTPUTS)[draw.integers(0, OUTPUTS, self.batch)]
