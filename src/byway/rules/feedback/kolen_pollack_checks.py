"""Kolen and Pollack's feedback: backprop where B is the transpose, and a gap to it that closes at a
pace known beforehand.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax

from byway.core.check import Check
from byway.learning.rule import Carry
from byway.verify.oracle import EXACT, convolutional, from_autodiff, layered

AKROUT = "Akrout, Wilson, Humphreys, Lillicrap and Tweed 2019"
SIZES, STEPS, DECAY = (6, 5, 4, 3), 50, 0.1


def checks(rule):
    eager = dataclasses.replace(rule, decay=DECAY)
    still = dataclasses.replace(rule, decay=0.0)

    def transposed():
        problem = convolutional()
        return from_autodiff(
            rule,
            problem,
            {p.name: p.weight for p in problem.net.projections if p.src != problem.net.input},
        )

    return [
        Check("convnet, B = Wᵀ: update = autodiff", transposed, EXACT, AKROUT),
        Check(
            "SGD, 50 steps: gap = (1 - decay)^50 of the first",
            lambda: _pace(eager, optax.sgd(0.5), 1 - DECAY),
            EXACT,
            AKROUT,
        ),
        Check(
            "Adam, 50 steps: gap = (1 - decay)^50 of the first",
            lambda: _pace(eager, optax.adam(0.05), 1 - DECAY),
            EXACT,
            AKROUT,
        ),
        Check("no decay: gap stays", lambda: _pace(still, optax.sgd(0.5), 1.0), EXACT, AKROUT),
    ]


def _pace(rule, optimiser: optax.GradientTransformation, left: float) -> float:
    """How far the gap after some steps is from what the decay alone makes of the first one, beside
    the size of the first.
    """
    problem = layered(*SIZES)
    gamma = jax.jit(lambda: rule.init(problem.net, jax.random.key(7)))()

    def step(_, held):
        net, gamma, moments = held
        carry = Carry(*rule.start(gamma, net, len(problem.x)), ())  # pyright: ignore[reportCallIssue]  it is no method
        _, update, _ = rule.teach(
            rule, gamma, net, carry, problem.x, problem.signal, jax.random.key(0)
        )
        ascent, held = (update.net, update.gamma), (net.theta, gamma)
        with jax.numpy_dtype_promotion("standard"):  # optax mixes its counts with floats
            change, moments = optimiser.update(ascent, moments, held)
        theta, gamma = jax.tree.map(jnp.add, held, change)
        gamma, net = rule.keep(gamma, net.with_theta(theta))
        return net, gamma, moments

    moments = optimiser.init((problem.net.theta, gamma))
    net, end, _ = jax.jit(lambda held: jax.lax.fori_loop(0, STEPS, step, held))(
        (problem.net, gamma, moments)
    )
    first, last = _gap(problem.net, gamma), _gap(net, end)
    return float(np.linalg.norm(last - left**STEPS * first) / np.linalg.norm(first))


def _gap(net, gamma) -> np.ndarray:
    return np.concatenate(
        [
            np.ravel(np.asarray(net.theta[name]["weight"]) - np.asarray(b))
            for name, b in gamma.items()
        ]
    )
