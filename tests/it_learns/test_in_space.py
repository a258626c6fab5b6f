"""On digits, rules train networks in space that are rewired meanwhile, and beat the same ones whose
readout alone learns. The output reads the last of three small regions: features that were drawn are
not enough.
"""

import numpy as np
import pytest
from tests.scripts import loaded

import byway

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def example():
    return loaded("examples/rules_in_space.py")


@pytest.mark.parametrize(
    "name", ["fa", "dfa", "pc", "ff", "node_perturbation", "activity_forward_gradient"]
)
def test_rule_beats_frozen_regions_on_every_seed(example, name):
    """By more than two standard errors of the paired difference, too."""
    result, frozen = example.rewired(byway.task("digits"), name)
    assert result.failures == {} == frozen.failures
    gain = result.accuracy - frozen.accuracy
    assert np.all(gain > 0), f"{name}: {result.accuracy} against frozen: {frozen.accuracy}"
    assert gain.mean() > 2 * gain.std(ddof=1) / np.sqrt(len(gain))


@pytest.mark.parametrize(("name", "calls"), [("ep", 0.8), ("pc", None), ("ipc", None)])
def test_rule_that_settles_beats_its_readout_alone_on_networks_with_cycles(example, name, calls):
    """On each; `ep` where weights between units are drawn so small that one state is stable."""
    learnt, readout = (example.cyclic(name, calls, learns) for learns in (True, False))
    assert np.all(learnt > readout + 0.1), f"{learnt} against the readout alone: {readout}"


def test_units_call_each_other_as_strongly_as_asked(example):
    """By the weights synapse by synapse."""
    net = byway.grownet(6, 12, 3, regions=3, fan_in=6, cycles=True)
    calm = example.calmed(net, 0.8)
    start = {p.name: 4 * i for i, p in enumerate(net.hidden)}
    w = np.zeros((12, 12))
    for p, before in zip(calm.projections, net.projections, strict=True):
        if p.src in start and p.dst in start:
            for (i, k), j in np.ndenumerate(np.asarray(p.index)):
                w[start[p.src] + j, start[p.dst] + i] += p.weight[i, k]
        else:
            np.testing.assert_array_equal(p.weight, before.weight)
    assert abs(np.linalg.norm(w + w.T, 2) - 0.8) < 1e-6
