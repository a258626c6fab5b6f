"""Synaptogenesis: which pairs are drawn beside the law, what goes, and what stays."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import byway
from byway.core.errors import RuleError
from byway.core.record import Record
from byway.learning.rule import Update
from byway.network.builders import graph
from byway.network.sparse import FixedFanIn

PRE, POST, DRAWS = 7, 4, 4000


def _net(reach):
    """Four units that read two of seven, and have room for two more."""
    sizes, draw = {"input": PRE, "hidden": POST, "output": 2}, np.random.default_rng(3)
    places = {name: draw.uniform(0, 100, (n, 3)) for name, n in sizes.items()}
    made = graph(sizes, [("input", "hidden"), ("hidden", "output")])
    ends = made["input"], made["hidden"]
    sparse = FixedFanIn.between(*ends, 2, spare=2, reach=reach)
    net = graph(sizes, [sparse, ("hidden", "output")], positions=places)
    return net.redraw(jax.random.key(0))


def _seen(growth, net, x, change):
    phase = net.forward(x)
    record = Record({"free": phase}, phase.post["output"])
    update = Update({"input-hidden": {"weight": change}})
    return growth.watch(growth.start(net), net, record, update)


@pytest.mark.parametrize("reach", [30.0, np.inf])
def test_pairs_are_drawn_by_distance_activity_and_teaching_signal(reach):
    """One synapse of eight at a time, so each draw is of all pairs without one: chi-squared beside
    the law in NumPy.
    """
    net, draw = _net(reach), np.random.default_rng(5)
    growth = byway.growth("synaptogenesis", share=1 / 8)
    x = np.abs(draw.normal(size=(1, PRE))) + 0.1
    delta = np.array([0.3, -1.0, 0.6, 0.1])
    p = net.projections[0]
    index = np.asarray(p.index)
    change = np.where(index < PRE, delta[:, None] * np.append(x[0], 0)[index], 0)
    memory = _seen(growth, net, jnp.asarray(x), jnp.asarray(change))
    np.testing.assert_allclose(memory["input-hidden"]["post"], np.abs(delta), rtol=1e-9)

    keys = jax.random.split(jax.random.key(1), DRAWS)
    once = lambda key: growth.grow(memory, net, key, jnp.float32(0.5))[1].structure
    after = np.asarray(jax.jit(jax.vmap(once))(keys)["input-hidden"]["index"])
    src, dst = (np.asarray(net[name].position, float) for name in ("input", "hidden"))
    far = np.linalg.norm(dst[:, None] - src[None], axis=2)
    law = np.exp(-far / reach) * x * np.abs(delta)[:, None]
    counts, held = np.zeros((POST, PRE)), {(i, j) for i in range(POST) for j in index[i] if j < PRE}
    for table in after:
        now = {(i, j) for i in range(POST) for j in table[i] if j < PRE}
        (new,) = now - held
        counts[new] += 1
        assert len(held - now) == 1 and len(now) == len(held)
    for pair in held:
        law[pair] = 0
    law = DRAWS * law / law.sum()
    assert np.all(counts[law == 0] == 0)
    often = law >= 5
    few = law[(law > 0) & ~often].sum(), counts[(law > 0) & ~often].sum()
    seen, due = np.append(counts[often], few[1]), np.append(law[often], few[0])
    seen, due = (seen, due) if few[0] > 0 else (seen[:-1], due[:-1])
    assert stats.chisquare(seen, due).pvalue > 1e-4


@pytest.mark.slow
def test_the_weakest_go_but_no_unit_loses_its_strongest():
    net = byway.grownet(9, 12, 3, regions=1, fan_in=4, spare=3, key=2).redraw(jax.random.key(1))
    weight = net.projections[0].weight.at[0].multiply(1e-6)  # all of one unit's are weak
    net = net.with_theta({net.projections[0].name: {"weight": weight}})
    growth, p = byway.growth("synaptogenesis", share=0.25), net.projections[0]
    draw = np.random.default_rng(0)
    change = jnp.asarray(draw.normal(size=p.weight.shape))
    x, memory = jnp.asarray(draw.normal(size=(6, 9))), growth.start(net)
    phase = net.forward(x)
    record = Record({"free": phase}, phase.post["output"])
    memory = growth.watch(memory, net, record, Update({p.name: {"weight": change}}))
    _, after, fresh = growth.grow(memory, net, jax.random.key(0), jnp.float32(0.5))
    q = after.projections[0]
    old, new = np.asarray(p.alive), np.asarray(q.alive)
    assert new.sum() == old.sum() == 48
    size = np.where(old, np.abs(np.asarray(p.weight)), np.nan)
    loose = old & (size < np.nanmax(size, 1, keepdims=True))
    np.testing.assert_array_equal(old & ~new, loose & (size <= np.sort(size[loose])[11]))
    np.testing.assert_array_equal(fresh[p.name]["weight"], old != new)
    assert not np.any(np.asarray(q.weight)[~old | ~new])
    for row in np.asarray(q.index):
        read = row[row < 9]
        assert 0 < len(read) == len({*read.tolist()})


@pytest.mark.slow
def test_where_nothing_is_taught_nothing_is_rewired():
    net = _net(30.0)
    growth = byway.growth("synaptogenesis", share=0.5)
    memory = _seen(growth, net, jnp.ones((2, PRE)), jnp.zeros_like(net.projections[0].weight))
    _, after, _ = growth.grow(memory, net, jax.random.key(0), jnp.float32(0.5))
    np.testing.assert_array_equal(after.projections[0].index, net.projections[0].index)


def test_a_network_without_room_is_refused():
    with pytest.raises(RuleError, match="synaptogenesis was given a network in which no unit"):
        byway.growth("synaptogenesis").accepts(byway.mlp(8, 6, 3, fan_in=3))
