"""Unbiased online recurrent optimisation: the mean over all signs is the gradient, and that over K
draws comes nearer to it as the root of K.
"""

import dataclasses
import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from byway.core.check import Check
from byway.core.record import Record
from byway.core.signal import Signal
from byway.learning.rule import Carry, Rule
from byway.learning.time import step_of
from byway.network.network import Network
from byway.verify.oracle import EXACT, Theta, flat_memory, gap, in_time, ravel

SOURCE = "Tallec and Ollivier 2018"


def checks(rule):
    return [
        Check(
            "two layers: mean over all signs = autodiff of the unrolled loop",
            lambda: _off(rule),
            EXACT,
            SOURCE,
        ),
        Check(
            "slope of the log of the error on the log of the number of draws",
            lambda: slope(rule),
            0.05,
            f"{SOURCE}: independent draws",
            wanted=-0.5,
        ),
        flat_memory(rule, SOURCE),
    ]


def _off(rule) -> float:
    problem = in_time(2, 2, 1, 2, batch=1)
    return gap(over_all_signs(rule, problem.net, problem.x, problem.signal), problem.gradient())


def over_all_signs(rule: Rule, net: Network, x: Array, signal: Signal) -> Theta:
    """The mean update of one sequence over all signs that may be drawn on its way: a batch with a
    row for each. Those of the last step change nothing.
    """
    start = lambda: rule.start({}, net, 1)[0]
    step = lambda x, signal: rule.f({}, net, start(), x, signal, jax.random.key(0))[1]
    steps, first = x.shape[1], jax.eval_shape(step, step_of(x, 0), signal.at(0))["free"].injected
    drawn = sum(a.size for a in first.values())
    rows = np.array(list(itertools.product((-1.0, 1.0), repeat=drawn * (steps - 1))))
    rows = np.concatenate([rows, np.ones((len(rows), drawn))], 1)
    many = lambda a: jnp.broadcast_to(a, (len(rows), *a.shape[1:]))

    def run(net, x, target, weight, rows):
        x, signal_of_all = many(x), Signal(many(target), signal.criterion, many(weight))
        (state, memory), total = rule.start({}, net, len(rows)), None
        for t in range(steps):
            now = signal_of_all.at(t)
            state, record = rule.f({}, net, state, step_of(x, t), now, jax.random.key(0))
            signs, at = {}, t * drawn
            for name, a in record["free"].injected.items():
                signs[name] = rows[:, at : at + a[0].size].reshape(a.shape)
                at += a[0].size
            phase = dataclasses.replace(record["free"], injected=signs)
            memory, update = rule.g({}, net, memory, Record({"free": phase}, record.output), now)
            total = update.net if total is None else jax.tree.map(jnp.add, total, update.net)
        return total

    return jax.jit(run)(net, x, signal.target, signal.weight, jnp.asarray(rows))


def slope(rule: Rule, counts: Sequence[int] = (30, 300, 3_000), times: int = 64) -> float:
    """Of a line through the errors of means over more and more draws, each a row of a batch; the
    errors are root mean squares over so many times.
    """
    problem = in_time(2, 3, 2, batch=1, steps=4)
    true, _ = ravel(problem.gradient())
    net, signal, errors = problem.net, problem.signal, []
    for draws in counts:
        many = lambda a, draws=draws: jnp.broadcast_to(a, (draws, *a.shape[1:]))

        def mean(key, many=many, draws=draws):
            x, taught = jax.tree.map(many, (problem.x, signal))
            carry = Carry(*rule.start({}, net, draws), ())
            return rule.teach(rule, {}, net, carry, x, taught, key)[1].net

        found = jax.jit(lambda keys, mean=mean: jax.lax.map(mean, keys))(
            jax.random.split(jax.random.key(1), times)
        )
        each = np.stack([ravel(jax.tree.map(lambda a, i=i: a[i], found))[0] for i in range(times)])
        errors.append(np.mean(np.sum((each - true) ** 2, 1)) ** 0.5)
    return float(np.polyfit(np.log(counts), np.log(errors), 1)[0])
