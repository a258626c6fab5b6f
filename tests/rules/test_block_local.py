"""Block-local learning: where blocks end, what they send and what they learn by, in NumPy and by
autodiff of losses written down again.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import by_hand
from byway.audit.verdict import audit
from byway.network.builders import convnet, mlp
from byway.rules.synthetic.block_local import BlockLocal

SIGMA, SPREAD = 0.4, 0.7


def _taught(norm=False, block=2):
    net = by_hand.with_biases(mlp(6, 5, 7, 4, 3, activation="tanh", norm=norm))
    x, target = by_hand.sample(6, 3)
    rule = BlockLocal(block=block, sigma=SIGMA, spread=SPREAD)
    gamma = rule.init(net, jax.random.key(5))
    return net, x, target, gamma, by_hand.taught(rule, net, x, target, gamma=gamma)


@pytest.mark.parametrize(
    "block, read, ends",
    [
        (1, (-1,), ["hidden1", "hidden2", "hidden3", "hidden4"]),
        (2, (-1,), ["hidden2", "hidden4"]),
        (3, (-1,), ["hidden3", "hidden4"]),
        (9, (-1,), ["hidden4"]),
        (3, (0, -1), ["hidden1", "hidden3", "hidden4"]),
    ],
)
def test_a_message_comes_to_all_that_a_block_sends_out(block, read, ends):
    """Also to a layer in the middle of a block that the output reads."""
    net = mlp(6, 5, 5, 5, 5, 3, readout_from=read)
    gamma = BlockLocal(block=block).init(net, jax.random.key(0))
    assert sorted(gamma) == ends
    assert gamma[ends[0]]["weight"].shape == (3, 5)


def test_what_is_sent_lies_between_activity_and_message():
    """By the product of two Gaussians; noise of that variance, and not of the activity's."""
    net, x, target, gamma, _ = _taught()
    rule = BlockLocal(sigma=SIGMA, spread=SPREAD)
    many, told = (jnp.tile(a[:1], (20_000, 1)) for a in (x, target))
    _, _, record = by_hand.taught(rule, net, many, told, gamma=gamma)
    h = np.asarray(record["known"].post["hidden2"])[0]
    m = np.asarray(target @ gamma["hidden2"]["weight"] + gamma["hidden2"]["bias"][None])[0]
    sent = np.asarray(record["known"].pre["hidden2-hidden3"])
    variance = 1 / (1 / SIGMA**2 + 1 / SPREAD**2)
    mean = variance * (h / SIGMA**2 + m / SPREAD**2)
    np.testing.assert_allclose(sent.mean(0), mean, atol=5 * np.sqrt(variance / len(many)))
    np.testing.assert_allclose(sent.var(0), variance, rtol=5 * np.sqrt(2 / len(many)))


@pytest.mark.parametrize(
    "norm, block, read", [(False, 2, (-1,)), (True, 2, (-1,)), (False, 3, (0, -1))]
)
def test_a_block_learns_by_its_own_loss_alone(norm, block, read):
    """The loss of each block by autodiff, what it reads of others given; a layer in its middle that
    the output reads sends the same on inside.
    """
    net = by_hand.with_biases(mlp(6, 5, 7, 4, 3, activation="tanh", norm=norm, readout_from=read))
    x, target = by_hand.sample(6, 3)
    rule = BlockLocal(block=block, sigma=SIGMA, spread=SPREAD)
    gamma = rule.init(net, jax.random.key(5))
    _, update, record = by_hand.taught(rule, net, x, target, gamma=gamma)
    send = by_hand.rms_normalised if norm else lambda h: h
    message = {n: target @ m["weight"] + m["bias"][None] for n, m in gamma.items()}
    gain = SIGMA**2 / (SIGMA**2 + SPREAD**2)
    noise = {
        n: record["known"].injected[n] - gain * (m - record["known"].post[n])
        for n, m in message.items()
    }
    number = {"input": 0, "hidden1": 0, "hidden2": 1, "hidden3": 2, "output": 9}
    same = lambda src, dst: (
        src == "input" or (dst != "output" and number[src] // block == number[dst] // block)
    )

    def loss(theta):
        sent, total = {"input": x}, 0.0
        for name in ("hidden1", "hidden2", "hidden3", "output"):
            u = 0.0
            for src in [p.src for p in net.projections if p.dst == name]:
                w, h = theta[f"{src}-{name}"], sent[src]
                h = h if same(src, name) else jax.lax.stop_gradient(h)
                u = u + send(h) @ w["weight"] + w.get("bias", jnp.zeros(1))[None]
            sent[name] = u if name == "output" else jnp.tanh(u)
            if name in message:
                h, m = sent[name], message[name]
                total += jnp.sum((h - m) ** 2, 1) / 2 / (SIGMA**2 + SPREAD**2)
                sent[name] = h + gain * (m - h) + noise[name]
        cost = -jnp.sum(target * jax.nn.log_softmax(sent["output"]), 1)
        return jnp.mean(total + cost)

    assert by_hand.largest_gap(update.net, jax.grad(loss)(net.theta)) < 1e-12


def test_feature_maps_are_compared_place_by_place():
    """The last convolution of a block: its kernels learn by autodiff of how far they are apart."""
    net, (x, target) = convnet((6, 6, 2), (3, 4), 3), by_hand.sample((6, 6, 2), 3)
    rule = BlockLocal(block=1, sigma=SIGMA, spread=SPREAD)
    gamma = rule.init(net, jax.random.key(5))
    _, update, record = by_hand.taught(rule, net, x, target, gamma=gamma)
    maps, kernels = net["conv2"], net.projections[1]
    m = (target @ gamma["conv2"]["weight"]).reshape(-1, *maps.shape)

    def loss(theta):
        u = kernels.with_theta(theta).forward(record["known"].pre[kernels.name])
        apart = jnp.sum((maps.activate(u) - m) ** 2, (1, 2, 3))
        return jnp.mean(apart) / 2 / (SIGMA**2 + SPREAD**2)

    true = jax.grad(loss)(kernels.theta)
    assert by_hand.largest_gap({"w": update.net[kernels.name]}, {"w": true}) < 1e-12


@pytest.mark.parametrize("norm", [False, True])
def test_a_message_learns_to_agree_and_to_serve_the_block_above(norm):
    net, x, target, gamma, (_, update, record) = _taught(norm)
    send = by_hand.rms_normalised if norm else lambda h: h
    known, gain = record["known"], SIGMA**2 / (SIGMA**2 + SPREAD**2)
    message = {n: target @ m["weight"] + m["bias"][None] for n, m in gamma.items()}
    apart = {n: (known.post[n] - m) / (SIGMA**2 + SPREAD**2) for n, m in message.items()}
    sent = {n: known.post[n] + known.injected[n] for n in gamma}
    current = lambda z, name: send(z) @ net.theta[name]["weight"] + net.theta[name]["bias"][None]
    _, up = jax.vjp(lambda z: jnp.tanh(current(z, "hidden2-hidden3")), sent["hidden2"])
    output, out = jax.vjp(lambda z: current(z, "hidden3-output"), sent["hidden3"])
    owed = {
        "hidden2": up(apart["hidden3"])[0],
        "hidden3": out(jax.nn.softmax(output) - target)[0],
    }
    for name in gamma:
        wrong = gain * (owed[name] - apart[name])
        mine = update.gamma[name]
        np.testing.assert_allclose(mine["weight"], target.T @ wrong / len(x), rtol=1e-10)
        np.testing.assert_allclose(mine["bias"], wrong.mean(0), rtol=1e-10, atol=1e-14)


def test_it_predicts_without_noise_and_without_messages():
    net, x, _, gamma, _ = _taught()
    predicted = BlockLocal().predict(gamma, net, x, jax.random.key(0)).output
    np.testing.assert_allclose(predicted, by_hand.mlp_output(net.theta, x, "tanh"), rtol=1e-12)


def test_fixed_messages_stay_and_layers_learn_what_they_would():
    net, x, target, gamma, (_, update, _) = _taught()
    rule = BlockLocal(sigma=SIGMA, spread=SPREAD, fixed=True)
    _, fixed, _ = by_hand.taught(rule, net, x, target, gamma=gamma)
    assert fixed.gamma is None
    assert by_hand.largest_gap(fixed.net, update.net) == 0


@pytest.mark.parametrize(
    "block, fixed, transport, locking",
    [(1, True, "no", "no"), (1, False, "yes", "no"), (2, True, "yes", "yes")],
)
def test_its_claims_go_with_its_options(block, fixed, transport, locking):
    """And the audit of four hidden layers bears them out."""
    rule = BlockLocal(block=block, fixed=fixed)
    verdict = audit(rule, mlp(8, 7, 6, 5, 7, 4))
    assert not verdict.disagreements
    assert (rule.claimed.transport, rule.claimed.locking) == (transport, locking)
    assert (verdict.found.transport, verdict.found.locking) == (transport, locking)
