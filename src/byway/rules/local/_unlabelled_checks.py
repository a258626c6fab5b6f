"""What holds of every rule of forward-forward without labels: each layer descends a loss of its
own, and only that.
"""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np

from byway.core.check import Check
from byway.core.signal import LOSSES, Signal
from byway.network.builders import mlp
from byway.network.network import Network
from byway.verify.oracle import (
    EXACT,
    Theta,
    activity,
    cross_entropy,
    current,
    drawn,
    gap,
    layers,
    learned,
    normalised,
    recorded,
    samples,
    taught,
)

ORDER = layers(2)


def checks(rule, source: str) -> list[Check]:
    """Those, of a rule with any hyper-parameters."""
    return [
        Check(
            "every layer: update = autodiff of its own loss", lambda: own_loss(rule), EXACT, source
        ),
        Check("other weights above: change of the first update", lambda: _leak(rule), 0.0, source),
        Check(
            "g with other weights, the same record: change of updates",
            lambda: _read(rule),
            0.0,
            source,
        ),
    ]


def problem(batch: int = 6, side: int = 4) -> tuple[Network, jax.Array, Signal]:
    """A network for images, some of them, and their signal."""
    net = drawn(mlp, (side, side, 1), 6, 5, 3, activation="relu", norm=True)
    x, target = samples((batch, side, side, 1), 3)
    return net, x, Signal(target, LOSSES["cross_entropy"])


def own_loss(rule) -> float:
    """How far each layer's update is from the gradient of its own loss."""
    net, x, signal = problem()
    draw = np.random.default_rng(3)
    memory = {h.name: jnp.asarray(draw.uniform(size=h.shape)) for h in net.hidden}
    record = recorded(rule, net, x, signal)
    update = learned(rule, net, record, signal, memory=memory).net
    # What arrives is taken as given: so the gradient of the sum of all losses is each layer's
    # gradient of its own.
    sent = {
        name: {
            layer: normalised(h)
            for layer, h in activity(net.theta, ORDER, z, "relu", norm=True).items()
        }
        for name, z in (("positive", x), ("negative", record["negative"].post["input"]))
    }

    def loss(theta: Theta):
        output = current(sent["positive"]["hidden2"], theta["hidden2-output"])
        total = jnp.mean(cross_entropy(output, signal.target))
        for src, dst in pairwise(ORDER[:-1]):
            up, down = (
                current(sent[name][src], theta[f"{src}-{dst}"]) for name in ("positive", "negative")
            )
            total = total + _layer_loss(rule, up, down, memory[dst])
        return total

    return gap(update, jax.jit(jax.grad(loss))(net.theta))


def _layer_loss(rule, up, down, memory):
    """Logistic losses of both passes, and peer normalisation of the positive one, by the potentials
    "batch units".
    """
    theta, sign = rule.threshold * up.shape[1], -1 if rule.quiet else 1
    good, bad = (jnp.sum(jnp.maximum(u, 0) ** 2, 1) for u in (up, down))
    wrong = jnp.concatenate([sign * (theta - good), sign * (bad - theta)])
    # A relu whose derivative is one everywhere.
    passing = up + jax.lax.stop_gradient(jnp.maximum(up, 0) - up)
    mean = rule.decay * memory + (1 - rule.decay) * jnp.mean(passing, 0)
    return jnp.mean(jnp.log(1 + jnp.exp(wrong))) + rule.peer * jnp.mean(
        (jnp.mean(mean) - mean) ** 2
    )


def _leak(rule) -> float:
    net, x, signal = problem()
    first = "input-hidden1"
    before, after = (taught(rule, n, x, signal)[first] for n in (net, _moved(net, keep=first)))
    return gap({first: after}, {first: before})


def _read(rule) -> float:
    net, x, signal = problem()
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
