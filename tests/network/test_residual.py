"""Residual networks of two streams, of images too."""

import dataclasses

import pytest

import byway
from byway.experiment.networks import NetSettings


def test_each_stage_is_two_streams_of_half_the_channels_on_a_smaller_image():
    net = byway.conv_revnet((8, 8, 3), (4, 6), 5, blocks=2)
    shapes = {p.name: p.shape for p in net.populations}
    for name in ("a1_0", "b1_2", "f1_1", "g1_2"):
        assert shapes[name] == (4, 4, 2)
    for name in ("a2_0", "b2_2", "f2_1", "g2_2"):
        assert shapes[name] == (2, 2, 3)
    # Both streams of a stage read all of the one before; F and G are two kernels each.
    begin = 2 * (9 * 3 * 2 + 2) + 2 * (9 * 4 * 3 + 3)
    blocks = 2 * 2 * 2 * (9 * 2 * 2 + 2) + 2 * 2 * 2 * (9 * 3 * 3 + 3)
    readout = 2 * 2 * 6 * 5 + 5
    assert sum(a.size for w in net.theta.values() for a in w.values()) == begin + blocks + readout


@pytest.mark.parametrize(
    ("given", "options", "wanted"),
    [
        (((8, 8), (4,), 2), {}, "(height, width, channels)"),
        (((8, 8, 1), (), 2), {}, "one number of channels"),
        (((8, 8, 1), (3,), 2), {}, "an even number"),
        (((8, 8, 1), (4,), 2), {"blocks": 0}, "a whole number from 1"),
        (((8, 8, 1), (4, 4, 4, 4), 2), {}, "at least one unit on each axis"),
        (((8, 8, 1), (4,), 2), {"kernel": 0}, "a whole number from 1"),
    ],
)
def test_what_is_no_stage_is_refused(given, options, wanted):
    with pytest.raises(byway.BywayError) as found:
        byway.conv_revnet(*given, **options)
    assert wanted in str(found.value)


@pytest.mark.parametrize("kind", ["grownet", "conv_revnet"])
def test_a_kind_without_layers_takes_no_sizes_of_layers(kind):
    task, bp = byway.task("digits"), byway.rule("bp")
    settings = NetSettings(kind=kind)
    assert settings.resolved(task).hidden == ()
    with pytest.raises(byway.BywayError, match=r"leave net\.hidden out"):
        dataclasses.replace(settings, hidden=(7,))(task, bp)
    # As runs of version 0.1 have it.
    old = dataclasses.replace(settings, hidden=tuple(task.suggests.hidden))
    assert old.resolved(task) == settings.resolved(task)
