"""Evolution strategies: the definition, nothing but the order of losses, and the direction of the
gradient on average.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from typing_extensions import override

from byway.core.check import Check
from byway.core.signal import LOSSES, Loss, Signal
from byway.rules.perturbation._directions import drawn
from byway.rules.perturbation._estimates import updates
from byway.verify.oracle import gap, layered, ravel, recorded, taught

SOURCE = "Salimans et al. 2017"


class Steep(Loss):
    """Cross-entropy, exponentially: another loss with the same order."""

    @override
    def value(self, output, target):
        return jnp.exp(3 * LOSSES["cross_entropy"].value(output, target))

    @override
    def link(self, output):
        return LOSSES["cross_entropy"].link(output)


class Level(Steep):
    """A loss that is the same whatever the output."""

    @override
    def value(self, output, target):
        return jnp.zeros(output.shape[:-1], output.dtype)


def checks(rule):
    few = dataclasses.replace(rule, sigma=0.3, pairs=4)
    return [
        Check(
            "update = Σ (rank(up) - rank(down)) V / 2Nσ, in NumPy",
            lambda: _definition(few),
            1e-10,
            SOURCE,
        ),
        Check(
            "exp(3 C) in place of C: change of the update",
            lambda: _order(few),
            0.0,
            "ranks are those of any increasing function",
        ),
        Check("a loss that never changes: update", lambda: _level(few), 0.0, "equal ranks"),
        Check(
            "cosine of the mean of 2¹⁵ updates and the gradient",
            lambda: _direction(dataclasses.replace(rule, sigma=1e-3, pairs=2)),
            0.01,
            "any odd function of g · v, on average, points along g",
            1.0,
        ),
    ]


def _definition(rule) -> float:
    net, x, signal, _ = layered(5, 4, 3, loss="squared_error")
    (w, b), (v, c) = [[np.asarray(p[k]) for k in ("weight", "bias")] for p in net.theta.values()]
    keys = recorded(rule, net, x, signal)["up"].injected["key"]
    moved = jax.tree.map(np.asarray, jax.jit(jax.vmap(lambda key: drawn(net, key)))(keys))
    inputs, target = np.asarray(x), np.asarray(signal.target)
    losses = []
    for sign in (1, -1):
        for k in range(rule.pairs):
            (dw, db), (dv, dc) = [
                [sign * rule.sigma * p[part][k] for part in ("weight", "bias")]
                for p in (moved["input-hidden1"], moved["hidden1-output"])
            ]
            y = np.tanh(inputs @ (w + dw) + b + db) @ (v + dv) + c + dc
            losses.append(np.mean(np.sum((y - target) ** 2, 1)) / 2)
    place = np.empty(len(losses))
    place[np.argsort(losses)] = np.linspace(-0.5, 0.5, len(losses))
    up, down = np.split(place, 2)
    shaped = (up - down) / (2 * rule.pairs * rule.sigma)
    true = {
        name: {part: np.tensordot(shaped, a, 1) for part, a in p.items()}
        for name, p in moved.items()
    }
    return gap(taught(rule, net, x, signal), true)


def _order(rule) -> float:
    """Of one sample: a mean of several would not keep its order."""
    net, x, signal, _ = layered(5, 4, 3, batch=1)
    steep = taught(rule, net, x, Signal(signal.target, Steep()))
    return gap(steep, taught(rule, net, x, signal))


def _level(rule) -> float:
    net, x, signal, _ = layered(5, 4, 3)
    update = taught(rule, net, x, Signal(signal.target, Level()))
    return max(float(np.abs(a).max()) for a in jax.tree.leaves(update))


def _direction(rule) -> float:
    problem = layered(3, 2, loss="squared_error")
    mean, true = updates(rule, problem, 2**15).mean(0), ravel(problem.gradient())[0]
    return float(mean @ true / np.linalg.norm(mean) / np.linalg.norm(true))
