"""Forward gradient: the slope along a direction is autodiff's, and the estimates are spread as
theory says.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from byway.core.check import Check
from byway.core.record import Phase, Record
from byway.rules.perturbation._estimates import second_moment, slope
from byway.rules.perturbation.forward_gradient import follows
from byway.verify.oracle import EXACT, convolutional, gap, layered, learned, ravel, recorded, taught

SOURCE = "Baydin et al. 2022"


def checks(rule):
    some = dataclasses.replace(rule, draws=3)
    one, signs = (dataclasses.replace(rule, draws=1, signs=signs) for signs in (False, True))
    return [
        Check(
            "mlp: update = (g · v) v, averaged over draws, g by autodiff",
            lambda: _slopes(some, layered(5, 4, 3)),
            EXACT,
            SOURCE,
        ),
        Check(
            "normalised convnet: the same",
            lambda: _slopes(some, convolutional(norm=True)),
            EXACT,
            SOURCE,
        ),
        Check(
            "a direction for each weight alone: update = the gradient",
            lambda: _basis(rule),
            EXACT,
            SOURCE,
        ),
        Check(
            "error of a mean of K draws: slope of log error by log K",
            lambda: slope(one, layered(5, 4, 3)),
            0.06,
            "the law of large numbers",
            -0.5,
        ),
        Check(
            "normal directions: E |update|² / |g|², over P + 2 for P weights",
            lambda: second_moment(one, layered(5, 4, 3)) / (39 + 2),
            0.05,
            SOURCE,
            1.0,
        ),
        Check(
            "random signs: E |update|² / |g|², over P",
            lambda: second_moment(signs, layered(5, 4, 3)) / 39,
            0.05,
            "v² = 1 in place of E v⁴ = 3",
            1.0,
        ),
    ]


def _slopes(rule, problem) -> float:
    net, x, signal, _ = problem
    tried = recorded(rule, net, x, signal)["along"].injected
    true, mean = problem.gradient(), {name: dict.fromkeys(w, 0.0) for name, w in net.theta.items()}
    for k in range(rule.draws):
        v = {name: {part: np.asarray(tried[f"{name}.{part}"][k]) for part in w}
             for name, w in true.items()}  # fmt: skip
        s = sum(np.vdot(g, v[name][part]) for name, w in true.items() for part, g in w.items())
        for name, w in v.items():
            for part, a in w.items():
                mean[name][part] = mean[name][part] + s * a / rule.draws
    return gap(taught(rule, net, x, signal), mean)


def _basis(rule) -> float:
    """P directions of length √P, one for each weight: the mean of the P estimates is the sum of the
    slopes along the axes.
    """
    problem = layered(5, 4, 3)
    net, x, signal, _ = problem
    size = ravel(net.theta)[0].size
    back = ravel(net.theta)[1]
    directions = jax.vmap(back)(jnp.sqrt(size) * jnp.eye(size))
    free = net.forward(x)
    along = jax.jit(jax.vmap(lambda v: follows(net, x, v)))(directions)
    kept = {f"{name}.{part}": v for name, w in directions.items() for part, v in w.items()}
    phases = {"free": free, "along": Phase({}, {}, {net.output: along}, {}, kept)}
    record = Record(phases, free.post[net.output])
    every = dataclasses.replace(rule, draws=size)
    return gap(learned(every, net, record, signal).net, problem.gradient())
