"""The polynomial holds the rules that it should hold, and its coefficients have a slope."""

import dataclasses
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np

from byway.core.check import Check
from byway.core.signal import Signal, SquaredError
from byway.network.builders import mlp
from byway.rules.meta.taylor import DELTA, OJA, coefficients
from byway.verify.oracle import (
    EXACT,
    Problem,
    activity,
    apart,
    cross_entropy,
    drawn,
    from_autodiff,
    gap,
    layered,
    layers,
    learned,
    ravel,
    recorded,
    samples,
    taught,
)

WIDROW, OJA_1982 = "Widrow and Hoff 1960", "Oja 1982"
DFA_TANH = coefficients({(1, 0, 0, 1): -1.0, (1, 2, 0, 1): 1.0})


def checks(rule):
    """A polynomial that was learned, with coefficients of its own, has no equality to hold."""
    if hasattr(rule, "found"):
        return []
    free = dataclasses.replace(rule, bound=1e6)
    return [
        Check("-1 pre e: update = autodiff of a linear net", lambda: _delta(free), EXACT, WIDROW),
        Check("pre post - post² w: update = Oja's rule", lambda: _oja(free), EXACT, OJA_1982),
        Check(
            "Oja's rule after 400 steps: cosine to the first principal component",
            lambda: _principal(free),
            1e-3,
            OJA_1982,
            1.0,
        ),
        Check(
            "Oja's rule after 400 steps: length of the weights",
            lambda: _principal(free, length=True),
            1e-2,
            OJA_1982,
            1.0,
        ),
        Check(
            "-1 pre e + pre post² e: update = DFA's, tanh",
            lambda: _dfa(free),
            EXACT,
            "Nokland 2016",
        ),
        Check(
            "slope by all coefficients, over 20 steps = central differences",
            lambda: _meta(free),
            1e-6,
            "Confavreux et al. 2020",
        ),
    ]


def _gamma(rule, net, hidden, output):
    feedback = jax.jit(lambda: rule.init(net, jax.random.key(7))["feedback"])()
    return {
        "theta": {"hidden": jnp.asarray(hidden), "output": jnp.asarray(output)},
        "feedback": feedback,
    }


def _delta(rule) -> float:
    problem = layered(6, 3, loss="squared_error")
    return from_autodiff(rule, problem, _gamma(rule, problem.net, DELTA, DELTA))


def _oja(rule) -> float:
    """Several outputs are as many single units: each subtracts its own post² w."""
    net, x, signal, _ = layered(6, 3, bias=False)
    w = np.asarray(net.theta["input-output"]["weight"])
    x_, y = np.asarray(x), np.asarray(x) @ w
    true = -(np.einsum("bi,bj->ij", x_, y) - np.einsum("bj,ij->ij", y**2, w)) / len(x_)
    update = taught(rule, net, x, signal, _gamma(rule, net, OJA, OJA))
    return gap(update, {"input-output": {"weight": jnp.asarray(true)}})


def _principal(rule, length: bool = False) -> float:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(200, 6)) * np.array([2.0, 1.2, 1.0, 0.8, 0.5, 0.3])
    x = (x - x.mean(0)) @ np.linalg.qr(draw.normal(size=(6, 6)))[0]
    net = drawn(mlp, 6, 1, bias=False)
    signal = Signal(jnp.asarray(np.zeros((200, 1))), SquaredError())
    gamma = _gamma(rule, net, OJA, OJA)

    @jax.jit
    def run(theta, x):
        def step(theta, _):
            update = taught(rule, net.with_theta(theta), x, signal, gamma)
            return jax.tree.map(lambda w, d: w - 0.05 * d, theta, update), None

        return jax.lax.scan(step, theta, length=400)[0]

    w = np.asarray(run(net.theta, jnp.asarray(x))["input-output"]["weight"])[:, 0]
    if length:
        return float(np.linalg.norm(w))
    return float(abs(w @ np.linalg.svd(x)[2][0]) / np.linalg.norm(w))


def _dfa(rule) -> float:
    net, x, signal, _ = layered(6, 5, 4, 3)
    gamma = _gamma(rule, net, DFA_TANH, DELTA)
    order = layers(2)
    h = {
        name: np.asarray(a)
        for name, a in jax.jit(lambda x: activity(net.theta, order, x))(x).items()
    }
    e, true = (
        np.exp(h["output"]) / np.exp(h["output"]).sum(1, keepdims=True) - np.asarray(signal.target),
        {},
    )
    for src, dst in pairwise(order):
        delta = (
            e if dst == "output" else (e @ np.asarray(gamma["feedback"][dst])) * (1 - h[dst] ** 2)
        )
        true[f"{src}-{dst}"] = {"weight": h[src].T @ delta / len(x), "bias": delta.mean(0)}
    return gap(taught(rule, net, x, signal, gamma), true)


def _meta(rule) -> float:
    problem = layered(4, 5, 3)
    x, target = samples((8, 4), 3, seed=5)
    gamma = _gamma(rule, problem.net, DELTA, DELTA)
    flat, unflatten = ravel(gamma["theta"])
    # Small random coefficients beside those of the delta rule, so that every power counts and
    # nothing runs away.
    flat = flat + 0.02 * np.random.default_rng(4).normal(size=flat.shape)

    def after(flat):
        def step(theta, _):
            net = problem.net.with_theta(theta)
            update = _one(rule, problem, net, gamma | {"theta": unflatten(flat)})
            return jax.tree.map(lambda w, d: w - 0.1 * d, theta, update), None

        theta, _ = jax.lax.scan(step, problem.net.theta, length=20)
        return jnp.mean(cross_entropy(activity(theta, layers(1), x)["output"], target))

    step = 1e-5
    moved = flat + step * np.concatenate([np.eye(flat.size), -np.eye(flat.size)])
    up, down = np.split(np.asarray(jax.jit(jax.vmap(after))(moved)), 2)
    return apart(jax.jit(jax.grad(after))(flat), (up - down) / (2 * step))


def _one(rule, problem: Problem, net, gamma):
    record = recorded(rule, net, problem.x, problem.signal, gamma)
    return learned(rule, net, record, problem.signal, gamma).net
