"""On digits, the rules that need no slope train hidden layers that have none."""

import numpy as np
import pytest

import byway

pytestmark = pytest.mark.slow
SEEDS, EPOCHS, RATE = 6, 30, 1e-2


def _trained(name, **hyper):
    """All on one network: two narrow layers of 3-bit units, normalised as ff needs it. Its random
    features leave much to learn.
    """
    task = byway.task("digits")
    net = byway.mlp(
        task.input_shape, 32, 32, task.outputs, activation=byway.quantised(3), norm=True
    )
    return byway.fit(
        net,
        byway.rule(name, **hyper),
        task,
        epochs=EPOCHS,
        batch=32,
        lr=RATE,
        seeds=SEEDS,
        progress=False,
    )


@pytest.fixture(scope="module")
def frozen():
    """The control at the rate of the others; at 2, 5 times the rate it is no better."""
    return _trained("frozen")


@pytest.mark.parametrize(("name", "hyper"), [("node_perturbation", {"sigma": 0.3}), ("ff", {})])
def test_a_rule_without_slopes_beats_frozen_layers_through_a_quantiser_on_every_seed(
    name, hyper, frozen
):
    """By more than three standard errors of the paired difference, too. The noise has to be as wide
    as half a level, or most of it changes nothing.
    """
    result = _trained(name, **hyper)
    assert result.failures == {} == frozen.failures
    gain = result.accuracy - frozen.accuracy
    assert np.all(gain > 0), f"{name}: {result.accuracy} against frozen: {frozen.accuracy}"
    assert gain.mean() > 3 * gain.std(ddof=1) / np.sqrt(SEEDS)
