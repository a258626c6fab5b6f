"""Eligibility times reward: bandits with a closed form, integrals, traces by hand, and what a
reward is held against.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats

import by_hand
import byway
from byway.core.errors import RuleError
from byway.core.signal import Closeness, CrossEntropy, Near, Right, Signal, SquaredError
from byway.core.task import Split, Task
from byway.network.activations import Activation
from byway.network.builders import convnet, graph, mlp, rnn
from byway.rules.hebbian.three_factor import ThreeFactor
from byway.training.step import Optimisers, learn, new_learner


def _taught(rule, net, x, signal, mean=0.0, key=0):
    """One f and one g on independent samples."""
    state, memory = rule.start({}, net, len(x))
    memory = memory | {"mean": jnp.asarray(mean)}
    _, record = rule.f({}, net, state, x, signal, jax.random.key(key))
    memory, update = rule.g({}, net, memory, record, signal)
    return record, memory, update


def test_a_bandit_of_one_unit_that_fires_or_not_learns_the_gradient_of_its_expected_reward():
    """Firing is paid 1: E[R] = Phi(u / sigma), so dE[R]/dw = phi(u / sigma) / sigma x. Of 100,000
    tries, within 2 percent.
    """
    fires = Activation("fires", lambda u: (u > 0).astype(u.dtype), None)
    net = graph(
        {"input": 3, "output": 1}, [("input", "output")], activation={"output": fires}, bias=False
    )
    w, x, rule = (
        np.array([[0.4], [-0.3], [0.2]]),
        np.array([1.0, 0.5, -2.0]),
        ThreeFactor(sigma=0.7),
    )
    net = net.with_theta({"input-output": {"weight": jnp.asarray(w)}})
    many = jnp.asarray(np.tile(x, (100_000, 1)))
    signal = Signal(jnp.ones((100_000, 1)), SquaredError(), payoff=Near(0.5))
    u = float(x @ w[:, 0])
    record, _, update = _taught(rule, net, many, signal, mean=stats.norm.cdf(u / 0.7))
    assert abs(float(jnp.mean(record.output)) - stats.norm.cdf(u / 0.7)) < 0.01
    expected = -stats.norm.pdf(u / 0.7) / 0.7 * x
    assert by_hand.apart(update.net["input-output"]["weight"][:, 0], jnp.asarray(expected)) < 0.02


def test_a_bandit_of_three_arms_learns_the_gradient_of_its_expected_reward():
    """A choice by softmax: dE[R]/dw = sum_k p_k (r_k - E[R]) x. Of 100,000 choices, within 2
    percent, hidden units and all.
    """
    net, rule = mlp(2, 3, bias=False), ThreeFactor()
    w, x = np.array([[0.4, -0.3, 0.1], [0.2, 0.5, -0.6]]), np.array([1.0, -0.5])
    net = net.with_theta({"input-output": {"weight": jnp.asarray(w)}})
    signal = Signal(
        jnp.asarray(np.tile([0.0, 1.0, 0.0], (100_000, 1))), CrossEntropy(), payoff=Right()
    )
    p = np.exp(x @ w) / np.exp(x @ w).sum()
    _, memory, update = _taught(rule, net, jnp.asarray(np.tile(x, (100_000, 1))), signal, mean=p[1])
    assert abs(float(memory["earned"]) - p[1]) < 0.01
    expected = -np.outer(x, p * (np.array([0.0, 1.0, 0.0]) - p[1]))
    assert by_hand.apart(update.net["input-output"]["weight"], jnp.asarray(expected)) < 0.02


def test_on_average_hidden_units_learn_the_gradient_too():
    """The integral over the noise of a hidden unit, by quadrature, for an output that chooses: each
    choice by its probability.
    """
    net, rule = by_hand.with_biases(mlp(2, 1, 2, activation="tanh")), ThreeFactor(sigma=0.4)
    x = jnp.array([[0.7, -0.2]])
    nodes, share = np.polynomial.hermite_e.hermegauss(60)
    share, noise = share / share.sum(), jnp.asarray(rule.sigma * nodes)
    signal = Signal(jnp.array([[0.0, 1.0]]), CrossEntropy(), payoff=Right())

    def chances(theta):
        h = jnp.tanh(
            x @ theta["input-hidden1"]["weight"]
            + theta["input-hidden1"]["bias"][None]
            + noise[:, None]
        )
        return jax.nn.softmax(
            h @ theta["hidden1-output"]["weight"] + theta["hidden1-output"]["bias"][None], 1
        )

    def one(xi, choice):
        tried = net.forward(x, {"hidden1": xi[None, None]})
        output = tried.post["output"]
        tried.injected["output"] = jax.nn.one_hot(choice, 2)[None] - jax.nn.softmax(output)
        memory = rule.start({}, net, 1)[1] | {"mean": jnp.asarray(0.3)}
        return rule.g({}, net, memory, byway.Record({"tried": tried}, output), signal)[1].net

    each = [jax.jit(jax.vmap(lambda xi, k=k: one(xi, k)))(noise) for k in (0, 1)]
    p = chances(net.theta)
    mine = jax.tree.map(
        lambda *a: sum(jnp.tensordot(share * p[:, k], b, 1) for k, b in enumerate(a)), *each
    )
    true = jax.grad(lambda theta: -jnp.sum(share * chances(theta)[:, 1]))(net.theta)
    assert by_hand.largest_gap(mine, true) < 1e-10


def test_traces_in_time_are_those_of_a_loop():
    """A recurrent layer that is rewarded at each step: e <- e exp(-1 / tau) + z h, by NumPy, of the
    noise that f drew.
    """
    net, rule = rnn(2, 3, 2), ThreeFactor(tau=3.0, sigma=0.5)
    x, _, weight = by_hand.sequences(2, 2, steps=4)
    target = jnp.asarray(np.random.default_rng(5).normal(size=(4, 4, 2)))
    signal, mean = Signal(target, SquaredError(), weight, Closeness()), -0.4
    state, memory = rule.start({}, net, 4)
    memory, mine = memory | {"mean": jnp.asarray(mean)}, None
    traces, true = {}, {p.name: dict.fromkeys(p.theta, 0.0) for p in net.projections}
    for t in range(4):
        state, record = rule.f({}, net, state, x[:, t], signal.at(t), jax.random.key(t))
        memory, update = rule.g({}, net, memory, record, signal.at(t))
        mine = update.net if mine is None else jax.tree.map(jnp.add, mine, update.net)
        tried = record["tried"]
        better = np.asarray(weight[:, t]) * (
            -np.sum(np.asarray(record.output - target[:, t]) ** 2, 1) / 2 - mean
        )
        for p in net.projections:
            z, h = np.asarray(tried.injected[p.dst]) / 0.25, np.asarray(tried.pre[p.name])
            for part, new in (("weight", h[:, :, None] * z[:, None, :]), ("bias", z)):
                if part in p.theta:
                    e = traces[p.name, part] = (
                        np.exp(-1 / 3) * traces.get((p.name, part), 0.0) + new
                    )
                    true[p.name][part] -= np.tensordot(better, e, 1) / 4
    assert by_hand.largest_gap(mine, jax.tree.map(jnp.asarray, true)) < 1e-12


def test_an_independent_sample_is_a_sequence_of_one_step():
    net, rule = by_hand.with_biases(mlp(3, 4, 2, activation="tanh")), ThreeFactor()
    x, target = by_hand.sample(3, 2)
    _, _, one = _taught(rule, net, x, Signal(target, CrossEntropy(), payoff=Right()), mean=0.3)
    _, _, other = _taught(
        rule, net, x, Signal(target, CrossEntropy(), jnp.ones(len(x)), Right()), mean=0.3
    )
    assert by_hand.largest_gap(one.net, other.net) < 1e-12


def test_what_is_usual_is_the_mean_of_the_batches_before():
    """Of the first three batches the plain mean, afterwards a window of three; the batch at hand is
    not in it.
    """
    net, rule = mlp(3, 2), ThreeFactor(window=3.0)
    x, target = by_hand.sample(3, 2, batch=40)
    signal, optimisers = (
        Signal(target, CrossEntropy(), payoff=Right()),
        Optimisers(optax.sgd(0.0), optax.sgd(0.0)),
    )
    learner, mean = new_learner(rule, net, optimisers, x, signal, jax.random.key(0)), 0.0
    assert set(learner.memory) == {"mean", "batches"}, "no trace lasts from batch to batch"
    step = jax.jit(lambda one: learn(rule, optimisers, one, x, signal)[0])
    for n in range(1, 6):
        key = jax.random.fold_in(jax.random.fold_in(learner.key, 3), learner.step)
        _, record = rule.f({}, learner.net, learner.net.rest(40), x, signal, key)
        chosen = np.argmax(
            np.asarray(jax.nn.softmax(record.output) + record["tried"].injected["output"]), 1
        )
        earned = np.mean(chosen == np.argmax(np.asarray(target), 1))
        mean += (earned - mean) / min(n, 3)
        learner = step(learner)
        np.testing.assert_allclose(learner.memory["mean"], mean, rtol=1e-12)


def test_a_prediction_has_no_noise():
    net, (x, _) = by_hand.with_biases(mlp(3, 4, 2, activation="tanh")), by_hand.sample(3, 2)
    record = ThreeFactor().predict({}, net, x, jax.random.key(0))
    np.testing.assert_allclose(record.output, by_hand.mlp_output(net.theta, x, "tanh"), rtol=1e-12)


def test_an_output_that_does_not_stand_for_classes_tries_around_what_it_says():
    net, x = by_hand.with_biases(mlp(3, 2)), jnp.zeros((20_000, 3))
    signal = Signal(jnp.zeros((20_000, 2)), SquaredError(), payoff=Closeness())
    record, _, _ = _taught(ThreeFactor(sigma=0.7), net, x, signal)
    assert abs(float(jnp.std(record.output[:, 0])) - 0.7) < 0.02


class Unpaid(Task):
    """Targets, and no reward."""

    input_shape, outputs = (2,), 2

    def load(self):
        x = jnp.zeros((8, 2))
        return {name: Split(x, x) for name in ("train", "validation", "test")}

    def batch(self, split, index, key):
        return split.x[index], Signal(split.y[index], SquaredError())


def test_a_task_without_reward_is_refused():
    with pytest.raises(
        RuleError,
        match="three_factor, which learns from a reward, on the task unpaid, which hands out none",
    ) as caught:
        byway.fit(mlp(2, 3, 2), ThreeFactor(), Unpaid(), epochs=1, batch=4)
    assert "payoff" in caught.value.fix


def test_in_a_convolution_each_place_has_a_part_in_the_trace():
    """Two steps of the same image, the first of which earns nothing: what the second makes of the
    first is the decay times it.
    """
    net, rule = (
        by_hand.with_biases(convnet((4, 4, 1), (2,), 2, activation="tanh")),
        ThreeFactor(tau=2.0, sigma=0.5),
    )
    x, _ = by_hand.sample((4, 4, 1), 2, batch=3)
    now, never = (
        Signal(jnp.ones((3, 2)), SquaredError(), w, Closeness())
        for w in (jnp.ones(3), jnp.zeros(3))
    )
    state, memory = rule.start({}, net, 3)
    state, first = rule.f({}, net, state, x, never, jax.random.key(1))
    memory, nothing = rule.g({}, net, memory, first, never)
    assert all(not np.any(a) for a in jax.tree.leaves(nothing.net))
    _, second = rule.f({}, net, state, x, now, jax.random.key(2))
    _, update = rule.g({}, net, memory, second, now)
    better = -np.sum((np.asarray(second.output) - 1) ** 2, 1) / 2
    for p in net.projections:
        z = [
            np.asarray(one["tried"].injected[p.dst])
            / 0.25
            * better.reshape(-1, *(1,) * len(p.dst_shape))
            for one in (first, second)
        ]
        then, at_once = (
            p.outer(one["tried"].pre[p.name], jnp.asarray(z))
            for one, z in zip((first, second), z, strict=True)
        )
        for part, mine in update.net[p.name].items():
            np.testing.assert_allclose(
                mine, -(np.exp(-0.5) * then[part] + at_once[part]), rtol=1e-10, atol=1e-13
            )
