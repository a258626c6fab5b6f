"""Recurrent forward-forward: its iterations written out, and the loss that each layer descends in
all of them.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from byway.core.check import Check
from byway.core.signal import LOSSES, Signal
from byway.network.builders import topdown
from byway.verify.oracle import (
    EXACT,
    apart,
    cross_entropy,
    current,
    drawn,
    gap,
    learned,
    normalised,
    recorded,
    samples,
)

SOURCE = "Hinton 2022"
INTO = {
    "hidden1": ("input-hidden1", "hidden2-hidden1"),
    "hidden2": ("hidden1-hidden2", "output-hidden2"),
}


def checks(rule):
    short = dataclasses.replace(rule, steps=3, first=1, last=2, stay=0.4)
    other = dataclasses.replace(short, threshold=0.4, peer=0.7, decay=0.6)
    return [
        Check("activity of all iterations, by hand", lambda: _dynamics(short), EXACT, SOURCE),
        Check(
            "every layer: update = autodiff of its own loss",
            lambda: _own_loss(short),
            EXACT,
            SOURCE,
        ),
        Check("the same with other hyper-parameters", lambda: _own_loss(other), EXACT, SOURCE),
        Check("prediction = goodness of each label, by hand", lambda: _read(rule), EXACT, SOURCE),
        Check("wrong labels that are right, of 500", lambda: _right(short), 0.0, SOURCE),
    ]


def _problem(batch=4):
    net = drawn(topdown, 8, 6, 5, 3, norm=True)
    x, target = samples((batch, 8), 3)
    return net, x, Signal(target, LOSSES["cross_entropy"])


def _by_hand(rule, theta, x, label):
    """H of each iteration, by layer."""
    relu, n = jax.nn.relu, normalised
    y = label / jnp.sqrt(jnp.mean(label**2, 1, keepdims=True))
    one = relu(current(n(x), theta["input-hidden1"]))
    two = relu(current(n(one), theta["hidden1-hidden2"]))
    found = {"hidden1": [], "hidden2": []}
    for _ in range(rule.steps):
        h1 = relu(current(n(x), theta["input-hidden1"]) + current(n(two), theta["hidden2-hidden1"]))
        h2 = relu(current(n(one), theta["hidden1-hidden2"]) + current(y, theta["output-hidden2"]))
        one, two = (rule.stay * s + (1 - rule.stay) * h for s, h in ((one, h1), (two, h2)))
        found["hidden1"].append(h1)
        found["hidden2"].append(h2)
    return {name: jnp.stack(h) for name, h in found.items()}


def _dynamics(rule) -> float:
    net, x, signal = _problem()
    made = recorded(rule, net, x, signal)["both"]
    y = np.asarray(made.pre["output-hidden2"])[4:]
    wrong = jnp.asarray(y / y.max())
    sides = [_by_hand(rule, net.theta, x, label) for label in (signal.target, wrong)]
    return max(
        apart(
            made.post[name],
            np.concatenate([np.asarray(side[name]) for side in sides], 1).reshape(-1, h.shape[2]),
        )
        for name, h in sides[0].items()
    )


def _own_loss(rule) -> float:
    net, x, signal = _problem()
    draw = np.random.default_rng(3)
    memory = {h.name: jnp.asarray(draw.uniform(size=h.shape)) for h in net.hidden}
    record = recorded(rule, net, x, signal)
    made, free = record["both"].pre, record["free"]
    # What is held arrives in every iteration.
    pre = {name: a if len(a) > 8 else jnp.concatenate([a] * rule.steps) for name, a in made.items()}
    positive = np.tile(np.arange(8) < 4, rule.steps)

    def loss(theta):
        output = current(free.pre["hidden2-output"], theta["hidden2-output"])
        total = jnp.mean(cross_entropy(output, signal.target))
        for layer, (up, down) in INTO.items():
            u = current(pre[up], theta[up]) + current(pre[down], theta[down])
            h, n = jnp.maximum(u, 0), u.shape[1]
            wrong = jnp.where(positive, 1, -1) * (rule.threshold * n - jnp.sum(h**2, 1))
            total = total + jnp.mean(jnp.log(1 + jnp.exp(wrong)))
            # A relu whose derivative is one everywhere.
            passing = (u + jax.lax.stop_gradient(h - u))[positive]
            mean = rule.decay * memory[layer] + (1 - rule.decay) * jnp.mean(passing, 0)
            total = total + rule.peer * jnp.mean((jnp.mean(mean) - mean) ** 2)
        return total

    update = learned(rule, net, record, signal, memory=memory).net
    return gap(update, jax.jit(jax.grad(loss))(net.theta))


def _read(rule) -> float:
    net, x, _ = _problem()

    def good(label):
        made = _by_hand(rule, net.theta, x, jnp.broadcast_to(label[None], (4, 3)))
        seen = slice(rule.first - 1, rule.last)
        return sum(jnp.sum(h[seen] ** 2, (0, 2)) for h in made.values())

    wanted = jax.jit(lambda: jnp.stack([good(label) for label in jnp.eye(3)], 1))()
    return apart(recorded(rule, net, x, None).output, wanted)


def _right(rule) -> float:
    net, x, signal = _problem(500)
    label = np.asarray(recorded(rule, net, x, signal)["both"].pre["output-hidden2"])[500:]
    return float(np.sum((label > 0) & (np.asarray(signal.target) > 0)))
