"""Going back through an inverse that is right gives the gradient of a run that was kept; so does
any inverse where what it missed is kept.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from byway.core.check import Check
from byway.core.signal import Signal, SquaredError
from byway.network.builders import rnn
from byway.network.network import Network
from byway.verify.oracle import (
    EXACT,
    Problem,
    current,
    drawn,
    flat_memory,
    from_autodiff,
    gap,
    squared_error,
)

INVERTIBLE, CODED = (
    "linear algebra: the inverse of a step",
    "no approximation where nothing is lost",
)


def checks(rule):
    return [
        Check(
            "linear units, g = f^-1: update = autodiff of the unrolled loop",
            lambda: from_autodiff(rule, linear(), undone(rule, linear().net)),
            1e-10,
            INVERTIBLE,
        ),
        Check(
            "every state kept: update = autodiff, whatever the inverse",
            lambda: from_autodiff(dataclasses.replace(rule, checkpoint=1), unrolled("tanh")),
            EXACT,
            CODED,
        ),
        Check(
            "16 bits of what the inverse missed: update = autodiff of the states as rounded",
            lambda: from_autodiff(
                dataclasses.replace(rule, bits=16), unrolled("tanh", grid=rule.grid)
            ),
            EXACT,
            CODED,
        ),
        Check(
            "update of the inverse = slope of its loss, by autodiff",
            lambda: gap(*({"inverse": a} for a in of_the_inverse(rule))),
            EXACT,
            "Bengio 2014: the loss of an auto-encoder",
        ),
        flat_memory(rule, "what is kept does not grow"),
    ]


def unrolled(
    phi: str, grid: int | None = None, steps: int = 12, net: Network | None = None
) -> Problem:
    """One recurrent layer on random sequences, its loss written out; with `grid`, its activity is
    rounded to 2^-grid, and rounding has the derivative one.
    """
    net, batch = drawn(rnn, 3, 6, 2, activation=phi) if net is None else net, 3
    draw, act = np.random.default_rng(0), {"tanh": jnp.tanh, "identity": lambda u: u}[phi]
    x, target = (jnp.asarray(draw.normal(size=(batch, steps, n))) for n in (3, 2))

    def loss(theta):
        def step(h, now):
            x, target = now
            h = act(current(x, theta["input-hidden1"]) + current(h, theta["hidden1-hidden1"]))
            if grid is not None:
                h = h + jax.lax.stop_gradient(jnp.round(h * 2.0**grid) / 2.0**grid - h)
            return h, jnp.sum(squared_error(current(h, theta["hidden1-output"]), target))

        along = jnp.moveaxis(x, 1, 0), jnp.moveaxis(target, 1, 0)
        _, each = jax.lax.scan(step, jnp.zeros((batch, 6)), along)
        return jnp.sum(each) / (steps * batch)

    signal = Signal(target, SquaredError(), jnp.full((batch, steps), 1 / steps))
    return Problem(net, x, signal, loss)


def linear(scale: float = 0.9, steps: int = 12) -> Problem:
    """The same of linear units, whose recurrent weights are a rotation times a number."""
    net = drawn(rnn, 3, 6, 2, activation="identity")
    rotation = np.linalg.qr(np.random.default_rng(3).normal(size=(6, 6)))[0]
    weights = net.theta["hidden1-hidden1"] | {"weight": jnp.asarray(scale * rotation)}
    return unrolled("identity", None, steps, net.with_theta({"hidden1-hidden1": weights}))


def undone(rule: Any, net: Network, off: float = 0.0) -> dict[str, Any]:
    """The rule's own parameters for that network, the inverse set by hand: h = (h' - U x - b) W^-1;
    `off` is added to what it tells.
    """
    gamma, theta = jax.jit(rule.init)(net, jax.random.key(7)), net.theta
    back = np.linalg.inv(np.asarray(theta["hidden1-hidden1"]["weight"]))
    drive = np.asarray(theta["input-hidden1"]["weight"])
    bias = np.asarray(theta["input-hidden1"]["bias"])
    inverse = {
        "hidden": np.zeros(gamma["inverse"]["hidden"].shape),
        "direct": np.concatenate([back, -drive @ back]),
        "bias": -bias @ back + off,
    }
    return gamma | {"inverse": {name: jnp.asarray(a) for name, a in inverse.items()}}


def of_the_inverse(rule: Any) -> tuple[dict[str, Array], dict[str, Array]]:
    """The update of an inverse of a step of a GRU, and what autodiff makes of its loss."""
    net, draw = drawn(rnn, 3, 4, 2, activation="gru"), np.random.default_rng(0)
    x, gamma = jnp.asarray(draw.normal(size=(5, 3))), jax.jit(rule.init)(net, jax.random.key(7))
    inverse = {name: jnp.asarray(draw.normal(size=a.shape)) for name, a in gamma["inverse"].items()}
    gamma, turn = gamma | {"inverse": inverse}, rule.turns[0][0]
    signal = Signal(jnp.zeros((5, 2)), SquaredError(), jnp.ones(5))

    @jax.jit
    def both(gamma, net, x):
        state = net.rest(len(x))
        _, record = turn.f(gamma, net, state, x, signal, jax.random.key(0))
        told = record["shaken"].injected

        def loss(inverse):
            known = jnp.concatenate([told["after"], x], 1)
            seen = jnp.tanh(known @ gamma["seen"]["weight"] + gamma["seen"]["bias"][None, :])
            made = seen @ inverse["hidden"] + known @ inverse["direct"] + inverse["bias"][None, :]
            return jnp.sum((made - told["before"]) ** 2) / 2 / len(x)

        return turn.g(gamma, net, (), record, signal)[1].gamma["inverse"], jax.grad(loss)(
            gamma["inverse"]
        )

    return both(gamma, net, x)
