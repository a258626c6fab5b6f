"""The adjoint is the gradient of a simulation that shares nothing with ours: potentials as sums of
kernels, spikes by scanning and bracketing, in NumPy; and its derivative by central differences.
"""

import math
from itertools import pairwise
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy.optimize import root_scalar

from byway.core.check import Check
from byway.core.signal import CrossEntropy, Signal
from byway.network.builders import mlp
from byway.network.cells.event_lif import EventLIF
from byway.network.network import Network
from byway.verify.oracle import Theta, apart, drawn, layers, ravel, recorded, taught

SOURCE = "Wunderlich and Pehle 2021, fig. 2"
STEP, POINTS = 1e-5, 400


def checks(rule):
    return [
        Check(
            "one hidden layer: update = central differences of a simulation by kernels",
            lambda: off(rule, small(4, 5, 3, strength=20.0, mean=0.5)),
            1e-6,
            SOURCE,
        ),
        Check(
            "two hidden layers, by Newton's method: the same",
            lambda: off(rule, small(4, 5, 4, 3, tau_mem=3.0, strength=12.0, mean=1.0)),
            1e-6,
            SOURCE,
        ),
        Check(
            "one input, one unit: time of its first spike = closed form",
            lambda: _first_spike(rule),
            1e-12,
            "the root of a quadratic",
        ),
    ]


class Small(NamedTuple):
    """A small network with a batch, and what its units are."""

    net: Network
    x: np.ndarray
    target: np.ndarray
    cell: EventLIF

    @property
    def signal(self) -> Signal:
        """That of the batch."""
        return Signal(jnp.asarray(self.target), CrossEntropy())


def small(*sizes: int, **numbers: Any) -> Small:
    """A network of event_lif units, with weights that let each of its layers spike."""
    cell, draw = EventLIF(**numbers), np.random.default_rng(0)
    net = drawn(mlp, *sizes, activation=cell)
    heavy = {name: 1.0 if name.endswith("output") else cell.strength**0.5 for name in net.theta}
    # `drawn` has a mean of 0 and a standard deviation of one over the root of the fan-in.
    lean = {name: 0.0 if name.endswith("output") else cell.mean for name in net.theta}
    theta = {
        name: {
            part: heavy[name]
            * (a + (lean[name] / math.sqrt(a.shape[0]) if part == "weight" else 0.0))
            for part, a in w.items()
        }
        for name, w in net.theta.items()
    }
    x = draw.uniform(0.1, 2.0, (3, sizes[0]))
    return Small(net.with_theta(theta), x, np.eye(sizes[-1])[np.arange(3) % sizes[-1]], cell)


def off(rule, problem: Small, count: int = 20) -> float:
    """How far an update is from central differences by some of the weights, of all layers."""
    update = taught(rule, problem.net, jnp.asarray(problem.x), problem.signal)
    flat, unflatten = ravel(problem.net.theta)
    chosen = np.random.default_rng(1).choice(flat.size, count, replace=False)
    slopes = []
    for k in chosen:
        up, down = (
            _loss(problem, unflatten(jnp.asarray(flat + sign * STEP * (np.arange(flat.size) == k))))
            for sign in (1, -1)
        )
        slopes.append((up - down) / (2 * STEP))
    return apart(ravel(update)[0][chosen], np.array(slopes))


def _loss(problem: Small, theta: Theta) -> float:
    output = np.stack([simulated(problem.cell, theta, x)[1] for x in problem.x])
    log = output - np.log(np.sum(np.exp(output), 1, keepdims=True))
    return float(-np.mean(np.sum(problem.target * log, 1)))


def simulated(cell: EventLIF, theta: Theta, x: np.ndarray) -> tuple[list[list[list[float]]], Any]:
    """The spike times of each unit of each hidden layer, and the output, of one sample."""
    trains, found = [[t] for t in x], []
    for src, dst in pairwise(layers(len(theta) - 1)):
        w = theta[f"{src}-{dst}"]
        weight, bias = (np.asarray(w[part]) for part in ("weight", "bias"))
        if dst == "output":
            worth = [sum(_worth(cell, cell.duration - t) for t in train) for train in trains]
            break
        arriving = np.array([0.0] + [t for train in trains for t in train])
        repeats = [len(train) for train in trains]
        trains = [
            _spikes(cell, arriving, np.concatenate([[bias[j]], np.repeat(weight[:, j], repeats)]))
            for j in range(weight.shape[1])
        ]
        found.append(trains)
    return found, np.array(worth) @ weight + bias


def _kernel(cell: EventLIF, s: Any) -> Any:
    """The potential that a spike of weight 1 leaves, s after it."""
    s = np.maximum(s, 0)
    return (
        cell.tau_syn
        / (cell.tau_mem - cell.tau_syn)
        * (np.exp(-s / cell.tau_mem) - np.exp(-s / cell.tau_syn))
    )


def _worth(cell: EventLIF, left: float) -> float:
    """The integral of that, over the time that is left, in tau_syn."""
    whole = cell.tau_mem * (1 - math.exp(-left / cell.tau_mem))
    return (whole - cell.tau_syn * (1 - math.exp(-left / cell.tau_syn))) / (
        cell.tau_mem - cell.tau_syn
    )


def _spikes(cell: EventLIF, arriving: np.ndarray, weight: np.ndarray) -> list[float]:
    """The spikes of one unit: each takes the threshold, fading, off what all that arrives adds."""
    found: list[float] = []

    def above(t):
        t = np.asarray(t)[..., None]
        gone = [cell.threshold * np.exp(-(t[..., 0] - s) / cell.tau_mem) for s in found]
        return _kernel(cell, t - arriving) @ weight - sum(gone) - cell.threshold

    start = 0.0
    while True:
        grid = np.linspace(start, cell.duration, POINTS)
        over = np.flatnonzero(above(grid) >= 0)
        if not len(over):
            return found
        last = over[0]
        bracket = grid[last - 1], grid[last]
        found.append(float(root_scalar(above, bracket=bracket, method="brentq", xtol=1e-15).root))
        start = found[-1]


def _first_spike(rule) -> float:
    """With tau_mem = 2 tau_syn and y = exp(-s / tau_mem), v = w (y - y^2): at the threshold 1
    y = (1 + sqrt(1 - 4 / w)) / 2.
    """
    when, w = 0.3, 6.0
    theta = {
        "input-hidden1": {"weight": jnp.full((1, 1), w), "bias": jnp.zeros(1)},
        "hidden1-output": {"weight": jnp.ones((1, 1)), "bias": jnp.zeros(1)},
    }
    net = drawn(mlp, 1, 1, 1, activation="event_lif").with_theta(theta)
    record = recorded(rule, net, jnp.full((1, 1), when), None)
    first = float(record["free"].cell["hidden1"]["times"][0, 0, 0])
    return abs(first - (when - 2 * math.log((1 + math.sqrt(1 - 4 / w)) / 2)))
