"""Error-driven input modulation: the equations in NumPy, and what they become as F grows small."""

import jax
import jax.numpy as jnp
import numpy as np

from byway.core.check import Check
from byway.verify.oracle import (
    EXACT,
    activity,
    apart,
    gap,
    layered,
    layers,
    recorded,
    taught,
)

SOURCE = "Dellaferrera and Kreiman 2022"
SIZES = (6, 5, 7, 4)


def checks(rule):
    return [
        Check("update = NumPy's, by two passes", lambda: _by_hand(rule), EXACT, SOURCE),
        Check("F = 0: change of hidden layers", lambda: _still(rule), 0.0, SOURCE),
        Check(
            "F -> 0: slope of log distance from <-(J F e) hᵀ> by log F",
            lambda: _slope(rule),
            0.02,
            "Taylor",
            1.0,
        ),
        Check(
            "linear net, W₁ F = -W₂ᵀ: bias update = backprop's, by autodiff",
            lambda: _backprop(rule),
            EXACT,
            SOURCE,
        ),
        Check(
            "measured alignment = trace(P) / √C |P|, P = W_L ... W_1 F",
            lambda: _alignment(rule),
            EXACT,
            SOURCE,
        ),
    ]


def _feedback(outputs: int, inputs: int) -> np.ndarray:
    return np.random.default_rng(3).normal(size=(outputs, inputs))


def _softmax(y):
    z = np.exp(y)
    return z / z.sum(1, keepdims=True)


def _by_hand(rule) -> float:
    net, x, signal, _ = layered(*SIZES)
    f = _feedback(SIZES[-1], SIZES[0])
    target = np.asarray(signal.target)
    weights = [
        (name, np.asarray(w["weight"]), np.asarray(w["bias"])) for name, w in net.theta.items()
    ]

    def run(h):
        passed = [h]
        for i, (_, w, b) in enumerate(weights):
            u = passed[-1] @ w + b
            passed.append(u if i == len(weights) - 1 else np.tanh(u))
        return passed

    free = run(np.asarray(x))
    moved = run(np.asarray(x) + (_softmax(free[-1]) - target) @ f)
    deltas = [a - b for a, b in zip(free[1:-1], moved[1:-1], strict=True)]
    deltas.append(_softmax(moved[-1]) - target)
    true = {
        name: {"weight": pre.T @ d / len(x), "bias": d.mean(0)}
        for (name, _, _), pre, d in zip(weights, moved, deltas, strict=False)
    }
    return gap(taught(rule, net, x, signal, {"F": jnp.asarray(f)}), true)


def _still(rule) -> float:
    net, x, signal, _ = layered(*SIZES)
    update = taught(rule, net, x, signal, {"F": jnp.zeros((SIZES[-1], SIZES[0]))})
    return max(
        float(jnp.abs(a).max())
        for name in ("input-hidden1", "hidden1-hidden2")
        for a in update[name].values()
    )


def _slope(rule) -> float:
    """Divided by F, a layer learns from minus the derivative of its activity along F e."""
    net, x, signal, _ = layered(*SIZES)
    f, order, theta = jnp.asarray(_feedback(SIZES[-1], SIZES[0])), layers(2), net.theta

    @jax.jit
    def true():
        run = lambda x: activity(theta, order, x)
        free = run(x)
        error = jax.nn.softmax(free["output"]) - signal.target
        _, along = jax.jvp(run, (x,), (error @ f,))
        return [
            -free[src].T @ along[dst] / len(x)
            for src, dst in (("input", "hidden1"), ("hidden1", "hidden2"))
        ]

    wanted, sizes = true(), np.array([1e-1, 1e-2, 1e-3])
    distances = []
    for size in sizes.tolist():
        update = taught(rule, net, x, signal, {"F": size * f})
        mine = [update[name]["weight"] / size for name in ("input-hidden1", "hidden1-hidden2")]
        distances.append(apart(np.hstack([m.ravel() for m in mine]), _joined(wanted)))
    return float(np.polyfit(np.log(sizes), np.log(distances), 1)[0])


def _joined(parts):
    return np.hstack([np.ravel(a) for a in parts])


def _backprop(rule) -> float:
    """With as many inputs as hidden units or more there is such an F, and what moves a hidden layer
    is then the error that backprop would have sent it.
    """
    problem = layered(6, 5, 3, phi="identity")
    first, second = (np.asarray(w["weight"]) for w in problem.net.theta.values())
    f = -second.T @ np.linalg.pinv(first)
    update = taught(rule, problem.net, problem.x, problem.signal, {"F": jnp.asarray(f)})
    name = "input-hidden1"
    return apart(update[name]["bias"], problem.gradient()[name]["bias"])


def _alignment(rule) -> float:
    net, x, signal, _ = layered(*SIZES)
    f = _feedback(SIZES[-1], SIZES[0])
    measured = recorded(rule, net, x, signal, {"F": jnp.asarray(f)}).measures["alignment"]
    p = f @ np.linalg.multi_dot([np.asarray(w["weight"]) for w in net.theta.values()])
    return apart(measured, np.trace(p) / (np.sqrt(SIZES[-1]) * np.linalg.norm(p)))
