"""REINFORCE: the gradient of an expectation, by going through all that can happen."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np

from byway.core.check import Check
from byway.core.record import Record
from byway.rules.perturbation.reinforce import firing
from byway.verify.oracle import cross_entropy, gap, layered, learned, recorded, taught

SOURCE = "Williams 1992"
# Logistic noise by which a unit fires, or does not, whatever its drive.
SURE = 30.0


def checks(rule):
    one = dataclasses.replace(rule, draws=1)
    return [
        Check(
            "over all patterns of firing: update = slope of the expected loss, by autodiff",
            lambda: _expected(one),
            1e-10,
            SOURCE,
        ),
        Check(
            "share of passes in which a unit fires, less sigmoid(u), in standard errors",
            lambda: _share(dataclasses.replace(rule, draws=2**14)),
            4.5,
            "what a sigmoid unit is taken for",
        ),
        Check(
            "tanh units: update = (C(noisy) - C(clean)) ξ h / σ, in NumPy",
            lambda: _normal(dataclasses.replace(rule, sigma=0.5, draws=3)),
            1e-10,
            SOURCE,
        ),
    ]


def _expected(rule) -> float:
    net, x, signal, _ = layered(4, 3, 2, 3, phi="sigmoid", batch=1)
    patterns = jnp.asarray(list(itertools.product((0.0, 1.0), repeat=5)))

    def chance(u, s):
        return jnp.prod(jnp.where(s > 0, jax.nn.sigmoid(u), jax.nn.sigmoid(-u)), -1)

    def each(theta, pattern):
        """How likely a pattern is, and its loss."""
        one, two = pattern[None, :3], pattern[None, 3:]
        (w1, b1), (w2, b2), (w3, b3) = [
            [theta[name][k] for k in ("weight", "bias")]
            for name in ("input-hidden1", "hidden1-hidden2", "hidden2-output")
        ]
        p = chance(x @ w1 + b1[None], one) * chance(one @ w2 + b2[None], two)
        return p[0], cross_entropy(two @ w3 + b3[None], signal.target)[0]

    def expected(theta):
        p, loss = jax.vmap(lambda pattern: each(theta, pattern))(patterns)
        return jnp.sum(p * loss)

    def update(pattern):
        noise = {
            "hidden1": (2 * pattern[None, :3] - 1) * SURE,
            "hidden2": (2 * pattern[None, 3:] - 1) * SURE,
        }
        mean, fired = net.forward(x), firing(net).forward(x, noise)
        record = Record({"mean": mean, "fired": fired}, mean.post[net.output])
        made = learned(rule, net, record, signal).net
        p, _ = each(net.theta, pattern)
        return jax.tree.map(lambda a: p * a, made)

    summed = jax.jit(lambda: jax.tree.map(lambda a: a.sum(0), jax.vmap(update)(patterns)))()
    return gap(summed, jax.jit(jax.grad(expected))(net.theta))


def _share(rule) -> float:
    net, x, signal, _ = layered(4, 3, 2, phi="sigmoid")
    record = recorded(rule, net, x, signal)
    u = np.asarray(record["mean"].u["hidden1"])
    fired = np.asarray(record["fired"].post["hidden1"]).reshape(-1, *u.shape)
    p = 1 / (1 + np.exp(-u))
    return float(np.abs((fired.mean(0) - p) / np.sqrt(p * (1 - p) / len(fired))).max())


def _normal(rule) -> float:
    net, x, signal, _ = layered(5, 4, 3, loss="squared_error")
    inputs, target = np.asarray(x), np.asarray(signal.target)
    (w, b), (v, c) = [[np.asarray(p[k]) for k in ("weight", "bias")] for p in net.theta.values()]
    noise = np.asarray(recorded(rule, net, x, signal)["fired"].injected["hidden1"])
    true = jax.tree.map(np.zeros_like, jax.tree.map(np.asarray, net.theta))
    clean = np.sum((np.tanh(inputs @ w + b) @ v + c - target) ** 2, 1) / 2
    for xi in noise.reshape(rule.draws, len(inputs), -1):
        h = np.tanh(inputs @ w + b + xi)
        wrong = h @ v + c - target
        worse = (np.sum(wrong**2, 1) / 2 - clean)[:, None] * xi / rule.sigma**2
        share = rule.draws * len(inputs)
        for name, pre, delta in (
            ("input-hidden1", inputs, worse),
            ("hidden1-output", h, wrong),
        ):
            true[name]["weight"] += pre.T @ delta / share
            true[name]["bias"] += delta.sum(0) / share
    return gap(taught(rule, net, x, signal), true)
