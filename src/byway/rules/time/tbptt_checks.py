"""Truncated backpropagation through time is autodiff of the unrolled loop, cut where nobody looks
back any further.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array

from byway.core.check import Check
from byway.verify.oracle import (
    EXACT,
    Problem,
    Theta,
    activity,
    cross_entropy,
    from_autodiff,
    gap,
    in_time,
    layers,
    taught,
)

SOURCE = "Williams and Peng 1990"
STEPS = 7
SIZES = (3, 5, 4, 2)


def checks(rule):
    problem = in_time(*SIZES, steps=STEPS)
    return [
        Check(
            "two layers, k2 = the sequence: update = autodiff of the unrolled loop",
            lambda: from_autodiff(dataclasses.replace(rule, k1=3, k2=STEPS), problem),
            EXACT,
            SOURCE,
        ),
        *(
            Check(
                f"two layers, k1 = {k1}, k2 = {k2}: update = autodiff, cut before each window",
                lambda k1=k1, k2=k2: gap(
                    taught(
                        dataclasses.replace(rule, k1=k1, k2=k2),
                        problem.net,
                        problem.x,
                        problem.signal,
                    ),
                    jax.jit(jax.grad(lambda theta: windows(problem, theta, k1, k2)))(
                        problem.net.theta
                    ),
                ),
                EXACT,
                SOURCE,
            )
            for k1, k2 in ((1, 3), (2, 3))
        ),
    ]


def windows(problem: Problem, theta: Theta, k1: int, k2: int) -> Array:
    """The loss, step by step k1 at a time; each time the last k2 steps are run anew from a state
    that has no derivative.
    """
    (_, x, signal, _), order = problem, layers(len(SIZES) - 2)
    before = [{name: jnp.zeros((len(x), n)) for name, n in zip(order, SIZES, strict=True)}]
    for t in range(STEPS):
        before.append(activity(theta, order, x[:, t], before=before[-1]))
    total = jnp.zeros(())
    for first in range(0, STEPS, k1):
        end = min(first + k1, STEPS)
        start = max(end - k2, 0)
        now = jax.lax.stop_gradient(before[start])
        for t in range(start, end):
            now = activity(theta, order, x[:, t], before=now)
            if t >= first and signal.weight is not None:
                loss = cross_entropy(now["output"], signal.target[:, t])
                total = total + jnp.sum(loss * signal.weight[:, t]) / len(x)
    return total
