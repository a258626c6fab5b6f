"""Synthetic inputs and gradients: with predictors that know, backprop; and a layer that no other
layer's weights reach.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from byway.core.check import Check
from byway.verify.oracle import (
    EXACT,
    apart,
    gap,
    layered,
    learned,
    least_squares,
    owed,
    recorded,
    taught,
)

SOURCE = "Jaderberg et al. 2016"


def checks(rule):
    plain = dataclasses.replace(rule, conditioned=True, width=0)
    wide = dataclasses.replace(rule, conditioned=True, width=5)
    return [
        Check(
            "I and M fitted to what is sent and owed, by autodiff: update = autodiff",
            lambda: _oracle(plain)[0],
            1e-10,
            SOURCE,
        ),
        Check(
            "the same: update of I and of the last M",
            lambda: _oracle(plain)[1],
            1e-10,
            SOURCE,
        ),
        Check("no guess: change of hidden layers", lambda: _still(plain), 0.0, SOURCE),
        Check(
            "update of I = autodiff of |s - h|² / 2, h given",
            lambda: max(_own_loss(wide), _own_loss(plain)),
            EXACT,
            SOURCE,
        ),
        Check(
            "other weights in all other layers: change of the update of a layer",
            lambda: _leak(wide),
            0.0,
            SOURCE,
        ),
    ]


def _oracle(rule) -> tuple[float, float]:
    """Fewer samples than numbers for each unit: linear maps have room for all of them."""
    problem = layered(6, 5, 7, 4, batch=5)
    net, x, signal, _ = problem
    sent, wanted = owed(problem)
    seen = {name: jnp.concatenate([h, signal.target], 1) for name, h in sent.items()}
    gamma = {
        "gradient": {k: {"out": least_squares(seen[k], what)} for k, what in wanted.items()},
        "input": {k: {"out": least_squares(x, h)} for k, h in sent.items()},
    }
    update = learned(rule, net, recorded(rule, net, x, signal, gamma), signal, gamma)
    told = update.gamma or {}
    left = [told["input"], told["gradient"]["hidden2"]]
    return gap(update.net, problem.gradient()), max(
        float(jnp.abs(a).max()) for a in jax.tree.leaves(left)
    )


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
    through = lambda h, w: h @ w["weight"] + w["bias"][None]
    if "in" in predictor:
        z = jnp.maximum(through(z, predictor["in"]), 0)
    return through(z, predictor["out"])


def _own_loss(rule) -> float:
    net, x, signal, _ = layered(6, 5, 4, 3)
    gamma = _moved(rule.init(net, jax.random.key(7)))
    update = learned(rule, net, recorded(rule, net, x, signal, gamma), signal, gamma)
    guess = {name: _guess(predictor, x) for name, predictor in gamma["input"].items()}
    sent = {"hidden1": jnp.tanh(_through(net, "input-hidden1", x))}
    sent["hidden2"] = jnp.tanh(_through(net, "hidden1-hidden2", guess["hidden1"]))

    def loss(predictors):
        return sum(
            jnp.sum((_guess(predictors[name], x) - h) ** 2) / 2 / len(x) for name, h in sent.items()
        )

    true = jax.jit(jax.grad(loss))(gamma["input"])
    mine = (update.gamma or {})["input"]
    return max(apart(a, b) for a, b in zip(*map(jax.tree.leaves, (mine, true)), strict=True))


def _through(net, name, h):
    return h @ net.theta[name]["weight"] + net.theta[name]["bias"][None]


def _leak(rule) -> float:
    """Everything changed but one layer, the middle one, and what its own predictors know."""
    net, x, signal, _ = layered(6, 5, 4, 3)
    gamma = _moved(rule.init(net, jax.random.key(7)))
    moved = {
        name: {k: jnp.asarray(3 * np.asarray(a) - 0.1) for k, a in net.theta[name].items()}
        for name in ("input-hidden1", "hidden2-output")
    }
    own = "hidden1-hidden2"
    before, after = (taught(rule, n, x, signal, gamma)[own] for n in (net, net.with_theta(moved)))
    return gap({own: after}, {own: before})
