"""Forward-forward: every layer descends a loss of its own, and only that."""

import dataclasses
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np

from byway.core.check import Check
from byway.network.network import Network
from byway.verify.oracle import (
    EXACT,
    Theta,
    activity,
    cross_entropy,
    current,
    gap,
    layered,
    layers,
    learned,
    normalised,
    recorded,
)
from byway.verify.oracle import taught as taught_from_rest

SOURCE = "Hinton 2022"


def checks(rule):
    other = dataclasses.replace(rule, threshold=0.4, peer=0.7, decay=0.6)
    turned = dataclasses.replace(rule, quiet=not rule.quiet)
    even = dataclasses.replace(rule, hard=not rule.hard)
    joined = dataclasses.replace(rule, together=not rule.together)
    return [
        Check(
            "every layer: update = autodiff of its own loss", lambda: _own_loss(rule), EXACT, SOURCE
        ),
        Check("the same with other hyper-parameters", lambda: _own_loss(other), EXACT, SOURCE),
        Check("the same, quiet for the right label", lambda: _own_loss(turned), EXACT, SOURCE),
        Check(
            "the same, the goodness of other layers added and taken as given",
            lambda: _own_loss(joined),
            EXACT,
            "Lorberbom et al. 2023",
        ),
        Check(
            "two classes, other weights above: change of the first update",
            lambda: _leak(rule),
            0.0,
            SOURCE,
        ),
        Check("wrong labels that are right, of 2000", lambda: _right(rule), 0.0, SOURCE),
        Check("the same, each as likely", lambda: _right(even), 0.0, SOURCE),
        Check(
            "g with other weights, the same record: change of updates",
            lambda: _read(rule),
            0.0,
            SOURCE,
        ),
    ]


def _own_loss(rule) -> float:
    net, x, signal, _ = layered(8, 6, 5, 3, phi="relu", norm=True, batch=6)
    draw = np.random.default_rng(3)
    memory = {h.name: jnp.asarray(draw.uniform(size=h.shape)) for h in net.hidden}
    record = recorded(rule, net, x, signal)
    update = learned(rule, net, record, signal, memory=memory).net
    order = layers(2)
    labels = {
        "positive": signal.target,
        "negative": jnp.asarray(np.asarray(record["negative"].post["input"])[:, :3]),
        "neutral": jnp.full((6, 3), 1 / 3),
    }
    # What arrives is taken as given: so the gradient of the sum of all losses is each layer's
    # gradient of its own.
    sent = jax.jit(
        lambda: {
            name: _sent(net.theta, order, jnp.concatenate([y, x[:, 3:]], 1))
            for name, y in labels.items()
        }
    )()

    def loss(theta: Theta):
        total = jnp.mean(
            cross_entropy(
                current(sent["neutral"]["hidden2"], theta["hidden2-output"]), signal.target
            )
        )
        currents = {
            dst: [
                current(sent[name][src], theta[f"{src}-{dst}"]) for name in ("positive", "negative")
            ]
            for src, dst in pairwise(order[:-1])
        }
        for dst, both in currents.items():
            others = [us for name, us in currents.items() if name != dst and rule.together]
            total = total + _layer_loss(rule, both, memory[dst], others)
        return total

    return gap(update, jax.jit(jax.grad(loss))(net.theta))


def _sent(theta, order, x):
    return {layer: normalised(h) for layer, h in activity(theta, order, x, "relu", True).items()}


def _layer_loss(rule, both, memory, others):
    """Logistic losses of both passes, and peer normalisation of the positive one, by the potentials
    "batch units", and by those of the layers that judge with it.
    """
    up, down = both
    theta = rule.threshold * (up.shape[1] + sum(u.shape[1] for u, _ in others))
    given = jax.lax.stop_gradient
    good, bad = (
        jnp.sum(jnp.maximum(u, 0) ** 2, 1)
        + sum(jnp.sum(jnp.maximum(given(other[i]), 0) ** 2, 1) for other in others)
        for i, u in enumerate((up, down))
    )
    sign = -1 if rule.quiet else 1
    logistic = jnp.mean(
        jnp.log(1 + jnp.exp(jnp.concatenate([sign * (theta - good), sign * (bad - theta)])))
    )
    # A relu whose derivative is one everywhere.
    passing = up + jax.lax.stop_gradient(jnp.maximum(up, 0) - up)
    mean = rule.decay * memory + (1 - rule.decay) * jnp.mean(passing, 0)
    return logistic + rule.peer * jnp.mean((jnp.mean(mean) - mean) ** 2)


def _leak(rule) -> float:
    """With two classes the wrong label has no choice, so nothing above can reach the first layer's
    update.
    """
    net, x, signal, _ = layered(8, 6, 5, 2, phi="relu", norm=True)
    first = "input-hidden1"
    before, after = (
        taught_from_rest(rule, n, x, signal)[first] for n in (net, _moved(net, keep=first))
    )
    return gap({first: after}, {first: before})


def _right(rule) -> float:
    net, x, signal, _ = layered(8, 6, 5, 3, phi="relu", norm=True, batch=2000)
    drawn = recorded(rule, net, x, signal)["negative"].post["input"]
    return float(np.sum(np.asarray(drawn)[:, :3] * np.asarray(signal.target)))


def _read(rule) -> float:
    net, x, signal, _ = layered(8, 6, 5, 3, phi="relu", norm=True)
    record = recorded(rule, net, x, signal)
    return gap(*(learned(rule, n, record, signal).net for n in (_moved(net), net)))


def _moved(net: Network, keep: str = "") -> Network:
    return net.with_theta(
        {
            p.name: {"weight": jnp.asarray(3 * np.asarray(p.weight) - 0.1)}
            for p in net.projections
            if p.name != keep
        }
    )
