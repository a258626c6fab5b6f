"""Recurrent forward-forward: what comes from above, and when."""

import jax
import numpy as np
import pytest

import by_hand
import byway
from byway.core.errors import ConfigError, RuleError
from byway.network.builders import mlp, topdown
from byway.rules.local.ff_recurrent import FFRecurrent


def _net():
    return by_hand.with_biases(topdown(8, 6, 5, 3, norm=True))


def test_a_layer_keeps_as_much_of_its_state_as_is_said():
    """With all of it kept nothing changes from one iteration to the next but the first layer's
    answer to the pass up.
    """
    net, rule = _net(), FFRecurrent(stay=1.0, steps=5)
    x, target = by_hand.sample(8, 3)
    _, _, record = by_hand.taught(rule, net, x, target)
    for post in record["both"].post.values():
        steps = np.asarray(post).reshape(5, -1)
        np.testing.assert_array_equal(steps, np.tile(steps[:1], (5, 1)))


def test_the_label_reaches_a_layer_after_as_many_iterations_as_it_lies_below():
    net, rule = _net(), FFRecurrent(steps=3, last=3)
    x, target = by_hand.sample(8, 3)
    _, _, record = by_hand.taught(rule, net, x, target)
    for name, first in (("hidden2", 0), ("hidden1", 1)):
        made = np.asarray(record["both"].post[name]).reshape(3, 2, len(x), -1)
        differs = [not np.array_equal(right, wrong) for right, wrong in made]
        assert differs == [t >= first for t in range(3)]


def test_iterations_that_count_are_those_from_the_first_to_the_last():
    net, (x, _) = _net(), by_hand.sample(8, 3)
    parts = [by_hand.recorded(FFRecurrent(first=t, last=t), net, x, None).output for t in (3, 4, 5)]
    np.testing.assert_allclose(
        by_hand.recorded(FFRecurrent(), net, x, None).output, sum(parts), rtol=1e-12
    )


def test_ways_up_and_down_learn_and_the_input_is_no_one_s_to_change():
    net = byway.graph(
        {"input": 8, "a": 6, "output": 3},
        [("input", "a"), ("a", "output"), ("output", "a"), ("a", "input")],
        norm=True,
    )
    x, target = by_hand.sample(8, 3)
    _, update, _ = by_hand.taught(FFRecurrent(), net, x, target, key=jax.random.key(1))
    assert update.net.keys() == {"input-a", "a-output", "output-a"}


def test_without_a_way_from_above_no_label_comes_in():
    with pytest.raises(RuleError, match="projects to no hidden layer") as caught:
        FFRecurrent().accepts(mlp(8, 6, 3, norm=True))
    assert "topdown" in caught.value.fix


@pytest.mark.parametrize("wrong", [{"first": 6}, {"last": 9}, {"first": 5, "last": 4}])
def test_iterations_that_there_are_not_are_refused(wrong):
    with pytest.raises(ConfigError, match="first <= last <= steps"):
        FFRecurrent(**wrong)
