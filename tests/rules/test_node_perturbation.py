"""Node perturbation against its definition in NumPy, against the gradient it estimates, and its
rate.
"""

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest

import byway
from byway.core.errors import ConfigError
from byway.core.signal import CrossEntropy, Signal, SquaredError

KEY = jax.random.key(3)
X = jax.random.normal(jax.random.key(1), (6, 5))
TARGET = jax.nn.one_hot(jnp.arange(6) % 3, 3, dtype=float)


def one_update(rule, net, criterion, key):
    signal = Signal(TARGET, criterion)
    _, record = rule.f({}, net, (), X, signal, key)
    return rule.g({}, net, (), record, signal)[1].net, record


def true_gradient(net, criterion):
    """Autodiff of a forward pass written here."""

    def loss(theta):
        h = X
        for name in ("input-hidden1", "hidden1-output"):
            h = h @ theta[name]["weight"] + theta[name]["bias"][None, :]
            h = jnp.tanh(h) if name == "input-hidden1" else h
        return jnp.mean(criterion.value(h, TARGET))

    return jax.grad(loss)(net.theta)


def test_an_update_is_its_definition():
    """From the injected noise alone, in NumPy: run clean and noisy, take the losses, multiply."""
    net, rule = (
        byway.mlp(5, 4, 3, activation="tanh", key=7),
        byway.rule("node_perturbation", sigma=0.1),
    )
    update, record = one_update(rule, net, SquaredError(), KEY)
    w = {k: {n: np.asarray(a) for n, a in v.items()} for k, v in net.theta.items()}
    noise = {k: np.asarray(v) for k, v in record["noisy"].injected.items()}

    def run(n1, n2):
        h = np.tanh(np.asarray(X) @ w["input-hidden1"]["weight"] + w["input-hidden1"]["bias"] + n1)
        y = h @ w["hidden1-output"]["weight"] + w["hidden1-output"]["bias"] + n2
        return h, ((y - np.asarray(TARGET)) ** 2).sum(1) / 2

    hidden, clean = run(0, 0)
    _, noisy = run(noise["hidden1"], noise["output"])
    worse = ((noisy - clean) / 0.01)[:, None]
    for name, pre, xi in (
        ("input-hidden1", np.asarray(X), noise["hidden1"]),
        ("hidden1-output", hidden, noise["output"]),
    ):
        np.testing.assert_allclose(update[name]["weight"], pre.T @ (worse * xi) / 6, rtol=1e-9)
        np.testing.assert_allclose(update[name]["bias"], (worse * xi).mean(0), rtol=1e-9)


def test_the_noise_is_of_its_own_for_each_unit_and_sample_and_has_the_right_size():
    """A shared noise would not average over the batch; its spread is checked within 5 standard
    errors.
    """
    net, rule = byway.mlp(5, 400, 3), byway.rule("node_perturbation", sigma=0.2)
    noise = np.asarray(one_update(rule, net, SquaredError(), KEY)[1]["noisy"].injected["hidden1"])
    assert len(np.unique(noise)) == noise.size
    assert noise.std() == pytest.approx(0.2, abs=5 * 0.2 / np.sqrt(2 * noise.size))
    assert noise.mean() == pytest.approx(0, abs=5 * 0.2 / np.sqrt(noise.size))


def test_draws_are_averaged_within_a_sample():
    """Each noisy row belongs to the sample whose input it has, wherever it stands."""
    net = byway.mlp(5, 4, 3, activation="tanh", key=7)
    rule, criterion = byway.rule("node_perturbation", sigma=0.1, draws=3), SquaredError()
    update, record = one_update(rule, net, criterion, KEY)
    noisy, clean = record["noisy"], record["clean"]
    inputs = np.asarray(X)
    sample = [
        int(np.argmin(np.abs(inputs - row).sum(1)))
        for row in np.asarray(noisy.pre["input-hidden1"])
    ]
    assert sorted(sample) == sorted(list(range(6)) * 3)
    before = ((clean.post["output"] - TARGET) ** 2).sum(1) / 2
    delta = {name: np.zeros(clean.u[name].shape) for name in clean.u}
    for row, b in enumerate(sample):
        after = float(((noisy.post["output"][row] - TARGET[b]) ** 2).sum() / 2)
        for name, noise in noisy.injected.items():
            delta[name][b] += (after - float(before[b])) * np.asarray(noise[row]) / 0.1**2 / 3
    for p in net.projections:
        wanted = np.asarray(clean.pre[p.name]).T @ delta[p.dst] / 6
        np.testing.assert_allclose(update[p.name]["weight"], wanted, rtol=1e-9)


def test_layers_of_one_size_have_noise_of_their_own():
    """Independent draws correlate by less than 4 / root n; noise drawn from one key would be the
    same.
    """
    net, rule = byway.mlp(5, 300, 300, 3), byway.rule("node_perturbation", sigma=0.2)
    noise = one_update(rule, net, SquaredError(), KEY)[1]["noisy"].injected
    one, two = (np.asarray(noise[name]).ravel() for name in ("hidden1", "hidden2"))
    assert abs(np.corrcoef(one, two)[0, 1]) < 4 / np.sqrt(one.size)


@pytest.mark.parametrize("criterion", [CrossEntropy(), SquaredError()])
@pytest.mark.slow
def test_the_mean_over_draws_tends_to_the_gradient_at_rate_one_half(criterion):
    """The error over K draws falls as K^(-1/2): the fitted slope tells an unbiased estimate from a
    biased one.
    """
    net, rule = (
        byway.mlp(5, 4, 3, activation="tanh", key=7),
        byway.rule("node_perturbation", sigma=1e-4),
    )
    true = jax.flatten_util.ravel_pytree(true_gradient(net, criterion))[0]
    draw = jax.jit(
        jax.vmap(
            lambda key: jax.flatten_util.ravel_pytree(one_update(rule, net, criterion, key)[0])[0]
        )
    )
    draws = draw(jax.random.split(jax.random.key(11), 2**16))
    sizes = np.array([2**6, 2**8, 2**10, 2**12])
    errors = [
        float(
            jnp.sqrt(
                jnp.mean(
                    jnp.sum((draws.reshape(-1, k, draws.shape[1]).mean(1) - true[None]) ** 2, 1)
                )
            )
        )
        for k in sizes
    ]
    slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.06)
    assert float(jnp.linalg.norm(draws.mean(0) - true) / jnp.linalg.norm(true)) < 0.05


def test_on_a_linear_network_with_squared_error_it_is_unbiased_at_any_sigma():
    """C is then quadratic in the noise, whose odd moments vanish: no bias, however large sigma
    is.
    """
    net, rule = byway.mlp(5, 3), byway.rule("node_perturbation", sigma=0.5)

    def loss(w):
        return jnp.mean(jnp.sum((X @ w - TARGET) ** 2, 1) / 2)

    true = jax.grad(loss)(net.projections[0].weight)
    draws = jax.jit(
        jax.vmap(
            lambda key: one_update(rule, net, SquaredError(), key)[0]["input-output"]["weight"]
        )
    )
    values = draws(jax.random.split(jax.random.key(5), 2**15))
    error = (values.mean(0) - true) / (values.std(0) / np.sqrt(2**15))
    assert float(jnp.abs(error).max()) < 4.5


def test_a_sigma_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="sigma"):
        byway.rule("node_perturbation", sigma=0.0)
