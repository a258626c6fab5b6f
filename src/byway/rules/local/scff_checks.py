"""Self-contrastive forward-forward: each layer's own loss, and sums that stand for two samples side
by side.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from byway.core.check import Check
from byway.rules.local import _unlabelled_checks as unlabelled
from byway.verify.oracle import EXACT, apart, gap, learned, normalised, recorded

SOURCE = "Chen et al. 2025"


def checks(rule):
    other = dataclasses.replace(rule, threshold=0.4, peer=0.7, decay=0.6, quiet=not rule.quiet)
    return [
        *unlabelled.checks(rule, SOURCE),
        Check(
            "the same loss the other way round", lambda: unlabelled.own_loss(other), EXACT, SOURCE
        ),
        Check(
            "negatives: sums of two samples of the batch, normalised",
            lambda: _sums(rule),
            EXACT,
            SOURCE,
        ),
        Check(
            "two samples side by side, one weight for both places: the same update",
            lambda: _side_by_side(rule),
            EXACT,
            SOURCE,
        ),
    ]


def _sums(rule) -> float:
    net, x, signal = unlabelled.problem()
    negative = recorded(rule, net, x, signal)["negative"].post["input"]
    sent = normalised(x)
    return min(apart(negative, sent + np.roll(sent, by, 0)) for by in range(1, len(x)))


def _side_by_side(rule) -> float:
    """A first layer with W for either place, [W; W], of pairs whose sum has the length that it has
    here: autodiff by both places, summed, is the update of W.
    """
    rule = dataclasses.replace(rule, peer=0.0)
    net, x, signal = unlabelled.problem()
    record = recorded(rule, net, x, signal)
    update = learned(rule, net, record, signal).net["input-hidden1"]["weight"]
    flat = np.asarray(normalised(x)).reshape(len(x), -1)
    negative = np.asarray(record["negative"].post["input"]).reshape(len(x), -1)
    other = negative - flat
    length = np.sqrt(np.mean(negative**2, 1, keepdims=True)) + 1e-8
    pairs = {
        "positive": np.concatenate([flat, flat], 1) / 2,
        "negative": np.concatenate([flat, other], 1) / length,
    }
    theta = net.theta["input-hidden1"]
    sign = -1 if rule.quiet else 1

    def loss(two):
        total = jnp.zeros(())
        for name, side in (("positive", 1), ("negative", -1)):
            h = jnp.maximum(jnp.asarray(pairs[name]) @ two + theta["bias"][None], 0)
            wrong = sign * side * (rule.threshold * h.shape[1] - jnp.sum(h**2, 1))
            total = total + jnp.mean(jnp.log(1 + jnp.exp(wrong))) / 2
        return total

    two = jax.jit(jax.grad(loss))(jnp.concatenate([theta["weight"]] * 2))
    n = flat.shape[1]
    return gap({"": {"w": update}}, {"": {"w": two[:n] + two[n:]}})
