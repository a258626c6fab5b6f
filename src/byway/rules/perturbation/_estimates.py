"""What can be measured of updates that are right on average: how they are spread around the
gradient.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from byway.learning.rule import Rule
from byway.verify.oracle import Problem, ravel, taught


def updates(rule: Rule, problem: Problem, count: int, first: int = 0) -> np.ndarray:
    """So many updates, each from a key of its own: "count weights"."""

    def one(key: Any) -> Any:
        update = taught(rule, problem.net, problem.x, problem.signal, None, key)
        return jnp.concatenate([a.ravel() for a in jax.tree.leaves(update)])

    return np.asarray(jax.jit(jax.vmap(one))(np.arange(first, first + count)))


def slope(rule: Rule, problem: Problem) -> float:
    """Of the log of the error of a mean of K updates, by the log of K: -1/2 where each is right on
    average, and has a variance.
    """
    each, true = updates(rule, problem, 2**14), ravel(problem.gradient())[0]
    sizes = np.array([2**4, 2**6, 2**8, 2**10])
    means = [each.reshape(-1, k, each.shape[1]).mean(1) for k in sizes.tolist()]
    errors = [np.sqrt(np.mean(np.sum((mean - true) ** 2, 1))) for mean in means]
    return float(np.polyfit(np.log(sizes), np.log(errors), 1)[0])


def bias(rule: Rule, problem: Problem, true: np.ndarray, count: int = 2**15) -> float:
    """The largest distance of a mean update from what it should be, in standard errors."""
    each = updates(rule, problem, count)
    return float(np.abs((each.mean(0) - true) / (each.std(0) / np.sqrt(len(each)))).max())


def second_moment(rule: Rule, problem: Problem, count: int = 2**14) -> float:
    """The mean squared length of an update over that of the gradient."""
    each, true = updates(rule, problem, count), ravel(problem.gradient())[0]
    return float(np.mean(np.sum(each**2, 1)) / np.sum(true**2))
