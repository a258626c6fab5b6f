"""Synthetic gradients: what layers and predictors learn, by autodiff, and what each reads."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import by_hand
from byway.audit.verdict import audit
from byway.network.builders import mlp
from byway.rules.synthetic.dni import DNI
from byway.rules.synthetic.unlocked_dni import UnlockedDNI


@pytest.mark.parametrize("norm", [False, True])
def test_a_layer_learns_by_its_guess_and_the_guess_by_the_layer_above(norm):
    """Two hidden layers and everything by NumPy and autodiff; what is sent may be normalised."""
    net = by_hand.with_biases(mlp(6, 5, 4, 3, activation="tanh", norm=norm))
    x, target = by_hand.sample(6, 3)
    rule = DNI(conditioned=False)
    draw = np.random.default_rng(0)
    gamma = jax.tree.map(
        lambda a: jnp.asarray(draw.normal(size=a.shape)), rule.init(net, jax.random.key(0))
    )
    send = by_hand.rms_normalised if norm else lambda h: h
    _, update, _ = by_hand.taught(rule, net, x, target, gamma=gamma)
    theta, guess = net.theta, {}
    h, sent = {}, {"input": send(x)}
    for below, name in (("input", "hidden1"), ("hidden1", "hidden2")):
        w = theta[f"{below}-{name}"]

        def layer(w, below=below):
            return send(jnp.tanh(sent[below] @ w["weight"] + w["bias"][None]))

        h[name], back = jax.vjp(layer, w)
        sent[name] = h[name]
        out = gamma[name]["out"]
        guess[name] = h[name] @ out["weight"] + out["bias"][None]
        expected = jax.tree.map(lambda a: a / len(x), back(guess[name])[0])
        assert by_hand.largest_gap({name: update.net[f"{below}-{name}"]}, {name: expected}) < 1e-12
    w = theta["hidden2-output"]
    error = jax.nn.softmax(sent["hidden2"] @ w["weight"] + w["bias"][None]) - target
    wrong = guess["hidden2"] - error @ w["weight"].T
    mine = update.gamma["hidden2"]["out"]
    np.testing.assert_allclose(mine["weight"], h["hidden2"].T @ wrong / len(x), rtol=1e-10)
    np.testing.assert_allclose(mine["bias"], wrong.mean(0), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("rule", [DNI(), UnlockedDNI()], ids=lambda rule: rule.id)
def test_a_layer_reads_no_weight_of_another_and_only_predictors_hear_of_one(rule):
    """What crosses a weight backwards is news for a predictor of gradients, one layer up."""
    verdict = audit(rule, mlp(8, 7, 6, 4))
    assert not any(one.waits_for for one in verdict.updates.values())
    reads = {
        k: [r for r in one.reads if r.startswith("net.")] for k, one in verdict.updates.items()
    }
    assert not any(reads.values())
    hear = {k: [r for r in one.reads if r.startswith("net.")] for k, one in verdict.learned.items()}
    assert all(bool(read) == ("input" not in name) for name, read in hear.items())


def test_without_synthetic_inputs_a_layer_still_depends_on_those_below_and_with_them_on_itself():
    locked, free = (audit(rule, mlp(8, 7, 6, 4)).updates for rule in (DNI(), UnlockedDNI()))
    assert locked["hidden1-hidden2"].depends_on == ["input-hidden1", "hidden1-hidden2"]
    assert all(one.depends_on == [name] for name, one in free.items())


@pytest.mark.parametrize("rule", [DNI, UnlockedDNI])
def test_a_predictor_that_may_not_see_the_target_asks_for_the_error_alone(rule):
    found = audit(rule(conditioned=False), mlp(8, 7, 6, 4))
    assert found.found.signal == {"error"} and not found.disagreements
