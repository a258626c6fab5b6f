"""The readout of a reservoir: what is added up, what is solved from it, and what stays as it was
drawn.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import by_hand
import byway
from byway.core.errors import RuleError
from byway.core.signal import Signal, SquaredError
from byway.network.builders import graph, mlp, rnn
from byway.network.projections import Skip
from byway.rules._ridge import solved_ridge
from byway.rules.time.esn import ESN
from byway.training.step import Optimisers, concluded, learn, new_learner

RULE = ESN(ridge=1e-2)


def _learned(rule, net, batches):
    """A learner after batches of sequences, each (x, target, weight)."""
    x, target, weight = batches[0]
    optimisers = Optimisers(optax.adam(1.0), optax.adam(1.0))
    learner = new_learner(
        rule, net, optimisers, x, Signal(target, SquaredError(), weight), jax.random.key(0)
    )
    start = learner
    step = jax.jit(
        lambda one, x, target, weight: learn(
            rule, optimisers, one, x, Signal(target, SquaredError(), weight)
        )[0]
    )
    for batch in batches:
        learner = step(learner, *batch)
    return start, learner


def _batches(count):
    return [by_hand.sequences(2, 2, steps=6, batch=8, seed=seed) for seed in range(count)]


def _features(learner, rule, x):
    theta, gamma = jax.tree.map(np.asarray, (learner.net.theta, learner.gamma))
    w_in, b = (
        theta["input-hidden1"]["weight"] * rule.input,
        theta["input-hidden1"]["bias"] + gamma["bias"]["hidden1"],
    )
    w, h, found = (
        theta["hidden1-hidden1"]["weight"] * gamma["scale"]["hidden1-hidden1"],
        np.zeros((len(x), 5)),
        [],
    )
    for t in range(x.shape[1]):
        h = np.tanh(np.asarray(x[:, t]) @ w_in + h @ w + b)
        found.append(np.hstack([h, np.ones((len(x), 1))]))
    return np.stack(found, 1)


def test_several_batches_are_one_regression_and_passes_over_them_change_nothing():
    batches = _batches(3)
    start, end = _learned(RULE, rnn(2, 5, 2), batches)
    _, again = _learned(RULE, rnn(2, 5, 2), batches * 2)
    x, target, weight = (np.concatenate([np.asarray(b[i]) for b in batches]) for i in range(3))
    r, share = _features(start, RULE, x).reshape(-1, 6), np.sqrt(weight.reshape(-1, 1) / len(x))
    rows = np.vstack([r * share, np.sqrt(RULE.ridge) * np.eye(6)[:5]])
    true = np.linalg.lstsq(
        rows, np.vstack([target.reshape(-1, 2) * share, np.zeros((5, 2))]), rcond=None
    )[0]
    for learner in (end, again):
        readout = concluded(RULE, learner).net.theta["hidden1-output"]
        np.testing.assert_allclose(
            np.vstack([readout["weight"], readout["bias"][None]]), true, rtol=1e-8, atol=1e-10
        )


def test_nothing_but_the_readout_changes_and_that_only_where_somebody_looks():
    start, end = _learned(RULE, rnn(2, 5, 2), _batches(2))
    jax.tree.map(np.testing.assert_array_equal, start.net.theta, end.net.theta)
    before, after = end.net.theta, concluded(RULE, end).net.theta
    assert {
        name for name in after if not np.array_equal(before[name]["weight"], after[name]["weight"])
    } == {"hidden1-output"}


def test_before_the_first_batch_the_readout_is_as_drawn():
    start, _ = _learned(RULE, rnn(2, 5, 2), _batches(1))
    jax.tree.map(np.testing.assert_array_equal, start.net.theta, concluded(RULE, start).net.theta)


def test_the_first_steps_can_be_left_out():
    """A washout of two steps is a weight of zero on them."""
    x, target, weight = _batches(1)[0]
    _, washed = _learned(ESN(washout=2), rnn(2, 5, 2), [(x, target, weight)])
    _, weighed = _learned(ESN(), rnn(2, 5, 2), [(x, target, weight.at[:, :2].set(0.0))])
    np.testing.assert_allclose(washed.memory["rr"], weighed.memory["rr"], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(washed.memory["ry"], weighed.memory["ry"], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("units", [1, 4, 30])
def test_each_layer_has_the_spectral_radius_that_was_asked_for(units):
    net = rnn(2, units, units, 1, key=4)
    gamma = jax.jit(lambda: ESN(radius=1.3).init(net, jax.random.key(0)))()
    for name, scale in gamma["scale"].items():
        own = np.abs(np.linalg.eigvals(float(scale) * np.asarray(net.theta[name]["weight"], float)))
        np.testing.assert_allclose(own.max(), 1.3, rtol=1e-8)
    assert gamma["scale"].keys() == {"hidden1-hidden1", "hidden2-hidden2"}


def test_a_layer_without_weights_to_itself_to_speak_of_stays_finite():
    net = rnn(2, 3, 1)
    net = net.with_theta({"hidden1-hidden1": {"weight": jnp.zeros((3, 3))}})
    assert np.isfinite(RULE.init(net, jax.random.key(0))["scale"]["hidden1-hidden1"])


def test_biases_make_products_of_the_past_learnable():
    """A tanh network of inputs around zero without biases is odd: u_t u_{t-1} is out of its reach,
    whatever the readout.
    """
    draw = np.random.default_rng(0)
    x = jnp.asarray(draw.uniform(-0.5, 0.5, size=(40, 50, 1)))
    target = x * jnp.concatenate([jnp.zeros((40, 1, 1)), x[:, :-1]], 1)
    weight = jnp.full((40, 50), 1 / 50)

    def unexplained(bias):
        rule = ESN(bias=bias, ridge=1e-9)
        _, end = _learned(rule, rnn(1, 60, 1), [(x, target, weight)])
        seen = concluded(rule, end)
        output = rule.predict(seen.gamma, seen.net, x, jax.random.key(0), in_time=True).output
        return float(jnp.var(output - target) / jnp.var(target))

    assert unexplained(0.5) < 0.1
    assert unexplained(0.0) > 0.9


@pytest.mark.parametrize(
    ("net", "wrong"),
    [
        (lambda: rnn(2, 3, 2, readout="tanh"), "a readout of tanh"),
        (
            lambda: graph({"input": 2, "output": 2}, [Skip("input", "output", (2,))]),
            "a readout fed by input-output",
        ),
    ],
    ids=["not linear", "no weights"],
)
def test_a_readout_that_has_no_closed_form_is_refused(net, wrong):
    with pytest.raises(RuleError, match=rf"esn was given a network with {wrong}") as caught:
        RULE.accepts(net())
    assert "frozen" in caught.value.fix


def test_a_task_without_time_is_refused():
    task = byway.task("digits")
    with pytest.raises(
        RuleError, match="esn on the task digits, whose samples are independent"
    ) as caught:
        byway.fit(mlp(task.input_shape, 8, 10), RULE, task, epochs=1)
    assert "frozen" in caught.value.fix


def test_a_ridge_that_rounding_swallows_is_raised_until_the_readout_can_be_solved():
    """Units that repeat each other: in single precision 6 + 1e-8 is 6, and the matrix is singular.
    What is answered is the target all the same; a ridge that suffices is left as it is.
    """
    repeated = np.outer([1.0, 1.0, 2.0], [1.0, 1.0, 2.0])
    for dtype, ridge, within in ((np.float32, 1e-8, 1e-3), (np.float64, 1e-3, 1e-12)):
        rr, ry = jnp.asarray(repeated, dtype), jnp.asarray([[3.0], [3.0], [6.0]], dtype)
        found = solved_ridge(rr, ry, jnp.full(3, ridge, dtype))
        assert np.isfinite(found).all() and found.dtype == dtype
        raised = 1e-3 if dtype == np.float64 else 0.0
        expected = 3 * 6 / (6 + raised)
        assert float(found[0, 0] + found[1, 0] + 2 * found[2, 0]) == pytest.approx(
            expected, rel=within
        )
    lost = solved_ridge(jnp.full((2, 2), jnp.nan), jnp.ones((2, 1)), jnp.ones(2))
    assert np.isnan(lost).all()
