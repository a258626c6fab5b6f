"""brainevent for `benchmarks.scale`: its sparse matrix by source times spikes, and by target times
rates; the units are written in JAX, in a scan.
"""

import math

import brainevent
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import scale

_held = {}


def build(units: int, seconds: float, rate: bool, threads: int) -> dict:
    """Make the network."""
    index, sends, v = scale.wired(units)
    if rate:
        data = jnp.asarray(sends[index] / 10.0, jnp.float32).reshape(-1)
        bounds = jnp.arange(units + 1, dtype=jnp.int32) * scale.FAN_IN
        given = data, jnp.asarray(index.reshape(-1)), bounds
        start = jnp.tanh(jnp.asarray(v + 55, jnp.float32))
    else:
        order = np.argsort(index.reshape(-1), kind="stable")
        target = (order // scale.FAN_IN).astype(np.int32)
        source = index.reshape(-1)[order]
        bounds = jnp.asarray(np.searchsorted(source, np.arange(units + 1)), jnp.int32)
        given = jnp.asarray(sends[source], jnp.float32), jnp.asarray(target), bounds
        zero = jnp.zeros(units, jnp.float32)
        start = jnp.asarray(v, jnp.float32), zero, zero, zero > 0
    alpha, beta = math.exp(-scale.DT / scale.TAU), math.exp(-scale.DT / scale.TAU_I)
    share = scale.TAU_I / (scale.TAU - scale.TAU_I) * (alpha - beta)

    def spiking(state, _, matrix):
        v, i, wait, spikes = state
        u = brainevent.BinaryArray(spikes) @ matrix
        v = scale.REST + alpha * (v - scale.REST) + share * i
        v = jnp.where(wait > 0, scale.RESET, v)
        spikes = v > scale.THRESHOLD
        wait = jnp.where(spikes, scale.REFRACTORY / scale.DT, jnp.maximum(wait - 1, 0))
        return (jnp.where(spikes, scale.RESET, v), beta * i + u, wait, spikes), spikes.sum()

    def rates(post, _, matrix):
        post = jnp.tanh(matrix @ post)
        return post, post.sum()

    matrix = brainevent.CSR(given, shape=(units, units))  # it looks at its bounds when it is used

    @jax.jit
    def run(start):
        step = rates if rate else spiking
        some = scale.steps(seconds)
        return jax.lax.scan(lambda s, t: step(s, t, matrix), start, None, some)[1]

    _held.update(run=run, args=(start,), units=units, seconds=seconds, threads=threads)
    return {}


def turn() -> dict:
    """Simulate from the start."""
    began = scale.clock(_held["threads"])
    spikes = jax.block_until_ready(_held["run"](*_held["args"]))
    took = scale.clock(_held["threads"]) - began
    return scale.ran(took, float(spikes.sum()), _held["units"], _held["seconds"])
