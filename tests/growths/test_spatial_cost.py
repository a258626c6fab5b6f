"""Spatial cost: communicability against scipy, the cost and what it takes away against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import linalg, spatial
from tests.part import some

import byway
from byway.core.errors import RuleError
from byway.growths.spatial_cost import SpatialCost, exponential
from byway.network.sparse import FixedFanIn


def _net(**options):
    """Two regions that read the input, themselves and each other."""
    net = byway.grownet(12, 30, 3, regions=2, fan_in=6, cycles=True, key=2, **options)
    return net.redraw(jax.random.key(1))


def _whole(net):
    """All |w| and distances [mm] between hidden units, gathered synapse by synapse."""
    first, at = {}, 0
    for h in net.hidden:
        first[h.name], at = at, at + h.size
    size = np.zeros((at, at))
    for p in net.projections:
        if isinstance(p, FixedFanIn) and p.src != "input":
            for i, row in enumerate(np.asarray(p.index)):
                for k, j in enumerate(row):
                    if j < p.sources:
                        size[first[p.src] + j, first[p.dst] + i] += abs(float(p.weight[i, k]))
    places = np.concatenate([np.asarray(h.position, float) for h in net.hidden]) / 1000
    return size, spatial.distance.cdist(places, places), first


def _cost(size, far, ways=True):
    strength = np.maximum((size.sum(0) + size.sum(1)) / 2, 1e-300)
    c = linalg.expm(size / np.sqrt(np.outer(strength, strength))) if ways else np.ones_like(size)
    np.fill_diagonal(c, 0)
    return float(np.sum(size * far * c))


def test_the_exponential_and_its_derivative_are_those_of_scipy():
    """Of sizes that are normalised as communicability has them; in either precision."""
    draw = np.random.default_rng(0)
    size, along = np.abs(draw.normal(size=(40, 40))), draw.normal(size=(40, 40))
    size[3] = 0
    strength = (size.sum(0) + size.sum(1)) / 2
    a = size / np.sqrt(np.outer(strength, strength))
    expected, slope = linalg.expm(a), linalg.expm_frechet(a, along, compute_expm=False)
    for kind, error in ((jnp.float64, 1e-9), (jnp.float32, 1e-5)):
        found = exponential(jnp.asarray(a, kind), jnp.asarray(along, kind))
        np.testing.assert_allclose(found[0], expected, atol=error)
        np.testing.assert_allclose(found[1], slope, atol=20 * error)
    chain = np.diag(np.ones(39), 1) * 2  # a norm of 2, the largest there is
    found = exponential(jnp.asarray(chain), jnp.asarray(along))[0]
    np.testing.assert_allclose(found, linalg.expm(chain), atol=1e-8)


@pytest.mark.parametrize("ways", some([True, False], 1))
def test_weights_shrink_by_the_slope_of_the_cost(ways):
    """By central differences of the cost in NumPy; signs stay, and so do what comes from the input
    and goes to the output.
    """
    net, growth = _net(), SpatialCost(every=1, strength=0.01, communicability=ways)
    size, far, first = _whole(net)
    _, after, fresh = growth.grow((), net, jax.random.key(0), jnp.float32(0.5))
    assert fresh == {}
    draw = np.random.default_rng(1)
    for p, q in zip(net.projections, after.projections, strict=True):
        if p.src == "input" or p.dst == "output":
            np.testing.assert_array_equal(p.weight, q.weight)
            continue
        for _ in range(6):
            i, k = draw.integers(len(p.weight)), draw.integers(p.fan_in)
            w, there = float(p.weight[i, k]), np.zeros_like(size)
            there[first[p.src] + int(p.index[i, k]), first[p.dst] + i] = 1e-6
            slope = (_cost(size + there, far, ways) - _cost(size - there, far, ways)) / 2e-6
            assert float(q.weight[i, k]) == pytest.approx(
                np.sign(w) * max(abs(w) - 0.01 * slope, 0), rel=1e-6, abs=1e-9
            )


def test_costs_fall_and_stop_at_zero():
    net, weak = _net(), SpatialCost(every=1, strength=1e-3)
    costs = [_cost(*_whole(net)[:2])]
    for _ in range(10):
        net = weak.grow((), net, jax.random.key(0), jnp.float32(0.5))[1]
        costs.append(_cost(*_whole(net)[:2]))
    assert np.all(np.diff(costs) < 0)
    strong = SpatialCost(strength=100.0, communicability=False)
    _, after, _ = strong.grow((), net, jax.random.key(0), jnp.float32(0.5))
    assert _whole(after)[0].sum() == 0
    np.testing.assert_array_equal(after.projections[0].weight, net.projections[0].weight)


def test_ten_times_at_once_is_ten_times_the_step():
    once = SpatialCost(every=10, strength=1e-3).grow((), _net(), jax.random.key(0), 0.5)
    same = SpatialCost(every=1, strength=1e-2).grow((), _net(), jax.random.key(0), 0.5)
    for p, q in zip(once[1].projections, same[1].projections, strict=True):
        np.testing.assert_allclose(p.weight, q.weight, rtol=1e-12)


def test_a_network_with_one_hidden_layer_is_refused():
    with pytest.raises(RuleError, match="with two hidden layers"):
        byway.growth("spatial_cost").accepts(byway.mlp(8, 6, 3))
    byway.growth("spatial_cost").accepts(byway.rnn(3, 6, 2))
