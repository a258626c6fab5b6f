"""Incremental predictive coding, written out in NumPy; and backprop, where weights that hardly move
let errors pass through them.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from byway.core.check import Check
from byway.core.signal import LOSSES, Signal
from byway.learning.learner import Learner
from byway.learning.rule import Carry
from byway.network.builders import graph
from byway.verify.oracle import EXACT, PHI, drawn, gap, layered, samples

SALVATORI, SONG = "Salvatori et al. 2022 (iPC)", "Song, Lukasiewicz, Xu and Bogacz 2020 (Z-IL)"
SIZES = {"input": 4, "a": 5, "b": 6, "output": 3}
CYCLES = [("input", "a"), ("a", "a"), ("a", "b"), ("b", "a"), ("b", "output")]
DESCENT = 0.2


def checks(rule):
    few = dataclasses.replace(rule, steps=5, rate=0.3, precision=0.7)
    return [
        Check(
            "3 batches of 5 steps, cross-entropy: weights = NumPy's",
            lambda: _by_hand(few, "cross_entropy"),
            EXACT,
            SALVATORI,
        ),
        Check(
            "3 batches of 5 steps, squared error: weights = NumPy's",
            lambda: _by_hand(few, "squared_error"),
            EXACT,
            SALVATORI,
        ),
        Check(
            "rate 1, weights still, layer l at step L - l: update = autodiff",
            lambda: _z_il(rule),
            EXACT,
            SONG,
        ),
        Check(
            "graph with cycles: update = slope of the energy, by autodiff",
            lambda: _slope(few),
            EXACT,
            SALVATORI,
        ),
    ]


def _by_hand(rule, loss: str) -> float:
    net, x, signal, _ = layered(6, 5, 4, 3, loss=loss)

    def optimise(learner, turn, update, scores):
        theta = {
            name: {k: learner.net.theta[name][k] - DESCENT * a for k, a in parts.items()}
            for name, parts in update.net.items()
        }
        return dataclasses.replace(learner, net=learner.net.with_theta(theta))

    @jax.jit
    def trained(net):
        learner = Learner(net, {}, (), (), (), jnp.int32(0), jax.random.key(0), jnp.int32(-1))
        for _ in range(3):
            learner, _ = rule.learn(learner, x, signal, jax.random.key(0), optimise)
        return learner.net.theta

    return gap(
        trained(net), in_numpy(net.theta, np.asarray(x), np.asarray(signal.target), loss, rule, 3)
    )


def in_numpy(theta, x, target, loss: str, rule, batches: int):
    """A chain of tanh layers trained by gradient descent at DESCENT, in plain loops: what the rule
    is held against.
    """
    names = list(theta)
    w, b = ([np.asarray(theta[name][part]) for name in names] for part in ("weight", "bias"))
    last = len(names) - 1
    for _ in range(batches):
        v = []
        for i in range(last):  # what the network predicts
            v.append((np.tanh(v[-1]) if i else x) @ w[i] + b[i])
        for _ in range(rule.steps):
            sent = [x, *(np.tanh(one) for one in v)]
            mu = [sent[i] @ w[i] + b[i] for i in range(last + 1)]
            read = (
                np.exp(mu[last]) / np.exp(mu[last]).sum(1, keepdims=True)
                if loss == "cross_entropy"
                else mu[last]
            )
            eps = [v[i] - mu[i] for i in range(last)] + [rule.precision * (target - read)]
            v = [
                v[i] + rule.rate * (-eps[i] + (1 - sent[i + 1] ** 2) * (eps[i + 1] @ w[i + 1].T))
                for i in range(last)
            ]
            w = [w[i] + DESCENT * sent[i].T @ eps[i] / len(x) for i in range(last + 1)]
            b = [b[i] + DESCENT * eps[i].mean(0) for i in range(last + 1)]
    return {name: {"weight": w[i], "bias": b[i]} for i, name in enumerate(names)}


def _moves(rule, net, x, signal):
    """The phase and the update of each step, all on the same weights."""

    @jax.jit
    def run(net):
        (first, _), (move, times) = rule.turns
        carry, found = Carry(*rule.start({}, net, len(x)), ()), []  # pyright: ignore[reportCallIssue]  it is no method
        carry, _, _ = rule.teach(first, {}, net, carry, x, signal, jax.random.key(0))
        for _ in range(times):
            values = carry.state
            carry, update, _ = rule.teach(move, {}, net, carry, x, signal, jax.random.key(0))
            found.append((values, update.net))
        return found

    return run(net)


def _z_il(rule) -> float:
    net, x, signal, _ = problem = layered(6, 5, 4, 7, 3)
    found = _moves(dataclasses.replace(rule, rate=1.0, precision=1.0, steps=4), net, x, signal)
    update = {p.name: found[step][1][p.name] for step, p in enumerate(reversed(net.projections))}
    return gap(update, problem.gradient())


def _slope(rule) -> float:
    net = drawn(graph, SIZES, CYCLES, activation="tanh")
    x, target = samples((5, 4), 3)
    *_, (values, update) = _moves(rule, net, x, Signal(target, LOSSES["squared_error"]))
    v = values | {"input": x, "output": target}

    def energy(theta):
        mu = {name: jnp.zeros_like(a) for name, a in v.items() if name != "input"}
        for name, w in theta.items():
            src, dst = name.split("-")
            mu[dst] = (
                mu[dst]
                + (x if src == "input" else PHI["tanh"](v[src])) @ w["weight"]
                + w.get("bias", jnp.zeros(1))[None, :]
            )
        return (
            sum(
                (
                    jnp.sum((v[k] - m) ** 2) * (rule.precision if k == "output" else 1.0)
                    for k, m in mu.items()
                ),
                start=0.0,
            )
            / 2
            / len(x)
        )

    return gap(update, jax.jit(jax.grad(energy))(net.theta))
