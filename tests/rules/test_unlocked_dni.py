"""Synthetic inputs: layers that run on guesses while they are taught, and on what is sent when they
are asked.
"""

import jax
import jax.numpy as jnp
import numpy as np

import by_hand
from byway.network.builders import mlp
from byway.rules.synthetic.unlocked_dni import UnlockedDNI


def test_a_layer_runs_on_the_guess_and_predicts_on_what_is_sent():
    net = by_hand.with_biases(mlp(6, 5, 4, 3, activation="tanh"))
    x, target = by_hand.sample(6, 3)
    rule, draw = UnlockedDNI(), np.random.default_rng(0)
    gamma = jax.tree.map(
        lambda a: jnp.asarray(draw.normal(size=a.shape)), rule.init(net, jax.random.key(0))
    )
    _, _, record = by_hand.taught(rule, net, x, target, gamma=gamma)
    guess = gamma["input"]["hidden2"]["out"]
    sent = x @ guess["weight"] + guess["bias"][None]
    w = net.theta["hidden2-output"]
    np.testing.assert_allclose(record.output, sent @ w["weight"] + w["bias"][None], rtol=1e-12)
    predicted = rule.predict(gamma, net, x, jax.random.key(0)).output
    np.testing.assert_allclose(predicted, by_hand.mlp_output(net.theta, x, "tanh"), rtol=1e-12)


def test_a_guess_of_inputs_is_corrected_by_what_is_sent():
    """Normalised, if that is how it is sent; by a layer that itself saw a guess."""
    net = by_hand.with_biases(mlp(6, 5, 4, 3, activation="tanh", norm=True))
    x, target = by_hand.sample(6, 3)
    rule, draw = UnlockedDNI(), np.random.default_rng(0)
    gamma = jax.tree.map(
        lambda a: jnp.asarray(draw.normal(size=a.shape)), rule.init(net, jax.random.key(0))
    )
    _, update, _ = by_hand.taught(rule, net, x, target, gamma=gamma)
    seen = by_hand.rms_normalised(x)
    guess = {
        name: seen @ held["out"]["weight"] + held["out"]["bias"][None]
        for name, held in gamma["input"].items()
    }
    for name, w, below in (
        ("hidden1", net.theta["input-hidden1"], seen),
        ("hidden2", net.theta["hidden1-hidden2"], guess["hidden1"]),
    ):
        sent = by_hand.rms_normalised(jnp.tanh(below @ w["weight"] + w["bias"][None]))
        mine = update.gamma["input"][name]["out"]
        np.testing.assert_allclose(
            mine["weight"], seen.T @ (guess[name] - sent) / len(x), rtol=1e-10, atol=1e-14
        )
