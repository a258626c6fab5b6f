"""Local error signals: each layer descends a loss of its own, by autodiff of that loss written out,
and only that.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from byway.core.check import Check
from byway.core.signal import LOSSES, Signal
from byway.network.builders import convnet
from byway.verify.oracle import (
    EXACT,
    Problem,
    cross_entropy,
    current,
    drawn,
    gap,
    layered,
    learned,
    recorded,
    samples,
    taught,
)

SOURCE = "Nokland and Eidnes 2019"


def checks(rule):
    even = dataclasses.replace(rule, beta=0.6)
    return [
        Check(
            "mlp: update and heads = autodiff of each layer's own loss",
            lambda: _own_loss(even, _dense()),
            EXACT,
            SOURCE,
        ),
        Check("convnet: the same", lambda: _own_loss(even, _maps()), EXACT, SOURCE),
        Check(
            "beta 0, V the readout: update = backprop's, by autodiff",
            lambda: _backprop(rule),
            EXACT,
            SOURCE,
        ),
        Check(
            "other weights above: change of the update of a layer", lambda: _leak(even), 0.0, SOURCE
        ),
    ]


def _dense():
    return layered(6, 5, 4, 3, batch=7)


def _maps():
    net = drawn(convnet, (8, 8, 2), (4, 2), 3, activation="tanh")
    x, target = samples((7, 8, 8, 2), 3)
    return Problem(net, x, Signal(target, LOSSES["cross_entropy"]), lambda theta: jnp.zeros(()))


def _likeness(a):
    a = a.reshape(len(a), -1)
    a = a - jnp.mean(a, 1)[:, None]
    a = a / jnp.sqrt(jnp.sum(a**2, 1))[:, None]
    return a @ a.T


def _compared(post, w):
    """What samples are compared by: a product, or a convolution; of many channels, the standard
    deviation of each.
    """
    if post.ndim == 2:
        return current(post, w)
    z = jax.lax.conv_general_dilated(
        post, w["weight"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return (
        jnp.sqrt(jnp.mean((z - jnp.mean(z, (1, 2))[:, None, None, :]) ** 2, (1, 2)))
        if z.shape[-1] > 3
        else z
    )


def _own_loss(rule, problem) -> float:
    net, x, signal, _ = problem
    gamma = rule.init(net, jax.random.key(7))
    gamma = jax.tree.map(
        lambda a: a + 0.1 * jnp.cos(jnp.arange(a.size, dtype=a.dtype)).reshape(a.shape), gamma
    )
    update = learned(rule, net, recorded(rule, net, x, signal, gamma), signal, gamma)

    def loss(theta, gamma):
        h, total = x, jnp.zeros(())
        for name, w in theta.items():
            layer, u = name.split("-")[1], current(jax.lax.stop_gradient(h), w)
            if layer == "output":
                total = total + jnp.mean(cross_entropy(u, signal.target))
                continue
            h, heads = jnp.tanh(u), gamma[layer]
            likeness = _likeness(_compared(h, heads["sim"]))
            total = total + rule.beta * jnp.mean((likeness - _likeness(signal.target)) ** 2)
            total = total + (1 - rule.beta) * jnp.mean(
                cross_entropy(current(h, heads["pred"]), signal.target)
            )
        return total

    order = [p.name for p in net.projections]  # jit hands dicts on sorted by name
    both = jax.jit(
        jax.grad(lambda theta, gamma: loss({name: theta[name] for name in order}, gamma), (0, 1))
    )
    for_net, for_gamma = both(net.theta, gamma)
    heads = [
        {f"{layer}.{k}": w for layer, parts in tree.items() for k, w in parts.items()}
        for tree in (update.gamma or {}, for_gamma)
    ]
    return max(gap(update.net, for_net), gap(*heads))


def _backprop(rule) -> float:
    """With one hidden layer whose prediction is the readout itself, a loss of its own is the
    loss.
    """
    problem = layered(6, 5, 3)
    readout = problem.net.theta["hidden1-output"]
    gamma = rule.init(problem.net, jax.random.key(7))
    gamma["hidden1"]["pred"] = readout
    return gap(
        taught(dataclasses.replace(rule, beta=0.0), problem.net, problem.x, problem.signal, gamma),
        problem.gradient(),
    )


def _leak(rule) -> float:
    net, x, signal, _ = _dense()
    moved = {
        name: {k: jnp.asarray(3 * np.asarray(a) - 0.1) for k, a in net.theta[name].items()}
        for name in ("hidden1-hidden2", "hidden2-output")
    }
    first = "input-hidden1"
    before, after = (taught(rule, n, x, signal)[first] for n in (net, net.with_theta(moved)))
    return gap({first: after}, {first: before})
