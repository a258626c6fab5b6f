"""Growth policies beside rules that leave little: no slopes, a turn without activity, or none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import by_hand
import byway
from byway.core.errors import RuleError
from byway.core.record import Record
from byway.core.signal import CrossEntropy, Signal
from byway.core.task import Split
from byway.learning.rule import Update


def _net(**more):
    return byway.grownet(9, 12, 3, regions=1, fan_in=4, spare=2, born=0.5, **more)


def test_a_rule_that_needs_no_slopes_tells_the_error_at_the_output_too():
    """Under equilibrium propagation: the sums of gradmax are what arrives times the error."""
    net, rule, policy = _net(activation="hard_sigmoid"), byway.rule("ep"), byway.growth("gradmax")
    x, target = by_hand.sample(9, 3)
    signal = Signal(target, CrossEntropy())
    record = by_hand.recorded(rule, net, x, signal)
    assert not record["free"].slope
    sums = policy.heard(policy.start(net), net, record, signal)["met"]
    output = np.asarray(record.output)
    share = np.exp(output) / np.exp(output).sum(1, keepdims=True)
    for name, found in sums.items():
        pre = np.asarray(record["free"].pre[name])
        np.testing.assert_allclose(found, pre.T @ (share - np.asarray(target)) / len(x), atol=1e-12)
    parting = byway.growth("splitting")
    parting.accepts(_net())


@pytest.mark.parametrize(
    "name", ["unit_pruning", "synaptogenesis", "structural_plasticity", "gradmax", "splitting"]
)
def test_a_policy_that_goes_by_activity_says_so_where_a_rule_leaves_none(name):
    net, policy = _net(), byway.growth(name)
    bare = Record({}, jnp.zeros((2, 3)))
    signal = Signal(jnp.eye(3)[:2], CrossEntropy())
    with pytest.raises(RuleError, match=f"{name} beside a rule whose record holds no activity"):
        policy.heard(policy.watch(policy.start(net), net, bare, Update({})), net, bare, signal)


@pytest.mark.slow
def test_a_turn_that_only_prepares_the_next_is_no_activity():
    """The first of incremental predictive coding, which sets values and teaches nothing."""
    task = byway.task("digits")
    data = {name: Split(s.x[:16], s.y[:16]) for name, s in task.load().items()}
    net = byway.grownet(task.input_shape, 12, task.outputs, regions=2, fan_in=6, spare=2)
    result = byway.fit(
        net,
        byway.rule("ipc", steps=2),
        task,
        data=data,
        growth=byway.growth("structural_plasticity", every=2),
        epochs=1,
        batch=8,
        looks=0,
        progress=False,
    )
    assert result.failures == {} and jax.tree.leaves(result.learners.seen)
