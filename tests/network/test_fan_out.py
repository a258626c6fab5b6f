"""Synapses by source, against the same synapses by target; and a network that runs without
learning.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.part import some

import byway
from byway.core.errors import RuleError, ShapeError
from byway.network.builders.assembly import placed
from byway.network.fan_out import MOST, FanOut
from byway.network.sparse import FixedFanIn

# Compiled, as in a run.
FORWARD = eqx.filter_jit(lambda p, pre: p.forward(pre))


def _pair(n_pre, n_post, fan, spare=0, seed=0):
    """Whole numbers as weights, so that sums are the same in any order; some synapses are gone."""
    src, dst = placed(["a", "b"], [(n_pre,), (n_post,)], "lif", False, "a", "b")
    p = FixedFanIn.between(src, dst, fan, spare=spare).redraw(jax.random.key(seed), src, dst)
    draw = np.random.default_rng(seed)
    index = np.where(draw.random(p.index.shape) < 0.1, n_pre, np.asarray(p.index))
    weight = np.where(index < n_pre, draw.integers(-99, 99, index.shape), 0).astype(float)
    p = p.with_structure({"index": jnp.asarray(index, jnp.int32)})
    return p.with_theta(
        {"weight": jnp.asarray(weight), "bias": jnp.asarray(draw.normal(size=n_post))}
    )


# None, one, few, more than one turn takes, nearly all, all.
@pytest.mark.parametrize("share", some([0.001, 0.0, 0.02, 1.0, 0.3, 0.9], 2))
@pytest.mark.parametrize("sizes", [(1, 1, 1), (7, 300, 3), (1000, 40, 30), (999, 600, 20)])
@pytest.mark.parametrize("batch", [1, 3])
def test_a_current_by_source_is_that_by_target_to_the_bit(share, sizes, batch):
    p = _pair(*sizes)
    draw = np.random.default_rng(1)
    sent = (draw.random((batch, sizes[0])) < share) * draw.integers(1, 9, (batch, sizes[0]))
    sent = jnp.asarray(sent, float)
    held = p.by_source()
    assert isinstance(held, FanOut)
    assert held.name == p.name
    np.testing.assert_array_equal(FORWARD(held, sent), p._summed(sent, p.weight) + p.offset)


def test_a_unit_that_many_read_takes_more_than_one_window():
    n_pre, n_post, fan = 400, 500, 2
    src, dst = placed(["a", "b"], [(n_pre,), (n_post,)], "lif", False, "a", "b")
    index = np.column_stack([np.full(n_post, 5), 6 + np.arange(n_post) % 300])
    p = FixedFanIn.between(src, dst, fan, index=index)
    p = p.with_theta({"weight": jnp.ones((n_post, fan))})
    for many in (1, MOST + 1, n_pre):
        sent = jnp.zeros((1, n_pre)).at[0, 5 : 5 + many].set(1)
        np.testing.assert_array_equal(p.by_source().forward(sent), p._summed(sent, p.weight))


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.slow
def test_the_way_back_and_the_update_are_those_by_target(batch):
    p, draw = _pair(50, 30, 8, spare=3), np.random.default_rng(2)
    held = p.by_source()
    pre, delta = (
        jnp.asarray(draw.normal(size=(batch, 50))),
        jnp.asarray(draw.normal(size=(batch, 30))),
    )
    np.testing.assert_allclose(held.backward(delta), p.backward(delta), rtol=1e-12, atol=1e-9)
    update, wanted = held.outer(pre, delta), p.outer(pre, delta)
    np.testing.assert_allclose(update["bias"], wanted["bias"], rtol=1e-12)
    post, slot = np.nonzero(np.asarray(p.alive))
    source = np.asarray(p.index)[post, slot]
    order = np.argsort(source, kind="stable")
    alive = int(held.first[-1])
    np.testing.assert_array_equal(held.source[:alive], source[order])
    np.testing.assert_array_equal(held.target[:alive], post[order])
    np.testing.assert_allclose(
        update["weight"][:alive], np.asarray(wanted["weight"])[post, slot][order], rtol=1e-12
    )
    assert not np.any(update["weight"][alive:])


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_weights_and_wiring_can_be_put_in_one_without_the_other(dtype):
    """They lie in one array, the weights by their bits: all of these come back as they were."""
    held = jax.tree.map(
        lambda a: a.astype(dtype) if a.dtype == float else a, _pair(50, 30, 8)
    ).by_source()
    odd = jnp.asarray([-0.0, 5e-324, jnp.inf, jnp.nan, 1 / 3], dtype)
    weight = jnp.resize(odd, held.weight.shape)
    other = held.with_theta({"weight": weight})
    assert other.weight.dtype == dtype
    assert np.asarray(other.weight).tobytes() == np.asarray(weight).tobytes()
    np.testing.assert_array_equal(other.target, held.target)
    moved = other.with_structure({"target": held.target[::-1], "first": held.first})
    np.testing.assert_array_equal(moved.target, held.target[::-1])
    assert np.asarray(moved.weight).tobytes() == np.asarray(weight).tobytes()


@pytest.mark.parametrize(
    "threshold",
    [pytest.param(0.6, id="few", marks=pytest.mark.slow), pytest.param(1e-6, id="many")],
)
def test_a_network_runs_as_its_steps_one_after_another(threshold):
    cell = byway.cell("lif", threshold=threshold)
    net = byway.grownet(5, 120, 3, fan_in=12, cycles=True, speed=40.0, activation=cell)
    draw = np.random.default_rng(0)
    x = jnp.asarray(draw.normal(size=(2, 60, 5)))
    spikes = lambda phase: phase.post["region2"]
    state, got = byway.simulate(net, x, look=spikes)
    want, now, step = [], net.rest(2), eqx.filter_jit(lambda n, x, s: n.step(x, s))
    for t in range(60):
        now, phase = step(net, x[:, t], now)
        want.append(phase.post["region2"])
    assert np.sum(want) > 20
    np.testing.assert_array_equal(got, np.stack(want))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9), state, now)


@pytest.mark.slow
def test_a_run_in_pieces_is_the_run():
    net = byway.grownet(4, 40, 3, fan_in=8, cycles=True, activation="lif")
    x = jnp.asarray(np.random.default_rng(0).normal(size=(1, 20, 4)))
    state, whole = byway.simulate(net, x)
    laid = net.by_source()
    half, first = byway.simulate(laid, x[:, :9])
    last, second = byway.simulate(laid, x[:, 9:], half)
    assert whole.shape == (20, 1, 3)
    np.testing.assert_array_equal(np.concatenate([first, second]), whole)
    jax.tree.map(np.testing.assert_array_equal, last, state)


@pytest.mark.slow
def test_only_what_mostly_says_nothing_lies_by_source():
    net = byway.grownet(40, 40, 3, fan_in=12, cycles=True, reach=400.0, activation="lif")
    kinds = {p.src: type(p).__name__ for p in net.by_source().projections if p.dst == "region2"}
    assert kinds == {"input": "FixedFanIn"} | {f"region{i}": "FanOut" for i in range(1, 5)}
    rate = byway.grownet(4, 40, 3, fan_in=8, cycles=True, activation="tanh").by_source()
    assert not any(isinstance(p, FanOut) for p in rate.projections)


def test_another_wiring_compiles_nothing_anew():
    traced = []

    @jax.jit
    def run(p, sent):
        traced.append(1)
        return p.by_source().forward(sent)

    sent = jnp.ones((1, 64))
    for seed in range(5):
        q = _pair(64, 40, 8, seed=seed)
        np.testing.assert_array_equal(run(q, sent), q._summed(sent, q.weight) + q.offset)
    assert len(traced) == 1


def test_what_takes_no_steps_is_refused():
    with pytest.raises(RuleError, match="continuous time"):
        byway.simulate(byway.mlp(4, 5, 3, activation="event_lif"), jnp.zeros((1, 2, 4)))
    with pytest.raises(ShapeError, match="shape"):
        byway.simulate(byway.mlp(4, 5, 3), jnp.zeros((1, 2, 5)))
