"""The floor in time, of spiking units: updates of a recurrent layer of leaky integrate-and-fire
units written out by hand in plain JAX, scanned over sequences given beforehand.

    v_t = alpha v_{t-1} + x_t U + z_{t-1} W + b - theta z_{t-1},   z_t = H(v_t - theta)
    o_t = z_t V + c,   loss = <sum_t weight_t |o_t - target_t|^2> / 2

H has the slope psi = (0.3 / theta) max(0, 1 - |v - theta| / theta), but none in the reset. Theta is
[(U, b), (W, None), (V, c)], as in `floor_time`.
"""

import math

import jax
import jax.numpy as jnp
from jax import Array

ALPHA, THRESHOLD, DAMPENING = math.exp(-1 / 20.0), 0.6, 0.3


def bptt(theta: list, feedback: Array, x: Array, target: Array, weight: Array) -> list:
    """Surrogate gradients, by automatic differentiation of a scan; feedback is not needed."""
    return jax.grad(_loss)(theta, *_by_time(x, target, weight))


def eprop(theta: list, feedback: Array, x: Array, target: Array, weight: Array) -> list:
    """Eligibility propagation, online: a trace for each presynaptic unit; feedback "out units"."""
    (into, bias), (again, _), (out, shift) = theta
    batch, units = len(x), len(again)
    zeros = lambda *shape: jnp.zeros((batch, *shape), x.dtype)

    def step(carry, now):
        v, z, heard, before, one, found = carry
        x, target, weight = now
        v, before = ALPHA * v + x @ into + z @ again + bias - THRESHOLD * z, ALPHA * before + z
        heard, one = ALPHA * heard + x, ALPHA * one + 1
        z, psi = jnp.where(v > THRESHOLD, 1.0, 0.0), _psi(v - THRESHOLD)
        error = (z @ out + shift - target) * weight[:, None] / batch
        worth = (error @ feedback) * psi
        new = [
            (heard.T @ worth, (one * worth).sum(0)),
            (before.T @ worth, None),
            (z.T @ error, error.sum(0)),
        ]
        return (v, z, heard, before, one, jax.tree.map(jnp.add, found, new)), None

    start = (
        zeros(units),
        zeros(units),
        zeros(x.shape[-1]),
        zeros(units),
        jnp.zeros((), x.dtype),
        jax.tree.map(jnp.zeros_like, theta),
    )
    return jax.lax.scan(step, start, _by_time(x, target, weight))[0][-1]


GRADIENTS = {"bptt": bptt, "eprop": eprop}


@jax.custom_jvp
def _spike(above: Array) -> Array:
    return jnp.where(above > 0, 1.0, 0.0)


@_spike.defjvp
def _spike_jvp(primals, tangents):
    return _spike(primals[0]), _psi(primals[0]) * tangents[0]


def _psi(above: Array) -> Array:
    return DAMPENING / THRESHOLD * jnp.maximum(0, 1 - jnp.abs(above / THRESHOLD))


def _loss(theta, x, target, weight):
    (into, bias), (again, _), (out, shift) = theta

    def step(carry, x):
        v, z = carry
        v = ALPHA * v + x @ into + z @ again + bias - THRESHOLD * jax.lax.stop_gradient(z)
        z = _spike(v - THRESHOLD)
        return (v, z), z

    nothing = jnp.zeros((x.shape[1], len(again)), x.dtype)
    _, spikes = jax.lax.scan(step, (nothing, nothing), x)
    squared = jnp.sum((spikes @ out + shift - target) ** 2, -1)
    return jnp.sum(weight * squared) / 2 / x.shape[1]


def _by_time(*arrays):
    return tuple(jnp.moveaxis(a, 1, 0) for a in arrays)
