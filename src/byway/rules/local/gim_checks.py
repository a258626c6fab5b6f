"""Greedy InfoNCE: each map descends its own contrast, written out row by row, from chance."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np

from byway.core.check import Check
from byway.core.signal import LOSSES, Signal
from byway.network.builders import convnet
from byway.verify.oracle import (
    EXACT,
    apart,
    cross_entropy,
    drawn,
    gap,
    learned,
    recorded,
    samples,
    taught,
)

SOURCE = "Lowe, O'Connor and Veeling 2019"
BATCH, SHAPE, CHANNELS = 5, (6, 4, 2), (3, 2)


def checks(rule):
    near = dataclasses.replace(rule, ahead=2, skip=0)
    far = dataclasses.replace(rule, ahead=3, skip=1)
    return [
        Check(
            "update and V = autodiff of each map's own contrast, by loops",
            lambda: max(_own_loss(near), _own_loss(far)),
            EXACT,
            SOURCE,
        ),
        Check(
            "as drawn: distance of the contrast from log(negatives + 1)",
            lambda: abs(_contrast(far, far.init(_net(), jax.random.key(0))) - math.log(BATCH)),
            EXACT,
            SOURCE,
        ),
        Check(
            "measured contrast = its definition, by loops",
            lambda: apart(_contrast(far, _gamma(far)), _defined(far)),
            EXACT,
            SOURCE,
        ),
        Check(
            "other weights above, other labels: change of the update of a map",
            lambda: _leak(far),
            0.0,
            SOURCE,
        ),
    ]


def _net():
    return drawn(convnet, SHAPE, CHANNELS, 3, pool=1, activation="tanh")


def _given():
    x, target = samples((BATCH, *SHAPE), 3)
    return x, Signal(target, LOSSES["cross_entropy"])


def _gamma(rule):
    zeros = rule.init(_net(), jax.random.key(0))
    draw = np.random.default_rng(5)
    return {name: jnp.asarray(draw.normal(size=v.shape)) for name, v in zeros.items()}


def _contrast(rule, gamma) -> float:
    x, signal = _given()
    return float(recorded(rule, _net(), x, signal, gamma).measures["contrast"])


def _one(rule, h, v):
    """The contrast of one map, one row after another; terms are "image told, image, column"."""
    rows, parts = h.shape[1], []
    for k in range(1, v.shape[0] + 1):
        terms = []
        for i in range(rows - rule.skip - k):
            below, above = h[:, i + rule.skip + k], h[:, i]
            guess = jnp.sum(above[..., None] * v[k - 1][None, None], 2)
            scores = jnp.sum(below[:, None] * guess[None], 3)
            right = jnp.stack([scores[b, b] for b in range(BATCH)])
            terms.append(jnp.mean(jnp.log(jnp.sum(jnp.exp(scores), 0)) - right))
        parts.append(sum(terms) / len(terms))
    return sum(parts) / len(parts)


def _through(h, w):
    u = jax.lax.conv_general_dilated(
        h, w["weight"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return jnp.tanh(u + w["bias"][None, None, None, :])


def _own_loss(rule) -> float:
    net, (x, signal), gamma = _net(), _given(), _gamma(rule)
    update = learned(rule, net, recorded(rule, net, x, signal, gamma), signal, gamma)

    def loss(theta, gamma):
        first = _through(x, theta["input-conv1"])
        second = _through(jax.lax.stop_gradient(first), theta["conv1-conv2"])
        w = theta["conv2-output"]
        flat = jax.lax.stop_gradient(second).reshape(BATCH, -1)
        output = flat @ w["weight"] + w["bias"][None]
        told = _one(rule, first, gamma["conv1"]) + _one(rule, second, gamma["conv2"])
        return told + jnp.mean(cross_entropy(output, signal.target))

    for_net, for_gamma = jax.jit(jax.grad(loss, (0, 1)))(net.theta, gamma)
    return max(
        gap(update.net, for_net),
        *(apart((update.gamma or {})[name], v) for name, v in for_gamma.items()),
    )


def _defined(rule) -> float:
    net, (x, _), gamma = _net(), _given(), _gamma(rule)

    @jax.jit
    def both():
        first = _through(x, net.theta["input-conv1"])
        second = _through(first, net.theta["conv1-conv2"])
        return (_one(rule, first, gamma["conv1"]) + _one(rule, second, gamma["conv2"])) / 2

    return float(both())


def _leak(rule) -> float:
    net, (x, signal), gamma = _net(), _given(), _gamma(rule)
    moved = net.with_theta(
        {
            name: {k: jnp.asarray(3 * np.asarray(a) - 0.1) for k, a in net.theta[name].items()}
            for name in ("conv1-conv2", "conv2-output")
        }
    )
    others = Signal(signal.target[::-1], signal.criterion)
    first = "input-conv1"
    before = taught(rule, net, x, signal, gamma)[first]
    after = taught(rule, moved, x, others, gamma)[first]
    return gap({first: after}, {first: before})
