"""A lesion: what is left computes as if the rest were silent, and no rule brings it back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import byway
from byway.core.errors import ConfigError, RuleError
from byway.network.grown import SIDE
from byway.network.sparse import FixedFanIn

MIDDLE, RADIUS = (SIDE / 2,) * 3, 130.0


def _net(**more):
    return byway.grownet(64, 80, 10, regions=3, fan_in=8, key=1, **more)


def _inside(net):
    return {
        p.name: np.flatnonzero(np.linalg.norm(np.asarray(p.position) - SIDE / 2, axis=1) <= RADIUS)
        for p in net.hidden
    }


def test_the_units_of_the_ball_go_and_all_their_synapses():
    net = _net(spare=3, cycles=True)
    hurt = byway.lesion(net, centre=MIDDLE, radius=RADIUS)
    inside = {name: units for name, units in _inside(net).items() if units.size}
    assert 0 < sum(map(len, inside.values())) < 40 and hurt.units.keys() == inside.keys()
    before, after = byway.wiring(net), byway.wiring(hurt.net)
    gone = np.zeros(len(before.position), bool)
    for name, units in hurt.units.items():
        np.testing.assert_array_equal(units, inside[name])
        gone[np.array(before.populations[name])[units]] = True
    kept = ~gone[before.source] & ~gone[before.target]
    ends = lambda w, some: {
        (int(a), int(b)): float(x)
        for a, b, x in zip(w.source[some], w.target[some], w.weight[some], strict=True)
    }
    assert ends(after, slice(None)) == ends(before, kept)
    assert np.count_nonzero(after.joined) <= 80 - gone.sum()


@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
@pytest.mark.slow
def test_what_is_left_computes_as_if_they_sent_nothing(activation):
    """Against NumPy, with their activity set to zero."""
    net = byway.grownet(9, 40, 3, regions=2, fan_in=5, activation=activation, key=2)
    net = net.with_theta(
        {
            p.name: p.theta | {"bias": jax.random.normal(jax.random.key(i), p.bias.shape)}
            for i, p in enumerate(net.projections)
            if p.bias is not None
        }
    )
    x = np.random.default_rng(0).normal(size=(5, 9))
    gone, h = _inside(net), {"input": x}
    for name in [p.name for p in net.populations[1:]]:
        u = 0.0
        for p in net.incoming(name):
            u = u + h[p.src] @ np.asarray(
                p.by_entries().weight if isinstance(p, FixedFanIn) else p.weight
            )
            u = u + (0 if p.bias is None else np.asarray(p.bias))
        h[name] = (
            u
            if name == "output"
            else np.maximum(u, 0)
            if activation == "relu"
            else 1 / (1 + np.exp(-u))
        )
        if name in gone:
            h[name][:, gone[name]] = 0
    hurt = byway.lesion(net, centre=MIDDLE, radius=RADIUS).net
    np.testing.assert_allclose(hurt.forward(jnp.asarray(x)).post["output"], h["output"], atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["bp", "fa", "weight_perturbation"])
def test_no_rule_brings_them_back(rule):
    hurt = byway.lesion(_net(), centre=MIDDLE, radius=RADIUS)
    task = byway.task("digits")
    result = byway.fit(hurt.net, byway.rule(rule), task, epochs=2, looks=0, lr=0.01)
    after = result.learner().net
    for name, parts in hurt.net.structure.items():
        np.testing.assert_array_equal(after.structure[name]["index"], parts["index"])
    moved = [
        np.any(np.asarray(after.theta[n]["weight"]) != hurt.net.theta[n]["weight"])
        for n in after.theta
    ]
    assert all(moved), "the others learn"
    # Whatever such a unit does, nobody hears it.
    x = jax.random.normal(jax.random.key(0), (4, 64))
    loud = {
        name: jnp.zeros(after[name].size).at[units].set(1e3)[None]
        for name, units in hurt.units.items()
    }
    np.testing.assert_array_equal(
        after.forward(x).post["output"], after.forward(x, inject=loud).post["output"]
    )


@pytest.mark.slow
def test_a_network_recovers_when_it_is_trained_again():
    task, rule = byway.task("digits"), byway.rule("bp")
    well = byway.fit(_net(), rule, task, epochs=6, looks=0, seeds=1)
    hurt = byway.lesion(well.learner().net, centre=MIDDLE, radius=200.0).net
    again = byway.fit(hurt, rule, task, epochs=6, looks=0, seeds=1)
    begun = again.history["validation/accuracy"].values[0, 0]
    assert begun < well.accuracy[0] - 0.1 and again.accuracy[0] > begun + 0.1


@pytest.mark.slow
def test_rigl_grows_where_slots_were_cut_and_nobody_reads_another_twice():
    net = _net(spare=3)
    hurt = byway.lesion(net, centre=MIDDLE, radius=RADIUS).net
    policy = byway.growth("rigl", share=0.5)
    memory = policy.start(hurt)
    for step, done in enumerate((0.2, 0.4, 1.0)):
        memory, hurt, _ = policy.grow(memory, hurt, jax.random.key(step), jnp.float32(done))
        for p in hurt.projections:
            if isinstance(p, FixedFanIn):
                for row in np.asarray(p.index):
                    read = row[row < p.sources]
                    assert len(set(read)) == len(read)


def test_a_whole_population_may_go():
    net = byway.mlp(3, 4, 5, 2)
    hurt = byway.lesion(net, centre=net["hidden1"].position[0], radius=60.0)
    assert hurt.units.keys() == {"hidden1"} and len(hurt.units["hidden1"]) == 4
    out = hurt.net.forward(jnp.ones((2, 3))).post["output"]
    np.testing.assert_array_equal(out[0], out[1])
    assert not np.any(hurt.net.alive("hidden2")), "what reads nothing any more is no unit either"
    assert byway.wiring(hurt.net).synapses == 0


@pytest.mark.slow
def test_balls_that_are_none():
    net = _net()
    for centre, radius in (((1.0, 2.0), 5.0), ((0.0, 0.0, np.nan), 5.0), (MIDDLE, 0.0)):
        with pytest.raises(ConfigError, match=r"centre =|radius ="):
            byway.lesion(net, centre=centre, radius=radius)
    with pytest.raises(ConfigError, match="no hidden unit lies"):
        byway.lesion(net, centre=(-500.0, 0.0, 0.0), radius=10.0)
    image = byway.convnet((6, 6, 1), (2,), 3)
    with pytest.raises(RuleError, match="a weight of its own"):
        byway.lesion(image, centre=image.hidden[0].position[0], radius=1.0)
