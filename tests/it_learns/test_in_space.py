"""On digits, rules train networks in space that are rewired meanwhile, and beat the same ones whose
readout alone learns. The output reads the last of three small regions: features that were drawn are
not enough.
"""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import byway

pytestmark = pytest.mark.slow
PAGE = Path(__file__).parents[2] / "examples" / "rules_in_space.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("rules_in_space", PAGE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
