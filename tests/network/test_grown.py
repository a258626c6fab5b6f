"""Units in space: where they sit, whom they read, how late; against counts and closed forms."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import spatial, stats

import byway
from byway.core.errors import ConfigError, ShapeError, UnknownNameError
from byway.network.builders.assembly import placed
from byway.network.grown import SIDE, grownet
from byway.network.sparse import FixedFanIn


def _line(units, fan_in, reach, spare=0):
    """One unit at 0 that reads some of so many at 1, 2, 3 ..."""
    src, dst = placed(["a", "b"], [(units,), (1,)], "relu", False, "a", "b")
    at = lambda p, places: (
        jax.tree.map(lambda _: p, p)
        and byway.Population(p.name, p.shape, p.cell, p.norm, jnp.asarray(places, jnp.float32))
    )
    row = np.zeros((units, 3))
    row[:, 0] = np.arange(1, units + 1)
    src, dst = at(src, row), at(dst, np.zeros((1, 3)))
    return FixedFanIn.between(src, dst, fan_in, reach=reach, spare=spare), src, dst


def _drawn(p, src, dst, times=4000):
    keys = jax.random.split(jax.random.key(0), times)
    return np.asarray(jax.jit(jax.vmap(lambda key: p.redraw(key, src, dst).index))(keys))[:, 0]


def test_the_odds_of_a_synapse_fall_with_distance():
    """Of one synapse the frequencies are exp(-d / lambda) over their sum."""
    p, src, dst = _line(6, 1, 2.0)
    odds = np.exp(-np.arange(1, 7) / 2.0)
    counts = np.bincount(_drawn(p, src, dst)[:, 0], minlength=6)
    assert stats.chisquare(counts, 4000 * odds / odds.sum()).pvalue > 1e-3


def test_of_two_synapses_the_second_is_drawn_from_what_is_left():
    """Sampling without replacement: P{i, j} = p_i p_j (1 / (1 - p_i) + 1 / (1 - p_j))."""
    p, src, dst = _line(4, 2, 1.5)
    odds = np.exp(-np.arange(1, 5) / 1.5)
    odds /= odds.sum()
    pairs = [(i, j) for i in range(4) for j in range(i + 1, 4)]
    expected = [odds[i] * odds[j] * (1 / (1 - odds[i]) + 1 / (1 - odds[j])) for i, j in pairs]
    drawn = [tuple(row) for row in np.sort(_drawn(p, src, dst), 1).tolist()]
    counts = [drawn.count(pair) for pair in pairs]
    assert sum(counts) == 4000
    assert stats.chisquare(counts, 4000 * np.array(expected)).pvalue > 1e-3


@pytest.mark.parametrize("reach", [math.inf, None])
def test_without_an_end_of_reach_wiring_is_uniform(reach):
    p, src, dst = _line(6, 2, reach)
    counts = np.bincount(_drawn(p, src, dst).ravel(), minlength=6)
    assert stats.chisquare(counts).pvalue > 1e-3


def test_free_slots_come_last_weigh_nothing_and_nothing_is_drawn_twice():
    p, src, dst = _line(6, 2, 2.0, spare=2)
    p = p.redraw(jax.random.key(0), src, dst)
    np.testing.assert_array_equal(p.alive, [[True, True, False, False]])
    assert np.all(np.asarray(p.weight)[0, 2:] == 0) and np.all(np.asarray(p.weight)[0, :2] != 0)
    more = np.asarray(p.proposed(jax.random.key(1), src, dst, 4))[0]
    assert sorted([*more, *np.asarray(p.index)[0, :2]]) == list(range(6))


@pytest.mark.parametrize("form", ["volume", "ball", "sheet"])
def test_units_lie_between_the_surfaces_and_regions_in_layers(form):
    net = grownet((28, 28, 1), 300, 10, form=form, regions=3, key=1)
    inner = [np.asarray(p.position) for p in net.hidden]
    assert [len(a) for a in inner] == [100, 100, 100]
    for below, above in itertools.pairwise(inner):
        assert below[:, 2].max() <= above[:, 2].min()
    every = np.concatenate(inner)
    assert every.min() >= 0 and every.max() <= SIDE and len(np.unique(every, axis=0)) == 300
    assert np.all(np.asarray(net["input"].position)[:, 2] == 0)
    assert np.all(np.asarray(net["output"].position)[:, 2] == SIDE)
    if form == "ball":
        radius = np.linalg.norm(every - SIDE / 2, axis=1) / (SIDE / 2)
        assert stats.kstest(radius, lambda r: r**3).pvalue > 1e-3, "evenly in the ball"
    if form == "sheet":
        assert np.all(every[:, 1] == SIDE / 2)


@pytest.mark.parametrize("reach", [40.0, pytest.param(80.0, marks=pytest.mark.slow), math.inf])
@pytest.mark.parametrize("cycles", [False, True])
def test_every_unit_has_its_fan_in_shared_out_by_the_odds(reach, cycles):
    net = grownet(64, 120, 3, regions=3, fan_in=12, reach=reach, cycles=cycles)
    for dst in net.hidden:
        into = net.incoming(dst.name)
        assert sum(p.slots for p in into) == 12
        assert [p.bias is not None for p in into].count(True) == 1
        before = ["input"] + [p.name for p in net.hidden if cycles or p.name < dst.name]
        mass = {}
        for name in before:
            far = spatial.distance.cdist(dst.position, net[name].position)
            odds = np.exp(-far / reach)
            if name == dst.name:
                np.fill_diagonal(odds, 0)
            mass[name] = odds.sum()
        held = {p.src: p.slots for p in into}
        for name in before:
            exact = 12 * mass[name] / sum(mass.values())
            assert abs(held.get(name, 0) - exact) < 1, "rounded up or down"


def test_no_unit_reads_itself_nor_another_twice():
    net = grownet(9, 40, 2, regions=2, fan_in=8, cycles=True)
    for p in net.projections:
        if isinstance(p, FixedFanIn):
            index = np.asarray(p.index)
            assert all(len(set(row)) == len(row) for row in index)
            assert p.src != p.dst or not np.any(index == np.arange(len(index))[:, None])


def test_weights_are_drawn_for_all_the_synapses_of_a_unit():
    """Variance gain / fan-in of the whole unit: 2 / 50 for relu."""
    net = grownet(400, 800, 2, regions=2, fan_in=50)
    weights = np.concatenate([np.asarray(p.weight).ravel() for p in net.incoming("region2")])
    assert len(net.incoming("region2")) == 2
    assert np.var(weights) == pytest.approx(2 / 50, rel=0.05)


def test_delays_are_what_synapses_take_on_average():
    net = grownet(16, 60, 2, regions=3, fan_in=8, cycles=True, speed=30.0, activation="tanh")
    assert net["region1"].position.dtype == jnp.float32
    for p in net.projections:
        if p.dst == "output":
            assert p.delay is None
            continue
        far = spatial.distance.cdist(net[p.dst].position, net[p.src].position)
        odds = np.exp(-far / 80.0)
        if p.src == p.dst:
            np.fill_diagonal(odds, 0)
        assert p.delay == math.ceil((far * odds).sum() / odds.sum() / 30.0) >= 1
    assert len({p.delay for p in net.projections}) > 2


def test_a_grown_network_predicts_what_its_synapses_say():
    """Against NumPy, synapse by synapse."""
    net = grownet(9, 12, 2, regions=2, fan_in=5, spare=2, key=3)
    x = np.random.default_rng(0).normal(size=(4, 9))
    sent = {"input": x}
    for dst in ("region1", "region2"):
        u = np.zeros((4, 6))
        for p in net.incoming(dst):
            for i, (row, weights) in enumerate(zip(p.index, p.weight, strict=True)):
                for j, w in zip(row, weights, strict=True):
                    if int(j) < sent[p.src].shape[1]:
                        u[:, i] += float(w) * sent[p.src][:, int(j)]
        sent[dst] = np.maximum(u, 0)
    expected = sum(sent[p.src] @ np.asarray(p.weight) for p in net.incoming("output"))
    made = net.forward(jnp.asarray(x)).post["output"]
    np.testing.assert_allclose(made, expected, rtol=1e-12)


def test_seeds_differ_in_wiring_and_not_in_places():
    net = grownet(9, 12, 2, regions=2, fan_in=5)
    other = net.redraw(jax.random.key(5))
    assert np.any(np.asarray(net.projections[0].index) != np.asarray(other.projections[0].index))
    for p, q in zip(net.populations, other.populations, strict=True):
        np.testing.assert_array_equal(p.position, q.position)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"fan_in": 40}, ShapeError, "at most 9, which is all that it can read"),
        ({"regions": 13}, ShapeError, "12 units in 13 regions"),
        ({"reach": 0.0}, ConfigError, "a length above 0"),
        ({"reach": math.nan}, ConfigError, "a length above 0"),
        ({"speed": -1.0}, ConfigError, "a length above 0"),
        ({"form": "cube"}, UnknownNameError, "volume"),
        ({"fan_in": 0}, ConfigError, "fan_in"),
        ({"regions": 2, "readout_from": (2,)}, ConfigError, "regions, from 0 to 1"),
        ({"regions": 2, "readout_from": (-1,)}, ConfigError, "regions, from 0 to 1"),
        ({"regions": 2, "readout_from": (0, 0)}, ConfigError, "each once"),
        ({"regions": 2, "readout_from": ()}, ConfigError, "each once"),
    ],
)
def test_what_cannot_be_is_refused(options, error, words):
    with pytest.raises(error, match=words):
        grownet(9, 12, 2, **options)


def test_a_network_that_would_not_read_its_input_is_refused():
    """Of 4 synapses of each of 300 units none would come from the one input."""
    with pytest.raises(ShapeError, match="1 inputs among 300 units, of which 4 are read"):
        grownet(1, 300, 2, fan_in=4, cycles=True, reach=math.inf)


@pytest.mark.parametrize(
    ("places", "words"),
    [
        (np.zeros((2, 3)), "coincide"),
        (np.array([[0.0, 0, 0], [math.inf, 0, 0]]), "not finite"),
        (np.arange(9.0).reshape(3, 3), r"\(2, 3\)"),
    ],
)
def test_places_that_are_none_are_refused(places, words):
    with pytest.raises(ShapeError, match=words):
        byway.graph(
            {"input": 2, "hidden": 2, "output": 1},
            [("input", "hidden"), ("hidden", "output")],
            positions={"hidden": places},
        )
