"""Migration: forces by hand, the place where springs alone would leave a unit, wiring that gets
shorter, and what must not change.
"""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import by_hand
import byway
from byway.core.errors import RuleError
from byway.core.task import Split
from byway.network.sparse import FixedFanIn


def _moved(growth, net, times):
    memory = growth.start(net)
    once = lambda i, net: growth.grow(memory, net, jax.random.key(0), jnp.float32(0.5))[1]
    return jax.jit(lambda net: jax.lax.fori_loop(0, times, once, net))(net)


def _placed(places, **options):
    sizes = {name: len(x) for name, x in places.items()}
    names = list(sizes)
    edges = list(itertools.pairwise(names))
    return by_hand.with_biases(
        byway.graph(
            sizes, edges, positions={n: np.asarray(x) for n, x in places.items()}, **options
        )
    )


def test_without_push_units_go_where_the_quadratic_cost_is_least():
    """The minimum of sum |w_ij| |x_i - x_j|^2 over places of hidden units, by linear algebra."""
    draw = np.random.default_rng(0)
    net = _placed(
        {
            name: draw.uniform(0, 400, (n, 3))
            for name, n in (("input", 6), ("a", 5), ("b", 4), ("output", 3))
        },
        key=1,
    )
    after = _moved(byway.growth("migration", gap=0.0, most=1000.0, rate=0.5), net, 400)
    first, last = np.asarray(net["input"].position), np.asarray(net["output"].position)
    into, across, out = (np.abs(np.asarray(p.weight, float)) for p in net.projections)
    laplace = np.zeros((9, 9))
    laplace[:5, 5:], laplace[5:, :5] = -across, -across.T
    np.fill_diagonal(
        laplace, np.concatenate([into.sum(0) + across.sum(1), across.sum(0) + out.sum(1)])
    )
    expected = np.linalg.solve(laplace, np.concatenate([into.T @ first, out @ last]))
    np.testing.assert_allclose(after["a"].position, expected[:5], rtol=1e-4)
    np.testing.assert_allclose(after["b"].position, expected[5:], rtol=1e-4)
    for name in ("input", "output"):
        np.testing.assert_array_equal(after[name].position, net[name].position)


def test_the_forces_on_one_unit_are_those_of_the_formula():
    places = {
        "input": [[0.0, 0, 0], [100, 0, 0]],
        "hidden": [[50.0, 40, 0], [50, 46, 8]],
        "output": [[50.0, 100, 50]],
    }
    net = _placed(places, key=3)
    into, out = (np.abs(np.asarray(p.weight, float)) for p in net.projections)
    x, ends = np.array(places["hidden"]), np.array(places["input"] + places["output"])
    a = np.concatenate([into[:, 0], out[0]])
    pull = a @ ends / a.sum() - x[0]
    apart = x[0] - x[1]
    push = 8.0**2 * apart / (apart @ apart)  # 10 um apart; all others are further than 16
    for most in (1000.0, 2.0):
        growth = byway.growth("migration", rate=0.25, gap=8.0, most=most)
        step = 0.25 * (pull + push)
        step *= min(1, most / np.linalg.norm(step))
        after = _moved(growth, net, 1)["hidden"].position
        np.testing.assert_allclose(after[0], x[0] + step, rtol=1e-5)


def _half_empty():
    """Sparse into one population, half of which is there, and dense from it to another."""
    sizes, draw = {"input": 9, "region1": 10, "region2": 10, "output": 3}, np.random.default_rng(4)
    places = {name: draw.uniform(0, 400, (n, 3)) for name, n in sizes.items()}
    made = byway.graph(sizes, list(itertools.pairwise(sizes)))
    sparse = FixedFanIn.between(made["input"], made["region1"], 4)
    edges = [sparse, ("region1", "region2"), ("region2", "output")]
    return byway.graph(sizes, edges, positions=places, born={"region1": 5})


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(
            lambda: byway.grownet(9, 20, 3, regions=2, fan_in=6, born=0.5, cycles=True, key=2),
            marks=pytest.mark.slow,
        ),
        _half_empty,
    ],
)
def test_empty_places_stay_and_move_nobody(make):
    """All forces in NumPy over the units that there are; dense projections have weights out of
    places where there are none.
    """
    net = make().redraw(jax.random.key(1))
    names = [p.name for p in net.populations]
    there = {n: np.asarray(net.alive(n)) for n in names}
    place = {n: np.asarray(net[n].position, float) for n in names}
    units = {(n, i): place[n][i] for n in names for i in np.flatnonzero(there[n])}
    joined = {one: dict.fromkeys(units, 0.0) for one in units}
    for p in net.projections:
        matrix = np.abs(np.asarray(p.by_entries().weight, float))
        for pre, post in np.ndindex(*matrix.shape):
            if (p.src, pre) in units and (p.dst, post) in units:
                joined[p.src, pre][p.dst, post] += matrix[pre, post]
                joined[p.dst, post][p.src, pre] += matrix[pre, post]
    growth = byway.growth("migration", rate=0.25, gap=80.0, most=1000.0)
    after = _moved(growth, net, 1)
    pushed = 0
    for name in ("region1", "region2"):
        now, empty = np.asarray(after[name].position), ~there[name]
        np.testing.assert_array_equal(now[empty], np.asarray(net[name].position)[empty])
        for i in np.flatnonzero(there[name]):
            x, a = units[name, i], joined[name, i]
            force = sum(a[one] * y for one, y in units.items()) / sum(a.values()) - x
            for y in units.values():
                if 0 < (far := np.linalg.norm(x - y)) < 160:
                    force, pushed = force + 80.0**2 * (x - y) / far**2, pushed + 1
            np.testing.assert_allclose(now[i], np.clip(x + 0.25 * force, 0, 400), atol=1e-3)
    assert pushed > 20 and there["region1"].sum() == 5


@pytest.mark.slow
def test_wiring_gets_shorter_outputs_and_delays_stay_and_no_two_units_meet():
    net = byway.grownet(64, 90, 10, regions=3, fan_in=10, key=1, cycles=False, speed=50.0)
    net = net.redraw(jax.random.key(0))
    after = _moved(byway.growth("migration"), net, 200)
    before, now = byway.wiring(net), byway.wiring(after)
    assert now.cost < 0.85 * before.cost
    assert now.synapses == before.synapses
    np.testing.assert_array_equal(now.delay, before.delay)
    assert eqx.tree_equal(net.theta, after.theta) and eqx.tree_equal(net.structure, after.structure)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(5, 64)))
    plain = byway.grownet(64, 90, 10, regions=3, fan_in=10, key=1).redraw(jax.random.key(0))
    elsewhere = _moved(byway.growth("migration"), plain, 20)
    np.testing.assert_array_equal(
        plain.forward(x).post["output"], elsewhere.forward(x).post["output"]
    )
    places = np.concatenate([np.asarray(p.position) for p in after.populations])
    assert places.min() >= 0 and places.max() <= 400
    hidden = np.concatenate([np.asarray(h.position) for h in after.hidden])
    far = np.linalg.norm(hidden[:, None] - places[None], axis=2)
    assert np.sort(far, 1)[:, 1].min() > 1, "the nearest other one"


@pytest.mark.slow
def test_places_are_of_each_seed_and_come_back_with_a_checkpoint(tmp_path):
    """Stopped after the first of three epochs; another seed has other places."""
    task, growth = byway.task("digits"), byway.growth("migration", every=4)
    data = {name: Split(s.x[:48], s.y[:48]) for name, s in task.load().items()}
    net = byway.grownet(task.input_shape, 12, task.outputs, regions=2, fan_in=6)
    options = {"batch": 4, "seeds": 2, "data": data, "looks": 0, "progress": False, "epochs": 3}
    fit = lambda **more: byway.fit(net, byway.rule("fa"), task, growth=growth, **options, **more)
    straight = fit()

    def stop(row):
        if row.epoch == 1:
            raise KeyboardInterrupt

    held = {"checkpoint": tmp_path / "c", "save_every": 0.0}
    with pytest.raises(KeyboardInterrupt):
        fit(**held, on_epoch=stop)
    resumed = fit(**held)
    for a, b in zip(
        jax.tree.leaves(straight.learners), jax.tree.leaves(resumed.learners), strict=True
    ):
        if not jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
            np.testing.assert_array_equal(a, b)
    one, other = (straight.learner(i).net["region1"].position for i in (0, 1))
    assert not np.array_equal(one, other) and not np.array_equal(one, net["region1"].position)
    path = tmp_path / "net.safetensors"
    straight.save(path)
    np.testing.assert_array_equal(byway.load(path, seed=1).net["region1"].position, other)


def test_units_behind_shared_weights_do_not_move():
    with pytest.raises(RuleError, match=r"use byway\.grownet"):
        byway.growth("migration").accepts(byway.convnet((6, 6, 1), (2,), 3))
