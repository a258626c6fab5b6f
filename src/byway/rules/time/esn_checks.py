"""The readout of a reservoir is the ridge regression that NumPy finds, and the reservoir forgets
where it began.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from byway.core.check import Check
from byway.core.signal import Signal, SquaredError
from byway.learning.rule import Carry
from byway.network.builders import rnn
from byway.verify.oracle import apart, drawn

JAEGER = "Jaeger 2001"


def checks(rule):
    plain = dataclasses.replace(rule, ridge=1e-3, washout=2)
    return [
        Check(
            "readout = NumPy's least squares, with the ridge as further rows",
            lambda: _least_squares(plain),
            1e-8,
            JAEGER,
        ),
        Check(
            "two states, 300 steps later: distance",
            lambda: _forgets(dataclasses.replace(rule, radius=0.8)),
            1e-8,
            "echo state property",
        ),
        Check("spectral radius = NumPy's largest eigenvalue", lambda: _radius(rule), 1e-9, JAEGER),
    ]


def _reservoir(rule, key=3):
    net = drawn(rnn, 2, 7, 2, activation="tanh")
    return net, jax.jit(lambda: rule.init(net, jax.random.key(key)))()


def _weights(rule, net, gamma):
    own = "hidden1-hidden1"
    return (
        rule.input * np.asarray(net.theta["input-hidden1"]["weight"]),
        float(gamma["scale"][own]) * np.asarray(net.theta[own]["weight"]),
        np.asarray(net.theta["input-hidden1"]["bias"]) + np.asarray(gamma["bias"]["hidden1"]),
    )


def _least_squares(rule) -> float:
    net, gamma = _reservoir(rule)
    draw = np.random.default_rng(0)
    x, target, weight = (
        draw.normal(size=(5, 9, 2)),
        draw.normal(size=(5, 9, 2)),
        draw.uniform(size=(5, 9)),
    )
    weight = weight / weight.sum(1, keepdims=True)
    signal = Signal(jnp.asarray(target), SquaredError(), jnp.asarray(weight))

    @jax.jit
    def solved():
        kept = {name: a for name, a in rule.start(gamma, net, 5)[1].items() if name != "step"}
        state, memory = rule.begin(gamma, net, 5, kept)
        carry = Carry(state, memory, ())
        carry, _, _ = rule.teach(rule, gamma, net, carry, jnp.asarray(x), signal, jax.random.key(0))
        return rule.conclude(gamma, net, rule.end(carry.memory))[1].theta["hidden1-output"]

    w_in, w, b = _weights(rule, net, gamma)
    h, rows, wanted = np.zeros((5, 7)), [], []
    for t in range(9):
        h = np.tanh(x[:, t] @ w_in + h @ w + b)
        if t >= rule.washout:
            share = np.sqrt(weight[:, t, None] / 5)
            rows.append(np.hstack([h, np.ones((5, 1))]) * share)
            wanted.append(target[:, t] * share)
    penalty = np.sqrt(rule.ridge) * np.eye(8)[:7]
    true = np.linalg.lstsq(
        np.vstack([*rows, penalty]), np.vstack([*wanted, np.zeros((7, 2))]), rcond=None
    )[0]
    mine = solved()
    return apart(np.vstack([mine["weight"], np.asarray(mine["bias"])[None]]), true)


def _forgets(rule) -> float:
    net, gamma = _reservoir(rule)
    # Both states hear the same.
    x = jnp.asarray(np.repeat(np.random.default_rng(1).normal(size=(300, 1, 2)), 2, 1))

    @jax.jit
    def run():
        start = np.random.default_rng(2).normal(size=(2, 7))
        state = net.rest(2)
        state = state._replace(due={"hidden1": {1: jnp.asarray(start)}})
        return jax.lax.scan(
            lambda state, x: (rule.f(gamma, net, state, x, None, jax.random.key(0))[0], None),
            state,
            x,
        )[0]

    h = np.asarray(run().due["hidden1"][1])
    return float(np.linalg.norm(h[0] - h[1]))


def _radius(rule) -> float:
    net, gamma = _reservoir(rule)
    _, w, _ = _weights(rule, net, gamma)
    return abs(float(np.abs(np.linalg.eigvals(w)).max()) / rule.radius - 1)
