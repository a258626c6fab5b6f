"""Going back through a sequence, or through blocks, gives the gradient of what was kept."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from byway.core.check import Check
from byway.core.signal import Signal, SquaredError
from byway.network.builders import coupled, orthogonal, revnet
from byway.network.cells.integrator import Integrator
from byway.verify.oracle import (
    Problem,
    current,
    drawn,
    flat_memory,
    from_autodiff,
    normalised,
    samples,
    squared_error,
    taught,
)

SOURCE, IN_DEPTH = "MacKay et al. 2018", "Gomez et al. 2017"


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
        Check(
            "rotations, 100 steps: update = autodiff of the loop",
            lambda: from_autodiff(rule, turning(100, 6)),
            1e-10,
            "Jing et al. 2017",
        ),
        Check(
            "4 blocks: update = autodiff of the streams",
            lambda: from_autodiff(rule, streams(4)),
            1e-12,
            IN_DEPTH,
        ),
        Check(
            "memory of a block more [bytes]",
            lambda: (_held(rule, 5) - _held(rule, 2)) / 3,
            1.0,
            IN_DEPTH,
        ),
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


def turning(steps: int, units: int) -> Problem:
    """A layer of units that add up what turns them, on random sequences: W is written out entry by
    entry here, of the angles.
    """
    net, batch = drawn(orthogonal, 3, units, 2, activation="identity"), 2
    draw = np.random.default_rng(0)
    x, target = (jnp.asarray(draw.normal(size=(batch, steps, n))) for n in (3, 2))
    shuffle = np.eye(units)[:, [*range(0, units, 2), *range(1, units, 2)]]

    def matrix(angles):
        w = jnp.eye(units)
        for stage in angles:
            cos, sin = jnp.diag(jnp.cos(stage)), jnp.diag(jnp.sin(stage))
            turn = jnp.kron(cos, jnp.eye(2)) + jnp.kron(sin, jnp.asarray([[0.0, 1.0], [-1.0, 0.0]]))
            w = w @ turn @ shuffle
        return w

    def loss(theta):
        w = matrix(theta["hidden1-hidden1"]["weight"])

        def step(h, now):
            x, target = now
            h = h @ w + current(x, theta["input-hidden1"])
            error = squared_error(current(h, theta["hidden1-output"]), target)
            return h, jnp.sum(error) / (steps * batch)

        rows = (jnp.moveaxis(x, 1, 0), jnp.moveaxis(target, 1, 0))
        return jnp.sum(jax.lax.scan(step, jnp.zeros((batch, units)), rows)[1])

    weight = jnp.full((batch, steps), 1 / steps)
    return Problem(net, x, Signal(target, SquaredError(), weight), loss)


def streams(blocks: int) -> Problem:
    """Two streams, their loss written out here."""
    net = drawn(revnet, 5, 8, 2, blocks=blocks, activation="tanh")
    draw = np.random.default_rng(0)
    x, target = (jnp.asarray(draw.normal(size=(4, n))) for n in (5, 2))

    def loss(theta):
        through = lambda src, dst, h: current(h, theta[f"{src}-{dst}"])
        one, two = through("input", "a0", x), through("input", "b0", x)
        for i in range(1, blocks + 1):
            f = jnp.tanh(through(f"b{i - 1}", f"f{i}", normalised(two)))
            one = one + through(f"f{i}", f"a{i}", f)
            g = jnp.tanh(through(f"a{i}", f"g{i}", normalised(one)))
            two = two + through(f"g{i}", f"b{i}", g)
        output = through(f"a{blocks}", "output", normalised(one))
        output = output + through(f"b{blocks}", "output", normalised(two))
        return jnp.mean(squared_error(output, target))

    return Problem(net, x, Signal(target, SquaredError()), loss)


def _held(rule, blocks: int) -> float:
    """What a compiled update needs besides its arguments and its results."""
    net, (x, target) = revnet(3, 8, 2, blocks=blocks), samples((64, 3), 2)
    program = jax.jit(lambda net, x, signal: taught(rule, net, x, signal))
    memory = program.lower(net, x, Signal(target, SquaredError())).compile().memory_analysis()
    return math.nan if memory is None else memory.temp_size_in_bytes
