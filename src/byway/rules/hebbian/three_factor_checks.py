"""Eligibility times reward: on average, taken over all that can be tried, the gradient of the
expected reward.
"""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
from typing_extensions import override

from byway.core.check import Check
from byway.core.record import Phase, Record
from byway.core.signal import Closeness, CrossEntropy, Payoff, Signal, SquaredError
from byway.network.builders import mlp
from byway.network.network import Network
from byway.verify.oracle import EXACT, apart, drawn, gap, samples

WILLIAMS, FIETE = "Williams 1992", "Fiete and Seung 2006"


class Prices(Payoff):
    """Every class earns something else."""

    @override
    def value(self, output, target):
        return jnp.take(
            jnp.array([1.0, -0.5, 0.25], output.dtype), jnp.argmax(output + 0 * target, -1)
        )


def checks(rule):
    return [
        Check(
            "all classes, by their probability: update = autodiff of the expected reward",
            lambda: _choices(rule),
            EXACT,
            WILLIAMS,
        ),
        Check(
            "all noise, by quadrature: the same, tanh units",
            lambda: _noise(dataclasses.replace(rule, sigma=0.3)),
            1e-9,
            FIETE,
        ),
        Check(
            "three steps: update = NumPy's traces",
            lambda: _traces(dataclasses.replace(rule, tau=2.0)),
            EXACT,
            "e <- e exp(-1 / tau) + z h",
        ),
    ]


def _choices(rule) -> float:
    """One layer without noise, whose output chooses: there are as many things to try as classes."""
    net = drawn(mlp, 4, 3)
    x, target = samples((5, 4), 3)
    w, mean = net.theta["input-output"], 0.2
    prices = np.array([1.0, -0.5, 0.25])

    @jax.jit
    def expected(w):
        return -jnp.mean(jax.nn.softmax(x @ w["weight"] + w["bias"][None], 1) @ prices)

    @jax.jit
    def update(choice):
        y = x @ w["weight"] + w["bias"][None]
        p = jax.nn.softmax(y, 1)
        score = jnp.eye(3)[choice][None] - p
        each = []
        for i in range(5):  # each sample is drawn by itself, so each is looked at by itself
            own = {"output": y[i : i + 1]}
            tried = Phase(
                {"input-output": x[i : i + 1]},
                own,
                own,
                {"output": 1.0},
                {"output": score[i : i + 1]},
            )
            each.append(
                _g(
                    rule,
                    net,
                    tried,
                    Signal(target[i : i + 1], CrossEntropy(), payoff=Prices()),
                    mean,
                )
            )
        return each, p

    mine = {"weight": np.zeros((4, 3)), "bias": np.zeros(3)}
    for choice in range(3):
        each, p = update(choice)
        for i, one in enumerate(each):
            mine = {
                k: a + float(p[i, choice]) * np.asarray(one["input-output"][k]) / 5
                for k, a in mine.items()
            }
    return gap({"w": mine}, {"w": jax.jit(jax.grad(expected))(w)})


def _g(rule, net: Network, tried: Phase, signal: Signal, mean: float):
    memory = rule.start({}, net, 1)[1] | {"mean": jnp.asarray(mean)}
    return rule.g({}, net, memory, Record({"tried": tried}, tried.post["output"]), signal)[1].net


def _noise(rule) -> float:
    """Two tanh units and an output, noise on all three: the expectation is an integral over three
    numbers.
    """
    net = drawn(mlp, 3, 2, 1, activation="tanh")
    x, target = np.array([[0.3, -0.8, 0.5]]), np.array([[0.7]])
    nodes, weights = np.polynomial.hermite_e.hermegauss(24)
    xi = np.array(list(itertools.product(nodes, nodes, nodes))) * rule.sigma
    share = np.array([a * b * c for a, b, c in itertools.product(weights, weights, weights)])
    share = share / share.sum()
    signal = Signal(jnp.asarray(target), SquaredError(), payoff=Closeness())

    @jax.jit
    def expected(theta):
        h = jnp.tanh(
            x @ theta["input-hidden1"]["weight"] + theta["input-hidden1"]["bias"][None] + xi[:, :2]
        )
        y = (
            h @ theta["hidden1-output"]["weight"]
            + theta["hidden1-output"]["bias"][None]
            + xi[:, 2:]
        )
        return share @ ((y - target)[:, 0] ** 2) / 2

    @jax.jit
    def update(net):
        def one(noise):
            tried = net.forward(
                jnp.asarray(x), {"hidden1": noise[None, :2], "output": noise[None, 2:]}
            )
            return _g(rule, net, tried, signal, -0.1)

        each = jax.vmap(one)(jnp.asarray(xi))
        return jax.tree.map(lambda a: jnp.tensordot(jnp.asarray(share), a, 1), each)

    return gap(update(net), jax.jit(jax.grad(expected))(net.theta))


def _traces(rule) -> float:
    """A unit that is told after each of three steps what it earned: traces by hand, of the noise
    that f drew.
    """
    net = drawn(mlp, 3, 2)
    draw = np.random.default_rng(0)
    x, target = jnp.asarray(draw.normal(size=(4, 3, 3))), jnp.asarray(draw.normal(size=(4, 3, 2)))
    weight = jnp.asarray(draw.uniform(size=(4, 3)))
    signal = Signal(target, SquaredError(), weight, Closeness())

    @jax.jit
    def run(net):
        state, memory = rule.start({}, net, 4)
        memory, found = memory | {"mean": jnp.asarray(-0.3)}, []
        for t in range(3):
            state, record = rule.f({}, net, state, x[:, t], signal.at(t), jax.random.key(t))
            memory, update = rule.g({}, net, memory, record, signal.at(t))
            found.append(
                (record.output, record["tried"].injected["output"], update.net["input-output"])
            )
        return found

    mine, true, e, b = np.zeros((3, 2)), np.zeros((3, 2)), np.zeros((4, 3, 2)), np.zeros((4, 2))
    bias, own = np.zeros(2), np.zeros(2)
    for t, (output, noise, update) in enumerate(run(net)):
        z = np.asarray(noise) / rule.sigma**2
        e = np.exp(-1 / rule.tau) * e + np.asarray(x)[:, t, :, None] * z[:, None, :]
        b = np.exp(-1 / rule.tau) * b + z
        reward = -((np.asarray(output) - np.asarray(target)[:, t]) ** 2).sum(1) / 2 + 0.3
        reward = reward * np.asarray(weight)[:, t]
        true = true - np.einsum("b,bij->ij", reward, e) / 4
        bias = bias - reward @ b / 4
        mine, own = mine + np.asarray(update["weight"]), own + np.asarray(update["bias"])
    return max(apart(mine, true), apart(own, bias))
