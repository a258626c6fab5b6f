"""The sparse n-step approximation: real-time recurrent learning whose influence is masked at each
step, and that itself where nothing is lost.
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
    cross_entropy,
    from_autodiff,
    gap,
    in_time,
    taught,
)

SOURCE = "Menick et al. 2021"
INTO, AGAIN, READ = "input-hidden1", "hidden1-hidden1", "hidden1-output"


def checks(rule):
    one, all_ = (dataclasses.replace(rule, n=n) for n in (1, 5))
    return [
        Check(
            "one layer, n = units: update = autodiff of the unrolled loop",
            lambda: from_autodiff(all_, in_time(3, 5, 4)),
            EXACT,
            SOURCE,
        ),
        Check(
            "one layer, n = 1, units that reach themselves alone: the same",
            lambda: _alone(one),
            EXACT,
            SOURCE,
        ),
        Check(
            "one layer, n = 1: update = RTRL by autodiff of a step, its influence masked",
            lambda: _masked(one),
            EXACT,
            SOURCE,
        ),
    ]


def _alone(rule) -> float:
    problem = in_time(3, 5, 4)
    theta = problem.net.theta
    theta[AGAIN]["weight"] = theta[AGAIN]["weight"] * jnp.eye(5)
    return from_autodiff(rule, problem._replace(net=problem.net.with_theta(theta)))


def _masked(rule) -> float:
    problem = in_time(3, 5, 4, steps=5)
    mine = taught(rule, problem.net, problem.x, problem.signal)
    return gap(mine, jax.jit(lambda theta: _by_hand(problem, theta))(problem.net.theta))


def _by_hand(problem: Problem, theta: Theta) -> Theta:
    """J <- M (I + D J), sample by sample; M leaves to each weight the unit that it ends at."""
    (_, x, signal, _), n = problem, 5
    mask = {name: {part: jnp.eye(n) for part in w} for name, w in theta.items() if name != READ}

    def step(theta, h, x):
        return jnp.tanh(
            x @ theta[INTO]["weight"] + theta[INTO]["bias"] + h @ theta[AGAIN]["weight"]
        )

    def loss(read, h, target, weight):
        return cross_entropy(h @ read["weight"] + read["bias"], target) * weight

    def one(x, target, weight) -> Theta:
        h = jnp.zeros(n)
        J = jax.tree.map(lambda a: jnp.zeros((n, *a.shape)), {k: theta[k] for k in mask})
        total = jax.tree.map(jnp.zeros_like, theta)
        for t in range(x.shape[0]):
            at_once, D = jax.jacfwd(step, (0, 1))(theta, h, x[t])
            h = step(theta, h, x[t])
            J = {
                name: {
                    # Both kinds of array end at a unit with their last axis.
                    part: (at_once[name][part] + jnp.tensordot(D, a, 1)) * _shaped(m, a)
                    for (part, a), m in zip(J[name].items(), mask[name].values(), strict=True)
                }
                for name in J
            }
            read, credit = jax.grad(loss, (0, 1))(theta[READ], h, target[t], weight[t])
            found = {READ: read} | jax.tree.map(lambda a, c=credit: jnp.tensordot(c, a, 1), J)
            total = jax.tree.map(jnp.add, total, found)
        return total

    each = jax.vmap(one)(x, signal.target, signal.weight)
    return jax.tree.map(lambda a: jnp.mean(a, 0), each)


def _shaped(mask: Array, like: Array) -> Array:
    return mask.reshape(len(mask), *[1] * (like.ndim - 2), like.shape[-1])
