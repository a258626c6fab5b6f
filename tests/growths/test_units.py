"""Units that are born and units that go: neurogenesis and pruning."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import byway
from byway.core.errors import ConfigError, RuleError
from byway.core.task import Split
from byway.network.builders import graph
from byway.network.sparse import FixedFanIn
from byway.rules.backprop.bp import BP


def _net(born=0.5, **options):
    options = {"regions": 2, "fan_in": 4, "spare": 2, "key": 2, "activation": "tanh"} | options
    return byway.grownet(9, 20, 3, born=born, **options)


def _dense(p):
    """The matrix "pre post" of a fixed fan-in, synapse by synapse."""
    matrix = np.zeros((p.sources, len(p.weight)))
    for post, row in enumerate(np.asarray(p.index)):
        for slot, pre in enumerate(row):
            if pre < p.sources:
                matrix[pre, post] += p.weight[post, slot]
    return matrix


def _answers(net):
    x = np.random.default_rng(0).normal(size=(7, 9))
    return np.asarray(net.forward(jnp.asarray(x, net.dtype)).post[net.output])


def _grow(growth, net, memory=None, done=0.5, key=0):
    memory = growth.start(net) if memory is None else memory
    return growth.grow(memory, net, jax.random.key(key), jnp.float32(done))


# Places


def test_at_first_there_are_as_many_units_as_were_said():
    net = _net(0.3)
    assert [int(np.sum(net.alive(name))) for name in ("region1", "region2")] == [3, 3]
    assert np.all(net.alive("input")) and np.all(net.alive("output"))
    for p in net.projections:
        if isinstance(p, FixedFanIn):
            index = np.asarray(p.index)
            assert np.all(np.sum(index < p.sources, 1) == np.where(np.arange(10) < 3, p.fan_in, 0))
            if p.src.startswith("region"):
                assert np.all((index < 3) | (index == p.sources)), "nothing reads an empty place"


def test_an_empty_place_is_silent_and_learns_nothing():
    net = _net()
    taught = {
        p.name: p.theta | ({} if p.bias is None else {"bias": jnp.ones_like(p.bias)})
        for p in net.projections
    }
    post = net.with_theta(taught).forward(jnp.ones((2, 9), net.dtype)).post["region1"]
    assert np.all(post[:, 5:] == 0) and np.all(post[:, :5] != 0)
    p = net.incoming("region1")[0]
    update = p.outer(jnp.ones((2, 9), net.dtype), jnp.ones((2, 10), net.dtype))
    assert np.array_equal(update["bias"], [1] * 5 + [0] * 5)
    assert not np.any(update["weight"][5:])


def test_where_units_are_at_first_is_chance():
    """Of the units of a region those that there are lie no lower than the others."""
    heights = []
    for key in range(40):
        places = np.asarray(_net(0.5, key=key)["region1"].position)[:, 2]
        heights.append(places[:5].mean() - places[5:].mean())
    assert stats.ttest_1samp(heights, 0).pvalue > 1e-3


@pytest.mark.parametrize("born", [0, -0.5, 1.5, float("nan")])
def test_a_share_is_above_zero_and_up_to_one(born):
    with pytest.raises(ConfigError, match="born"):
        _net(born)


def test_a_graph_can_have_empty_places_too():
    sizes = {"input": 5, "hidden": 6, "output": 2}
    made = graph(sizes, [("input", "hidden"), ("hidden", "output")])
    edges = [FixedFanIn.between(made["input"], made["hidden"], 3), ("hidden", "output")]
    net = graph(sizes, edges, born={"hidden": 4})
    assert np.array_equal(net.alive("hidden"), [1, 1, 1, 1, 0, 0])


@pytest.mark.slow
def test_rewiring_leaves_empty_places_empty():
    for name in ("set", "rigl", "deep_r"):
        net, growth = _net(), byway.growth(name)
        memory = growth.start(net)
        for key in range(3):
            memory, net, _ = _grow(growth, net, memory, key=key)
            assert all(np.sum(net.alive(h)) == 5 for h in ("region1", "region2")), name
            for p in net.projections:
                if isinstance(p, FixedFanIn) and p.src.startswith("region"):
                    read = np.asarray(p.index)
                    assert np.all((read < 5) | (read == p.sources)), f"{name} reads an empty place"


# Neurogenesis


def _looked(growth, net, *losses):
    """The network after looks at mean losses, and how many units there were after each."""
    memory, counts, key = growth.start(net), [], 0
    for loss in losses:
        for _ in range(growth.every):
            memory = growth.scored(memory, jnp.asarray(loss, net.dtype))
        memory, net, fresh = _grow(growth, net, memory, key=(key := key + 1))
        counts.append(int(np.sum(net.alive("region1"))))
    return net, counts, fresh


def test_units_are_born_on_a_plateau_alone():
    growth = byway.growth("neurogenesis", every=3, units=2, least=0.1)
    _, counts, _ = _looked(growth, _net(), 1.0, 0.8, 0.75, 0.6, 0.61, 0.6)
    #                         nothing before, -20 %, -6 %, -20 %, +2 %, -2 %, then no room
    assert counts == [5, 5, 7, 7, 9, 10]


def test_birth_leaves_the_answers_as_they_were():
    growth = byway.growth("neurogenesis", every=1, units=3)
    net = _net()
    after, counts, fresh = _looked(growth, net, 1.0, 1.0)
    assert counts == [5, 8]
    np.testing.assert_allclose(_answers(after), _answers(net), atol=1e-12, rtol=0)
    for p, q in zip(net.projections, after.projections, strict=True):
        new = np.asarray(fresh[p.name]["weight"])
        np.testing.assert_array_equal(np.asarray(q.weight)[~new], np.asarray(p.weight)[~new])
        if isinstance(q, FixedFanIn):
            there = np.asarray(q.alive).sum(1)
            assert np.array_equal(there, np.where(np.arange(10) < 8, q.fan_in, 0))
            assert np.array_equal(np.flatnonzero(new.any(1)), [5, 6, 7])
            read = np.asarray(q.index)[5:8]
            assert np.all((read < (5 if q.src == "region1" else q.sources)) | ~q.alive[5:8])
        else:
            assert not np.any(np.asarray(q.weight)[5:8])


def test_a_unit_that_was_born_has_weights_like_those_of_the_start():
    """Normal with variance gain / fan-in: 1 / 4 for tanh, over both projections of a unit."""
    net = _net(0.1, fan_in=4)
    growth = byway.growth("neurogenesis", every=1, units=9)
    first = growth.start(net) | dict.fromkeys(("total", "before"), jnp.ones((), net.dtype))
    made = jax.vmap(lambda key: growth.grow(first, net, key, jnp.float32(0.5))[1])(
        jax.random.split(jax.random.key(0), 200)
    )
    newborn = [
        np.asarray(p.weight)[:, 1:][np.asarray(p.index)[:, 1:] < p.sources]
        for p in made.incoming("region2")
    ]
    assert all(map(len, newborn))
    drawn = np.concatenate(newborn)
    assert stats.kstest(drawn, "norm", (0, 0.5)).pvalue > 1e-4


@pytest.mark.slow
def test_where_no_place_is_empty_learning_goes_on():
    task = byway.task("digits")
    net = byway.grownet(task.input_shape, 8, task.outputs, regions=1, fan_in=6, born=0.5)
    data = {name: Split(s.x[:64], s.y[:64]) for name, s in task.load().items()}
    growth = [byway.growth("neurogenesis", every=4, least=0.9, until=1.0), byway.growth("set")]
    options = {"epochs": 3, "batch": 8, "looks": 0, "progress": False}
    result = byway.fit(net, BP(), task, growth=growth, data=data, **options)
    after = result.learner().net
    assert "every place taken" in result.advice[0]
    assert np.all(after.alive("region1")) and np.any(after.theta["region1-output"]["weight"][4:])


@pytest.mark.parametrize("name", ["neurogenesis", "unit_pruning"])
def test_a_network_without_places_is_refused(name):
    with pytest.raises(RuleError, match="without hidden units that fixed fan-ins alone enter"):
        byway.growth(name).accepts(byway.mlp(8, 6, 3))


# Pruning


def test_the_least_useful_of_the_old_units_go_with_all_their_synapses():
    net, growth = _net(1.0), byway.growth("unit_pruning", least=0.5, maturity=2, decay=0.9)
    x, memory = jnp.asarray(np.random.default_rng(1).normal(size=(6, 9))), growth.start(net)
    phase = net.forward(x)
    record = byway.Record({"free": phase}, phase.post["output"])
    for _ in range(3):
        memory = growth.watch(memory, net, record, None)
    _, after, fresh = _grow(growth, net, memory)
    for h in ("region1", "region2"):
        # Of a constant the corrected running mean is that constant.
        use = np.abs(np.asarray(phase.post[h])).mean(0)
        use = use * sum(
            np.abs(_dense(p) if isinstance(p, FixedFanIn) else np.asarray(p.weight)).sum(1)
            for p in net.outgoing(h)
        )
        gone = use < 0.5 * use.mean()
        assert 0 < gone.sum() < 10
        np.testing.assert_array_equal(after.alive(h), ~gone)
        for p, q in zip(net.projections, after.projections, strict=True):
            if p.src == h and isinstance(p, FixedFanIn):
                kept = _dense(p) * (~gone)[:, None]
                if p.dst != h:
                    kept = kept * np.asarray(after.alive(p.dst))[None]
                np.testing.assert_allclose(_dense(q), kept, atol=1e-12)
            elif p.src == h:
                np.testing.assert_allclose(q.weight, np.asarray(p.weight) * (~gone)[:, None])
    for p, q in zip(net.projections, after.projections, strict=True):
        for part, mask in fresh[p.name].items():
            assert not np.any(np.asarray(getattr(q, part))[np.asarray(mask)])
            same = ~np.asarray(mask)
            np.testing.assert_array_equal(
                np.asarray(getattr(q, part))[same], np.asarray(getattr(p, part))[same]
            )


def test_a_young_unit_stays():
    net, growth = _net(1.0), byway.growth("unit_pruning", least=1.0, maturity=3)
    phase = net.forward(jnp.ones((2, 9), net.dtype))
    memory, record = growth.start(net), byway.Record({"free": phase}, phase.post["output"])
    for times in range(1, 5):
        memory = growth.watch(memory, net, record, None)
        _, after, _ = _grow(growth, net, memory)
        assert bool(np.all(after.alive("region1"))) == (times <= 3)
