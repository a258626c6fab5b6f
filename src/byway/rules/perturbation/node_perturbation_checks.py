"""Node perturbation: the gradient on average, with the error of an average."""

import dataclasses

import numpy as np

from byway.core.check import Check
from byway.rules.perturbation._estimates import bias, slope
from byway.verify.oracle import gap, layered, ravel, recorded, taught

SOURCE = "Werfel, Xie and Seung 2005"


def checks(rule):
    small, large = (dataclasses.replace(rule, sigma=sigma) for sigma in (1e-4, 0.5))
    return [
        Check(
            "update = (C(noisy) - C(clean)) ξ h / σ, in NumPy",
            lambda: _definition(large),
            1e-10,
            SOURCE,
        ),
        Check(
            "error of a mean of K draws: slope of log error by log K",
            lambda: slope(small, layered(5, 4, 3)),
            0.06,
            "the law of large numbers",
            -0.5,
        ),
        Check(
            "quadratic loss, σ = 0.5: bias, in standard errors of 2¹⁵ draws",
            lambda: _bias(large),
            4.5,
            SOURCE,
        ),
    ]


def _definition(rule) -> float:
    net, x, signal, _ = layered(5, 4, 3, loss="squared_error")
    inputs, target = np.asarray(x), np.asarray(signal.target)
    noise = {
        name: np.asarray(xi)
        for name, xi in recorded(rule, net, x, signal)["noisy"].injected.items()
    }
    (w, b), (v, c) = [[np.asarray(p[k]) for k in ("weight", "bias")] for p in net.theta.values()]

    def run(one, two):
        h = np.tanh(inputs @ w + b + one)
        return h, np.sum((h @ v + c + two - target) ** 2, 1) / 2

    h, clean = run(0.0, 0.0)
    worse = ((run(noise["hidden1"], noise["output"])[1] - clean) / rule.sigma**2)[:, None]
    true = {
        name: {
            "weight": pre.T @ (worse * noise[dst]) / len(x),
            "bias": (worse * noise[dst]).mean(0),
        }
        for name, pre, dst in (
            ("input-hidden1", inputs, "hidden1"),
            ("hidden1-output", h, "output"),
        )
    }
    return gap(taught(rule, net, x, signal), true)


def _bias(rule) -> float:
    """The loss of a linear network is quadratic in the noise, whose odd moments vanish: no bias,
    however large sigma is.
    """
    problem = layered(5, 3, loss="squared_error")
    return bias(rule, problem, ravel(problem.gradient())[0])
