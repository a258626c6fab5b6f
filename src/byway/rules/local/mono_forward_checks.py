"""Scores in place of goodness: each layer descends the loss of its own scores, and only that."""

import jax
import jax.numpy as jnp
import numpy as np

from byway.core.check import Check
from byway.verify.oracle import (
    EXACT,
    apart,
    convolutional,
    cross_entropy,
    current,
    gap,
    layered,
    learned,
    recorded,
    taught,
)

SOURCE = "Gong, Li and Abdulla 2025"


def checks(rule):
    return [
        Check(
            "one hidden layer, M the readout: update = backprop's, by autodiff",
            lambda: _backprop(rule),
            EXACT,
            SOURCE,
        ),
        Check(
            "mlp: update and M = autodiff of each layer's own loss",
            lambda: _own_loss(rule, layered(6, 5, 4, 3, batch=7)),
            EXACT,
            SOURCE,
        ),
        Check("convnet: the same", lambda: _own_loss(rule, convolutional()), EXACT, SOURCE),
        Check(
            "sum of scores = readout + M h of every layer, in NumPy",
            lambda: _sum(rule),
            EXACT,
            SOURCE,
        ),
        Check(
            "other weights above: change of the update of a layer", lambda: _leak(rule), 0.0, SOURCE
        ),
    ]


def _backprop(rule) -> float:
    problem = layered(6, 5, 3, bias=False)
    gamma = {"hidden1": problem.net.theta["hidden1-output"]}
    return gap(
        taught(rule, problem.net, problem.x, problem.signal, gamma), _without_biases(problem)
    )


def _without_biases(problem):
    def loss(theta):
        h = jnp.tanh(problem.x @ theta["input-hidden1"]["weight"])
        y = h @ theta["hidden1-output"]["weight"]
        return jnp.mean(cross_entropy(y, problem.signal.target))

    return jax.jit(jax.grad(loss))(problem.net.theta)


def _own_loss(rule, problem) -> float:
    net, x, signal, _ = problem
    gamma = rule.init(net, jax.random.key(7))
    update = learned(rule, net, recorded(rule, net, x, signal, gamma), signal, gamma)
    order = [p.name for p in net.projections]  # jit hands dicts on sorted by name

    def loss(theta, gamma):
        h, total = x, jnp.zeros(())
        for name in order:
            layer, u = name.split("-")[1], current(jax.lax.stop_gradient(h), theta[name])
            h = jnp.tanh(u)
            scores = u if layer == "output" else h.reshape(len(h), -1) @ gamma[layer]["weight"]
            total = total + jnp.mean(cross_entropy(scores, signal.target))
        return total

    for_net, for_gamma = jax.jit(jax.grad(loss, (0, 1)))(net.theta, gamma)
    return max(gap(update.net, for_net), gap(update.gamma or {}, for_gamma))


def _sum(rule) -> float:
    net, x, _, _ = layered(6, 5, 4, 3)
    gamma = rule.init(net, jax.random.key(7))
    record = recorded(rule, net, x, None, gamma)
    h, total = np.asarray(x), 0.0
    for name, w in net.theta.items():
        u = h @ np.asarray(w["weight"]) + np.asarray(w["bias"])
        h, layer = np.tanh(u), name.split("-")[1]
        total = total + (u if layer == "output" else h @ np.asarray(gamma[layer]["weight"]))
    return apart(record.readouts["sum"], total)


def _leak(rule) -> float:
    net, x, signal, _ = layered(6, 5, 4, 3)
    moved = {
        name: {k: jnp.asarray(3 * np.asarray(a) - 0.1) for k, a in net.theta[name].items()}
        for name in ("hidden1-hidden2", "hidden2-output")
    }
    first = "input-hidden1"
    before, after = (taught(rule, n, x, signal)[first] for n in (net, net.with_theta(moved)))
    return gap({first: after}, {first: before})
