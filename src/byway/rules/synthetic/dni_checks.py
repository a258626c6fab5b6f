"""Synthetic gradients: with predictors that know, backprop; with predictors that guess nothing,
nothing; and predictors that learn by their own loss alone.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from byway.core.check import Check
from byway.verify.oracle import (
    EXACT,
    apart,
    current,
    gap,
    layered,
    learned,
    least_squares,
    owed,
    recorded,
    taught,
)

JADERBERG = "Jaderberg et al. 2016"
CZARNECKI = "Czarnecki et al. 2017"


def checks(rule):
    told = dataclasses.replace(rule, conditioned=True, width=0)
    untold = dataclasses.replace(rule, conditioned=False, width=0)
    wide = dataclasses.replace(rule, conditioned=True, width=5)
    return [
        Check(
            "tanh net, M fitted to autodiff's dC/dh of each sample: update = autodiff",
            lambda: max(_oracle(told), _oracle(untold)),
            1e-10,
            JADERBERG,
        ),
        Check(
            "linear net, squared error, M by least squares: update = autodiff",
            lambda: _linear(told)[0],
            1e-10,
            CZARNECKI,
        ),
        Check(
            "the same: update of M, which has nothing left to learn",
            lambda: _linear(told)[1],
            1e-10,
            CZARNECKI,
        ),
        Check("no guess: change of hidden layers", lambda: _still(told), 0.0, JADERBERG),
        Check(
            "update of M, with a hidden layer or without = autodiff of |d - z|² / 2",
            lambda: max(_own_loss(wide), _own_loss(untold)),
            EXACT,
            JADERBERG,
        ),
        Check(
            "other weights above: change of the update of a layer",
            lambda: _leak(wide),
            0.0,
            JADERBERG,
        ),
    ]


def _looked_at(rule, signal, sent):
    return {
        name: jnp.concatenate([h, signal.target], 1) if rule.conditioned else h
        for name, h in sent.items()
    }


def _knowing(seen, wanted):
    return {name: {"out": least_squares(seen[name], what)} for name, what in wanted.items()}


def _oracle(rule) -> float:
    """Fewer samples than a predictor has numbers for each unit: a linear map has room for all."""
    problem = layered(6, 5, 7, 4, batch=5)
    sent, wanted = owed(problem)
    gamma = _knowing(_looked_at(rule, problem.signal, sent), wanted)
    return gap(taught(rule, problem.net, problem.x, problem.signal, gamma), problem.gradient())


def _linear(rule) -> tuple[float, float]:
    """The loss owes a linear map of activity, target and one: its least squares finds that."""
    problem = layered(6, 5, 4, 3, phi="identity", loss="squared_error", batch=40)
    net, x, signal, _ = problem
    sent, wanted = owed(problem, "identity", "squared_error")
    gamma = _knowing(_looked_at(rule, signal, sent), wanted)
    update = learned(rule, net, recorded(rule, net, x, signal, gamma), signal, gamma)
    left = [np.abs(np.asarray(a)).max() for a in jax.tree.leaves(update.gamma)]
    return gap(update.net, problem.gradient()), float(max(left))


def _still(rule) -> float:
    net, x, signal, _ = layered(6, 5, 4, 3)
    update = taught(rule, net, x, signal)
    return max(
        float(jnp.abs(a).max())
        for name in ("input-hidden1", "hidden1-hidden2")
        for a in update[name].values()
    )


def _moved(gamma):
    return jax.tree.map(
        lambda a: a + 0.1 * jnp.cos(jnp.arange(a.size, dtype=a.dtype)).reshape(a.shape), gamma
    )


def _guess(predictor, z):
    if "in" in predictor:
        z = jnp.maximum(current(z, predictor["in"]), 0)
    return current(z, predictor["out"])


def _own_loss(rule) -> float:
    net, x, signal, _ = layered(6, 5, 4, 3)
    gamma = _moved(rule.init(net, jax.random.key(7)))
    update = learned(rule, net, recorded(rule, net, x, signal, gamma), signal, gamma)
    w = net.theta
    h1 = jnp.tanh(current(x, w["input-hidden1"]))
    h2 = jnp.tanh(current(h1, w["hidden1-hidden2"]))
    error = jax.nn.softmax(current(h2, w["hidden2-output"])) - signal.target
    seen = _looked_at(rule, signal, {"hidden1": h1, "hidden2": h2})
    above = error @ w["hidden2-output"]["weight"].T
    below = (_guess(gamma["hidden2"], seen["hidden2"]) * (1 - h2**2)) @ w["hidden1-hidden2"][
        "weight"
    ].T
    wanted = {"hidden1": below, "hidden2": above}

    def loss(gamma):
        return sum(
            jnp.sum((_guess(gamma[name], seen[name]) - z) ** 2) / 2 / len(x)
            for name, z in wanted.items()
        )

    true = jax.jit(jax.grad(loss))(gamma)
    return max(
        apart(a, b) for a, b in zip(*map(jax.tree.leaves, (update.gamma, true)), strict=True)
    )


def _leak(rule) -> float:
    net, x, signal, _ = layered(6, 5, 4, 3)
    gamma = _moved(rule.init(net, jax.random.key(7)))
    moved = {
        name: {k: jnp.asarray(3 * np.asarray(a) - 0.1) for k, a in net.theta[name].items()}
        for name in ("hidden1-hidden2", "hidden2-output")
    }
    first = "input-hidden1"
    before, after = (taught(rule, n, x, signal, gamma)[first] for n in (net, net.with_theta(moved)))
    return gap({first: after}, {first: before})
