"""Spyx: surrogate gradients through its own scan, compiled by its own helper for a train step."""

import jax
import jax.numpy as jnp
import optax
import spyx.axn
import spyx.nn
import spyx.optimize
from flax import nnx

from benchmarks.job import Job
from benchmarks.report import version
from benchmarks.worker import Contestant


def bptt(job: dict) -> Contestant:
    """Updates one by one, as its documentation trains."""
    work = Job(**job)
    inputs, units, outputs = work.sizes
    rngs = nnx.Rngs(0)
    spike = spyx.axn.triangular()
    model = spyx.nn.Sequential(
        nnx.Linear(inputs, units, rngs=rngs),
        spyx.nn.RLIF((units,), beta=0.951, threshold=0.6, activation=spike, rngs=rngs),
        nnx.Linear(units, outputs, rngs=rngs),
    )
    optimiser = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)
    keys = jax.random.split(jax.random.key(0))
    x = jax.random.uniform(keys[0], (work.steps, work.length, work.batch, inputs))
    target = jax.random.uniform(keys[1], (work.steps, work.length, work.batch, outputs))

    def loss(model, x, target):
        output, _ = spyx.nn.run(model, x)
        return jnp.mean((output - target) ** 2)

    step = spyx.optimize.make_train_step(loss)

    def run():
        for i in range(work.steps):
            found = step(model, optimiser, x[i], target[i])
        jax.block_until_ready(found)

    return Contestant(run, facts={"versions": {name: version(name) for name in ("spyx", "jax")}})
