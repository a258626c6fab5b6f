"""The floor in time: updates of a vanilla recurrent network written out by hand in plain JAX,
scanned over sequences given beforehand.

    h_t = tanh(x_t U + h_{t-1} W + b),   o_t = h_t V + c,
    loss = <sum_t weight_t |o_t - target_t|^2> / 2

Theta is [(U, b), (W, None), (V, c)], as in `floor`; weights are "pre post". Both updates take the
same gradient.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from benchmarks.floor import State, adam


def make_epoch(gradient: Callable) -> Callable:
    """`epoch(state, x, target, weight) -> state`, an update for each entry of the leading axis; to
    be jitted with the state donated.
    """

    def epoch(state: State, *data: Array) -> State:
        return jax.lax.scan(
            lambda state, batch: (adam(state, gradient(state.theta, *batch)), None), state, data
        )[0]

    return epoch


def bptt(theta: list, x: Array, target: Array, weight: Array) -> list:
    """Backprop through time, by automatic differentiation of a scan. x and target "batch time
    units", weight "batch time".
    """
    return jax.grad(_loss)(theta, *_by_time(x, target, weight))


def rtrl(theta: list, x: Array, target: Array, weight: Array) -> list:
    """Real-time recurrent learning: J "batch theta unit" is dh/d(theta), the three arrays that feed
    h stacked into one.
    """
    (into, bias), (again, _), (out, shift) = theta
    stacked, own = (
        jnp.concatenate([into, again, bias[None]]),
        jnp.eye(len(again), dtype=again.dtype),
    )
    batch = len(x)

    def step(carry, now):
        h, J, found, read = carry
        x, target, weight = now
        z = jnp.concatenate([x, h, jnp.ones((batch, 1), h.dtype)], 1)
        h = jnp.tanh(z @ stacked)
        # phi' * (J W + dz/dtheta), with phi' taken into the small factors: J, the largest array by
        # far, is gone through once.
        slope = (1 - h**2)[:, None, :]
        J = J @ (again * slope) + (z[:, :, None, None] * (own * slope)[:, None]).reshape(J.shape)
        error = (h @ out + shift - target) * weight[:, None] / batch
        # As a product for each sample, since XLA would transpose J for the sum over samples and
        # units at once.
        found = found + jnp.sum(J @ (error @ out.T)[:, :, None], 0)[:, 0]
        return (h, J, found, (read[0] + h.T @ error, read[1] + error.sum(0))), None

    h, J = (
        jnp.zeros((batch, len(again)), x.dtype),
        jnp.zeros((batch, stacked.size, len(again)), x.dtype),
    )
    start = h, J, jnp.zeros(stacked.size, x.dtype), (jnp.zeros_like(out), jnp.zeros_like(shift))
    (_, _, found, read), _ = jax.lax.scan(step, start, _by_time(x, target, weight))
    found = found.reshape(stacked.shape)
    return [(found[: len(into)], found[-1]), (found[len(into) : -1], None), read]


GRADIENTS = {"bptt": bptt, "rtrl": rtrl}


def _loss(theta, x, target, weight):
    (into, bias), (again, _), (out, shift) = theta

    def step(h, x):
        h = jnp.tanh(x @ into + bias + h @ again)
        return h, h

    _, hidden = jax.lax.scan(step, jnp.zeros((x.shape[1], len(again)), x.dtype), x)
    squared = jnp.sum((hidden @ out + shift - target) ** 2, -1)
    return jnp.sum(weight * squared) / 2 / x.shape[1]


def _by_time(*arrays):
    return tuple(jnp.moveaxis(a, 1, 0) for a in arrays)
