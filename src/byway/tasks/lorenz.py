"""The Lorenz system (lorenz): say where a chaotic flow is some steps later.

    dx/dt = 10 (y - x),   dy/dt = x (28 - z) - y,   dz/dt = x y - 8/3 z

    x   "time 3": the state (x, y, z), once in 0.02 units of time
    y   the state `horizon` steps later, at every step after the warm-up; half the squared error

Integrated by the fourth-order Runge-Kutta method with dt = 0.005. Each sequence begins at a point
of its own, drawn from a cube of side 2 around (0, 0, 25), and its first 10 units of time are left
out. Networks take ((x, y, z) - (0, 0, 23.5)) / (8, 9, 8.6) and learn the same of y; errors are in
the units of the flow. Two states that differ part by a factor of e in 1.1 units of time (55 steps).

Source   Lorenz, Deterministic nonperiodic flow, J. Atmos. Sci. 20:130, 1963
"""

from typing import ClassVar

import numpy as np
from jaxtyping import Float
from typing_extensions import override

from byway.core.hyper import hyper
from byway.tasks._series import SeriesTask, forecasting

SIGMA, RHO, BETA = 10.0, 28.0, 8 / 3
# A step of the integration, how many of them are a step of a sequence, and steps of sequences that
# are left out.
DT, PER_STEP, TRANSIENT = 0.005, 4, 500


class Lorenz(SeriesTask):
    """Predict the Lorenz system."""

    length: int = hyper(600, "time steps of a sequence", low=1, high=1_000_000)
    warmup: int = hyper(100, "first steps of a sequence that do not count", low=0)
    horizon: int = hyper(1, "how many steps ahead to predict", low=1, high=100_000)
    samples: int = hyper(50, "training sequences", low=1, high=1_000_000)
    seed: int = hyper(0, "draws the sequences", low=0)

    mean: ClassVar[tuple[float, ...]] = (0.0, 0.0, 23.5)
    deviation: ClassVar[tuple[float, ...]] = (8.0, 9.0, 8.6)
    target_mean: ClassVar[tuple[float, ...]] = mean
    target_deviation: ClassVar[tuple[float, ...]] = deviation

    @override
    def generate(self, draw, count):
        start = draw.uniform(-1.0, 1.0, (count, 3)) + np.array([0.0, 0.0, 25.0])
        series = lorenz(start, TRANSIENT + self.length + self.horizon)
        return forecasting(series[:, TRANSIENT:], self.horizon)


def lorenz(start: Float[np.ndarray, "count 3"], length: int) -> Float[np.ndarray, "count length 3"]:
    """The states of a flow from `start` on, one in 0.02 units of time.

    Args:
        start: (x, y, z) of each flow at first.
        length: how many states.
    """
    state, states = start.T, np.empty((length, 3, len(start)))
    for i in range(length):
        states[i] = state
        for _ in range(PER_STEP):
            first = velocity(*state)
            second = velocity(*(state + DT / 2 * first))
            third = velocity(*(state + DT / 2 * second))
            fourth = velocity(*(state + DT * third))
            state = state + DT / 6 * (first + 2 * second + 2 * third + fourth)
    return states.transpose(2, 0, 1)


def velocity(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """How fast states move, "3 count"."""
    return np.array([SIGMA * (y - x), x * (RHO - z) - y, x * y - BETA * z])
