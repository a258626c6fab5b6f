"""GradMax: what new units change (nothing), and the gradient of the weights into them beside that
of a thousand others and beside the singular vectors in NumPy.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.part import some

import byway
from byway.core.errors import RuleError
from byway.core.record import Record
from byway.core.signal import CrossEntropy, Signal
from byway.core.task import Split


def _net(**options):
    options = {"regions": 1, "fan_in": 4, "born": 0.5, "key": 2, "activation": "tanh"} | options
    return byway.grownet(9, 12, 5, **options).redraw(jax.random.key(1))


def _batch(net, samples=16):
    draw = np.random.default_rng(0)
    x = jnp.asarray(draw.normal(size=(samples, 9)), net.dtype)
    target = jnp.asarray(np.eye(5)[draw.integers(0, 5, samples)], net.dtype)
    return x, Signal(target, CrossEntropy())


def _grown(growth, net):
    x, signal = _batch(net)
    phase = net.forward(x)
    record = Record({"free": phase}, phase.post[net.output])
    memory = growth.heard(growth.start(net), net, record, signal)
    return growth.grow(memory, net, jax.random.key(3), jnp.float32(0.5))


def _gradient(net):
    """Of the loss, by the weights into each unit: autodiff, "units slots"."""
    x, signal = _batch(net)
    loss = lambda theta: jnp.mean(signal.loss(net.with_theta(theta).forward(x).post[net.output]))
    slopes = jax.grad(loss)(net.theta)
    return jnp.concatenate(
        [slopes[p.name]["weight"] for p in net.incoming(net.hidden[-1].name)], axis=1
    )


@pytest.mark.parametrize("activation", some(["relu", "tanh", "sigmoid"], 1))
@pytest.mark.parametrize("regions", some([2, 1], 1))
def test_birth_leaves_the_answers_as_they_were(activation, regions):
    net = _net(activation=activation, regions=regions)
    _, after, fresh = _grown(byway.growth("gradmax", units=2), net)
    x, _ = _batch(net)
    before, now = (one.forward(x).post["output"] for one in (net, after))
    np.testing.assert_allclose(now, before, atol=1e-12, rtol=0)
    for h in net.hidden:
        assert np.sum(after.alive(h.name)) == np.sum(net.alive(h.name)) + 2
    single = lambda a: a.astype(jnp.float32) if jnp.issubdtype(a.dtype, jnp.floating) else a
    before, now = (
        jax.tree.map(single, one).forward(single(x)).post["output"] for one in (net, after)
    )
    assert np.abs(now - before).max() < 1e-6
    for p, q in zip(net.projections, after.projections, strict=True):
        new = np.asarray(fresh[p.name]["weight"])
        np.testing.assert_array_equal(np.asarray(q.weight)[~new], np.asarray(p.weight)[~new])


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.slow
def test_no_other_weights_out_of_the_unit_of_that_norm_have_a_larger_gradient(activation):
    """One unit is born; a thousand others are drawn at random, of the same norm."""
    net = _net(activation=activation)
    _, after, _ = _grown(byway.growth("gradmax", units=1), net)
    out = after.theta["region1-output"]["weight"]
    unit = int(np.flatnonzero(np.asarray(after.alive("region1") & ~net.alive("region1")))[0])
    mean = np.linalg.norm(np.asarray(net.theta["region1-output"]["weight"])[:6], axis=1).mean()
    np.testing.assert_allclose(np.linalg.norm(out[unit]), mean, rtol=1e-9)
    others = jax.random.normal(jax.random.key(0), (1000, 5), out.dtype)
    others = mean * others / jnp.linalg.norm(others, axis=1, keepdims=True)
    # The answers do not change either: what the unit sends is taken off the bias again.
    bias, sent = (
        after.theta["region1-output"]["bias"],
        after["region1"].activate(jnp.full((1, 12), 0.1, out.dtype))[0, 0],
    )

    def size(way):
        theta = {"weight": out.at[unit].set(way), "bias": bias + sent * (out[unit] - way)}
        return jnp.linalg.norm(_gradient(after.with_theta({"region1-output": theta}))[unit])

    ours = size(out[unit])
    assert ours > 0
    assert np.all(np.asarray(jax.vmap(size)(others)) <= ours)


def test_units_that_read_all_take_the_singular_vectors_one_by_one():
    net = _net(fan_in=9)
    _, after, _ = _grown(byway.growth("gradmax", units=3, bias=0.0, scale=2.0), net)
    x, signal = _batch(net)
    y = np.asarray(net.forward(x).post["output"])
    odds = np.exp(y - y.max(1, keepdims=True))
    error = odds / odds.sum(1, keepdims=True) - np.asarray(signal.target)
    _, values, vectors = np.linalg.svd(np.asarray(x).T @ error / len(x))
    weight = np.asarray(net.theta["region1-output"]["weight"])
    norm = 2 * np.linalg.norm(weight[:6], axis=1).mean()
    for i in range(3):
        way = np.asarray(after.theta["region1-output"]["weight"])[6 + i]
        np.testing.assert_allclose(abs(way @ vectors[i]), norm, rtol=1e-9)
        np.testing.assert_allclose(
            np.linalg.norm(_gradient(after)[6 + i]), norm * values[i], rtol=1e-9
        )


def test_what_is_born_learns_and_growth_ends_where_no_place_is_empty():
    task = byway.task("digits")
    net = byway.grownet(task.input_shape, 8, task.outputs, regions=1, fan_in=6, born=0.5)
    data = {name: Split(s.x[:64], s.y[:64]) for name, s in task.load().items()}
    growth = byway.growth("gradmax", every=4, units=3, until=1.0)
    options = {"epochs": 2, "batch": 8, "looks": 0, "progress": False, "data": data}
    result = byway.fit(net, byway.rule("bp"), task, growth=growth, **options)
    after = result.learner().net
    assert "every place taken" in result.advice[0]
    assert np.all(after.alive("region1"))
    assert np.all(np.any(after.theta["input-region1"]["weight"] != 0, 1))


@pytest.mark.parametrize(
    "make",
    [
        lambda: byway.mlp(8, 6, 3),
        lambda: byway.grownet(9, 12, 3, regions=2, fan_in=4, cycles=True),
        lambda: byway.grownet(9, 12, 3, regions=1, fan_in=4, norm=True),
        lambda: byway.grownet(9, 12, 3, regions=1, fan_in=4, bias=False),
    ],
)
def test_networks_that_cannot_grow_so_are_refused(make):
    with pytest.raises(RuleError, match="gradmax was given"):
        byway.growth("gradmax").accepts(make())
