"""Structural plasticity: the growth curve by its closed form, units that come to their set point,
elements and synapses counted by hand, what happens where there is no room.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

import byway
from byway.core.errors import ConfigError, RuleError
from byway.core.record import Record
from byway.core.task import Split
from byway.learning.rule import Update
from byway.network.sparse import FixedFanIn


def test_the_curve_is_zero_at_both_ends_and_one_between():
    growth = byway.growth("structural_plasticity", eta=0.2, eps=1.0)
    curve = lambda calcium: float(growth.curve(jnp.asarray(calcium)))
    assert abs(curve(0.2)) < 1e-12 and abs(curve(1.0)) < 1e-12
    best = optimize.minimize_scalar(lambda c: -curve(c), bounds=(0.2, 1.0), method="bounded")
    assert best.x == pytest.approx(0.6, abs=1e-5) and -best.fun == pytest.approx(1.0)
    assert curve(0.1) < 0 < curve(0.21) and curve(1.1) < 0 < curve(0.99)
    assert curve(50.0) == pytest.approx(-1.0)


def _fed(inputs=400, units=30, fan_in=40, spare=200, weight=0.01):
    """One layer that reads its input by equal weights."""
    graph = {"input": inputs, "hidden": units, "output": 2}
    bare = byway.graph(graph, [("input", "hidden"), ("hidden", "output")])
    wired = FixedFanIn.between(bare["input"], bare["hidden"], fan_in, spare=spare)
    net = byway.graph(graph, [wired, ("hidden", "output")], activation="relu", key=1)
    p = net.projections[0]
    return net.with_theta({p.name: {"weight": jnp.where(p.alive, weight, 0.0)}})


def _lived(growth, memory, net, x, times, key):
    """So many updates in which nothing is learnt."""

    def once(i, carry):
        memory, net = carry
        free = net.forward(x)
        record = Record({"free": free}, free.post[net.output])
        memory = growth.watch(memory, net, record, Update(net.theta))
        own = jax.random.fold_in(key, i)
        act = lambda one: growth.grow(*one, own, jnp.float32(0.5))[:2]
        return jax.lax.cond(i % growth.every == 0, act, lambda one: one, (memory, net))

    return jax.jit(lambda carry: jax.lax.fori_loop(1, times + 1, once, carry))((memory, net))


@pytest.mark.slow
def test_units_come_to_their_set_point_and_again_when_a_fifth_of_the_inputs_is_cut():
    """From 40 synapses and an activity of about 0.2 to 0.5, of each unit; the cut takes a fifth of
    it, and others grow.
    """
    growth = byway.growth("structural_plasticity", every=10, growth=0.2, tau=20.0, weight=0.01)
    net = _fed()
    x = jnp.asarray(np.random.default_rng(0).uniform(0.25, 0.75, (20, 400)))
    rates = lambda net, x: np.asarray(jnp.mean(net.forward(x).post["hidden"], 0))
    assert np.all(rates(net, x) < 0.25)
    memory, net = _lived(growth, growth.start(net), net, x, 1500, jax.random.key(0))
    np.testing.assert_allclose(rates(net, x), 0.5, rtol=0.05)
    cut = x.at[:, ::5].set(0)
    assert np.mean(rates(net, cut)) < 0.43
    before = int(jnp.sum(net.projections[0].alive))
    memory, net = _lived(growth, memory, net, cut, 1500, jax.random.key(1))
    np.testing.assert_allclose(rates(net, cut), 0.5, rtol=0.05)
    assert int(jnp.sum(net.projections[0].alive)) > before
    assert growth.advice(memory) is None


@pytest.mark.slow
def test_synapses_have_an_element_at_either_end_and_the_inhibitory_ones_stay():
    """Counted by hand, on two regions that read the input, themselves and each other; elements that
    are gone took a synapse each, those that are vacant got one where there was a partner.
    """
    net = byway.grownet(30, 24, 3, regions=2, fan_in=8, spare=6, cycles=True, key=3)
    net = net.redraw(jax.random.key(1))
    growth = byway.growth("structural_plasticity", decay=0.0, weight=0.7)
    memory, draw, kinds = growth.start(net), np.random.default_rng(0), ("dendritic", "axonal")
    for step in range(6):
        for kind in kinds:
            memory[kind] = {
                name: jnp.maximum(z + draw.uniform(-2.5, 3.5, z.shape), 0.0)
                for name, z in memory[kind].items()
            }
        wanted = [{n: np.floor(z) for n, z in memory[kind].items()} for kind in kinds]
        memory, after, fresh = growth.grow(memory, net, jax.random.key(step), jnp.float32(0.5))
        read, sent = ({n: np.zeros(net[n].size) for n in z} for z in wanted)
        grew = 0
        for p, q in zip(net.projections, after.projections, strict=True):
            if not isinstance(p, FixedFanIn):
                continue
            old = {(i, j): float(p.weight[i, k]) for i, k, j in _held(p)}
            new = {(i, j): float(q.weight[i, k]) for i, k, j in _held(q)}
            assert len(new) == int(jnp.sum(q.alive)), "none is read twice"
            assert all(new[pair] == w for pair, w in old.items() if w <= 0), "inhibitory ones stay"
            assert all(new[pair] in (old[pair], 0.7) for pair in old if pair in new)
            assert all(w == 0.7 for pair, w in new.items() if pair not in old)
            assert not np.any(np.asarray(q.weight)[~np.asarray(q.alive)])
            marked = {(i, j) for i, k, j in _held(q) if fresh[p.name]["weight"][i, k]}
            assert set(new) - set(old) <= marked
            grew += len(set(new) - set(old))
            for (i, j), w in new.items():
                if w > 0:
                    read[p.dst][i] += 1
                    if p.src in sent:
                        sent[p.src][j] += 1
        assert grew > 0
        for counts, most in zip((read, sent), wanted, strict=True):
            assert all(np.all(counts[n] <= most[n]) for n in counts)
        net = after


def _held(p):
    return [
        (i, k, int(j))
        for i, row in enumerate(np.asarray(p.index))
        for k, j in enumerate(row)
        if j < p.sources
    ]


def test_what_is_vacant_decays_and_calcium_follows_activity():
    net = _fed(inputs=20, units=4, fan_in=3, spare=0, weight=1.0)
    growth = byway.growth(
        "structural_plasticity", tau=4.0, eps=2.0, eta=0.0, growth=0.3, decay=0.25
    )
    x = jnp.ones((5, 20))
    free = net.forward(x)
    record = Record({"free": free}, free.post["output"])
    memory, calcium, z = growth.start(net), 2.0, 3.0
    for _ in range(6):
        memory = growth.watch(memory, net, record, Update(net.theta))
        calcium += (3.0 - calcium) / 4
        z += 0.3 * (2 * np.exp(-((calcium - 1) ** 2) * 4 * np.log(2) / 4) - 1)
    np.testing.assert_allclose(memory["calcium"]["hidden"], calcium, rtol=1e-12)
    np.testing.assert_allclose(memory["dendritic"]["hidden"], z, rtol=1e-12)
    assert z < 3
    memory["dendritic"] = {"hidden": jnp.full(4, 8.6)}
    memory, _, _ = growth.grow(memory, net, jax.random.key(0), jnp.float32(0.5))
    np.testing.assert_allclose(memory["dendritic"]["hidden"], 8.6 - 0.25 * 5, rtol=1e-12)
    assert np.all(memory["full"]["hidden"]), "three slots hold three synapses"


@pytest.mark.slow
def test_where_there_is_no_room_growth_stops_training_goes_on_and_says_so():
    task = byway.task("digits")
    data = {name: Split(s.x[:48], s.y[:48]) for name, s in task.load().items()}
    net = byway.grownet(task.input_shape, 12, task.outputs, regions=2, fan_in=4, spare=4)
    growth = byway.growth(
        "structural_plasticity", eps=50.0, eta=-50.0, growth=1.0, every=2, until=1.0, tau=1.0
    )
    options = {"data": data, "epochs": 3, "batch": 8, "seeds": 2, "looks": 0, "progress": False}
    result = byway.fit(net, byway.rule("fa"), task, growth=growth, **options)
    assert result.failures == {} and np.all(np.isfinite(result.accuracy))
    assert set(result.advice) == {0, 1}
    assert all("12 of 12 units had no free slot left" in text for text in result.advice.values())
    for p in result.learners.net.projections:
        if isinstance(p, FixedFanIn):
            assert np.all(np.asarray(p.index) < p.sources), "every slot is taken"


def test_a_set_point_below_where_growth_begins_is_refused():
    for eta in (0.5, 0.7):
        with pytest.raises(ConfigError, match="eta below eps"):
            byway.growth("structural_plasticity", eta=eta, eps=0.5)
    with pytest.raises(RuleError, match="build it with spare"):
        byway.growth("structural_plasticity").accepts(byway.mlp(8, 6, 3, fan_in=3))
