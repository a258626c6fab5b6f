"""Online spatio-temporal learning: BPTT of one layer, and of two all but what the lower one does to
the memory of the upper.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array

from byway.core.check import Check
from byway.verify.oracle import (
    EXACT,
    Problem,
    Theta,
    cross_entropy,
    current,
    flat_memory,
    from_autodiff,
    gap,
    in_time,
    taught,
)

SOURCE = "Bohnstingl et al. 2022"
LOWER = ("input-hidden1", "hidden1-hidden1")


def checks(rule):
    return [
        Check(
            "one layer: update = autodiff of the unrolled loop",
            lambda: from_autodiff(rule, in_time(3, 5, 4)),
            EXACT,
            SOURCE,
        ),
        Check(
            "two layers: update = autodiff, cut between layers but at the step of the error",
            lambda: _off(rule),
            EXACT,
            SOURCE,
        ),
        flat_memory(rule, SOURCE),
    ]


def _off(rule) -> float:
    problem = in_time(3, 5, 4, 2, steps=5)
    mine = taught(rule, problem.net, problem.x, problem.signal)
    upper, lower = (
        jax.jit(jax.grad(lambda theta, of=of: _loss(problem, theta, of)))(problem.net.theta)
        for of in (False, True)
    )
    return gap(mine, {name: (lower if name in LOWER else upper)[name] for name in mine})


def _loss(problem: Problem, theta: Theta, lower: bool) -> Array:
    """The loss, with derivatives of the lower layer alone, which the memory of the upper one has
    none by, or of all else.
    """
    (_, x, signal, _), still = problem, jax.lax.stop_gradient
    weight = jnp.zeros(x.shape[:2]) if signal.weight is None else signal.weight
    h, H, total = jnp.zeros((len(x), 5)), jnp.zeros((len(x), 4)), jnp.zeros(())
    for t in range(x.shape[1]):
        h = jnp.tanh(current(x[:, t], theta[LOWER[0]]) + current(h, theta[LOWER[1]]))
        below, before = (h, still(H)) if lower else (still(h), H)
        H = jnp.tanh(
            current(below, theta["hidden1-hidden2"]) + current(before, theta["hidden2-hidden2"])
        )
        loss = cross_entropy(current(H, theta["hidden2-output"]), signal.target[:, t])
        total = total + jnp.sum(loss * weight[:, t]) / len(x)
    return total
