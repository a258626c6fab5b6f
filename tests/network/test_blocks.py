"""Synapses in blocks, against the dense projection with zeros in it, and where they are used."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import byway
from byway.core.errors import ConfigError, ShapeError
from byway.network.blocks import BlockFanIn
from byway.network.builders.assembly import placed


def _ends(n_pre, n_post):
    return placed(["a", "b"], [n_pre, n_post], "tanh", False, "a", "b")


def _drawn(n_pre=(3, 8), n_post=(12,), fan_in=12, block=4, bias=True):
    src, dst = _ends(n_pre, n_post)
    p = BlockFanIn.between(src, dst, fan_in, block, bias=bias).redraw(jax.random.key(0), src, dst)
    draw = np.random.default_rng(0)
    return p.with_theta({k: jnp.asarray(draw.normal(size=a.shape)) for k, a in p.theta.items()})


def _dense(p):
    """Its matrix, entry by entry."""
    weight, index = np.asarray(p.weight), np.asarray(p.index)
    rows, blocks, pre, post = weight.shape
    matrix = np.zeros((int(np.prod(p.src_shape)), rows * post))
    for row, k, i, j in np.ndindex(rows, blocks, pre, post):
        matrix[index[row, k] * pre + i, row * post + j] += weight[row, k, i, j]
    return matrix


PROJECTIONS = [
    _drawn(),
    _drawn(bias=False),
    _drawn((24,), (2, 9), 6, 3),
    _drawn((5,), (4,), 2, 1),
    _drawn((8,), (8,), 8, 8),
]


@pytest.mark.parametrize("p", PROJECTIONS, ids=lambda p: f"{p.weight.shape}")
@pytest.mark.parametrize("batch", [1, 5])
def test_all_that_a_rule_asks_is_that_of_the_dense_matrix(p, batch):
    draw, matrix = np.random.default_rng(1), _dense(p)
    pre, delta = draw.normal(size=(batch, *p.src_shape)), draw.normal(size=(batch, *p.dst_shape))
    x, d = pre.reshape(batch, -1), delta.reshape(batch, -1)
    bias = 0 if p.bias is None else np.asarray(p.bias)
    near = lambda got, want: np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)
    pre, delta = jnp.asarray(pre), jnp.asarray(delta)
    near(p.forward(pre).reshape(batch, -1), x @ matrix + bias)
    near(p.backward(delta).reshape(batch, -1), d @ matrix.T)
    other = p.with_theta({"weight": p.weight[::-1] ** 2})
    near(p.backward(delta, other.weight).reshape(batch, -1), d @ _dense(other).T)
    update = p.outer(pre, delta)
    assert update.keys() == p.theta.keys()
    mask, whole = _dense(p.with_theta({"weight": jnp.ones_like(p.weight)})), x.T @ d / batch
    near(_dense(p.with_theta(update)), mask * whole)
    if p.bias is not None:
        near(update["bias"], d.mean(0))
    near(p.by_entries().weight, matrix)
    met = jnp.mean(p.at_pre(pre) * p.at_post(delta), 0)
    near(met, update["weight"])


def test_a_row_reads_each_block_once_and_all_are_as_likely():
    src, dst = _ends((40,), (4000,))
    p = BlockFanIn.between(src, dst, 12, 4).redraw(jax.random.key(0), src, dst)
    assert np.all(np.diff(np.asarray(p.index), axis=1) > 0)
    counts = np.bincount(np.asarray(p.index).ravel(), minlength=10)
    expected = p.index.size / 10
    assert np.sum((counts - expected) ** 2 / expected) < 27.9  # chi squared, 9 of freedom, 1e-3
    assert float(jnp.std(p.weight)) == pytest.approx(12**-0.5, rel=0.01)
    assert (p.fan_in, p.fan_out) == (12, 1200)


@pytest.mark.parametrize("rule", ["bp", "dfa", "soft_hebb"])
def test_a_network_of_blocks_learns_and_comes_back_from_a_file(rule, tmp_path):
    net = byway.mlp(64, 32, 32, 10, fan_in=16, block_size=8)
    assert [type(p).__name__ for p in net.projections] == ["BlockFanIn", "BlockFanIn", "Dense"]
    task = byway.task("digits")
    trained = byway.fit(net, byway.rule(rule), task, epochs=1, progress=False)
    trained.save(tmp_path / "net.byway")
    one, again = (r.net for r in (trained.predictor(0), byway.load(tmp_path / "net.byway")))
    assert not np.array_equal(one.projections[1].weight, net.projections[1].weight)
    x = jnp.ones((2, 64), one.dtype)
    np.testing.assert_array_equal(again.forward(x).post["output"], one.forward(x).post["output"])


def test_what_is_not_in_whole_blocks_is_refused():
    src, dst = _ends((24,), (12,))
    with pytest.raises(ShapeError, match="blocks of 5 units and 24 of 'a', 12 of 'b'"):
        BlockFanIn.between(src, dst, 10, 5)
    with pytest.raises(ShapeError, match=r"6 of the fan-in.*or blocks of 2|or blocks of 6"):
        BlockFanIn.between(src, dst, 6, 4)
    with pytest.raises(ShapeError, match="at most its 24 units"):
        BlockFanIn.between(src, dst, 36, 12)
    with pytest.raises(ConfigError, match="fan_in"):
        byway.mlp(64, 32, 10, block_size=8)
