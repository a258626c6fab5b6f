"""Equilibrium propagation: the slopes of Phi by autodiff, the gradient through the settled state,
and a closed form.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from byway.core.check import Check
from byway.core.signal import LOSSES, Signal
from byway.network.builders import convnet, graph, mlp
from byway.network.network import Network
from byway.verify.oracle import (
    BY_EYE,
    EXACT,
    PHI,
    Theta,
    apart,
    current,
    drawn,
    gap,
    ravel,
    recorded,
    samples,
    taught,
)

SCELLIER, LABORIEUX = "Scellier and Bengio 2017", "Laborieux et al. 2021"
ERNOULT = "Ernoult et al. 2019: the nudged phase is BPTT"
SIZES = {"input": 4, "a": 5, "b": 6, "output": 3}
CYCLES = [
    ("input", "a"),
    ("a", "a"),
    ("a", "b"),
    ("b", "a"),
    ("b", "output"),
    ("output", "a"),
    ("a", "input"),
]
BUILD: dict[str, Callable[[], Network]] = {
    "mlp": lambda: drawn(mlp, 4, 6, 5, 3, activation="tanh"),
    "convnet": lambda: drawn(convnet, (4, 4, 2), (2, 3), 3, activation="tanh"),
    "graph with cycles": lambda: drawn(graph, SIZES, CYCLES, activation="tanh"),
}
Values = dict[str, Array]


def checks(rule):
    plain = dataclasses.replace(rule, rate=0.5, tolerance=0.0, symmetric=True)
    single = dataclasses.replace(plain, symmetric=False)
    return [
        Check(
            "convnet: pull on every unit = slope of Phi, by autodiff",
            lambda: _pull(plain, "convnet"),
            EXACT,
            SCELLIER,
        ),
        Check(
            "graph with cycles: update = slope of Phi, by autodiff",
            lambda: _update(plain, "graph with cycles"),
            EXACT,
            SCELLIER,
        ),
        *(
            Check(
                f"{kind}: from autodiff through rest: slope by beta",
                lambda kind=kind: _by_beta(plain, kind),
                0.1,
                LABORIEUX,
                2.0,
            )
            for kind in BUILD
        ),
        Check(
            "nudged one way: from autodiff: slope by beta",
            lambda: _by_beta(single, "mlp"),
            0.1,
            SCELLIER,
            1.0,
        ),
        Check(
            "3 nudged steps from rest = 3 steps of BPTT, by autodiff",
            lambda: _through_time(plain, 3),
            1e-6,
            ERNOULT,
        ),
        Check(
            "linear net, beta 0.5: update = closed form",
            lambda: _closed_form(plain),
            1e-10,
            "a linear system for each phase",
        ),
    ]


def _problem(kind: str, loss: str = "cross_entropy") -> tuple[Network, Array, Signal]:
    """A network whose couplings are weak enough for one state of rest, and a batch."""
    net = BUILD[kind]()
    net = net.with_theta(jax.tree.map(lambda w: w * 0.4, net.theta))
    x, target = samples((5, *net[net.input].shape), 3)
    return net, x, Signal(target, LOSSES[loss])


def _primitive(s: Values, theta: Theta) -> Array:
    """Phi, summed over the batch, of a network without normalisation."""
    total = jnp.zeros(())
    for name, w in theta.items():
        src, dst = name.split("-")
        total = total + jnp.sum(s[dst] * current(s[src], w).reshape(s[dst].shape))
    return total


def _stepped(s: Values, theta: Theta, steps: int, phi: str = "tanh") -> Values:
    """So many free steps of half the way to phi(dPhi/ds), the output's phi being the identity."""

    def step(s, _):
        pull = jax.grad(_primitive)(s, theta)
        moved = {k: u if k == "output" else PHI[phi](u) for k, u in pull.items()}
        return {k: a if k == "input" else a / 2 + moved[k] / 2 for k, a in s.items()}, None

    return jax.lax.scan(step, s, length=steps)[0]


def _silent(net: Network, x: Array) -> Values:
    return {p.name: jnp.zeros((len(x), *p.shape)) for p in net.populations} | {"input": x}


def _pull(rule, kind: str) -> float:
    net, x, signal = _problem(kind)
    record = recorded(rule, net, x, signal)

    @jax.jit
    def true(s, theta, target):
        error = jax.grad(lambda y: jnp.sum(BY_EYE["cross_entropy"](y, target)))(s["output"])
        pull = jax.grad(_primitive)(s, theta)
        return pull | {"output": pull["output"] - rule.beta * error}

    found, wanted = record["pushed"].u, true(record["pushed"].post, net.theta, signal.target)
    return max(apart(u, wanted[name]) for name, u in found.items())


def _update(rule, kind: str) -> float:
    net, x, signal = _problem(kind, "squared_error")
    record = recorded(rule, net, x, signal)

    @jax.jit
    def true(pushed, pulled, theta):
        slope = jax.grad(
            lambda theta: (
                (_primitive(pulled, theta) - _primitive(pushed, theta)) / (2 * rule.beta * len(x))
            )
        )
        return slope(theta)

    return gap(
        taught(rule, net, x, signal), true(record["pushed"].post, record["pulled"].post, net.theta)
    )


def _by_beta(rule, kind: str) -> float:
    net, x, signal = _problem(kind)

    @jax.jit
    def gradient(theta):
        at_rest = lambda theta: _stepped(_silent(net, x), theta, 300)["output"]
        return jax.grad(
            lambda theta: jnp.mean(BY_EYE["cross_entropy"](at_rest(theta), signal.target))
        )(theta)

    true, betas = ravel(gradient(net.theta))[0], (0.04, 0.02, 0.01)
    patient = [dataclasses.replace(rule, steps=300, nudged_steps=300, beta=beta) for beta in betas]
    off = [apart(ravel(taught(one, net, x, signal))[0], true) for one in patient]
    return float(np.polyfit(np.log(betas), np.log(off), 1)[0])


def _through_time(rule, steps: int) -> float:
    net, x, signal = _problem("mlp")
    short = dataclasses.replace(rule, steps=300, nudged_steps=steps, beta=1e-4)

    @jax.jit
    def gradient(theta):
        rest = _stepped(_silent(net, x), theta, 300)
        loss = lambda theta: jnp.mean(
            BY_EYE["cross_entropy"](_stepped(rest, theta, steps)["output"], signal.target)
        )
        return jax.grad(loss)(theta)

    return gap(taught(short, net, x, signal), gradient(net.theta))


def _closed_form(rule) -> float:
    """One linear hidden layer: at rest h = W1 x + b1 + W2^T y and (1 +- beta) y = W2 h + b2 +- beta
    t.
    """
    net, x, target = drawn(mlp, 4, 6, 3, activation="identity"), *samples((5, 4), 3)
    net = net.with_theta(jax.tree.map(lambda w: w * 0.4, net.theta))
    signal = Signal(target, LOSSES["squared_error"])
    patient = dataclasses.replace(rule, steps=500, nudged_steps=500, beta=0.5)
    (w1, b1), (w2, b2) = [
        [np.asarray(p[k]) for k in ("weight", "bias")] for p in net.theta.values()
    ]
    inputs, t = np.asarray(x), np.asarray(target)
    products = []
    for beta in (-patient.beta, patient.beta):
        y = np.linalg.solve(
            (1 + beta) * np.eye(3) - w2.T @ w2, ((inputs @ w1 + b1) @ w2 + b2 + beta * t).T
        ).T
        h = inputs @ w1 + b1 + y @ w2.T
        products.append([(inputs.T @ h, h.sum(0)), (h.T @ y, y.sum(0))])
    true = {
        name: {
            part: (low - high) / (2 * patient.beta * len(t))
            for part, low, high in zip(("weight", "bias"), *pair, strict=True)
        }
        for name, *pair in zip(net.theta, *products, strict=True)
    }
    return gap(taught(patient, net, x, signal), true)
