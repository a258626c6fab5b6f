"""On digits every rule that trains hidden layers beats the control that does not."""

import numpy as np
import pytest

import byway

pytestmark = pytest.mark.slow
SEEDS, EPOCHS = 8, 30


def _trained(name):
    task, rule = byway.task("digits"), byway.rule(name)
    net = byway.mlp(task.input_shape, *task.suggests.hidden, task.outputs, **rule.network_options)
    return byway.fit(
        net, rule, task, epochs=EPOCHS, batch=task.suggests.batch, seeds=SEEDS, progress=False
    )


@pytest.fixture(scope="module")
def frozen():
    return _trained("frozen")


@pytest.mark.parametrize(
    "name", ["bp", "fa", "kolen_pollack", "dfa", "ff", "ep", "ipc", "dtp", "predsim"]
)
def test_rule_beats_frozen_hidden_layers_on_every_seed(name, frozen):
    """By more than three standard errors of the paired difference, too: the spread over seeds sets
    the tolerance.
    """
    result = _trained(name)
    assert result.failures == {} == frozen.failures
    gain = result.accuracy - frozen.accuracy
    assert np.all(gain > 0), f"{name}: {result.accuracy} against frozen: {frozen.accuracy}"
    assert gain.mean() > 3 * gain.std(ddof=1) / np.sqrt(SEEDS)


def test_going_back_through_depth_beats_the_same_streams_frozen_on_every_seed():
    """And learns what backprop learns there, up to what rounding makes of it."""
    task = byway.task("digits")
    net = byway.revnet(task.input_shape, 64, task.outputs, blocks=8)
    frozen, bp, result = (
        byway.fit(net, byway.rule(name), task, epochs=10, batch=32, seeds=SEEDS, progress=False)
        for name in ("frozen", "bp", "reversible")
    )
    assert result.failures == {} == frozen.failures
    gain = result.accuracy - frozen.accuracy
    assert np.all(gain > 0), f"{result.accuracy} against frozen: {frozen.accuracy}"
    assert gain.mean() > 3 * gain.std(ddof=1) / np.sqrt(SEEDS)
    apart = result.accuracy - bp.accuracy
    assert abs(apart.mean()) < 0.01


def test_feedback_alignment_comes_to_point_downhill():
    """Lillicrap et al. 2016, figure 2: in hidden layers the angle to the true gradient falls below
    90 degrees, and keeps falling.
    """
    angles = _trained("fa").history.group("angle")
    for name in ("input-hidden1", "hidden1-hidden2"):
        start, end = angles[name].values[:, 0], angles[name].last
        fall = start - end
        assert np.all(end < 90)
        assert fall.mean() > 3 * fall.std(ddof=1) / np.sqrt(SEEDS)
