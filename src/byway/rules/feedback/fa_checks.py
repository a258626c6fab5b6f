"""Feedback alignment: backprop where B is the transpose, which it is not at first and comes to
resemble.
"""

import jax
import jax.numpy as jnp
import numpy as np

from byway.core.check import Check
from byway.core.signal import Signal, SquaredError
from byway.network.builders import mlp
from byway.verify.oracle import (
    EXACT,
    convolutional,
    drawn,
    from_autodiff,
    gap,
    layered,
    taught,
)

SOURCE = "Lillicrap, Cownden, Tweed and Akerman 2016"


def checks(rule):

    def transposed():
        problem = convolutional()
        return from_autodiff(rule, problem, _transposes(problem.net))

    return [
        Check(
            "mlp, B = Wᵀ at each of 5 steps: weights = gradient descent's",
            lambda: _descent(rule),
            EXACT,
            SOURCE,
        ),
        Check("convnet, B = Wᵀ: update = autodiff", transposed, EXACT, SOURCE),
        Check(
            "B drawn from the weights' key: cosine to Wᵀ, in standard errors",
            lambda: _likeness(rule),
            4.0,
            "independence",
        ),
        Check(
            "linear net: angle of B e to Wᵀ e after 60 steps [°]",
            lambda: _angle(rule),
            45.0,
            SOURCE,
        ),
    ]


def _transposes(net):
    return {p.name: p.weight for p in net.projections if p.src != net.input}


def _descent(rule) -> float:
    problem = layered(6, 5, 4, 3)

    @jax.jit
    def five(mine, true):
        for _ in range(5):
            net = problem.net.with_theta(mine)
            update = taught(rule, net, problem.x, problem.signal, _transposes(net))
            true = jax.tree.map(lambda w, d: w - 0.5 * d, true, jax.grad(problem.loss)(true))
            mine = jax.tree.map(lambda w, d: w - 0.5 * d, mine, update)
        return mine, true

    return gap(*five(problem.net.theta, problem.net.theta))


def _likeness(rule) -> float:
    """The cosine of two independent random matrices of n entries has a standard deviation of 1 /
    sqrt(n).
    """
    net, gamma = jax.jit(
        lambda: (net := mlp(10, 30, 20, 10, key=0), rule.init(net, jax.random.key(0)))
    )()
    pairs = [(np.ravel(gamma[name]), np.ravel(w)) for name, w in _transposes(net).items()]
    return max(
        float(abs(b @ w) / (np.linalg.norm(b) * np.linalg.norm(w)) * np.sqrt(w.size))
        for b, w in pairs
    )


def _angle(rule) -> float:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(200, 10))
    target = x @ draw.normal(size=(10, 4))
    net = drawn(mlp, 10, 20, 4, activation="identity", bias=False)
    b = draw.normal(size=(20, 4)) / 2

    @jax.jit
    def trained(theta):
        def step(theta, _):
            signal = Signal(jnp.asarray(target), SquaredError())
            update = taught(
                rule,
                net.with_theta(theta),
                jnp.asarray(x),
                signal,
                {"hidden1-output": jnp.asarray(b)},
            )
            return jax.tree.map(lambda w, d: w - 0.02 * d, theta, update), None

        return jax.lax.scan(step, theta, length=60)[0]

    theta = trained(jax.tree.map(lambda w: np.asarray(w) * 0.01, net.theta))
    first, second = (np.asarray(theta[p.name]["weight"]) for p in net.projections)
    e = x @ first @ second - target
    fed, true = e @ b.T, e @ second.T
    cosine = np.sum(fed * true, 1) / (np.linalg.norm(fed, axis=1) * np.linalg.norm(true, axis=1))
    return float(np.degrees(np.arccos(cosine)).mean())
