"""Going back through a sequence, or through blocks, gives the gradient of what was kept."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from byway.core.check import Check
from byway.core.signal import Signal, SquaredError
from byway.network.builders import conv_revnet, coupled, orthogonal, revnet
from byway.network.cells.integrator import Integrator
from byway.verify.oracle import (
    Problem,
    current,
    drawn,
    flat_memory,
    from_autodiff,
    memory_of,
    normalised,
    samples,
    squared_error,
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
            "2 stages of 2 blocks of images: update = autodiff of the streams",
            lambda: from_autodiff(rule, images(2)),
            1e-12,
            IN_DEPTH,
        ),
        Check(
            "memory of a block more [bytes]",
            lambda: _of_a_block(rule, partial(revnet, 3, 8, 2), (3,), 2, 5),
            1.0,
            IN_DEPTH,
        ),
        Check(
            "memory of a block more in each of two stages of images, of what its units take",
            lambda: (
                _of_a_block(rule, partial(conv_revnet, (16, 16, 1), (4, 8), 2), (16, 16, 1), 1, 3)
                / (64 * 4 * (8 * 8 * 2 + 4 * 4 * 4) * 8)
            ),
            0.01,
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
        one, two = (current(x, theta[f"input-{own}0"]) for own in "ab")
        one, two = through(theta, one, two, blocks)
        output = current(normalised(one), theta[f"a{blocks}-output"])
        output = output + current(normalised(two), theta[f"b{blocks}-output"])
        return jnp.mean(squared_error(output, target))

    return Problem(net, x, Signal(target, SquaredError()), loss)


def images(blocks: int) -> Problem:
    """Two stages of convolutions, each with streams of its own."""
    net = drawn(conv_revnet, (8, 8, 1), (2, 4), 2, blocks=blocks, activation="tanh")
    draw = np.random.default_rng(0)
    x, target = (jnp.asarray(draw.normal(size=(4, *s))) for s in ((8, 8, 1), (2,)))

    def loss(theta):
        sent = {"input": x}
        for stage in "12":
            begin = [
                sum(current(h, theta[f"{src}-{own}{stage}_0"]) for src, h in sent.items())
                for own in "ab"
            ]
            ends = through(theta, *begin, blocks, f"{stage}_", 1)
            names = [f"{own}{stage}_{blocks}" for own in "ab"]
            sent = {name: normalised(h) for name, h in zip(names, ends, strict=True)}
        one, two = (current(h, theta[f"{src}-output"]) for src, h in sent.items())
        output = one + two
        return jnp.mean(squared_error(output, target))

    return Problem(net, x, Signal(target, SquaredError()), loss)


def through(theta, one, two, blocks, stage="", pool=2):
    """Two streams after blocks of these weights."""

    def added(src, function, dst, h):
        inner = f"{function}{dst[1:]}"
        hidden = jnp.tanh(current(normalised(h), theta[f"{src}-{inner}"], pool))
        return current(hidden, theta[f"{inner}-{dst}"], pool)

    for i in range(1, blocks + 1):
        one = one + added(f"b{stage}{i - 1}", "f", f"a{stage}{i}", two)
        two = two + added(f"a{stage}{i}", "g", f"b{stage}{i}", one)
    return one, two


def _of_a_block(rule, build, shape, few, many) -> float:
    """What a compiled update needs for a block more, none if it needs less."""
    (x, target), held = samples((64, *shape), 2), []
    for blocks in (few, many):
        held.append(memory_of(rule, build(blocks=blocks), x, Signal(target, SquaredError())))
    return max(held[1] - held[0], 0) / (many - few)
