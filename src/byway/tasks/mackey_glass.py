"""The Mackey-Glass equation (mackey_glass): say what a delayed, chaotic series is some steps later.

    dx/dt = 0.2 x(t - tau) / (1 + x(t - tau)^10) - 0.1 x(t)

    x   "time 1": the series, once in each unit of time
    y   the series `horizon` steps later, at every step after the warm-up; half the squared error

Integrated by the fourth-order Runge-Kutta method with dt = 0.1; delayed values between two steps
come from the cubic Hermite polynomial through them. Each sequence begins with a constant history
drawn from [0.5, 1.5], and its first 200 units of time are left out. Networks take
(x - 0.93) / 0.22 and learn the same of y; errors are in the units of the series. It is chaotic
from tau = 17 on; at less it goes round a cycle, and below 4.7 it comes to rest at 1.

Source   Mackey and Glass, Oscillation and chaos in physiological control systems, Science 197:287,
         1977
"""

from typing import ClassVar

import numpy as np
from jaxtyping import Float
from typing_extensions import override

from byway.core.hyper import hyper
from byway.tasks._series import SeriesTask, forecasting

GAIN, POWER, DECAY = 0.2, 10, 0.1
# Steps of the integration in a unit of time, and units of time that are left out.
PER_UNIT, TRANSIENT = 10, 200


class MackeyGlass(SeriesTask):
    """Predict the Mackey-Glass series."""

    length: int = hyper(600, "time steps of a sequence", low=1, high=1_000_000)
    warmup: int = hyper(100, "first steps of a sequence that do not count", low=0)
    horizon: int = hyper(1, "how many steps ahead to predict", low=1, high=100_000)
    tau: int = hyper(17, "delay, in units of time", low=1, high=10_000)
    samples: int = hyper(50, "training sequences", low=1, high=1_000_000)
    seed: int = hyper(0, "draws the sequences", low=0)

    mean: ClassVar[tuple[float, ...]] = (0.93,)
    deviation: ClassVar[tuple[float, ...]] = (0.22,)
    target_mean: ClassVar[tuple[float, ...]] = mean
    target_deviation: ClassVar[tuple[float, ...]] = deviation

    @override
    def generate(self, draw, count):
        history = draw.uniform(0.5, 1.5, count)
        series = mackey_glass(history, TRANSIENT + self.length + self.horizon, self.tau)
        return forecasting(series[:, TRANSIENT:, None], self.horizon)


def mackey_glass(
    history: Float[np.ndarray, " count"], length: int, tau: int
) -> Float[np.ndarray, "count length"]:
    """The series from a constant history, at t = 0, 1, 2 ...

    Args:
        history: x(t) for t <= 0, of each series.
        length: how many values.
        tau: delay.
    """
    dt, lag, steps = 1 / PER_UNIT, tau * PER_UNIT, (length - 1) * PER_UNIT
    slope = lambda now, late: GAIN * late / (1 + late**POWER) - DECAY * now
    # Values at the steps of the integration from -tau on, and between each and the next.
    x = np.empty((lag + steps + 1, len(history)))
    between = np.empty_like(x)
    x[: lag + 1] = between[:lag] = history
    for i in range(steps):
        now, late = x[lag + i], x[i]
        first = slope(now, late)
        second = slope(now + dt / 2 * first, between[i])
        third = slope(now + dt / 2 * second, between[i])
        fourth = slope(now + dt * third, x[i + 1])
        after = now + dt / 6 * (first + 2 * second + 2 * third + fourth)
        x[lag + i + 1] = after
        between[lag + i] = (now + after) / 2 + dt / 8 * (first - slope(after, x[i + 1]))
    return x[lag::PER_UNIT].T
