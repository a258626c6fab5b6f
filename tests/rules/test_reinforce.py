"""REINFORCE: what is drawn, by whom, and what is not."""

import jax
import jax.numpy as jnp
import numpy as np

from byway.core.signal import CrossEntropy, Signal
from byway.network.builders import mlp
from byway.rules.perturbation.reinforce import Reinforce
from byway.verify.oracle import recorded

X = jax.random.normal(jax.random.key(1), (40, 6))
SIGNAL = Signal(jnp.eye(3)[jnp.arange(40) % 3], CrossEntropy())


def test_hidden_units_fire_or_do_not_and_the_output_is_what_it_is():
    net = mlp(6, 30, 30, 3, activation="sigmoid")
    record = recorded(Reinforce(), net, X, SIGNAL)
    for name in ("hidden1", "hidden2"):
        assert {*np.unique(record["fired"].post[name])} == {0.0, 1.0}
    assert np.unique(record["fired"].post["output"]).size == 120


def test_layers_of_one_size_have_chance_of_their_own():
    """Independent draws correlate by less than 4 / root n; noise of one key would be the same."""
    net = mlp(6, 300, 300, 3, activation="sigmoid")
    noise = recorded(Reinforce(), net, X, SIGNAL)["fired"].injected
    one, two = (np.asarray(noise[name]).ravel() for name in ("hidden1", "hidden2"))
    assert abs(np.corrcoef(one, two)[0, 1]) < 4 / np.sqrt(one.size)


def test_what_it_predicts_and_is_measured_against_knows_nothing_of_chance():
    """The baseline is the loss of the prediction, and that is the same for any key."""
    net = mlp(6, 30, 3, activation="sigmoid")
    one, two = (recorded(Reinforce(), net, X, SIGNAL, None, key) for key in (0, 1))
    np.testing.assert_array_equal(one.output, two.output)
    assert not np.array_equal(one["fired"].post["hidden1"], two["fired"].post["hidden1"])
    np.testing.assert_array_equal(one.output, recorded(Reinforce(), net, X, None).output)


def test_each_draw_belongs_to_its_sample():
    """A unit that is all but sure to fire for some samples, and not for others, does so in every
    draw.
    """
    net = mlp(6, 5, 3, activation="sigmoid", key=3)
    theta = {"input-hidden1": {"weight": 40 * net.theta["input-hidden1"]["weight"]}}
    net = net.with_theta(theta)
    record = recorded(Reinforce(draws=3), net, X, SIGNAL)
    sure = np.abs(np.asarray(record["mean"].u["hidden1"])) > 15
    assert sure.mean() > 0.3
    for fired in np.asarray(record["fired"].post["hidden1"]).reshape(3, 40, 5):
        np.testing.assert_array_equal(
            fired[sure], np.asarray(record["mean"].u["hidden1"])[sure] > 0
        )
