"""Going back through a sequence gives the gradient of one that was kept."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from byway.core.check import Check
from byway.core.signal import Signal, SquaredError
from byway.network.builders import coupled
from byway.network.cells.integrator import Integrator
from byway.verify.oracle import Problem, current, drawn, flat_memory, from_autodiff, squared_error

SOURCE = "MacKay et al. 2018"


def checks(rule):
    return [
        Check(
            "one layer, 1000 steps: update = autodiff of the leapfrog",
            lambda: from_autodiff(rule, leapfrog(1000, 6)),
            1e-8,
            SOURCE,
        ),
        Check(
            "two layers: update = autodiff of the leapfrog",
            lambda: from_autodiff(rule, leapfrog(5, 6, 4)),
            1e-12,
            SOURCE,
        ),
        flat_memory(rule, SOURCE, partial(coupled, activation="integrator")),
    ]


def leapfrog(steps: int, *hidden: int) -> Problem:
    """Coupled halves on random sequences, their loss written out here."""
    h, batch = 1 / math.sqrt(steps), 2
    net = drawn(coupled, 3, *hidden, 2, activation=Integrator(h=h))
    draw = np.random.default_rng(0)
    x = jnp.asarray(draw.normal(size=(batch, steps, 3)))
    target = jnp.asarray(draw.normal(size=(batch, steps, 2)))
    weight = jnp.full((batch, steps), 1 / steps)

    def loss(theta):
        def driven(dst, sent):
            u = jnp.zeros(())
            for src, a in sent.items():
                u = u + current(a, theta[f"{src}-{dst}"])
            return u

        def step(state, now):
            x, target = now
            sent, after = {"input": x}, []
            for i, (p, q) in enumerate(state, 1):
                a, b = f"hidden{i}a", f"hidden{i}b"
                p_new = p + h * jnp.tanh(driven(a, sent | {b: q}))
                q_new = q + h * jnp.tanh(driven(b, sent | {a: p_new}))
                after, sent = [*after, (p_new, q_new)], {a: p_new, b: q_new}
            output = driven("output", sent)
            return tuple(after), jnp.sum(squared_error(output, target)) / (steps * batch)

        rest = tuple((jnp.zeros((batch, n // 2)), jnp.zeros((batch, n // 2))) for n in hidden)
        _, each = jax.lax.scan(step, rest, (jnp.moveaxis(x, 1, 0), jnp.moveaxis(target, 1, 0)))
        return jnp.sum(each)

    return Problem(net, x, Signal(target, SquaredError(), weight), loss)
