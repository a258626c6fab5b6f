"""Online training through time is the gradient of the unrolled loop where each layer remembers by
itself.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from byway.core.check import Check
from byway.core.signal import LOSSES, Signal
from byway.network.builders import mlp
from byway.network.cells.leaky import Leaky
from byway.network.cells.lif import LIF
from byway.verify.oracle import (
    EXACT,
    cross_entropy,
    current,
    drawn,
    flat_memory,
    gap,
    samples,
    taught,
)

SOURCE = "Xiao et al. 2022"
TAU, THETA, DAMPENING = 6.0, 0.6, 0.3
STEPS, BATCH, UNITS, CLASSES = 9, 4, 5, 3


def checks(rule):
    exact = [
        Check(
            f"one layer of {name}: update = autodiff of the unrolled loop, the reset cut",
            lambda spikes=spikes: _off(rule, spikes),
            EXACT,
            SOURCE,
        )
        for name, spikes in (("lif", True), ("leaky", False))
    ]
    return [*exact, flat_memory(rule, SOURCE, mlp)]


@jax.custom_jvp
def _spike(above):
    return jnp.where(above > 0, 1.0, 0.0)


@_spike.defjvp
def _spike_jvp(primals, tangents):
    return _spike(primals[0]), DAMPENING / THETA * jnp.maximum(
        0, 1 - jnp.abs(primals[0] / THETA)
    ) * tangents[0]


def _off(rule, spikes: bool) -> float:
    cell = LIF(tau=TAU, threshold=THETA, dampening=DAMPENING) if spikes else Leaky(tau=TAU)
    net = drawn(mlp, 3, UNITS, CLASSES, activation=cell)
    net = net.with_theta(jax.tree.map(lambda a: 3 * a, net.theta))
    x, target = samples((BATCH, STEPS, 3), CLASSES)
    weight = np.random.default_rng(2).uniform(size=(BATCH, STEPS))
    weight = jnp.asarray(weight / weight.sum(1, keepdims=True))
    alpha = math.exp(-1 / TAU)

    def loss(theta):
        v = z = jnp.zeros((BATCH, UNITS))
        total = jnp.zeros(())
        for t in range(STEPS):
            u = current(x[:, t], theta["input-hidden1"])
            if spikes:
                v = alpha * v + u - THETA * jax.lax.stop_gradient(z)
                z = _spike(v - THETA)
            else:
                v = alpha * v + (1 - alpha) * u
                z = jnp.tanh(v)
            y = current(z, theta["hidden1-output"])
            total = total + jnp.sum(cross_entropy(y, target[:, t]) * weight[:, t]) / BATCH
        return total

    mine = taught(rule, net, x, Signal(target, LOSSES["cross_entropy"], weight))
    return gap(mine, jax.jit(jax.grad(loss))(net.theta))
