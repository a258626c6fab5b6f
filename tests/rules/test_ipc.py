"""Incremental predictive coding by an independent program, and where it must agree with others:
predictive coding, backprop.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import by_hand
import byway
from byway.core.signal import Signal
from byway.learning.rule import Carry
from byway.network.settle import settle
from byway.rules.energy._predictive import Energy
from byway.rules.energy.ipc import IPC
from byway.training.step import Optimisers, learn, new_learner

RATE = 0.2
CYCLES = [("input", "a"), ("a", "a"), ("a", "b"), ("b", "a"), ("b", "output")]
SIZES = {"input": 4, "a": 5, "b": 6, "output": 3}


def _in_numpy(theta, x, target, loss, rule, batches, momentum):
    """A chain of tanh layers in plain loops: predict, then values and weights move at the same
    moment, again and again.
    """
    names = list(theta)
    w, b = ([np.asarray(theta[name][part]) for name in names] for part in ("weight", "bias"))
    last, first_loss = len(names) - 1, None
    speed_w, speed_b = [np.zeros_like(a) for a in w], [np.zeros_like(a) for a in b]
    for _ in range(batches):
        v = []
        for i in range(last):
            v.append((np.tanh(v[-1]) if i else x) @ w[i] + b[i])
        output = np.tanh(v[-1]) @ w[last] + b[last]
        first_loss = by_hand.LOSSES[loss][1](output, target)
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
            speed_w = [momentum * speed_w[i] - sent[i].T @ eps[i] / len(x) for i in range(last + 1)]
            speed_b = [momentum * speed_b[i] - eps[i].mean(0) for i in range(last + 1)]
            w, b = (
                [a - RATE * s for a, s in zip(*pair, strict=True)]
                for pair in ((w, speed_w), (b, speed_b))
            )
    return {
        name: {"weight": jnp.asarray(w[i]), "bias": jnp.asarray(b[i])}
        for i, name in enumerate(names)
    }, first_loss


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("loss", by_hand.LOSSES)
def test_it_is_what_an_independent_program_does(loss, momentum):
    """Weights after three batches of six steps; moments go from step to step and from batch to
    batch; the score is that before learning.
    """
    net, (x, target) = (
        by_hand.with_biases(byway.mlp(6, 5, 4, 3, activation="tanh")),
        by_hand.sample(6, 3),
    )
    rule, optimisers = (
        IPC(steps=6, rate=0.3, precision=0.7),
        Optimisers(*[optax.sgd(RATE, momentum=momentum)] * 2),
    )
    signal = Signal(target, by_hand.LOSSES[loss][0])
    learner = eqx.tree_at(
        lambda one: one.net, new_learner(rule, net, optimisers, x, signal, jax.random.key(0)), net
    )
    step = jax.jit(
        lambda learner: learn(
            rule,
            optimisers,
            learner,
            x,
            signal,
            lambda output, signal: {"loss": signal.loss(output)},
        )
    )
    scores = {}
    for _ in range(3):
        learner, scores = step(learner)
    theta, before = _in_numpy(net.theta, np.asarray(x), np.asarray(target), loss, rule, 3, momentum)
    assert by_hand.largest_gap(learner.net.theta, theta) < 1e-12
    assert float(scores["loss"]) == pytest.approx(float(before), rel=1e-12)
    assert int(learner.step) == 3


def _moves(rule, net, x, signal):
    """The values before each step, its update and the values after it, all on the same weights."""

    @jax.jit
    def run(net):
        (first, once), (move, times) = rule.turns
        assert (first, once, times) == (rule, 1, rule.steps)
        carry, found = Carry(*rule.start({}, net, len(x)), ()), []
        carry, update, _ = rule.teach(first, {}, net, carry, x, signal, jax.random.key(0))
        assert update.net == {}, "nothing is learnt from a prediction"
        for _ in range(times):
            before = carry.state
            carry, update, _ = rule.teach(move, {}, net, carry, x, signal, jax.random.key(0))
            found.append((before, update.net, carry.state))
        return found

    return run(net)


@pytest.mark.parametrize("loss", by_hand.LOSSES)
def test_with_weights_that_stand_still_errors_pass_as_in_backprop(loss):
    """Z-IL (Song et al. 2020): at rate 1, layer l learns backprop's update at step L - l, the first
    step that an error reaches it.
    """
    net, (x, target) = (
        by_hand.with_biases(byway.mlp(6, 5, 4, 7, 3, activation="tanh")),
        by_hand.sample(6, 3),
    )
    found = _moves(IPC(steps=4, rate=1.0), net, x, Signal(target, by_hand.LOSSES[loss][0]))
    update = {p.name: found[step][1][p.name] for step, p in enumerate(reversed(net.projections))}
    value = by_hand.LOSSES[loss][1]

    *below, top = net.theta

    def true(theta):
        h = x
        for name in below:
            h = jnp.tanh(h @ theta[name]["weight"] + theta[name]["bias"][None])
        return value(h @ theta[top]["weight"] + theta[top]["bias"][None], target)

    assert by_hand.largest_gap(update, jax.jit(jax.grad(true))(net.theta)) < 1e-12
    assert not any(np.any(a) for name in below for a in found[0][1][name].values()), (
        "at first only the output is wrong"
    )


def test_with_weights_that_stand_still_values_settle_as_in_predictive_coding():
    net, (x, target) = (
        by_hand.with_biases(byway.mlp(6, 5, 4, 3, activation="tanh")),
        by_hand.sample(6, 3),
    )
    signal, rule = (
        Signal(target, by_hand.LOSSES["cross_entropy"][0]),
        IPC(steps=7, rate=0.2, precision=0.5),
    )
    found = _moves(rule, net, x, signal)
    energy = Energy(net, {"input": x, "output": target}, 0.5, link=signal.criterion.link)
    first = {name: v for name, v in found[0][0].items() if name != "output"}
    last = settle(energy, first, rate=0.2, steps=7).last
    for name in first:
        assert by_hand.apart(found[-1][2][name], last.u[name] + last.injected[name]) < 1e-12


def test_on_a_graph_with_cycles_it_starts_from_its_own_prediction():
    """Settled with the input held alone: the energy has no slope there but that of the output,
    whose target comes in.
    """
    net, (x, target) = (
        by_hand.with_biases(byway.graph(SIZES, CYCLES, activation="tanh")),
        by_hand.sample(4, 3),
    )
    signal = Signal(target, by_hand.LOSSES["squared_error"][0])
    rule = IPC(steps=10_000, rate=0.2)
    predicted = jax.jit(lambda net: rule.predict({}, net, x, jax.random.key(0)).output)(net)
    values, record = jax.jit(
        lambda net: rule.f({}, net, rule.start({}, net, len(x))[0], x, signal, jax.random.key(0))
    )(net)
    np.testing.assert_allclose(record.output, predicted, rtol=1e-9, atol=1e-12)
    v = {"input": x} | {name: np.asarray(a) for name, a in values.items()}
    h = {"input": x, "a": np.tanh(v["a"]), "b": np.tanh(v["b"])}
    w = net.theta
    mu = {
        "a": sum(
            h[s] @ w[f"{s}-a"]["weight"] + w[f"{s}-a"].get("bias", np.zeros(1))[None]
            for s in ("input", "a", "b")
        ),
        "b": h["a"] @ w["a-b"]["weight"] + w["a-b"]["bias"][None],
        "output": h["b"] @ w["b-output"]["weight"] + w["b-output"]["bias"][None],
    }
    eps = {name: v[name] - mu[name] for name in mu}
    pull = {
        "a": -eps["a"]
        + (1 - h["a"] ** 2) * (eps["a"] @ w["a-a"]["weight"].T + eps["b"] @ w["a-b"]["weight"].T),
        "b": -eps["b"]
        + (1 - h["b"] ** 2)
        * (eps["a"] @ w["b-a"]["weight"].T + eps["output"] @ w["b-output"]["weight"].T),
        "output": -eps["output"],
    }
    assert max(float(np.max(np.abs(a))) for a in pull.values()) < 1e-6


def test_with_cycles_its_own_prediction_is_that_of_a_network_at_rest():
    """Where v = mu, found here by going there over and over."""
    net = by_hand.with_biases(byway.graph(SIZES, CYCLES, activation="tanh"))
    x, target = by_hand.sample(4, 3)
    v = {name: np.zeros((len(x), SIZES[name])) for name in ("a", "b", "output")}
    for _ in range(200):
        h = {"input": np.asarray(x)} | {name: np.tanh(a) for name, a in v.items()}
        mu = {
            name: sum(
                h[p.src] @ np.asarray(p.weight) + np.asarray(p.theta.get("bias", np.zeros(1)))
                for p in net.incoming(name)
            )
            for name in v
        }
        v = {name: (v[name] + mu[name]) / 2 for name in v}
    rule = IPC(steps=100)
    signal = Signal(target, by_hand.LOSSES["squared_error"][0])
    values, record = jax.jit(
        lambda net: rule.f({}, net, rule.start({}, net, len(x))[0], x, signal, jax.random.key(0))
    )(net)
    np.testing.assert_allclose(record.output, v["output"], atol=1e-6)
    for name, value in v.items():
        np.testing.assert_allclose(values[name], value, atol=1e-6)
