"""Which synapses are drawn, against brute force; where they begin and end, against the network's
own linear maps; and what is told of a change, against a copy that only hears of changes.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import byway
from byway.network.convolutions import Conv, LocallyConnected
from byway.network.orthogonal import Orthogonal
from byway.network.populations import Population
from byway.network.projections import Skip
from byway.studio.scene import Scene
from byway.studio.silence import cut, silenced
from byway.studio.synapses import FREE, PARTS, Synapses
from byway.studio.wires import wires


def _drawn(edges):
    """What is drawn, by projection and ends."""
    there = edges.dst != FREE
    return {
        (int(e), int(a), int(b)): int(w)
        for e, a, b, w in zip(
            edges.projection[there],
            edges.src[there],
            edges.dst[there],
            edges.weight[there],
            strict=True,
        )
    }


def _with(net, name, weight):
    return net.with_theta({name: {"weight": jnp.asarray(weight, net.dtype)}})


def _replayed(copy, changed):
    """The slots that somebody has who is told of changes alone."""
    for part in PARTS:
        copy[part][changed.slot] = getattr(changed, part)
    return copy


def test_the_strongest_are_drawn_and_each_projection_has_its_share():
    net = byway.mlp(9, 8, 7, 3, key=3)
    scene = Scene(net)
    held = Synapses(scene, 60)
    held.look(net, 0)
    drawn = _drawn(held.snapshot())
    # 72, 56 and 21 weights: 20 each.
    for number, p in enumerate(net.projections):
        w = np.abs(np.asarray(p.weight))
        best = np.argsort(w.ravel())[-20:]
        start = scene.units(p.src).start, scene.units(p.dst).start
        wanted = {
            (number, start[0] + i, start[1] + j)
            for i, j in zip(*np.unravel_index(best, w.shape), strict=True)
        }
        assert {k for k in drawn if k[0] == number} == wanted
    assert held.snapshot().total == 72 + 56 + 21


def test_what_is_too_few_for_its_share_leaves_it_to_the_others():
    net = byway.mlp(9, 8, 7, 3)
    held = Synapses(Scene(net), 100)
    held.look(net, 0)
    counts = np.bincount(held.snapshot().projection[held.snapshot().dst != FREE])
    assert counts.tolist() == [40, 39, 21] or counts.tolist() == [39, 40, 21]
    held.limit = 1000
    held.look(net, 0)
    assert np.count_nonzero(held.snapshot().dst != FREE) == 149


def test_bytes_are_weights_in_units_of_the_scale():
    net = byway.mlp(9, 8, 3, key=1)
    held = Synapses(Scene(net), 1000)
    held.look(net, 0)
    edges = held.snapshot()
    scene = Scene(net)
    for (number, a, b), byte in _drawn(edges).items():
        p = net.projections[number]
        w = float(p.weight[a - scene.units(p.src).start, b - scene.units(p.dst).start])
        assert byte == np.clip(np.rint(w / edges.scale * 127), -127, 127)
    most = max(float(np.abs(p.weight).max()) for p in net.projections)
    assert 0.5 * most < edges.scale < 1.3 * most


def test_a_weight_that_jitters_takes_no_slot_and_one_that_grows_does():
    net = byway.mlp(4, 5, 2)
    base = np.linspace(1.0, 2.0, 20).reshape(4, 5)
    held = Synapses(Scene(net), 20)
    held.look(_with(net, "input-hidden1", base), 0)
    before = held.snapshot()
    rng = np.random.default_rng(0)
    for update in range(1, 10):  # by less than a quarter of any
        noisy = base * rng.uniform(0.93, 1.07, base.shape)
        held.look(_with(net, "input-hidden1", noisy), update)
        after = held.snapshot()
        for part in ("src", "dst", "projection"):
            np.testing.assert_array_equal(getattr(after, part), getattr(before, part))
    base[0, 0] = 3.0
    changed = held.look(_with(net, "input-hidden1", base), 11)
    assert (0, 0, 4) in _drawn(held.snapshot())
    assert changed is not None and not changed.whole
    kept = (before.dst == held.snapshot().dst) & (before.src == held.snapshot().src)
    assert np.count_nonzero(~kept) == 1  # all others are where they were


def test_whoever_hears_of_changes_alone_has_what_the_snapshot_has():
    net = byway.grownet(16, 30, 4, fan_in=5, spare=3, cycles=True, key=1)
    held, rng = Synapses(Scene(net), 90), np.random.default_rng(0)
    first = held.look(net, 0)
    assert first is not None and first.whole and first.base == 0
    copy = {part: getattr(held.snapshot(), part).copy() for part in PARTS}
    version = held.snapshot().version
    for update in range(1, 12):
        theta = {
            p.name: {"weight": p.weight * jnp.asarray(rng.uniform(0.3, 1.8, p.weight.shape))}
            for p in net.projections
        }
        net = net.with_theta(theta)
        p = net.projections[update % len(net.projections)]
        if hasattr(p, "index"):  # a synapse goes, another comes
            index = np.array(p.index)
            index[0, 0] = p.sources
            spare = [i for i in range(p.sources) if i not in index[1]]
            index[1, -1] = spare[update % len(spare)]
            net = net.with_structure({p.name: {"index": jnp.asarray(index)}})
        changed = held.look(net, update)
        if changed is not None:
            assert changed.base == version and not changed.whole
            version = changed.version
            copy = _replayed(copy, changed)
        whole = held.snapshot()
        assert whole.version == version
        for part in PARTS:
            np.testing.assert_array_equal(copy[part], getattr(whole, part))
        ends = {(e, a, b) for e, a, b in _drawn(whole)}
        scene = Scene(net)
        for e, a, b in ends:
            p = net.projections[e]
            i, j = a - scene.units(p.src).start, b - scene.units(p.dst).start
            assert i in np.asarray(p.index)[j] if hasattr(p, "index") else True


def test_nothing_is_said_where_nothing_changed():
    net = byway.mlp(4, 5, 2)  # of 30 weights
    held = Synapses(Scene(net), 20)
    assert held.look(net, 0) is not None
    assert held.look(net, 0) is None
    copied = jax.tree.map(np.array, net)
    assert held.look(copied, 0) is None
    held.limit = 20
    assert held.look(copied, 0) is None
    for limit in (10, 0, 30):
        held.limit = limit
        changed = held.look(copied, 0)
        assert changed is not None and changed.whole and held.snapshot().limit == limit
        assert np.count_nonzero(held.snapshot().dst != FREE) == limit


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_weights_of_half_precision_are_drawn(kind):
    net = jax.tree.map(lambda a: a.astype(kind), byway.mlp(9, 8, 3, key=1))
    held = Synapses(Scene(net), 20)
    held.look(net, 0)
    assert np.count_nonzero(held.snapshot().weight) == 20


def test_a_new_synapse_is_drawn_though_it_is_weak_and_its_age_begins():
    net = byway.grownet(16, 30, 4, fan_in=5, spare=3, key=1)
    held = Synapses(Scene(net), 60)
    held.look(net, 0)
    held.look(net, 100)
    p = net.projections[0]
    index = np.array(p.index)
    source = next(i for i in range(p.sources) if i not in index[2])
    index[2, -1] = source
    grown = net.with_structure({p.name: {"index": jnp.asarray(index)}})
    held.look(grown, 200)
    scene, edges = Scene(net), held.snapshot()
    a, b = scene.flat(p.src, source), scene.flat(p.dst, 2)
    at = np.flatnonzero((edges.src == a) & (edges.dst == b) & (edges.projection == 0))
    assert edges.age[at].tolist() == [0] and edges.weight[at].tolist() == [0]
    assert (np.delete(edges.age[edges.dst != FREE], 0) >= 0).all()
    others = (edges.dst != FREE) & ~((edges.src == a) & (edges.dst == b))
    assert (edges.age[others] == 255).all()
    for update in range(201, 215):
        held.look(_with(grown, "region3-output", update * np.ones((7, 4))), update)
    drawn = _drawn(held.snapshot())
    assert (0, a, b) not in drawn  # weak, and not new any more


def test_synapses_of_units_that_are_looked_at_come_first():
    net = byway.mlp(9, 8, 7, 3, key=3)
    scene = Scene(net)
    held = Synapses(scene, 60)
    unit = scene.flat("hidden1", 2)
    held.look(net, 0, [unit])
    drawn = _drawn(held.snapshot())
    assert {a for e, a, b in drawn if b == unit} == set(range(9))
    assert len({b for e, a, b in drawn if a == unit}) == 7


def test_units_have_an_age_and_dense_synapses_none_where_a_place_is_empty():
    net = byway.grownet(16, 30, 4, fan_in=5, spare=3, born=0.5, key=1)
    scene = Scene(net)
    held = Synapses(scene, 10_000)
    held.look(net, 10)
    exists = scene.places(net)[1].astype(bool)
    ages = held.ages(10)
    assert (ages[exists] == 1).all() and np.isnan(ages[~exists]).all()
    assert all(exists[[a, b]].all() for _, a, b in _drawn(held.snapshot()))
    name = net.hidden[0].name
    p = net.incoming(name)[0]
    index = np.array(p.index)
    empty = int(np.flatnonzero((index == p.sources).all(1))[0])
    index[empty, 0] = 0
    born = net.with_structure({p.name: {"index": jnp.asarray(index)}})
    held.look(born, 40)
    assert held.ages(40)[scene.flat(name, empty)] == 0
    assert held.ages(80)[scene.flat(name, empty)] == 0.5
    from_it = [k for k in _drawn(held.snapshot()) if k[1] == scene.flat(name, empty)]
    assert len(from_it) == 4  # to each output


def _map(net, p):
    """The map of a projection as a matrix "units of src, units of dst", of its own forward pass."""
    each = jnp.eye(int(np.prod(p.src_shape)), dtype=net.dtype)
    made = p.forward(each.reshape(-1, *p.src_shape)) - p.offset
    return np.asarray(made).reshape(len(each), -1)


def _images(conv):
    image = Population("a", (7, 6, 2), byway.cell("relu"), False, jnp.zeros((84, 3)))
    p = conv(image)
    size = int(np.prod(p.dst_shape))
    b = Population("b", p.dst_shape, byway.cell("relu"), False, jnp.zeros((size, 3)))
    net = byway.Network([image, b], [p], "a", "b").redraw(jax.random.key(0))
    return net, net.projections[0]


def _conv(**more):
    kernel = (3, 2) if more.pop("oblong", False) else (3, 3)
    return lambda a: Conv("a", "b", a.shape, jnp.zeros((*kernel, 2, 4)), jnp.zeros(4), **more)


@pytest.mark.parametrize(
    "conv",
    [
        _conv(),
        _conv(pool=2),
        _conv(stride=2, oblong=True),
        _conv(stride=2, pool=2, padding="VALID"),
        lambda a: LocallyConnected.between(a, "b", 3, 3),
        lambda a: LocallyConnected.between(a, "b", 3, 3, stride=2, padding="SAME"),
    ],
)
def test_the_synapses_of_images_are_those_of_their_linear_map(conv):
    net, p = _images(conv)
    whole = _map(net, p)
    for everywhere in (True, False):
        listed = wires(net, p, everywhere)
        w, absent = listed.weights(p), listed.absent(p)
        there = np.ones(len(w), bool) if absent is None else ~absent
        ends = listed.ends(p, np.flatnonzero(there))
        found = np.zeros_like(whole)
        np.add.at(found, (ends.src, ends.dst), w[there])
        seen = np.zeros(whole.shape[1], bool)
        seen[ends.dst] = True
        np.testing.assert_allclose(found[:, seen], whole[:, seen], atol=1e-6)
        if isinstance(p, Conv) and not everywhere:
            rows, columns, maps = p.dst_shape
            middle = (rows // 2 * columns + columns // 2) * maps
            np.testing.assert_array_equal(np.flatnonzero(seen), middle + np.arange(maps))
        else:
            assert seen.all()


@pytest.mark.parametrize("kind", ["gru", "lru", "orthogonal", "revnet"])
def test_units_with_several_drives_or_numbers_have_one_synapse_for_each_pair(kind):
    net = {
        "gru": lambda: byway.rnn(3, 4, 2, activation="gru"),
        "lru": lambda: byway.lru(3, 4, 2),
        "orthogonal": lambda: byway.orthogonal(3, 4, 2, dummies=2),
        "revnet": lambda: byway.revnet(4, 6, 2, blocks=1),
    }[kind]()
    scene = Scene(net)
    held = Synapses(scene, 10_000)
    held.look(net, 0)
    drawn = _drawn(held.snapshot())
    for number, p in enumerate(net.projections):
        mine = {k[1:] for k in drawn if k[0] == number}
        pairs = net[p.src].size * net[p.dst].size
        if p.weight is None and not isinstance(p, Skip):
            assert not mine
        elif isinstance(p, Skip):
            a, b = scene.units(p.src).start, scene.units(p.dst).start
            assert mine == {(a + i, b + i) for i in range(net[p.dst].size)}
        else:
            assert len(mine) == pairs
        if isinstance(p, Orthogonal):
            listed = wires(net, p)
            np.testing.assert_allclose(listed.weights(p), _map(net, p).ravel(), atol=1e-6)


def test_recurrent_synapses_are_late():
    net = byway.grownet(16, 30, 4, fan_in=5, cycles=True, speed=50.0, key=1)
    held = Synapses(Scene(net), 1000)
    held.look(net, 0)
    edges = held.snapshot()
    for number, p in enumerate(net.projections):
        mine = (edges.dst != FREE) & (edges.projection == number)
        assert (edges.delay[mine] == net.recurrent.get(p.name, 0)).all()


def _silent_by_hand(net, units, x):
    """The output where these units send nothing, population by population."""
    scene, sent = Scene(net), {}
    for p in net.populations:
        if p.name == net.input:
            post = net.place(x)
        else:
            post = p.activate(sum(e.forward(sent[e.src]) for e in net.incoming(p.name)))
        keep = np.ones(scene.size)
        keep[units] = 0
        sent[p.name] = post * jnp.asarray(keep[scene.units(p.name)]).reshape(1, *p.shape)
    return post


@pytest.mark.parametrize("kind", ["mlp", "grownet"])
def test_nothing_is_heard_of_silenced_units(kind):
    net = {
        "mlp": lambda: byway.mlp(16, 9, 8, 4, activation="sigmoid"),
        "grownet": lambda: byway.grownet(16, 30, 4, fan_in=5, spare=2, activation="sigmoid"),
    }[kind]()
    scene = Scene(net)
    units = [scene.units(net.hidden[0].name).start, scene.units(net.hidden[-1].name).start + 3]
    mask = jnp.zeros(scene.size, bool).at[jnp.array(units)].set(True)
    quiet = eqx.filter_jit(silenced)(net, mask)
    x = jax.random.normal(jax.random.key(1), (5, 16))
    np.testing.assert_allclose(
        quiet.forward(x).post[net.output], _silent_by_hand(net, units, x), rtol=1e-10
    )
    assert jax.tree.structure(quiet) == jax.tree.structure(net)
    jax.tree.map(np.testing.assert_array_equal, quiet.structure, net.structure)


def test_of_a_convolution_a_whole_map_falls_silent():
    net = byway.convnet((6, 6, 1), (3, 2), 4)
    scene = Scene(net)
    mask = jnp.zeros(scene.size, bool).at[scene.flat("conv1", 3 * 5 + 1)].set(True)
    quiet = silenced(net, mask)
    weight = np.array(net.theta["conv1-conv2"]["weight"])
    weight[:, :, 1] = 0
    np.testing.assert_array_equal(quiet.theta["conv1-conv2"]["weight"], weight)
    mask = jnp.zeros(scene.size, bool).at[scene.flat("conv2", 1)].set(True)
    quiet = silenced(net, mask)
    weight = np.array(net.theta["conv2-output"]["weight"])
    weight[1] = 0
    np.testing.assert_array_equal(quiet.theta["conv2-output"]["weight"], weight)


def test_units_that_are_cut_off_are_as_after_a_lesion():
    net = byway.grownet(16, 60, 4, regions=3, fan_in=5, spare=2, cycles=True, key=2)
    net = net.with_theta(
        {p.name: {"bias": jnp.ones_like(p.bias)} for p in net.projections if p.bias is not None}
    )
    lesion = byway.lesion(net, centre=(200.0, 200.0, 200.0), radius=150.0)
    scene = Scene(net)
    mask = np.zeros(scene.size, bool)
    for name, units in lesion.units.items():
        mask[scene.units(name).start + units] = True
    hurt = eqx.filter_jit(cut)(net, jnp.asarray(mask))
    assert jax.tree.structure(hurt) == jax.tree.structure(net)
    before, after = byway.wiring(hurt), byway.wiring(lesion.net)
    real = lambda w: {
        (int(a), int(b)): float(x) for a, b, x in zip(w.source, w.target, w.weight, strict=True)
    }
    assert real(before) == real(after)
    for p in hurt.projections:
        if p.bias is not None:
            gone = mask[scene.units(p.dst)]
            np.testing.assert_array_equal(p.bias, np.where(gone, 0, 1))


@pytest.mark.parametrize("kind", ["mlp", "convnet", "local"])
def test_a_unit_that_is_cut_off_neither_hears_nor_is_heard(kind):
    if kind == "local":
        net, _ = _images(lambda a: LocallyConnected.between(a, "b", 3, 3))
    else:
        net = byway.mlp(9, 8, 7, 3) if kind == "mlp" else byway.convnet((6, 6, 1), (3, 2), 4)
    scene = Scene(net)
    name, index = {"mlp": ("hidden1", 3), "convnet": ("conv1", 4), "local": ("b", 7)}[kind]
    mask = jnp.zeros(scene.size, bool).at[scene.flat(name, index)].set(True)
    hurt = cut(net, mask)
    for p in hurt.projections:
        whole = _map(hurt, p)
        if p.src == name:
            assert not whole[index].any() and whole.any()
        if p.dst == name:
            assert not whole[:, index].any() and whole.any()
