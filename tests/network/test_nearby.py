"""A few of very many units drawn by distance without looking at all, against closed forms and
against the drawing that looks at all.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import byway
from byway.network import grown, sparse
from byway.network.builders.assembly import placed
from byway.network.nearby import cells, drawn_near
from byway.network.sparse import FixedFanIn


def _drawn(there, here, reach, count, barred=None, rows=6000, key=0, alive=None):
    """What so many units draw that sit in one place."""
    there = jnp.asarray(there, jnp.float32)
    near = cells(there, jnp.ones(len(there), bool) if alive is None else jnp.asarray(alive))
    here = jnp.broadcast_to(jnp.asarray(here, jnp.float32), (rows, 3))
    barred = jnp.asarray([len(there)] if barred is None else barred, jnp.int32)
    barred = jnp.broadcast_to(barred, (rows, len(barred)))
    return np.asarray(drawn_near(jax.random.key(key), here, there, near, reach, barred, count))


def _scatter(units, seed=0):
    return np.random.default_rng(seed).uniform(0, 400, (units, 3))


@pytest.fixture
def everywhere(monkeypatch):
    """Small cells and no size at which all units are looked at."""
    monkeypatch.setattr("byway.network.nearby.CELL", 2)
    monkeypatch.setattr(sparse, "DRAWN", 0)


def test_units_lie_in_cells_that_hold_them(everywhere):
    there, alive = _scatter(100), np.arange(100) % 3 > 0
    near = cells(jnp.asarray(there, jnp.float32), jnp.asarray(alive))
    assert np.sum(near.count) == np.sum(alive) and np.sum(np.asarray(near.count) > 0) > 20
    for first, count, low, high in zip(near.first, near.count, near.low, near.high, strict=True):
        inside = there[np.asarray(near.unit)[int(first) : int(first) + int(count)]]
        if count:
            np.testing.assert_allclose(inside.min(0), low, rtol=1e-6)
            np.testing.assert_allclose(inside.max(0), high, rtol=1e-6)
    held = np.asarray(near.unit)[: int(np.sum(near.count))]
    assert sorted(held) == np.flatnonzero(alive).tolist()


@pytest.mark.parametrize("reach", [30.0, 100.0, math.inf])
def test_a_unit_is_drawn_by_its_odds(everywhere, reach):
    """Of one synapse the frequencies are exp(-d / lambda) over their sum; all alike without an
    end of reach.
    """
    there, here = _scatter(60), np.array([100.0, 200.0, 50.0])
    odds = np.exp(-np.linalg.norm(there - here, axis=1) / reach)
    counts = np.bincount(_drawn(there, here, reach, 1)[:, 0], minlength=60)
    often = 6000 * odds / odds.sum() >= 5
    expected = 6000 * odds / odds.sum()
    seen, wanted = (np.append(a[often], a[~often].sum()) for a in (counts, expected))
    keep = wanted > 0
    assert stats.chisquare(seen[keep], wanted[keep]).pvalue > 1e-3


def test_of_two_the_second_is_drawn_from_what_is_left(everywhere):
    """In order: P(i, then j) = p_i p_j / (1 - p_i); what is barred or absent never."""
    there, here = _scatter(7, seed=1), np.array([200.0, 200.0, 200.0])
    found = _drawn(there, here, 80.0, 2, barred=[2, 5], alive=np.arange(7) != 3)
    free = [0, 1, 4, 6]
    odds = np.exp(-np.linalg.norm(there - here, axis=1) / 80)[free]
    odds /= odds.sum()
    pairs = [(i, j) for i in range(4) for j in range(4) if i != j]
    expected = [6000 * odds[i] * odds[j] / (1 - odds[i]) for i, j in pairs]
    drawn = [tuple(row) for row in found.tolist()]
    counts = [drawn.count((free[i], free[j])) for i, j in pairs]
    assert sum(counts) == 6000
    assert stats.chisquare(counts, expected).pvalue > 1e-3


def test_many_are_drawn_as_by_the_numbers_of_all_units(everywhere, monkeypatch):
    """How often each of 60 units is among 8: two samples, one for each way."""
    src, dst = placed(["a", "b"], [(60,), (3000,)], "relu", False, "a", "b")
    at = lambda p, a: byway.Population(p.name, p.shape, p.cell, p.norm, jnp.asarray(a, jnp.float32))
    src = at(src, _scatter(60, seed=2))
    dst = at(dst, np.broadcast_to([50.0, 300.0, 120.0], (3000, 3)))
    p = FixedFanIn.between(src, dst, 8, reach=60.0)
    bare = p.with_structure({"index": jnp.full_like(p.index, 60)})
    draw = lambda key: np.asarray(bare.proposed(jax.random.key(key), src, dst, 8))
    near = np.bincount(draw(0).ravel(), minlength=60)
    monkeypatch.setattr(sparse, "DRAWN", 2**24)
    every = np.bincount(draw(1).ravel(), minlength=60)
    keep = near + every > 0
    found = np.array([near[keep], every[keep]])
    expected = found.sum(0) * found.sum(1, keepdims=True) / found.sum()
    chi = ((found - expected) ** 2 / expected).sum()
    assert stats.chi2.sf(chi, found.shape[1] - 1) > 1e-3


def test_what_is_too_rare_to_be_thrown_is_looked_for_among_all(everywhere):
    """With a reach of a thousandth of the distances only the nearest would ever be thrown."""
    net = byway.grownet(9, 60, 2, regions=1, fan_in=12, cycles=True, reach=0.8)
    p = next(p for p in net.projections if isinstance(p, FixedFanIn) and p.src == p.dst)
    index = np.asarray(p.index)
    assert all(len({*row, i}) == p.fan_in + 1 for i, row in enumerate(index)) and index.max() < 60
    far = np.linalg.norm(
        np.asarray(net["region1"].position)[:, None] - np.asarray(net["region1"].position)[None],
        axis=2,
    )
    nearest = np.argsort(far, 1)[:, 1 : p.fan_in + 1]
    agree = np.mean([len({*row} & {*best}) for row, best in zip(index, nearest, strict=True)])
    assert agree > 0.8 * p.fan_in


def test_where_there_are_fewer_the_rest_is_free(everywhere):
    src, dst = placed(["a", "b"], [(40,), (5,)], "relu", False, "a", "b")
    p = FixedFanIn.between(src, dst, 4, reach=60.0)
    p = p.with_structure({"index": jnp.full_like(p.index, 40).at[:, 0].set(1)})
    found = np.asarray(p.proposed(jax.random.key(0), src, dst, 4, jnp.arange(40) < 3))
    assert all(sorted(row.tolist()) == [0, 2, 40, 40] for row in found)


@pytest.mark.parametrize("same", [False, True])
@pytest.mark.parametrize("reach", [30.0, math.inf])
def test_odds_of_a_large_network_are_those_of_some_of_its_units(monkeypatch, reach, same):
    """Against sums over all pairs in NumPy."""
    here = _scatter(500)
    here = here[np.argsort(here[:, 2])]
    there = here if same else _scatter(300, seed=1)
    far = np.linalg.norm(here[:, None] - there[None], axis=2)
    odds = np.exp(-far / reach)
    odds[:, 250:] = 0
    if same:
        np.fill_diagonal(odds, 0)
    for pairs, near in ((2**24, 1e-12), (20_000, 0.1)):
        monkeypatch.setattr(grown, "DRAWN", pairs)
        found = grown._odds(here, there, reach, same, 250)
        assert found.mass == pytest.approx(odds.sum(), rel=near)
        assert found.far == pytest.approx((far * odds).sum() / odds.sum(), rel=near)
        assert found.most == 250 - same
