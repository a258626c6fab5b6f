"""On digits, rules train networks in space that are rewired meanwhile, and beat the same ones whose
readout alone learns. The output reads the last of three small regions: features that were drawn are
not enough.
"""

import functools

import numpy as np
import pytest

import byway

pytestmark = pytest.mark.slow
SEEDS, EPOCHS, RATE = 3, 10, 1e-2


@functools.cache
def _frozen(norm):
    return _trained("frozen", norm)


def _trained(name, norm):
    task = byway.task("digits")
    net = byway.grownet(
        task.input_shape,
        60,
        task.outputs,
        regions=3,
        fan_in=12,
        spare=4,
        readout_from=(2,),
        norm=norm,
    )
    return byway.fit(
        net,
        byway.rule(name),
        task,
        growth=byway.growth("set", every=50),
        epochs=EPOCHS,
        batch=32,
        lr=RATE,
        seeds=SEEDS,
        looks=0,
        progress=False,
    )


@pytest.mark.parametrize(
    ("name", "norm"), [("fa", False), ("dfa", False), ("pc", False), ("ff", True)]
)
def test_rule_beats_frozen_regions_on_every_seed(name, norm):
    """By more than two standard errors of the paired difference, too."""
    result, frozen = _trained(name, norm), _frozen(norm)
    assert result.failures == {} == frozen.failures
    gain = result.accuracy - frozen.accuracy
    assert np.all(gain > 0), f"{name}: {result.accuracy} against frozen: {frozen.accuracy}"
    assert gain.mean() > 2 * gain.std(ddof=1) / np.sqrt(SEEDS)
