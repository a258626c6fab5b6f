"""NARMA-10 (narma10): say what a nonlinear moving average of order ten makes of its input.

    y_{t+1} = 0.3 y_t + 0.05 y_t sum_{i=0}^{9} y_{t-i} + 1.5 u_{t-9} u_t + 0.1

    x   "time 1": u_t, drawn uniformly from [0, 0.5], as it is
    y   y_{t+1}, at every step after the warm-up; half the squared error

y and u are zero before t = 0; the first 100 steps of a series are left out. Networks learn
(y - 0.38) / 0.11; errors are in the units of the series. The recursion can run away to infinity,
as it does for one random input of 700 steps in 330: a sequence that passes 1.3, from where none of
40,000 came back, is drawn anew. What goes by this name elsewhere may differ: by a tanh around the
whole, which keeps it from running away, by constants of NARMA-30, or by y summed from t - 10 to
t - 1.

A network without biases whose units are odd, such as tanh, and that sees an input of mean zero
cannot form the product u u, whatever its size; this input has mean 0.25.

Source   Atiya and Parlos, New results on recurrent network training: unifying the algorithms and
         accelerating convergence, IEEE Trans. Neural Netw. 11:697, 2000; the tenth-order system
"""

from typing import ClassVar

import numpy as np
from jaxtyping import Float
from typing_extensions import override

from byway.core.hyper import hyper
from byway.tasks._series import SeriesTask

ORDER, TRANSIENT = 10, 100
# A sequence with a value above this runs away, and is drawn anew.
CEILING = 1.3


class NARMA10(SeriesTask):
    """Predict a nonlinear moving average."""

    length: int = hyper(600, "time steps of a sequence", low=1, high=100_000)
    warmup: int = hyper(100, "first steps of a sequence that do not count", low=0)
    samples: int = hyper(50, "training sequences", low=1, high=1_000_000)
    seed: int = hyper(0, "draws the sequences", low=0)

    mean: ClassVar[tuple[float, ...]] = (0.0,)
    deviation: ClassVar[tuple[float, ...]] = (1.0,)
    target_mean: ClassVar[tuple[float, ...]] = (0.38,)
    target_deviation: ClassVar[tuple[float, ...]] = (0.11,)

    @override
    def generate(self, draw, count):
        u = draw.uniform(0.0, 0.5, (count, TRANSIENT + self.length))
        y = narma10(u)
        while len(again := np.flatnonzero(~(y.max(1) <= CEILING))):
            u[again] = draw.uniform(0.0, 0.5, (len(again), u.shape[1]))
            y[again] = narma10(u[again])
        return u[:, TRANSIENT:, None], y[:, TRANSIENT:, None]


def narma10(u: Float[np.ndarray, "count time"]) -> Float[np.ndarray, "count time"]:
    """y_1, y_2 ... of an input u_0, u_1 ...; infinite, or no number, once it has run away."""
    count, time = u.shape
    y = np.zeros((count, ORDER + time))  # y_t is at ORDER - 1 + t
    before = np.concatenate([np.zeros((count, ORDER - 1)), u], 1)
    with np.errstate(over="ignore", invalid="ignore"):
        for t in range(time):
            last = y[:, t : t + ORDER]
            now = last[:, -1]
            y[:, t + ORDER] = (
                0.3 * now + 0.05 * now * last.sum(1) + 1.5 * before[:, t] * u[:, t] + 0.1
            )
    return y[:, ORDER:]
