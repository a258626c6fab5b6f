"""SymBa: every layer descends the loss of a difference, which knows no threshold."""

import dataclasses
from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from byway.core.check import Check
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
    taught,
)

SOURCE = "Lee and Song 2023"


def checks(rule):
    other = dataclasses.replace(rule, alpha=1.5, pattern=0.3)
    return [
        Check(
            "every layer: update = autodiff of its own loss", lambda: _own_loss(rule), EXACT, SOURCE
        ),
        Check("the same with other hyper-parameters", lambda: _own_loss(other), EXACT, SOURCE),
        Check(
            "goodness of both labels raised alike: change of updates",
            lambda: _raised(rule),
            EXACT,
            SOURCE,
        ),
        Check("wrong labels that are right, of 2000", lambda: _right(rule), 0.0, SOURCE),
        Check("other weights above: change of the first update", lambda: _leak(rule), 0.0, SOURCE),
        Check("prediction = goodness of each label, by hand", lambda: _read(rule), EXACT, SOURCE),
    ]


def _inputs(rule, gamma, x, label):
    return normalised(x) + rule.pattern * label @ gamma


def _own_loss(rule) -> float:
    net, x, signal, _ = layered(8, 6, 5, 3, phi="relu", norm=True, batch=6)
    gamma, order = rule.init(net, jax.random.key(7)), layers(2)
    record = recorded(rule, net, x, signal)
    update = learned(rule, net, record, signal).net
    neutral = jnp.full((6, 3), 1 / 3)
    inputs = {
        "positive": _inputs(rule, gamma, x, signal.target),
        "neutral": _inputs(rule, gamma, x, neutral),
        "negative": record["negative"].post["input"],
    }
    sent = jax.jit(
        lambda: {
            name: {
                layer: normalised(h)
                for layer, h in activity(net.theta, order, z, "relu", norm=True).items()
            }
            for name, z in inputs.items()
        }
    )()

    def loss(theta: Theta):
        output = current(sent["neutral"]["hidden2"], theta["hidden2-output"])
        total = jnp.mean(cross_entropy(output, signal.target))
        for src, dst in pairwise(order[:-1]):
            good, bad = (
                jnp.mean(jnp.maximum(current(sent[name][src], theta[f"{src}-{dst}"]), 0) ** 2, 1)
                for name in ("positive", "negative")
            )
            total = total + jnp.mean(jnp.log(1 + jnp.exp(-rule.alpha * (good - bad)))) / 2
        return total

    return gap(update, jax.jit(jax.grad(loss))(net.theta))


def _raised(rule) -> float:
    """One unit is as active for both labels, silent or loud: G differs by as much in both, and what
    the other units learn stays as it was.
    """
    net, x, signal, _ = layered(8, 6, 5, 3, phi="relu", norm=True)
    record, found = recorded(rule, net, x, signal), []
    for level in (0.0, 3.0):
        made = record
        for name in ("positive", "negative"):
            of = lambda r, name=name: r[name].post["hidden1"]
            made = eqx.tree_at(of, made, of(made).at[:, 0].set(level))
        found.append(learned(rule, net, made, signal).net["input-hidden1"]["weight"][:, 1:])
    quiet, loud = found
    return gap({"": {"": loud}}, {"": {"": quiet}})


def _right(rule) -> float:
    net, x, signal, _ = layered(8, 6, 5, 3, phi="relu", norm=True, batch=2000)
    gamma = rule.init(net, jax.random.key(7))
    drawn = recorded(rule, net, x, signal)["negative"].post["input"]
    right = _inputs(rule, gamma, x, signal.target)
    return float(np.sum(np.max(np.abs(np.asarray(drawn - right)), 1) < 1e-6))


def _leak(rule) -> float:
    net, x, signal, _ = layered(8, 6, 5, 3, phi="relu", norm=True)
    first = "input-hidden1"
    moved = net.with_theta(
        {
            p.name: {"weight": jnp.asarray(3 * np.asarray(p.weight) - 0.1)}
            for p in net.projections
            if p.name != first
        }
    )
    before, after = (taught(rule, n, x, signal)[first] for n in (net, moved))
    return gap({first: after}, {first: before})


def _read(rule) -> float:
    net, x, _, _ = layered(8, 6, 5, 3, phi="relu", norm=True)
    gamma, order = rule.init(net, jax.random.key(7)), layers(2)

    def good(label):
        z = _inputs(rule, gamma, x, jnp.broadcast_to(label[None], (len(x), 3)))
        made = activity(net.theta, order, z, "relu", norm=True)
        return jnp.sum(made["hidden2"] ** 2, 1)

    wanted = jax.jit(lambda: jnp.stack([good(label) for label in jnp.eye(3)], 1))()
    return gap({"": {"": recorded(rule, net, x, None).output}}, {"": {"": wanted}})
