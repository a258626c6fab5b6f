"""Several growth policies on one network: clocks, what they tell each other, how they are given."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import byway
from byway.core.errors import ConfigError
from byway.core.task import Split
from byway.learning.growth import Growth
from byway.learning.rule import Update
from byway.network.sparse import FixedFanIn
from byway.rules.backprop.bp import BP
from byway.training.step import Optimisers, grown, learn, new_learner


class Counting(Growth):
    """Changes nothing; counts its turns and the weights that others let begin anew."""

    claims = frozenset()
    every: int = 3
    until: float = 1.0

    def accepts(self, net):
        pass

    def start(self, net):
        return {"turns": jnp.int32(0), "told": jnp.int32(0)}

    def told(self, memory, fresh):
        new = [
            jnp.sum(mask, dtype=jnp.int32) for parts in fresh.values() for mask in parts.values()
        ]
        return memory | {"told": memory["told"] + sum(new, jnp.int32(0))}

    def grow(self, memory, net, key, done):
        return memory | {"turns": memory["turns"] + 1}, net, {}


class Halving(Counting):
    """Halves every update."""

    def taught(self, memory, update):
        half = {k: {n: a / 2 for n, a in parts.items()} for k, parts in update.net.items()}
        return Update(half, update.gamma, update.change)


def _few(task, share=48):
    return {name: Split(s.x[:share], s.y[:share]) for name, s in task.load().items()}


def _trained(growth, **options):
    task = byway.task("digits")
    net = byway.grownet(task.input_shape, 12, task.outputs, regions=2, fan_in=6, spare=2)
    options = {"epochs": 2, "batch": 4, "data": _few(task), "looks": 0, "progress": False} | options
    return byway.fit(net, BP(), task, growth=growth, **options)


def test_each_has_a_clock_of_its_own_and_hears_of_the_others():
    """24 updates: one acts each third time, up to the half; set each 8th, on 2 of 6 synapses."""
    growth = [Counting(every=3, until=0.5), byway.growth("set", every=8, share=1 / 3, until=1.0)]
    seen, _ = _trained(growth).learners.seen
    assert int(seen["turns"][0]) == 4
    reading = [p for p in _net().projections if p.name != "region2-output" and hasattr(p, "index")]
    share = sum(len(p.weight) * round(p.fan_in / 3) for p in reading)
    assert int(seen["told"][0]) == 3 * share


def _net():
    task = byway.task("digits")
    return byway.grownet(task.input_shape, 12, task.outputs, regions=2, fan_in=6, spare=2)


@pytest.mark.slow
def test_the_first_acts_as_it_does_alone_and_the_second_draws_by_itself():
    alone = _trained(byway.growth("set", every=5))
    both = _trained([byway.growth("set", every=5), Counting()])
    other = _trained([Counting(), byway.growth("set", every=5)])
    table = lambda one: np.asarray(one.learners.net.structure["input-region1"]["index"])
    np.testing.assert_array_equal(table(alone), table(both))
    assert not np.array_equal(table(alone), table(other))


def test_updates_go_through_all_of_them():
    task, growth = byway.task("digits"), (Halving(), Halving(every=7))
    x, signal = task.batch(task.load()["train"], jnp.arange(4), None)
    optimisers = Optimisers(optax.sgd(0.1), optax.sgd(0.1))
    moved = []
    for policies in ((), growth):
        learner = new_learner(BP(), _net(), optimisers, x, signal, jax.random.key(0), policies)
        after, _ = learn(BP(), optimisers, learner, x, signal, growth=policies)
        moved.append(
            np.asarray(after.net.theta["input-region1"]["weight"])
            - np.asarray(learner.net.theta["input-region1"]["weight"])
        )
    np.testing.assert_allclose(moved[0], 4 * moved[1], rtol=1e-9, atol=1e-15)


@pytest.mark.slow
def test_a_synapse_that_another_policy_drew_is_no_scout():
    net, growth = _net(), (byway.growth("rigl"), byway.growth("set", share=1.0))
    task, optimisers = byway.task("digits"), Optimisers(optax.sgd(0.1), optax.sgd(0.1))
    x, signal = task.batch(task.load()["train"], jnp.arange(4), None)
    learner = new_learner(BP(), net, optimisers, x, signal, jax.random.key(0), growth)
    learner = grown(growth, 0, optimisers, learner, jnp.float32(0.5))
    assert any(bool(jnp.any(held["scout"])) for held in learner.seen[0].values())
    after = grown(growth, 1, optimisers, learner, jnp.float32(0.5))
    for name, held in after.seen[0].items():
        drawn = learner.net.structure[name]["index"] != after.net.structure[name]["index"]
        assert not np.any(np.asarray(held["scout"] & drawn))
        for row in np.asarray(after.net.structure[name]["index"]):
            read = row[row < (6 if name.startswith("region") else 64)]
            assert len({*read.tolist()}) == len(read), "a unit reads another twice"


def _synapses(result):
    """How many there are that learn, by projection; a unit reads another at most once."""
    net, counts = result.learner().net, {}
    (scouts, *_) = result.learner().seen
    for p in net.projections:
        if isinstance(p, FixedFanIn):
            index = np.asarray(p.index)
            tried = scouts[p.name]["scout"] if p.name in scouts else np.zeros(index.shape, bool)
            scout = np.asarray(tried)
            for row in index:
                read = row[row < p.sources]
                assert len({*read.tolist()}) == len(read)
            assert not np.any(np.asarray(p.weight)[scout | ~np.asarray(p.alive)])
            counts[p.name] = int(np.sum(index < p.sources) - np.sum(scout))
    return counts


@pytest.mark.slow
def test_structural_plasticity_grows_where_rigl_only_tries():
    """Scouts of rigl sit in all free slots, and are none to the other: units that are too quiet
    take as many slots as they would without it.
    """
    quiet = byway.growth("structural_plasticity", every=4, eps=5.0, growth=0.5, until=1.0)
    rigl, still = byway.growth("rigl", every=3, until=1.0), byway.growth("rigl", every=10**6)
    counts = {}
    for name, growth in (("both", [rigl, quiet]), ("alone", [still, quiet]), ("rigl", [rigl])):
        counts[name] = _synapses(_trained(growth, epochs=1))
    first = {p.name: len(p.weight) * p.fan_in for p in _net().projections if hasattr(p, "index")}
    assert counts["rigl"] == first
    more = [sum(counts[name].values()) - sum(first.values()) for name in ("both", "alone")]
    assert min(more) > 0 and more[0] >= 0.8 * more[1]


@pytest.mark.slow
def test_as_many_synapses_learn_where_set_rewires_beside_rigl():
    growth = [byway.growth("rigl", every=3, until=1.0), byway.growth("set", every=4, until=1.0)]
    first = {p.name: len(p.weight) * p.fan_in for p in _net().projections if hasattr(p, "index")}
    assert _synapses(_trained(growth, epochs=1)) == first


@pytest.mark.parametrize(
    ("growth", "told"),
    [
        (["set", byway.growth("set")], "growth = 'set'"),
        ([byway.growth("set"), byway.growth("set", every=9)], "growth = set, set"),
        (3, "growth = 3"),
    ],
)
def test_what_is_no_policy_or_twice_the_same_is_refused(growth, told):
    with pytest.raises(ConfigError, match=re.escape(told)):
        _trained(growth)
