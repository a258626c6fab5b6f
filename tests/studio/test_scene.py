"""The scene: every kind of network is laid out so that no two units coincide, and what there is of
it is what the network says.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import byway
from byway.experiment.networks import NETWORKS
from byway.network.space import UNIT_PITCH
from byway.studio.scene import Scene

IN_TIME = ("rnn", "lru", "coupled", "orthogonal")


def _net(kind):
    task = byway.task("delayed_xor" if kind in IN_TIME else "digits")
    hidden = {"revnet": (18,), "convnet": (), "conv_revnet": ()}.get(kind, (12, 8))
    return NETWORKS[kind](task, hidden, {"units": 40} if kind == "grownet" else {})


@pytest.mark.parametrize("kind", NETWORKS)
def test_every_kind_of_network_has_a_place_for_each_unit(kind):
    net = _net(kind)
    scene = Scene(net)
    places, exists = scene.places(net)
    assert places.dtype == np.float32 and places.shape == (scene.size, 3) and exists.all()
    apart = np.linalg.norm(places[:, None] - places[None], axis=2) + 1e9 * np.eye(scene.size)
    assert apart.min() > UNIT_PITCH * (0.05 if kind == "grownet" else 0.5)
    head = scene.head()
    assert [p["name"] for p in head["populations"]] == [p.name for p in net.populations]
    assert [p["role"] for p in head["populations"]].count("hidden") == len(net.hidden)
    names = [p["name"] for p in head["populations"]]
    assert [(names[p["src"]], names[p["dst"]]) for p in head["projections"]] == [
        (p.src, p.dst) for p in net.projections
    ]
    for unit in (0, scene.size // 2, scene.size - 1):
        assert scene.flat(*scene.where(unit)) == unit
    # The input lies before all that reads it, and the output behind all else.
    z = {p.name: places[scene.units(p.name), 2] for p in net.populations}
    assert all(z[net.input].max() < a.min() for n, a in z.items() if n != net.input)
    assert all(z[net.output].min() > a.max() for n, a in z.items() if n != net.output)


def test_places_are_the_same_arrays_until_a_unit_moves_or_is_born():
    net = byway.grownet((4, 4, 1), 30, 3, fan_in=4, regions=1, born=0.5)
    scene = Scene(net)
    first = scene.places(net)
    again = jax.tree.map(lambda a: a + 0 if isinstance(a, jax.Array) else a, net)
    assert scene.places(again) is first
    name = net.hidden[0].name
    moved = net.with_positions({name: net[name].position + 5.0})
    np.testing.assert_allclose(
        np.abs(scene.places(moved)[0] - first[0])[scene.units(name)], 5.0, rtol=1e-4
    )
    p = net.incoming(name)[0]
    empty = np.asarray((p.index >= p.sources).all(1))
    unit = int(np.flatnonzero(empty)[0])
    born = net.with_structure({p.name: {"index": p.index.at[unit, 0].set(0)}})
    exists = scene.places(born)[1]
    assert np.flatnonzero(exists != first[1]).tolist() == [scene.flat(name, unit)]


def test_an_image_is_the_right_way_up_laid_out_or_in_space():
    for net in (byway.mlp((4, 3, 1), 5, 2), byway.grownet((4, 3, 1), 20, 2, fan_in=4)):
        at = Scene(net).places(net)[0][:12].reshape(4, 3, 3)
        assert (np.diff(at[..., 0], axis=1) > 0).all() and (np.diff(at[..., 1], axis=0) < 0).all()


@pytest.mark.slow
def test_a_network_in_space_is_drawn_to_scale():
    net = byway.grownet((4, 4, 1), 30, 3, fan_in=4)
    own = np.concatenate([np.asarray(p.position, float) for p in net.populations])
    drawn = Scene(net).places(net)[0]
    far = lambda a: np.linalg.norm(a[:, None] - a[None], axis=2)
    np.testing.assert_allclose(far(drawn), far(own), atol=1e-3)
    assert np.allclose(own[:, [0, 2]], drawn[:, [0, 2]])
    flat = byway.grownet(16, 30, 3, fan_in=4)  # no image: nothing to turn
    own = np.concatenate([np.asarray(p.position, float) for p in flat.populations])
    np.testing.assert_allclose(Scene(flat).places(flat)[0], own, atol=1e-4)


def test_streams_halves_and_maps_stand_side_by_side():
    revnet = byway.revnet(9, 18, 3, blocks=2)
    scene = Scene(revnet)
    x = {p.name: scene.places(revnet)[0][scene.units(p.name), 0] for p in revnet.populations}
    assert x["a0"].max() < x["f1"].min() and x["f1"].max() < x["b0"].min()
    assert np.allclose(x["a0"], x["a2"])
    coupled = byway.coupled(3, 8, 2)
    scene = Scene(coupled)
    at = {p.name: scene.places(coupled)[0][scene.units(p.name)] for p in coupled.populations}
    assert np.allclose(at["hidden1a"][:, 2].mean(), at["hidden1b"][:, 2].mean())
    assert at["hidden1a"][:, 0].max() < at["hidden1b"][:, 0].min()
    loop = byway.rnn(3, 30, 2)
    scene = Scene(loop)
    ball = scene.places(loop)[0][scene.units("hidden1")]
    radius = np.linalg.norm(ball - ball.mean(0), axis=1)
    assert np.ptp(radius) < 0.1 * radius.mean()


@pytest.mark.slow
def test_what_exists_is_what_is_alive_and_a_unit_that_moves_is_drawn_as_far_away():
    net = byway.grownet(16, 40, 4, fan_in=4, spare=2, born=0.5)
    scene = Scene(net)
    places, exists = scene.places(net)
    for p in net.populations:
        there = np.ones(p.size, bool) if p.name == net.input else np.asarray(net.alive(p.name))
        np.testing.assert_array_equal(exists[scene.units(p.name)].astype(bool), there)
    assert 0 < exists.sum() < scene.size
    moved = net[net.hidden[0].name]
    moved = dataclasses.replace(
        moved, position=moved.position + jnp.array([[3.0, 4.0, 0.0]], moved.position.dtype)
    )
    populations = [moved if p.name == moved.name else p for p in net.populations]
    later = byway.Network(populations, net.projections, net.input, net.output)
    step = scene.places(later)[0] - places
    np.testing.assert_allclose(
        np.linalg.norm(step[scene.units(moved.name)], axis=1), 5.0, atol=1e-3
    )
    assert not np.delete(step, np.arange(scene.size)[scene.units(moved.name)], 0).any()


def test_a_ball_holds_the_hidden_units_in_it():
    net = byway.grownet((4, 4, 1), 60, 4, fan_in=4, spare=2, born=0.5)
    scene = Scene(net)
    places, exists = scene.places(net)
    inside = scene.within(net, np.array([200.0, 200.0, 200.0]), 150.0)
    hidden = np.concatenate([np.full(p.count, p.role == "hidden") for p in scene.populations])
    far = np.linalg.norm(places - 200, axis=1)
    np.testing.assert_array_equal(inside, hidden & (exists > 0) & (far <= 150))
    assert 0 < inside.sum() < 60
