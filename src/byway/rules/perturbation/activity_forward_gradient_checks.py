"""Forward gradient of activity: each group against autodiff of its layer's own loss, alone, and
with the variance of a group.
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
    recorded,
    samples,
    taught,
)

SOURCE = "Ren et al. 2023"


def checks(rule):
    some = dataclasses.replace(rule, group=2, draws=3)
    return [
        Check(
            "mlp: update = (g · ξ) ξ h group by group, g by autodiff of the layer's loss",
            lambda: _by_group(some, layered(6, 5, 4, 3, batch=7)),
            EXACT,
            SOURCE,
        ),
        Check("convnet: the same, place by place", lambda: _by_group(some, _maps()), EXACT, SOURCE),
        Check(
            "groups of 3: E |delta|² / |g|²",
            lambda: _spread(dataclasses.replace(rule, group=3, draws=1)),
            0.15,
            "Isserlis 1918",
            5.0,
        ),
        Check(
            "other weights above: change of the update of a layer", lambda: _leak(some), 0.0, SOURCE
        ),
    ]


def _maps():
    net = drawn(convnet, (4, 4, 2), (3,), 3, activation="tanh")
    x, target = samples((5, 4, 4, 2), 3)
    return Problem(net, x, Signal(target, LOSSES["cross_entropy"]), lambda theta: jnp.zeros(()))


def _gamma(rule, net):
    gamma = rule.init(net, jax.random.key(7))
    return jax.tree.map(
        lambda a: a + 0.1 * jnp.cos(jnp.arange(a.size, dtype=a.dtype)).reshape(a.shape), gamma
    )


def _by_group(rule, problem) -> float:
    """Every group by itself: the slope of the layer's loss by that group's potentials, of one
    sample.
    """
    net, x, signal, _ = problem
    gamma = _gamma(rule, net)
    free, wanted, h = recorded(rule, net, x, signal, gamma)["free"], {}, x
    for p in net.projections:
        u = current(h, net.theta[p.name])
        if p.dst == net.output:
            delta = np.asarray(jax.nn.softmax(u) - signal.target)
        else:
            slope = np.asarray(
                jax.jit(
                    jax.grad(
                        lambda u, p=p: jnp.sum(
                            cross_entropy(current(jnp.tanh(u), gamma[p.dst]), signal.target)
                        )
                    )
                )(u)
            )
            delta = np.zeros(u.shape)
            for xi in np.asarray(free.injected[p.dst]):
                for start in range(0, u.shape[-1], rule.group):
                    some = np.s_[..., start : start + rule.group]
                    s = np.sum(slope[some] * xi[some], -1, keepdims=True)
                    delta[some] += s * xi[some] / rule.draws
        wanted[p.name] = jax.jit(
            lambda w, h, delta: jax.vjp(lambda w: current(h, w), w)[1](delta / len(delta))[0]
        )(net.theta[p.name], h, delta)
        h = jnp.tanh(u)
    return gap(taught(rule, net, x, signal, gamma), wanted)


def _spread(rule) -> float:
    """Of one sample, and one group: the update of the biases is delta."""
    net, x, signal, _ = layered(6, 3, 4, batch=1)
    gamma = _gamma(rule, net)
    keys = np.arange(2**16)
    bias = lambda key: taught(rule, net, x, signal, gamma, key)["input-hidden1"]["bias"]
    each = np.asarray(jax.jit(jax.vmap(bias))(keys))
    u = current(x, net.theta["input-hidden1"])
    true = jax.jit(
        jax.grad(
            lambda u: jnp.sum(cross_entropy(current(jnp.tanh(u), gamma["hidden1"]), signal.target))
        )
    )(u)
    return float(np.mean(np.sum(each**2, 1)) / np.sum(np.asarray(true) ** 2))


def _leak(rule) -> float:
    net, x, signal, _ = layered(6, 5, 4, 3, batch=7)
    moved = {
        name: {k: jnp.asarray(3 * np.asarray(a) - 0.1) for k, a in net.theta[name].items()}
        for name in ("hidden1-hidden2", "hidden2-output")
    }
    first = "input-hidden1"
    before, after = (taught(rule, n, x, signal)[first] for n in (net, net.with_theta(moved)))
    return gap({first: after}, {first: before})
