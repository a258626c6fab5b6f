"""DEEP R: the walk of what is not taught against its closed form, wiring, signs, where what comes
back comes from.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats

import by_hand
import byway
from byway.core.errors import RuleError
from byway.core.signal import Signal, SquaredError
from byway.rules.backprop.bp import BP
from byway.training.step import Optimisers, grown, learn, new_learner


def _sparse(fan_in=40, units=300, inputs=90, **options):
    """One layer of many synapses, of weight 1 or -1, far from zero."""
    net = byway.mlp(inputs, units, 3, fan_in=fan_in, **options)
    weight = np.random.default_rng(0).choice([-1.0, 1.0], size=(units, fan_in))
    return net.with_theta({"input-hidden1": {"weight": jnp.asarray(weight)}})


def _grow(growth, net, times, key=0):
    memory = growth.start(net)
    step = jax.jit(lambda memory, net, key: growth.grow(memory, net, key, jnp.float32(0.5))[:2])
    for i in range(times):
        memory, net = step(memory, net, jax.random.fold_in(jax.random.key(key), i))
    return memory, net


@pytest.mark.parametrize("every", [1, 4])
def test_what_is_not_taught_walks_at_random_with_a_drift(every):
    """After n updates s theta is normal, of mean theta_0 - n rate alpha and variance 2 n rate T,
    and no two synapses go together.
    """
    rate, alpha, temperature, times = 0.01, 0.3, 0.002, 48
    growth = byway.growth("deep_r", rate=rate, alpha=alpha, temperature=temperature, every=every)
    net = _sparse()
    _, after = _grow(growth, net, times // every)
    p, q = net.projections[0], after.projections[0]
    np.testing.assert_array_equal(p.index, q.index)
    walked = (np.asarray(q.weight) * np.asarray(p.weight)).ravel() - 1
    mean, deviation = -times * rate * alpha, np.sqrt(2 * times * rate * temperature)
    assert stats.kstest((walked - mean) / deviation, "norm").pvalue > 1e-3
    half = walked.reshape(2, -1)
    assert abs(np.corrcoef(half)[0, 1]) < 4 / np.sqrt(half.shape[1])


def test_without_noise_a_weight_falls_to_zero_and_its_synapse_is_another_then():
    """From 1 by 0.3 an update: 0.7, 0.4, 0.1, and a new one of weight 0, which goes at once with
    the next.
    """
    growth = byway.growth("deep_r", rate=1.0, alpha=0.3, temperature=0.0)
    net = _sparse()
    p = net.projections[0]
    for times, left in ((1, 0.7), (2, 0.4), (3, 0.1), (4, 0.0), (5, 0.0)):
        _, after = _grow(growth, net, times)
        q = after.projections[0]
        np.testing.assert_allclose(np.abs(q.weight), left, atol=1e-12)
        assert np.array_equal(p.index, q.index) == (times < 4)


def test_there_are_as_many_synapses_after_every_update_and_no_sign_flips():
    """While a rule trains, at a temperature at which many go; of free slots none is filled."""
    net = byway.grownet(9, 20, 3, regions=2, fan_in=5, spare=2, key=2, activation="tanh")
    growth = byway.growth("deep_r", rate=0.1, alpha=0.1, temperature=0.05)
    x, target = by_hand.sample(9, 3)
    signal, optimisers = Signal(target, SquaredError()), Optimisers(optax.sgd(0.1), optax.sgd(0.1))
    learner = new_learner(BP(), net, optimisers, x, signal, jax.random.key(0), (growth,))
    step = jax.jit(lambda one: learn(BP(), optimisers, one, x, signal, growth=(growth,))[0])
    grow = jax.jit(lambda one: grown((growth,), 0, optimisers, one, jnp.float32(0.5)))
    rewired = 0
    for _ in range(30):
        before, learner = learner, grow(step(learner))
        for name, signs in learner.seen[0].items():
            p, q = (
                next(p for p in one.net.projections if p.name == name) for one in (before, learner)
            )
            index, alive = np.asarray(q.index), np.asarray(q.alive)
            np.testing.assert_array_equal(alive.sum(1), q.fan_in)
            assert all(len(set(row[on])) == on.sum() for row, on in zip(index, alive, strict=True))
            assert np.all(np.asarray(q.weight * signs)[alive] >= 0)
            assert not np.any(np.asarray(q.weight)[~alive])
            stayed = alive & (np.asarray(p.index) == index) & (np.asarray(q.weight) != 0)
            flipped = np.asarray(p.weight) * np.asarray(q.weight) < 0
            assert not np.any(flipped & stayed & (np.asarray(before.seen[0][name]) == signs))
            rewired += int(np.sum(np.asarray(p.index) != index))
    assert rewired > 100


def test_what_comes_back_is_any_that_is_not_read_with_any_sign():
    """Of a unit that reads 3 of 8, one goes: each of the 5 others, or the same again, comes as
    often.
    """
    net = byway.mlp(8, 6, 3, fan_in=3)
    weight = jnp.tile(jnp.array([1.0, -1.0, 1e-9]), (6, 1))
    net = net.with_theta({"input-hidden1": {"weight": weight}})
    growth = byway.growth("deep_r", rate=1.0, alpha=0.1, temperature=0.0)
    once = lambda key: growth.grow(growth.start(net), net, key, jnp.float32(0.5))
    signs, after, fresh = jax.jit(jax.vmap(once))(jax.random.split(jax.random.key(0), 2000))
    index, before = np.asarray(after.projections[0].index), np.asarray(net.projections[0].index)
    new = np.asarray(fresh["input-hidden1"]["weight"])
    assert np.all(new[:, :, 2]) and not np.any(new[:, :, :2])
    for row in range(6):
        counts = np.bincount(index[:, row, 2], minlength=8)
        free = np.setdiff1d(np.arange(8), before[row, :2])
        assert counts[free].sum() == 2000
        assert stats.chisquare(counts[free]).pvalue > 1e-4
    positive = np.sum(np.asarray(signs["input-hidden1"])[:, :, 2] > 0)
    assert stats.binomtest(int(positive), 12000).pvalue > 1e-4


def test_a_synapse_that_another_policy_drew_gets_the_sign_that_it_learns_first():
    net = byway.mlp(8, 6, 3, fan_in=3).redraw(jax.random.key(1))
    growth = byway.growth("deep_r", rate=0.1, alpha=0.1, temperature=0.0)
    began = jnp.zeros((6, 3), bool).at[:, 1].set(True)
    memory = growth.told(growth.start(net), {"input-hidden1": {"weight": began}})
    p = net.projections[0]
    fresh = net.with_theta({"input-hidden1": {"weight": jnp.where(began, 0, p.weight)}})
    signs, after, gone = growth.grow(memory, fresh, jax.random.key(0), jnp.float32(0.5))
    assert not np.any(np.asarray(gone["input-hidden1"]["weight"])[:, 1]), "it waits"
    learnt = jnp.array([0.5, -0.5, 0.25, -0.25, 1.0, -1.0])
    taught = after.projections[0].weight.at[:, 1].set(learnt)
    after = after.with_theta({"input-hidden1": {"weight": taught}})
    signs, after, _ = growth.grow(signs, after, jax.random.key(0), jnp.float32(0.5))
    np.testing.assert_array_equal(signs["input-hidden1"][:, 1], np.sign(learnt))
    expected = learnt - 0.01 * np.sign(learnt)
    np.testing.assert_allclose(after.projections[0].weight[:, 1], expected, atol=1e-12)


def test_a_network_in_which_all_is_read_is_refused():
    with pytest.raises(RuleError, match="build it with fan_in"):
        byway.growth("deep_r").accepts(byway.mlp(8, 6, 3, fan_in=8))
