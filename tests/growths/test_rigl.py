"""RigL with scouts, against backprop's dense gradient and against networks that do not grow."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import by_hand
import byway
from byway.core.errors import RuleError
from byway.core.signal import Signal, SquaredError
from byway.learning.growth import policies
from byway.network.sparse import FixedFanIn
from byway.rules.backprop.bp import BP
from byway.training.step import Optimisers, grown, learn, new_learner


def _net(spare=4):
    return byway.grownet(9, 10, 3, regions=2, fan_in=4, spare=spare, key=2, activation="tanh")


def _sparse(net):
    return [p for p in net.projections if isinstance(p, FixedFanIn)]


def _dense(p, values):
    """Values of slots at the places "post pre" that their synapses have; NaN where there is
    none.
    """
    full = np.full((len(p.index), p.sources), np.nan)
    for i, row in enumerate(np.asarray(p.index)):
        for k, j in enumerate(row):
            if j < p.sources:
                full[i, j] = np.asarray(values)[i, k]
    return full


def _learner(net, growth, rate=0.1):
    x, target = by_hand.sample(9, 3)
    signal, optimisers = (
        Signal(target, SquaredError()),
        Optimisers(optax.sgd(rate), optax.sgd(rate)),
    )
    learner = new_learner(BP(), net, optimisers, x, signal, jax.random.key(0), policies(growth))
    return learner, optimisers, x, signal


def _steps(learner, growth, optimisers, x, signal, times):
    for _ in range(times):
        learner, _ = learn(BP(), optimisers, learner, x, signal, growth=policies(growth))
    return learner


def test_what_grows_is_what_the_dense_gradient_says():
    """With a scout for every missing synapse and weights that stand still, the best scouts are the
    largest entries of the dense gradient, by autodiff, that are not read yet.
    """
    full = byway.graph(
        {"input": 9, "hidden": 6, "output": 3}, [("input", "hidden"), ("hidden", "output")]
    )
    a, b = full["input"], full["hidden"]
    net = byway.graph(
        {"input": 9, "hidden": 6, "output": 3},
        [FixedFanIn.between(a, b, 4, spare=5), ("hidden", "output")],
        activation="tanh",
        key=1,
    )
    growth = byway.growth("rigl", share=0.5)
    learner, optimisers, x, signal = _learner(net, growth, rate=0.0)
    learner = grown((growth,), 0, optimisers, learner, jnp.float32(0.0))
    p, q = learner.net.projections
    assert np.all(np.asarray(p.index) < 9), "every unit is read or scouted"
    learner = _steps(learner, growth, optimisers, x, signal, 3)

    def loss(matrix):
        hidden = jnp.tanh(x @ matrix.T + p.bias[None])
        out = hidden @ q.weight + q.bias[None]
        return jnp.mean(signal.loss(out))

    gradient = np.abs(jax.grad(loss)(jnp.asarray(np.nan_to_num(_dense(p, p.weight)))))
    scout = _dense(p, learner.seen[0][p.name]["scout"]) == 1
    grew = grown((growth,), 0, optimisers, learner, jnp.float32(0.5))
    after = grew.net.projections[0]
    # Of 4 synapses half of half, by the cosine: one.
    was = ~scout
    now = (_dense(after, after.alive) == 1) & (_dense(after, grew.seen[0][p.name]["scout"]) == 0)
    for i in range(6):
        (new,), (gone,) = np.flatnonzero(now[i] & ~was[i]), np.flatnonzero(was[i] & ~now[i])
        assert new == np.argmax(np.where(scout[i], gradient[i], -1))
        weights = np.abs(_dense(p, p.weight)[i])
        assert gone == np.argmin(np.where(was[i], weights, np.inf))


@pytest.mark.slow
def test_where_a_rule_teaches_nothing_synapses_stay():
    growth = byway.growth("rigl", share=1.0)
    learner, optimisers, _, _ = _learner(_net(), growth)
    start = learner.net
    for done in (0.2, 0.6, 1.0):
        learner = grown((growth,), 0, optimisers, learner, jnp.float32(done))
    assert eqx.tree_equal(learner.net, start)


@pytest.mark.slow
def test_scouts_change_nothing_and_learn_nothing():
    """With a share of 0 what is learnt is what it would be without growth, to the bit."""
    growth = byway.growth("rigl", share=0.0)
    grew, *rest = _learner(_net(), growth)
    still, *_ = _learner(_net(), None)
    for _ in range(4):
        before = grew.net.forward(rest[1]).post["output"]
        grew = grown((growth,), 0, rest[0], grew, jnp.float32(0.5))
        np.testing.assert_allclose(grew.net.forward(rest[1]).post["output"], before, atol=1e-12)
        grew = _steps(grew, growth, *rest, 5)
        still = _steps(still, None, *rest, 5)
    for p, q in zip(_sparse(grew.net), _sparse(still.net), strict=True):
        scout = np.asarray(grew.seen[0][p.name]["scout"])
        assert scout.any() and np.all(np.asarray(p.weight)[scout] == 0)
        where = np.where(np.isnan(_dense(q, q.weight)), 0, _dense(q, q.weight))
        np.testing.assert_allclose(np.nan_to_num(_dense(p, p.weight)), where, rtol=1e-12)


def test_every_unit_keeps_its_synapses_and_scouts_go_at_the_end():
    growth = byway.growth("rigl")
    learner, *rest = _learner(_net(), growth)
    begun = [np.asarray(p.index) for p in _sparse(learner.net)]
    for done in (0.25, 0.5, 0.75, 1.0):
        learner = _steps(learner, growth, *rest, 3)
        learner = grown((growth,), 0, rest[0], learner, jnp.float32(done))
        for p in _sparse(learner.net):
            scout = learner.seen[0][p.name]["scout"]
            held = np.asarray(jnp.sum(p.alive & ~scout, 1))
            np.testing.assert_array_equal(held, p.fan_in)
            index = np.where(np.asarray(p.alive), np.asarray(p.index), -1 - np.arange(p.slots))
            assert all(len(set(row)) == p.slots for row in index), "none is read twice"
    assert any(
        np.any(a != np.asarray(p.index)) for a, p in zip(begun, _sparse(learner.net), strict=True)
    )
    assert not any(np.any(held["scout"]) for held in learner.seen[0].values())


def test_a_network_without_room_is_refused():
    with pytest.raises(RuleError, match="build it with spare"):
        byway.growth("rigl").accepts(_net(spare=0))
