"""Block-local learning: losses by quadrature, messages by the divergence of Gaussians, and a linear
network whose messages are true, which learns what a likelihood in closed form says.
"""

import dataclasses
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np

from byway.core.check import Check
from byway.verify.oracle import (
    EXACT,
    current,
    gap,
    layered,
    layers,
    learned,
    recorded,
    taught,
)

SOURCE = "Kappel et al. 2023, worked out for Gaussians"
SIZES = (6, 5, 7, 5, 4, 3)
SIGMA, SPREAD = 0.5, 0.8
# Draws of one sample, for their mean and variance.
DRAWS = 100_000
# Where integrals are taken.
GRID = np.linspace(-12.0, 12.0, 1001)[None, None]


def checks(rule):
    rule = dataclasses.replace(rule, block=2, sigma=SIGMA, spread=SPREAD, fixed=False)
    return [
        Check(
            "update = autodiff of -log of the integral of alpha beta, by quadrature",
            lambda: _agreement(rule),
            EXACT,
            SOURCE,
        ),
        Check(
            "update of messages = autodiff of KL(rho, alpha) + loss above, noise given",
            lambda: _messages(rule),
            EXACT,
            SOURCE,
        ),
        Check(
            "linear net, true messages: hidden update = autodiff of -log p(t | x)",
            lambda: _likelihood(rule)[0],
            1e-10,
            "Fisher's identity",
        ),
        Check(
            "the same: what is left of the update of messages, noise taken out",
            lambda: _likelihood(rule)[1],
            1e-10,
            SOURCE,
        ),
        Check(
            "mean and variance of what is sent: distance from rho's, in standard errors",
            lambda: _moments(rule),
            4.0,
            "quadrature",
        ),
        Check(
            "other weights in blocks above: change of the update of a block",
            lambda: _leak(rule),
            0.0,
            SOURCE,
        ),
    ]


def _problem():
    return layered(*SIZES)


def _ends(rule) -> list[str]:
    return [name for i, name in enumerate(layers(4)[1:-1], 1) if i % rule.block == 0]


def _sent(rule, record) -> dict:
    """What arrived above each end."""
    order = layers(4)
    return {
        name: record["known"].pre[f"{name}-{order[order.index(name) + 1]}"] for name in _ends(rule)
    }


def _below(theta, x, sent) -> dict:
    """The activity of every layer, of which each that ends a block sends on what is given; the
    output as it is.
    """
    order, now, h = layers(4), x, {}
    for src, name in pairwise(order):
        u = current(now, theta[f"{src}-{name}"])
        h[name] = u if name == order[-1] else jnp.tanh(u)
        now = sent.get(name, h[name])
    return h


def _by_class(gamma, target):
    return {name: current(target, m) for name, m in gamma.items()}


def _density(z, mean, deviation):
    return jnp.exp(-(((z - mean) / deviation) ** 2) / 2) / (deviation * np.sqrt(2 * np.pi))


def _agree(h, m):
    """The integral of alpha beta, of each unit."""
    both = _density(GRID, h[..., None], SIGMA) * _density(GRID, m[..., None], SPREAD)
    return jnp.sum(both, -1) * (GRID[0, 0, 1] - GRID[0, 0, 0])


def _cross_entropy(output, target):
    return -jnp.sum(target * jax.nn.log_softmax(output), 1)


def _agreement(rule) -> float:
    net, x, signal, _ = _problem()
    gamma = rule.init(net, jax.random.key(7))
    record = recorded(rule, net, x, signal, gamma)
    sent, message = _sent(rule, record), _by_class(gamma, signal.target)

    def loss(theta):
        h = _below(theta, x, sent)
        parts = [-jnp.sum(jnp.log(_agree(h[name], m)), 1) for name, m in message.items()]
        return jnp.mean(sum(parts) + _cross_entropy(h["output"], signal.target))

    update = learned(rule, net, record, signal, gamma)
    return gap(update.net, jax.jit(jax.grad(loss))(net.theta))


def _rho(h, m):
    """The product of two Gaussians: precisions add up."""
    precision = 1 / SIGMA**2 + 1 / SPREAD**2
    return (h / SIGMA**2 + m / SPREAD**2) / precision, 1 / precision


def _divergence(mean, variance, of, its):
    """KL(N(mean, variance), N(of, its)), over units."""
    return jnp.sum(((mean - of) ** 2 + variance) / its - 1 - jnp.log(variance / its), 1) / 2


def _messages(rule) -> float:
    net, x, signal, _ = _problem()
    gamma = rule.init(net, jax.random.key(7))
    record = recorded(rule, net, x, signal, gamma)
    sent, message = _sent(rule, record), _by_class(gamma, signal.target)
    h = _below(net.theta, x, sent)
    ends = _ends(rule)
    noise = {name: sent[name] - _rho(h[name], message[name])[0] for name in ends}

    def loss(m, name):
        """The message of one end, all others as they are."""
        rho, variance = _rho(h[name], _by_class({name: m}, signal.target)[name])
        own = _divergence(rho, variance, h[name], SIGMA**2)
        moved = _below(net.theta, x, sent | {name: rho + noise[name]})
        if name == ends[-1]:
            return jnp.mean(own + _cross_entropy(moved["output"], signal.target))
        above = ends[ends.index(name) + 1]
        return jnp.mean(own + _divergence(*_rho(h[above], message[above]), moved[above], SIGMA**2))

    update = learned(rule, net, record, signal, gamma)
    return gap(update.gamma or {}, {name: jax.grad(loss)(gamma[name], name) for name in ends})


def _likelihood(rule) -> tuple[float, float]:
    """Where the weights above have rows of one length at right angles, what they say of z is a
    Gaussian of one variance: a message can be true.
    """
    net, x, signal, _ = layered(6, 4, 5, phi="identity", loss="squared_error")
    length, theta = 1.3, net.theta
    rows = np.linalg.qr(np.asarray(theta["hidden1-output"]["weight"]).T)[0].T
    w, b = jnp.asarray(length * rows), theta["hidden1-output"]["bias"]
    theta = theta | {"hidden1-output": {"weight": w, "bias": b}}
    net = net.with_theta(theta)
    rule = dataclasses.replace(rule, spread=1 / length)
    gamma = {"hidden1": {"weight": w.T / length**2, "bias": -(b @ w.T) / length**2}}
    target, inverse = signal.target, jnp.linalg.inv(jnp.eye(len(b)) + SIGMA**2 * w.T @ w)

    def loss(first):
        """Less a constant: given x, the target is a Gaussian of variance 1 + sigma^2 w^T w."""
        off = target - current(current(x, first), {"weight": w, "bias": b})
        return jnp.mean(jnp.sum((off @ inverse) * off, 1)) / 2

    record = recorded(rule, net, x, signal, gamma)
    update = learned(rule, net, record, signal, gamma)
    name = "input-hidden1"
    off = gap({name: update.net[name]}, {name: jax.grad(loss)(theta[name])})
    h, m = current(x, theta[name]), current(target, gamma["hidden1"])
    precision = 1 / SIGMA**2 + length**2
    noise = record["known"].pre["hidden1-output"] - (h / SIGMA**2 + length**2 * m) / precision
    # z moves by `gain` of a message, and w w^T is length^2.
    left = length**2 / precision * length**2 * noise
    true = {"weight": target.T @ left / len(x), "bias": jnp.mean(left, 0)}
    return off, gap(update.gamma or {}, {"hidden1": true})


def _moments(rule) -> float:
    net, x, signal, _ = _problem()
    repeat = lambda a: jnp.repeat(a[:1], DRAWS, 0)
    gamma = rule.init(net, jax.random.key(7))
    known = dataclasses.replace(signal, target=repeat(signal.target))
    record = recorded(rule, net, repeat(x), known, gamma)
    name = _ends(rule)[0]
    z = np.asarray(_sent(rule, record)[name])
    h, m = _below(net.theta, x[:1], {})[name], _by_class(gamma, signal.target[:1])[name]
    both = np.asarray(_density(GRID, h[..., None], SIGMA) * _density(GRID, m[..., None], SPREAD))[0]
    share = both / both.sum(1, keepdims=True)
    mean = (share * GRID[0]).sum(1)
    variance = (share * (GRID[0] - mean[:, None]) ** 2).sum(1)
    by_mean = (z.mean(0) - mean) / np.sqrt(variance / DRAWS)
    by_variance = (z.var(0) / variance - 1) / np.sqrt(2 / DRAWS)
    return float(np.abs([by_mean, by_variance]).max())


def _leak(rule) -> float:
    net, x, signal, _ = _problem()
    below = ("input-hidden1", "hidden1-hidden2")
    moved = {
        name: {k: 3 * a - 0.1 for k, a in w.items()}
        for name, w in net.theta.items()
        if name not in below
    }
    before, after = (taught(rule, n, x, signal) for n in (net, net.with_theta(net.theta | moved)))
    return gap({n: after[n] for n in below}, {n: before[n] for n in below})
