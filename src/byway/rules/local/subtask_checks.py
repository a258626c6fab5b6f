"""Subtasks: codes that are white whatever is learned, each side of the bound, and updates that no
error crosses.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from byway.core.check import Check
from byway.core.signal import Signal, SquaredError
from byway.network.builders import graph, mlp
from byway.rules.local._codes import Prior
from byway.verify.oracle import EXACT, apart, current, drawn, gap, learned, recorded, samples

BOUND = "|a + b|² ≤ 2 |a|² + 2 |b|²"
PRIOR = np.array([0.4, 0.1, 0.2, 0.05, 0.25])


def checks(rule):
    plain = dataclasses.replace(rule, by="bp", whiten=True)
    return [
        Check(
            "codes on the class prior: mean 0, covariance I / k, however they are scaled",
            lambda: _white(plain),
            1e-10,
            "whitening",
        ),
        Check(
            "update of each behaviour = autodiff of its own squared error, codes held",
            lambda: _behaviours(plain),
            EXACT,
            "squared error",
        ),
        Check(
            "update of a representative = autodiff of (K² |c - c'|² + |B2(c) - y|²) / 2",
            lambda: _representative(plain),
            1e-9,
            BOUND,
        ),
        Check(
            "what is learned before a code, with other weights beyond it: change",
            lambda: _isolated(plain),
            0.0,
            "no error crosses a code",
        ),
        Check(
            "deployed error over its bound, the largest of 50 networks",
            lambda: _bound(plain),
            1.0,
            BOUND,
        ),
        Check(
            "a join of two codes: update of each weight = autodiff of the same map",
            lambda: _joined(plain),
            EXACT,
            "squared error",
        ),
    ]


def _made(rule):
    net = drawn(mlp, 6, 5, 7, 5, code=3, activation="tanh")
    x, target = samples((40, 6), 5)
    gamma = rule.init(net, jax.random.key(3))
    return net, x, target, gamma


def _signal(target):
    return Signal(target, SquaredError())


def _white(rule) -> float:
    *_, gamma = _made(rule)
    a = np.asarray(gamma["representatives"]["code"]) * np.array([0.1, 1.0, 10.0])
    prior = Prior(
        jnp.asarray(1.0),
        jnp.asarray(PRIOR),
        jnp.asarray(np.diag(PRIOR)),
    )
    c = np.asarray(
        rule.represented({"representatives": {"code": jnp.asarray(a)}}, prior, jnp.eye(5))["code"]
    )
    mean, second = PRIOR @ c, np.einsum("y,yi,yj->ij", PRIOR, c, c)
    return float(max(np.abs(mean).max(), np.abs(second - np.eye(3) / 3).max()))


def _white_map(target, a):
    """R and N in NumPy, by eigenvectors."""
    y = np.asarray(target)
    s = np.cov(y.T, bias=True)
    values, vectors = np.linalg.eigh(a.T @ s @ a)
    n = vectors / np.sqrt(values) @ vectors.T / np.sqrt(a.shape[1])
    return (y - y.mean(0)) @ a @ n, n


def _layers(theta, *names):
    def run(h):
        for i, name in enumerate(names):
            h = current(h, theta[name])
            h = jnp.tanh(h) if i < len(names) - 1 else h
        return h

    return run


FIRST, LAST = ("input-hidden1", "hidden1-code"), ("code-hidden2", "hidden2-output")


def _behaviours(rule) -> float:
    net, x, target, gamma = _made(rule)
    signal = _signal(target)
    mine = learned(rule, net, recorded(rule, net, x, signal, gamma), signal, gamma).net
    c, _ = _white_map(target, np.asarray(gamma["representatives"]["code"]))
    said = _layers(net.theta, *FIRST)(x)

    def loss(theta):
        half = lambda off: jnp.sum(off**2) / (2 * len(off))
        read = jnp.concatenate([jax.lax.stop_gradient(said), c])
        both = jnp.concatenate([target, target])
        return half(_layers(theta, *FIRST)(x) - c) + half(_layers(theta, *LAST)(read) - both)

    return gap(mine, jax.grad(loss)(net.theta))


def _norms(theta, names) -> float:
    """The product of spectral norms, as the rule bounds them: Schatten's of order 128."""
    singular = [np.linalg.svd(np.asarray(theta[name]["weight"]))[1] for name in names]
    return float(np.prod([np.sum(s**128) ** (1 / 128) for s in singular]))


def _representative(rule) -> float:
    net, x, target, gamma = _made(rule)
    signal = _signal(target)
    record = recorded(rule, net, x, signal, gamma)
    mine: Any = learned(rule, net, record, signal, gamma).gamma
    a = gamma["representatives"]["code"]
    _, n = _white_map(target, np.asarray(a))
    said, reach = _layers(net.theta, *FIRST)(x), _norms(net.theta, LAST)

    def loss(a):
        c = (target - target.mean(0, keepdims=True)) @ a @ n
        off = _layers(net.theta, *LAST)(c) - target
        return jnp.sum(reach**2 * (c - said) ** 2) / (2 * len(c)) + jnp.sum(off**2) / (2 * len(c))

    return apart(mine["representatives"]["code"], jax.grad(loss)(a))


def _isolated(rule) -> float:
    """Beyond the code everything is turned over; what is learned before it is the same bits."""
    net, x, target, gamma = _made(rule)
    signal = _signal(target)
    other = net.with_theta(
        {name: jax.tree.map(lambda w: -3 * w[::-1], net.theta[name]) for name in LAST}
    )
    updates = [
        learned(rule, one, recorded(rule, one, x, signal, gamma), signal, gamma).net
        for one in (net, other)
    ]
    return max(
        float(np.abs(np.asarray(updates[0][name][k]) - np.asarray(updates[1][name][k])).max())
        for name in FIRST
        for k in ("weight", "bias")
    )


def _bound(rule) -> float:
    net, x, target, gamma = _made(rule)
    signal, draw, worst = _signal(target), np.random.default_rng(5), 0.0
    for scale in 10 ** draw.uniform(-1, 1, 50):
        theta = {
            name: {k: jnp.asarray(scale * draw.normal(size=w.shape)) for k, w in parts.items()}
            for name, parts in net.theta.items()
        }
        one = net.with_theta(theta)
        measures = recorded(rule, one, x, signal, gamma).measures
        worst = max(worst, float(measures["deployed"] / measures["bound"]))
    return worst


def _joined(rule) -> float:
    """Two codes of one trunk, read together and beside the input by what says y."""
    sizes = {"input": 4, "trunk": 6, "left": 2, "right": 3, "hidden": 5, "output": 5}
    edges = [
        ("input", "trunk"),
        ("trunk", "left"),
        ("trunk", "right"),
        ("left", "hidden"),
        ("right", "hidden"),
        ("input", "hidden"),
        ("hidden", "output"),
    ]
    units = {"trunk": "tanh", "hidden": "tanh", "left": "code", "right": "code"}
    net = drawn(graph, sizes, edges, activation=units)
    x, target = samples((30, 4), 5)
    signal, gamma = _signal(target), rule.init(net, jax.random.key(3))
    mine = learned(rule, net, recorded(rule, net, x, signal, gamma), signal, gamma).net
    right = {
        name: _white_map(target, np.asarray(a))[0] for name, a in gamma["representatives"].items()
    }

    def codes(theta):
        trunk = jnp.tanh(current(x, theta["input-trunk"]))
        return {name: current(trunk, theta[f"trunk-{name}"]) for name in ("left", "right")}

    said = jax.lax.stop_gradient(codes(net.theta))

    def loss(theta):
        half = lambda off: jnp.sum(off**2) / (2 * len(off))
        total = sum(half(c - right[name]) for name, c in codes(theta).items())
        read = {name: jnp.concatenate([said[name], right[name]]) for name in right}
        u = current(jnp.concatenate([x, x]), theta["input-hidden"])
        u = u + sum(current(a, theta[f"{name}-hidden"]) for name, a in read.items())
        says = current(jnp.tanh(u), theta["hidden-output"])
        return total + half(says - jnp.concatenate([target, target]))

    return gap(mine, jax.grad(loss)(net.theta))
