"""Soft winner-take-all Hebbian layers: the equations in NumPy loops, norms that tend to one,
patterns that are found.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from byway.core.check import Check
from byway.core.signal import CrossEntropy, Signal
from byway.network.builders import mlp
from byway.verify.oracle import EXACT, apart, drawn, layered, learned, recorded

MORAITIS = "Moraitis, Toichkin, Journe, Chua and Guo 2022"


def checks(rule):
    soft = dataclasses.replace(rule, temperature=0.7, rate=0.3)
    return [
        Check(
            "mlp: changes of hidden layers = NumPy's, unit by unit",
            lambda: _by_hand(soft),
            EXACT,
            MORAITIS,
        ),
        Check(
            "W . A = (1 - |W|²) sum s u: distance, from what is changed",
            lambda: _identity(soft),
            EXACT,
            "W . A, multiplied out",
        ),
        Check(
            "six patterns, six units: largest 1 - cosine of a pattern",
            _found_by(rule),
            1e-6,
            MORAITIS,
        ),
        Check(
            "other targets and other weights above: hidden changes move by",
            lambda: _isolated(soft),
            0.0,
            "no feedback",
        ),
    ]


def _changes(rule, problem):
    record = recorded(rule, problem.net, problem.x, problem.signal)
    return record["free"], learned(rule, problem.net, record, problem.signal).change


def _by_hand(rule) -> float:
    problem = layered(6, 5, 4, 3)
    _, mine = _changes(rule, problem)
    x, worst = np.asarray(problem.x), 0.0
    for name in ("input-hidden1", "hidden1-hidden2"):
        w, b = (np.asarray(problem.net.theta[name][part]) for part in ("weight", "bias"))
        step = by_unit(x, x @ w + b, w, rule.temperature)
        rate = rule.rate * np.sqrt(np.abs(np.linalg.norm(w, axis=0) - 1))
        worst = max(worst, apart(mine[name]["weight"], rate * step / np.abs(step).max()))
        u = x @ w + b
        x = np.tanh(u - u.mean(1, keepdims=True))
    return worst


def by_unit(x, u, w, temperature: float) -> np.ndarray:
    """A, in loops over samples and units."""
    step = np.zeros_like(w)
    for sample, drive in zip(x, u, strict=True):
        y = np.exp(drive / temperature) / np.exp(drive / temperature).sum()
        for k, share in enumerate(y):
            sign = 1.0 if share == y.max() else -1.0
            step[:, k] += sign * share * (sample - drive[k] * w[:, k])
    return step


def _identity(rule) -> float:
    """Of a layer without bias, whose u is W h: W_k . A_k = sum s_k u_k (1 - |W_k|^2). The scale of
    the layer is divided out.
    """
    problem = layered(6, 5, 3, bias=False)
    free, mine = _changes(rule, problem)
    w, u = (
        np.asarray(a) for a in (problem.net.theta["input-hidden1"]["weight"], free.u["hidden1"])
    )
    y = np.exp(u / rule.temperature) / np.exp(u / rule.temperature).sum(1, keepdims=True)
    s = np.where(u == u.max(1, keepdims=True), y, -y)
    norm = np.linalg.norm(w, axis=0)
    change = np.asarray(mine["input-hidden1"]["weight"]) / np.sqrt(np.abs(norm - 1))
    along, wanted = (w * change).sum(0), (s * u).sum(0) * (1 - norm**2)
    return apart(along / np.linalg.norm(along), wanted / np.linalg.norm(wanted))


def _found_by(rule):
    def worst() -> float:
        """Orthogonal patterns of length one, and units that begin somewhere near one each: each
        ends on its own.
        """
        draw = np.random.default_rng(0)
        patterns, _ = np.linalg.qr(draw.normal(size=(8, 6)))
        net = drawn(mlp, 8, 6, 2, activation="identity", bias=False)
        theta = {
            "input-hidden1": {
                "weight": jnp.asarray(1.3 * patterns + 0.1 * draw.normal(size=(8, 6)))
            }
        }
        signal = Signal(jnp.asarray(np.eye(2)[np.arange(6) % 2]), CrossEntropy())
        hard = dataclasses.replace(rule, temperature=0.02, rate=0.02)

        def step(_, w):
            here = net.with_theta({"input-hidden1": {"weight": w}})
            record = hard.f({}, here, (), jnp.asarray(patterns.T), signal, jax.random.key(0))[1]
            return w + hard.g({}, here, (), record, signal)[1].change["input-hidden1"]["weight"]

        w = np.asarray(
            jax.jit(lambda w: jax.lax.fori_loop(0, 3000, step, w))(theta["input-hidden1"]["weight"])
        )
        cosine = (w * patterns).sum(0) / np.linalg.norm(w, axis=0)
        return float(max((1 - cosine).max(), np.abs(np.linalg.norm(w, axis=0) - 1).max() / 100))

    return worst


def _isolated(rule) -> float:
    problem = layered(6, 5, 4, 3)
    _, one = _changes(rule, problem)
    theta = dict(problem.net.theta)
    above = {k: 2 * a for k, a in theta["hidden2-output"].items()}
    other = problem._replace(net=problem.net.with_theta(theta | {"hidden2-output": above}))
    other = other._replace(
        signal=Signal(jnp.roll(problem.signal.target, 1, axis=1), problem.signal.criterion)
    )
    _, two = _changes(rule, other)
    return max(
        float(np.abs(np.asarray(one[name]["weight"]) - np.asarray(two[name]["weight"])).max())
        for name in one
    )
