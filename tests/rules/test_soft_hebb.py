"""Soft winner-take-all Hebbian layers: by loops in NumPy, by what follows from the equations, and
by what must not matter.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import by_hand
import byway
from byway.core.errors import RuleError
from byway.core.signal import CrossEntropy, Signal
from byway.network.builders import convnet, graph, mlp
from byway.network.convolutions import LocallyConnected
from byway.network.orthogonal import Orthogonal
from byway.network.projections import Skip
from byway.network.sparse import FixedFanIn
from byway.rules.hebbian.soft_hebb import SoftHebb
from byway.training.step import Optimisers, learn, new_learner


def _problem(*sizes, **options):
    net = by_hand.with_biases(mlp(*sizes, **{"activation": "tanh"} | options))
    return net, *by_hand.sample(sizes[0], sizes[-1])


def _by_unit(x, u, w, temperature):
    """The sum over the batch, in loops over samples and units: the winner towards the sample, the
    others away from it.
    """
    step = np.zeros_like(w)
    for sample, drive in zip(x, u, strict=True):
        share = np.exp(drive / temperature) / np.exp(drive / temperature).sum()
        for k in range(len(share)):
            sign = 1.0 if k == int(np.argmax(drive)) else -1.0
            step[:, k] += sign * share[k] * (sample - drive[k] * w[:, k])
    return step


@pytest.mark.parametrize("temperature", [0.1, 1.0, 5.0])
def test_hidden_layers_change_as_the_equations_say(temperature):
    net, x, target = _problem(6, 5, 4, 3)
    rule = SoftHebb(temperature=temperature, rate=0.3)
    _, update, _ = by_hand.taught(rule, net, x, target)
    assert update.net.keys() == {"hidden2-output"}
    assert {name: tuple(parts) for name, parts in update.change.items()} == {
        "input-hidden1": ("weight",),
        "hidden1-hidden2": ("weight",),
    }, "biases of hidden layers stay"
    h = np.asarray(x)
    for name in ("input-hidden1", "hidden1-hidden2"):
        w, b = (np.asarray(net.theta[name][part]) for part in ("weight", "bias"))
        step = _by_unit(h, h @ w + b, w, temperature)
        expected = 0.3 * np.sqrt(np.abs(np.linalg.norm(w, axis=0) - 1)) * step / np.abs(step).max()
        assert by_hand.apart(update.change[name]["weight"], jnp.asarray(expected)) < 1e-12
        u = h @ w + b
        h = np.tanh(u - u.mean(1, keepdims=True))


def test_in_feature_maps_the_channels_of_each_place_compete():
    """A convolution with pooling is a dense layer at each place, of the mean of the patches that
    are pooled.
    """
    net = by_hand.with_biases(convnet((4, 4, 2), (3,), 2, activation="tanh"))
    x, target = by_hand.sample((4, 4, 2), 2)
    _, update, record = by_hand.taught(SoftHebb(temperature=0.5, rate=0.3), net, x, target)
    w, b = (np.asarray(net.theta["input-conv1"][part]) for part in ("weight", "bias"))
    padded = np.pad(np.asarray(x), ((0, 0), (1, 1), (1, 1), (0, 0)))
    patches = np.stack(
        [padded[:, i : i + 3, j : j + 3].reshape(len(x), -1) for i in range(4) for j in range(4)], 1
    )
    pooled = patches.reshape(len(x), 2, 2, 2, 2, -1).mean((2, 4)).reshape(4 * len(x), -1)
    flat = w.reshape(-1, 3)
    u = pooled @ flat + b
    step = _by_unit(pooled, u, flat, 0.5)
    expected = 0.3 * np.sqrt(np.abs(np.linalg.norm(flat, axis=0) - 1)) * step / np.abs(step).max()
    assert (
        by_hand.apart(
            update.change["input-conv1"]["weight"], jnp.asarray(expected.reshape(w.shape))
        )
        < 1e-12
    )
    sent = np.tanh(u - u.mean(1, keepdims=True)).reshape(len(x), -1)
    out = sent @ np.asarray(net.theta["conv1-output"]["weight"]) + np.asarray(
        net.theta["conv1-output"]["bias"]
    )
    np.testing.assert_allclose(record.output, out, rtol=1e-12)


def test_with_a_field_at_each_place_or_a_fixed_fan_in_it_is_the_same_rule():
    """Fields as large as the image, and units that read everything, are dense layers with their
    weights in another order.
    """
    x, target = by_hand.sample((2, 2, 1), 2)
    rule = SoftHebb(temperature=0.5, rate=0.3)
    draw = np.random.default_rng(3)
    w, out = jnp.asarray(draw.normal(size=(4, 3))), jnp.asarray(draw.normal(size=(3, 2)))

    def changed(projection, shape, own):
        net = graph(
            {"input": (2, 2, 1), "a": shape, "output": 2},
            [projection, ("a", "output")],
            activation="tanh",
            bias=False,
        )
        net = net.with_theta({"input-a": {"weight": own}, "a-output": {"weight": out}})
        return np.asarray(by_hand.taught(rule, net, x, target)[1].change["input-a"]["weight"])

    src, dst = graph(
        {"input": (2, 2, 1), "a": 3, "output": 2}, [("input", "a"), ("a", "output")]
    ).populations[:2]
    dense = changed(("input", "a"), 3, w)
    local = LocallyConnected.between(src, "a", 3, 2, bias=False)
    np.testing.assert_allclose(
        changed(local, (1, 1, 3), w.reshape(1, 1, 4, 3)).reshape(4, 3), dense, rtol=1e-12
    )
    sparse = FixedFanIn.between(src, dst, 4, bias=False)
    with_order = graph(
        {"input": (2, 2, 1), "a": 3, "output": 2}, [sparse, ("a", "output")], bias=False
    )
    index = np.asarray(with_order.structure["input-a"]["index"])
    net = with_order.with_theta(
        {"input-a": {"weight": jnp.take_along_axis(w.T, index, 1)}, "a-output": {"weight": out}}
    )
    mine = by_hand.taught(rule, net, x, target)[1].change["input-a"]["weight"]
    np.testing.assert_allclose(mine, np.take_along_axis(dense.T, index, 1), rtol=1e-12)


def test_a_single_unit_that_sees_each_sample_as_often_as_it_answers_is_ojas():
    """Without rivals A = sum (x - u W); with u copies of each sample that is Oja's sum u (x - u
    W).
    """
    draw = np.random.default_rng(0)
    w, often = draw.normal(size=4), np.array([1, 2, 3, 1])
    across = draw.normal(size=(4, 4))
    across -= np.outer(across @ w, w) / (w @ w)
    x = across + np.outer(often, w) / (w @ w)  # u = often
    net = mlp(4, 1, 2, activation="identity", bias=False)
    net = net.with_theta({"input-hidden1": {"weight": jnp.asarray(w[:, None])}})
    target = jnp.asarray(np.eye(2)[np.zeros(often.sum(), int)])
    rule = SoftHebb(rate=0.3)
    _, update, _ = by_hand.taught(rule, net, jnp.asarray(np.repeat(x, often, 0)), target)
    oja = sum(u * (one - u * w) for u, one in zip(often, x, strict=True))
    expected = 0.3 * np.sqrt(abs(np.linalg.norm(w) - 1)) * oja / np.abs(oja).max()
    np.testing.assert_allclose(update.change["input-hidden1"]["weight"][:, 0], expected, rtol=1e-12)


def test_the_readout_learns_by_the_delta_rule():
    """On what the inhibited layers send: dW = <(softmax(y) - t) h^T>."""
    net, x, target = _problem(6, 5, 4, 3)
    _, update, _ = by_hand.taught(SoftHebb(), net, x, target)
    h = np.asarray(x)
    for name in ("input-hidden1", "hidden1-hidden2"):
        u = h @ np.asarray(net.theta[name]["weight"]) + np.asarray(net.theta[name]["bias"])
        h = np.tanh(u - u.mean(1, keepdims=True))
    out = h @ np.asarray(net.theta["hidden2-output"]["weight"]) + np.asarray(
        net.theta["hidden2-output"]["bias"]
    )
    error = np.exp(out) / np.exp(out).sum(1, keepdims=True) - np.asarray(target)
    np.testing.assert_allclose(
        update.net["hidden2-output"]["weight"], h.T @ error / len(x), rtol=1e-11, atol=1e-14
    )
    np.testing.assert_allclose(
        update.net["hidden2-output"]["bias"], error.mean(0), rtol=1e-11, atol=1e-14
    )


def test_units_that_all_start_long_share_the_samples():
    """On uncentred data, units drawn with a norm near one leave everything to the first that won;
    long ones shrink as they win.
    """
    draw = np.random.default_rng(0)
    x = jnp.asarray(3 + draw.normal(size=(60, 10)))
    target, rule = jnp.asarray(np.eye(2)[np.arange(60) % 2]), SoftHebb(temperature=0.1, rate=0.05)

    def winners(norm):
        net = mlp(10, 8, 2, bias=False)
        start = draw.normal(size=(10, 8))
        start = jnp.asarray(norm * start / np.linalg.norm(start, axis=0))

        def step(_, w):
            here = net.with_theta({"input-hidden1": {"weight": w}})
            return w + by_hand.taught(rule, here, x, target)[1].change["input-hidden1"]["weight"]

        w = np.asarray(jax.jit(lambda w: jax.lax.fori_loop(0, 2000, step, w))(start))
        return len(set(np.argmax(np.asarray(x) @ w, axis=1)))

    assert winners(1.1) == 1
    assert winners(5.0) >= 4


def test_weights_move_by_the_change_and_past_the_optimiser():
    net, x, target = _problem(6, 5, 3)
    signal, optimisers = (
        Signal(target, CrossEntropy()),
        Optimisers(optax.adam(10.0), optax.adam(10.0)),
    )
    start = new_learner(SoftHebb(), net, optimisers, x, signal, jax.random.key(0))
    end, _ = learn(SoftHebb(), optimisers, start, x, signal)
    _, update, _ = by_hand.taught(SoftHebb(), start.net, x, target)
    before, after = (one.net.theta["input-hidden1"] for one in (start, end))
    np.testing.assert_allclose(
        after["weight"], before["weight"] + update.change["input-hidden1"]["weight"], rtol=1e-12
    )
    np.testing.assert_array_equal(after["bias"], before["bias"])


def test_neither_targets_nor_what_lies_above_reach_a_hidden_layer():
    net, x, target = _problem(6, 5, 4, 3)
    _, one, _ = by_hand.taught(SoftHebb(), net, x, target)
    theta = net.theta
    other = net.with_theta(
        {
            name: jax.tree.map(lambda a: 3 * a, theta[name])
            for name in ("hidden1-hidden2", "hidden2-output")
        }
    )
    _, two, _ = by_hand.taught(SoftHebb(), other, x, jnp.roll(target, 1, axis=1))
    np.testing.assert_array_equal(
        one.change["input-hidden1"]["weight"], two.change["input-hidden1"]["weight"]
    )


def test_orthogonal_patterns_are_found_and_norms_tend_to_one():
    """Six patterns of length one, six units that begin near one each: each ends on its own, at norm
    one, where its rate is zero.
    """
    draw = np.random.default_rng(0)
    patterns, _ = np.linalg.qr(draw.normal(size=(8, 6)))
    net = mlp(8, 6, 2, activation="identity", bias=False)
    target, rule = jnp.asarray(np.eye(2)[np.arange(6) % 2]), SoftHebb(temperature=0.02, rate=0.02)

    def step(_, w):
        here = net.with_theta({"input-hidden1": {"weight": w}})
        return (
            w
            + by_hand.taught(rule, here, jnp.asarray(patterns.T), target)[1].change[
                "input-hidden1"
            ]["weight"]
        )

    start = jnp.asarray(1.3 * patterns + 0.1 * draw.normal(size=(8, 6)))
    w = np.asarray(jax.jit(lambda w: jax.lax.fori_loop(0, 3000, step, w))(start))
    norm = np.linalg.norm(w, axis=0)
    assert np.abs(norm - 1).max() < 1e-4
    assert (1 - (w * patterns).sum(0) / norm).max() < 1e-6


def test_a_silent_layer_does_not_become_nan():
    net, x, target = _problem(6, 5, 3)
    net = net.with_theta({"input-hidden1": {"weight": jnp.zeros((6, 5)), "bias": jnp.zeros(5)}})
    _, update, _ = by_hand.taught(SoftHebb(), net, 0 * x, target)
    np.testing.assert_array_equal(update.change["input-hidden1"]["weight"], np.zeros((6, 5)))


@pytest.mark.parametrize(
    "net",
    [
        graph({"input": 4, "b": 4, "output": 2}, [Skip("input", "b", (4,)), ("b", "output")]),
        graph(
            {"input": 4, "a": 3, "b": 3, "output": 2},
            [("input", "a"), ("input", "b"), ("a", "b"), ("b", "output")],
        ),
    ],
    ids=["no weights", "two projections into one layer"],
)
def test_what_it_cannot_compare_it_refuses(net):
    with pytest.raises(
        RuleError, match=r"soft_hebb was given a network that feeds b by several projections"
    ):
        byway.rule("soft_hebb").accepts(net)


def test_angles_are_weights_of_no_unit():
    h = mlp(4, 8, 8, 3)
    turned = Orthogonal.between(h["hidden1"], h["hidden2"])
    edges = [("input", "hidden1"), turned, ("hidden2", "output")]
    net = graph({"input": 4, "hidden1": 8, "hidden2": 8, "output": 3}, edges)
    with pytest.raises(RuleError, match=r"feeds hidden2 .* without weights of each unit"):
        byway.rule("soft_hebb").accepts(net)
