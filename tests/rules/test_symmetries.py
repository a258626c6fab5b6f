"""What must not depend on how units and samples are numbered, found by drawing networks, batches
and orders.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.part import some

from byway.core.signal import CrossEntropy, Signal, SquaredError
from byway.network.builders import mlp
from byway.rules import RULES

few = settings(max_examples=6, deadline=None)
seeds = st.integers(0, 2**32 - 1)
BATCH, HIDDEN = 4, 5
# Two classes, so that forward-forward's wrong label has no choice: its draws depend on the order of
# samples.
NET = mlp(6, HIDDEN, 4, 2, activation="relu", norm=True)
NAMES = ["bp", "dfa", "fa", "ff", "frozen"]


def _drawn(name, seed):
    """A rule with a network, feedback, memory and a batch, all from one seed."""
    rule, keys = RULES.get(name)(), jax.random.split(jax.random.key(seed), 5)
    net = NET.redraw(keys[0])
    net = net.with_theta(
        jax.tree.map(lambda w: w + 0.1 * jax.random.normal(keys[1], w.shape), net.theta)
    )
    gamma = rule.init(net, keys[2])
    _, memory = rule.start(gamma, net, BATCH)
    memory = jax.tree.map(lambda m: m * jax.random.uniform(keys[1], m.shape), memory)
    x = jax.random.normal(keys[3], (BATCH, 6))
    target = jax.nn.one_hot(
        jax.random.bernoulli(keys[4], shape=(BATCH,)).astype(int), 2, dtype=float
    )
    return rule, net, gamma, memory, x, target


@eqx.filter_jit
def _update(rule, net, gamma, memory, x, target):
    signal = Signal(target, CrossEntropy())
    state, _ = rule.start(gamma, net, x.shape[0])
    _, record = rule.f(gamma, net, state, x, signal, jax.random.key(0))
    return rule.g(gamma, net, memory, record, signal)


def _close(a, b):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12), a, b)


def _renumbered(tree, order):
    """Weights, feedback, memory or updates with the units of the first hidden layer in another
    order.
    """

    def renumber(path, a):
        where = [k.key for k in path if isinstance(k, jax.tree_util.DictKey)]
        if where[0] == "input-hidden1":
            return a[..., order]
        if where[0] == "hidden1-hidden2" and where[-1] != "bias":
            return a[order]
        return a[..., order] if where[0] == "hidden1" else a

    return jax.tree_util.tree_map_with_path(renumber, tree)


@pytest.mark.parametrize("name", some(NAMES, 2))
@given(seed=seeds, order=st.permutations(range(HIDDEN)))
@few
def test_renumbering_hidden_units_renumbers_their_updates(name, seed, order):
    order = jnp.array(order)
    rule, net, gamma, memory, x, target = _drawn(name, seed)
    memory_before, update = _update(rule, net, gamma, memory, x, target)
    other = net.with_theta(_renumbered(net.theta, order))
    memory_after, moved = _update(
        rule, other, _renumbered(gamma, order), _renumbered(memory, order), x, target
    )
    _close(moved.net, _renumbered(update.net, order))
    _close(memory_after, _renumbered(memory_before, order))


@pytest.mark.parametrize("name", some(NAMES, 2))
@given(seed=seeds, order=st.permutations(range(BATCH)))
@few
def test_order_within_a_batch_does_not_matter(name, seed, order):
    order = jnp.array(order)
    rule, net, gamma, memory, x, target = _drawn(name, seed)
    _close(
        _update(rule, net, gamma, memory, x[order], target[order]),
        _update(rule, net, gamma, memory, x, target),
    )


@pytest.mark.parametrize("name", some(NAMES, 2))
@given(seed=seeds)
@few
def test_a_batch_twice_over_has_the_update_of_the_batch(name, seed):
    """Updates are means; a sum over the batch would double."""
    rule, net, gamma, memory, x, target = _drawn(name, seed)
    twice = _update(
        rule, net, gamma, memory, jnp.concatenate([x, x]), jnp.concatenate([target, target])
    )
    _close(twice, _update(rule, net, gamma, memory, x, target))


@pytest.mark.parametrize("name", some(["bp", "dfa", "fa", "frozen"], 2))
@given(seed=seeds)
@few
def test_without_an_error_nothing_changes(name, seed):
    rule, net, gamma, memory, x, _ = _drawn(name, seed)

    @eqx.filter_jit
    def update(rule, net, gamma, x):
        state, _ = rule.start(gamma, net, x.shape[0])
        _, record = rule.f(gamma, net, state, x, None, jax.random.key(0))
        return rule.g(gamma, net, memory, record, Signal(record.output, SquaredError()))[1]

    for a in jax.tree.leaves(update(rule, net, gamma, x)):
        assert not np.any(a)
