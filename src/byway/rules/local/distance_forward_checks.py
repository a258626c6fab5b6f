"""Learning by distance: each layer's own loss by autodiff, and centres that are means."""

import dataclasses
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np

from byway.core.check import Check
from byway.verify.oracle import (
    EXACT,
    activity,
    cross_entropy,
    current,
    gap,
    layered,
    layers,
    learned,
    recorded,
    taught,
)

SOURCE = "Wu et al. 2024"


def checks(rule):
    other = dataclasses.replace(rule, alpha=1.5, margin=0.7)
    return [
        Check(
            "every layer: update = autodiff of its N-pair loss",
            lambda: _own_loss(rule),
            EXACT,
            SOURCE,
        ),
        Check("the same with other hyper-parameters", lambda: _own_loss(other), EXACT, SOURCE),
        Check(
            "a step of the size that moves centres to the means: distance from them",
            lambda: _centres(rule),
            EXACT,
            "mean of a class",
        ),
        Check("other weights above: change of the first update", lambda: _leak(rule), 0.0, SOURCE),
        Check(
            "all centres moved alike: change of updates", lambda: _moved_alike(rule), EXACT, SOURCE
        ),
    ]


def _problem():
    return layered(8, 6, 5, 3, batch=7)


def _gamma(rule, net):
    draw = np.random.default_rng(5)
    return {
        name: jnp.asarray(draw.normal(size=c.shape))
        for name, c in rule.init(net, jax.random.key(7)).items()
    }


def _own_loss(rule) -> float:
    net, x, signal, _ = _problem()
    gamma, order = _gamma(rule, net), layers(2)
    made = activity(net.theta, order, x)
    right = np.argmax(np.asarray(signal.target), 1)

    def loss(theta):
        total = jnp.mean(
            cross_entropy(current(made["hidden2"], theta["hidden2-output"]), signal.target)
        )
        for src, dst in pairwise(order[:-1]):
            h = jnp.tanh(current(made[src], theta[f"{src}-{dst}"]))
            far = jnp.mean((h[:, None, :] - gamma[dst][None]) ** 2, 2)
            for i, y in enumerate(right):
                others = [k for k in range(3) if k != y]
                terms = [
                    jnp.exp(rule.alpha * (rule.margin + far[i, y] - far[i, k])) for k in others
                ]
                total = total + jnp.log(1 + sum(terms)) / len(right)
        return total

    record = recorded(rule, net, x, signal, gamma)
    return gap(learned(rule, net, record, signal, gamma).net, jax.jit(jax.grad(loss))(net.theta))


def _centres(rule) -> float:
    """Their update is their distance from the mean of their class, times its share of the batch."""
    net, x, signal, _ = _problem()
    gamma = _gamma(rule, net)
    record = recorded(rule, net, x, signal, gamma)
    update = learned(rule, net, record, signal, gamma).gamma or {}
    right = np.argmax(np.asarray(signal.target), 1)
    found, wanted = {}, {}
    for name, centre in gamma.items():
        post = np.asarray(record["free"].post[name])
        for k in range(3):
            mine = right == k
            step = np.asarray(update[name])[k]
            if not mine.any():
                found[f"{name}{k}"], wanted[f"{name}{k}"] = {"": step}, {"": np.zeros_like(step)}
                continue
            found[f"{name}{k}"] = {"": np.asarray(centre)[k] - step / mine.mean()}
            wanted[f"{name}{k}"] = {"": post[mine].mean(0)}
    return gap(found, wanted)


def _leak(rule) -> float:
    net, x, signal, _ = _problem()
    gamma, first = _gamma(rule, net), "input-hidden1"
    moved = net.with_theta(
        {
            p.name: {"weight": jnp.asarray(3 * np.asarray(p.weight) - 0.1)}
            for p in net.projections
            if p.name != first
        }
    )
    before, after = (taught(rule, n, x, signal, gamma)[first] for n in (net, moved))
    return gap({first: after}, {first: before})


def _moved_alike(rule) -> float:
    """Activity and centres moved by one vector: no distance has changed."""
    net, x, signal, _ = _problem()
    gamma, by = _gamma(rule, net), 0.7
    record = recorded(rule, net, x, signal, gamma)
    before = learned(rule, net, record, signal, gamma).net
    record["free"].post.update({name: record["free"].post[name] + by for name in gamma})
    after = learned(rule, net, record, signal, {k: c + by for k, c in gamma.items()}).net
    hidden = [name for name in before if not name.endswith("output")]
    return gap({k: after[k] for k in hidden}, {k: before[k] for k in hidden})
