"""jpc's predictive coding with its discrete updates, compiled as one scan over the epoch with a
scan over the settling steps in it.
"""

import functools
from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
import jpc
import numpy as np
import optax

from benchmarks.job import Job
from benchmarks.report import version
from benchmarks.worker import Contestant


def scanned(job: dict, path: str) -> Contestant:
    """Everything in one program, which is the fastest way to use it."""
    work = Job(**job)
    data = {name: jnp.asarray(array) for name, array in np.load(path).items()}
    hyper = dict(work.hyper)
    model = _mlp(work.sizes)
    # Its energy is a mean over the batch, so a value moves at the rate of a sum when the rate is
    # multiplied by the batch.
    descent, adam = optax.sgd(hyper["rate"] * work.batch), optax.adam(1e-3)
    carry, still = eqx.partition(
        (model, adam.init((eqx.filter(model, eqx.is_array), None))), eqx.is_array
    )
    draw = np.random.default_rng(0)

    def update(carry, index, pixels, labels):
        model, moments = eqx.combine(carry, still)
        x, y = pixels[index], jax.nn.one_hot(labels[index], work.sizes[-1])
        clamped = {"params": (model, None), "output": y, "input": x}

        def settle(values, _):
            return jpc.update_pc_activities(
                activities=values, optim=descent, opt_state=descent.init(values), **clamped
            )["activities"], None

        values = jax.lax.scan(
            settle, jpc.init_activities_with_ffwd(model, x), length=int(hyper["steps"])
        )[0]
        after = jpc.update_pc_params(activities=values, optim=adam, opt_state=moments, **clamped)
        return eqx.filter((after["model"], after["opt_state"]), eqx.is_array), None

    @functools.partial(jax.jit, donate_argnums=0)
    def epoch(carry, order, pixels, labels):
        return jax.lax.scan(
            lambda carry, index: update(carry, index, pixels, labels), carry, order
        )[0]

    def run():
        nonlocal carry
        order = draw.permutation(len(data["train_y"]))
        order = order[: len(order) // work.batch * work.batch].reshape(-1, work.batch)
        carry = jax.block_until_ready(epoch(carry, order, data["train_x"], data["train_y"]))

    def accuracy():
        model, _ = eqx.combine(carry, still)
        output = jpc.init_activities_with_ffwd(model, data["test_x"])[-1]
        return float((output.argmax(1) == data["test_y"]).mean())

    return Contestant(run, accuracy, {"versions": {name: version(name) for name in ("jpc", "jax")}})


def _mlp(sizes):
    keys = jax.random.split(jax.random.key(0), len(sizes) - 1)
    phis = [eqx.nn.Identity(), *[eqx.nn.Lambda(jnp.tanh)] * (len(sizes) - 2)]
    return [
        eqx.nn.Sequential([phi, eqx.nn.Linear(pre, post, key=key)])
        for phi, (pre, post), key in zip(phis, pairwise(sizes), keys, strict=True)
    ]
