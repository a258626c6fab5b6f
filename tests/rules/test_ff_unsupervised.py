"""Forward-forward without labels: what it trains, and that labels reach the readout alone."""

import jax.numpy as jnp
import numpy as np
import pytest

import by_hand
import byway
from byway.core.errors import RuleError
from byway.network.builders import mlp
from byway.rules.local.ff_unsupervised import FFUnsupervised
from byway.rules.local.scff import SCFF

BOTH = pytest.mark.parametrize("rule", [FFUnsupervised(), SCFF()], ids=["ff_unsupervised", "scff"])


def _net():
    return by_hand.with_biases(mlp((6, 6, 1), 6, 5, 4, norm=True))


@pytest.mark.parametrize("shape", [8, (5, 6), (1, 1, 3)])
def test_what_is_no_image_has_no_hybrids(shape):
    with pytest.raises(RuleError, match="inputs of shape") as caught:
        FFUnsupervised().accepts(mlp(shape, 6, 3, norm=True))
    assert "scff" in caught.value.fix
    SCFF().accepts(mlp(shape, 6, 3, norm=True))


def test_pictures_of_one_s_own_are_images():
    x = np.random.default_rng(0).integers(0, 256, (40, 6, 5)).astype(np.uint8)
    task = byway.Data(x, np.arange(40) % 2)
    FFUnsupervised().accepts(mlp(task.input_shape, 6, task.outputs, norm=True))


@BOTH
def test_one_sample_has_no_other_to_be_mixed_with(rule):
    x, target = by_hand.sample((6, 6, 1), 4, batch=1)
    with pytest.raises(RuleError, match="a batch of one sample"):
        by_hand.taught(rule, _net(), x, target)
    assert by_hand.recorded(rule, _net(), x, None).output.shape == (1, 4)


@BOTH
def test_nobody_is_its_own_partner(rule):
    """Of batches of two the other is always the other one."""
    net = _net()
    x, target = by_hand.sample((6, 6, 1), 4, batch=2)
    for seed in range(8):
        _, _, record = by_hand.taught(rule, net, x, target, key=by_hand.jax.random.key(seed))
        negative = np.asarray(record["negative"].post["input"])
        assert not np.any(np.all(negative == np.asarray(x), (1, 2, 3)))


@BOTH
def test_labels_teach_the_readout_alone(rule):
    net = _net()
    x, target = by_hand.sample((6, 6, 1), 4)
    _, before, _ = by_hand.taught(rule, net, x, target)
    _, after, _ = by_hand.taught(rule, net, x, jnp.roll(target, 1, 1))
    for name, parts in before.net.items():
        for part, a in parts.items():
            assert np.array_equal(a, after.net[name][part]) == (name != "hidden2-output")


def test_other_images_have_other_masks():
    net, rule = mlp((12, 12, 1), 6, 4, norm=True), FFUnsupervised()
    x, target = by_hand.sample((12, 12, 1), 4, batch=6)
    _, _, record = by_hand.taught(rule, net, x, target)
    masks = np.asarray(record["negative"].post["input"] == x)[..., 0]
    assert len({mask.tobytes() for mask in masks}) == 6
