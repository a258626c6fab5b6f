"""Weight perturbation: its definition, directions that are drawn again to the bit, and no bias
where the loss is quadratic.
"""

import dataclasses
import functools
import operator

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from byway.core.check import Check
from byway.rules.perturbation._directions import drawn
from byway.rules.perturbation._estimates import second_moment, slope
from byway.verify.oracle import gap, layered, learned, recorded, taught

SPALL, MEZO = "Spall 1992", "Malladi et al. 2023"


def checks(rule):
    one = dataclasses.replace(rule, draws=1, signs=False)
    small, large = (dataclasses.replace(one, sigma=sigma) for sigma in (1e-4, 0.5))
    some = dataclasses.replace(rule, sigma=0.5, draws=3)
    return [
        Check(
            "update = (C(W + σV) - C(W - σV)) V / 2σ, in NumPy",
            lambda: _definition(some),
            1e-10,
            SPALL,
        ),
        Check(
            "directions drawn again, against those that were kept: bits that differ",
            lambda: _bits(dataclasses.replace(some, draws=2)),
            0.0,
            MEZO,
        ),
        Check(
            "quadratic loss, σ = 0.5: update = (g · v) v, g by autodiff",
            lambda: _quadratic(large),
            1e-10,
            SPALL,
        ),
        Check(
            "error of a mean of K draws: slope of log error by log K",
            lambda: slope(small, layered(5, 4, 3)),
            0.06,
            "the law of large numbers",
            -0.5,
        ),
        Check(
            "E |update|² / |g|², over P + 2 for P weights",
            lambda: second_moment(small, layered(5, 4, 3)) / (39 + 2),
            0.05,
            "Isserlis 1918",
            1.0,
        ),
    ]


def directions(rule, problem):
    """Those of one update, in NumPy."""
    net, x, signal, _ = problem
    keys = recorded(rule, net, x, signal)["up"].injected["key"]
    made = jax.jit(jax.vmap(lambda key: drawn(net, key, rule.signs)))(keys)
    return [jax.tree.map(lambda a, k=k: np.asarray(a[k]), made) for k in range(rule.draws)]


def loss(theta, x, target) -> float:
    """The mean squared error of a tanh network with one hidden layer, in NumPy."""
    (w, b), (v, c) = [
        [theta[name][k] for k in ("weight", "bias")] for name in ("input-hidden1", "hidden1-output")
    ]
    return float(np.mean(np.sum((np.tanh(x @ w + b) @ v + c - target) ** 2, 1)) / 2)


def _definition(rule) -> float:
    problem = layered(5, 4, 3, loss="squared_error")
    net, x, signal, _ = problem
    theta = jax.tree.map(np.asarray, net.theta)
    inputs, target = np.asarray(x), np.asarray(signal.target)
    true = jax.tree.map(np.zeros_like, theta)
    for v in directions(rule, problem):
        up, down = (loss(_moved(theta, v, sign * rule.sigma), inputs, target) for sign in (1, -1))
        true = _moved(true, v, (up - down) / (2 * rule.sigma * rule.draws))
    return gap(taught(rule, net, x, signal), true)


def _moved(theta, direction, by):
    return {
        name: {part: a + by * direction[name][part] for part, a in w.items()}
        for name, w in theta.items()
    }


def _bits(rule) -> float:
    """The same estimate by a program that draws its directions once and keeps them."""
    net, x, signal, _ = layered(5, 4, 3)
    record = recorded(rule, net, x, signal)

    @eqx.filter_jit
    def keeping(net, record, signal, key):
        up, down = (
            jnp.mean(jax.vmap(signal.loss)(record[phase].post[net.output]), 1)
            for phase in ("up", "down")
        )
        slopes = (up - down) / (2 * rule.sigma * rule.draws)
        kept = [drawn(net, one, rule.signs) for one in jax.random.split(key, rule.draws)]
        first, *others = [
            jax.tree.map(lambda v, s=s: s * v, v) for s, v in zip(slopes, kept, strict=True)
        ]
        return functools.reduce(functools.partial(jax.tree.map, operator.add), others, first)

    kept = keeping(net, record, signal, jax.random.key(0))
    again = learned(rule, net, record, signal).net
    same = [
        np.array_equal(kept[name][part], a) for name, w in again.items() for part, a in w.items()
    ]
    return float(np.sum(~np.array(same)))


def _quadratic(rule) -> float:
    """A difference of a parabola, taken on both sides, is its slope times the distance."""
    problem = layered(5, 3, loss="squared_error")
    (v,) = directions(rule, problem)
    true = problem.gradient()
    s = sum(np.vdot(g, v[name][part]) for name, w in true.items() for part, g in w.items())
    wanted = {name: {part: s * a for part, a in w.items()} for name, w in v.items()}
    return gap(taught(rule, problem.net, problem.x, problem.signal), wanted)
