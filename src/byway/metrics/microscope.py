"""The microscope: how the update of each projection compares with the true gradient.

With U the update as the rule hands it to the optimiser and G the true gradient, both of a
projection's weights on the same samples:

    angle             arccos <U, G> / (|U| |G|)                     [degree]
    norm ratio        |U| / |G|                                     1 in backprop
    sign agreement    share of the weights with G != 0 whose U has the sign of G; half of them do by
                      chance
    descent           <U, G> / |U|: how much the loss falls, to first order, for a step of length
                      one along -U [loss per unit of weight]; |G| cos(angle), so never more than the
                      gradient's own, |G|

G is autodiff's gradient of the mean loss of the prediction that the rule makes. For most rules that
is backprop's; in time a prediction is a scan, so it is that of BPTT; for forward-forward it
descends the loss of the labels' goodness. Biases are left out: a handful of numbers of another
kind, they would blur what the synapses do.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from byway.core.metric import LogScale, Metric, Scale, SignedLogScale
from byway.core.signal import Signal
from byway.core.tree import PyTree
from byway.learning.learner import Learner
from byway.learning.rule import Carry, Rule
from byway.network.network import Network

ANGLE = Metric(
    "angle",
    "angle to the true gradient",
    unit="°",
    higher=False,
    best=0.0,
    meaning=(
        "Which way the update points. At 0° the rule is gradient descent; below 90° (dotted) a "
        "small step still lowers the loss; at 90° the update has nothing to do with the gradient."
    ),
    level=90.0,
    axis=Scale(0.0, 120.0),
    column=True,
)
NORM_RATIO = Metric(
    "norm_ratio",
    "norm ratio",
    meaning=(
        "How long the update is beside the gradient, |update| / |gradient|: 1 (dotted) in "
        "backprop. A ratio that drifts acts like a learning rate that drifts; Adam evens it out, "
        "plain gradient descent does not."
    ),
    level=1.0,
    axis=LogScale(0.5, 2.0),
)
SIGN_AGREEMENT = Metric(
    "sign_agreement",
    "sign agreement",
    unit="%",
    scale=100.0,
    best=1.0,
    meaning=(
        "The share of weights that the update pushes the same way as the gradient, where there is "
        "one. By chance it is 50 % (dotted)."
    ),
    level=0.5,
    axis=Scale(40.0, 100.0),
)
DESCENT = Metric(
    "descent",
    "descent per unit of update",
    meaning=(
        "How much the loss falls, to first order, for a step of length one along this update: "
        "⟨update, gradient⟩ / |update|. Never more than |gradient|, which backprop reaches; below "
        "zero (dotted) the loss rises. It shrinks as learning levels off. Each rule is measured at "
        "its own weights and on its own loss: that of forward-forward’s goodness has another scale."
    ),
    level=0.0,
    axis=SignedLogScale(0.0, 0.0),
)
QUANTITIES = (ANGLE, NORM_RATIO, SIGN_AGREEMENT, DESCENT)
Seen = dict[str, dict[str, Array]]


def microscope(
    rule: Rule,
    learner: Learner,
    x: Float[Array, "batch *inputs"],
    signal: Signal,
    key: Key[Array, ""],
) -> Seen:
    """Compare each projection's update with the true gradient, on one batch of any size.

    Args:
        rule: the rule.
        learner: one learner.
        x: a batch of inputs.
        signal: its signal.
        key: the key of f, the same for both sides.

    Returns:
        By quantity (see the head of this file), by projection that learns; NaN where either side is
        zero. Nothing where there is no true gradient: with a black box in the network, and where
        autodiff cannot go back through a prediction, as through one that settles for as long as it
        takes.
    """
    true = true_gradient(rule, learner, x, signal, key)
    if true is None:
        return {metric.name: {} for metric in QUANTITIES}
    update = taught(rule, learner, x, signal, key)
    looked_at = _looked_at(learner.net)
    seen = {
        name: compare(mine[looked_at[name]], true[name]) for name, mine in update.items() if mine
    }
    return {
        metric.name: {name: found[metric.name] for name, found in seen.items()}
        for metric in QUANTITIES
    }


def true_gradient(
    rule: Rule,
    learner: Learner,
    x: Float[Array, "batch *inputs"],
    signal: Signal,
    key: Key[Array, ""],
) -> dict[str, Array] | None:
    """The gradient of the prediction's mean loss by the weights of each projection, or by the bias
    of one that has no more; None where there is none.
    """
    net = learner.net
    looked_at = _looked_at(net)
    if not net.differentiable:
        return None

    def loss(weights):
        changed = net.with_theta({name: {looked_at[name]: a} for name, a in weights.items()})
        record = rule.predict(learner.gamma, changed, x, key, signal.weight is not None)
        return jnp.sum(signal.loss(record.output)) / x.shape[0]

    weights = {name: net.theta[name][part] for name, part in looked_at.items()}
    return jax.grad(loss)(weights) if _has_gradient(loss, weights) else None


def _looked_at(net: Network) -> dict[str, str]:
    """The part of each projection that is compared: its weight, or its bias where that is all."""
    return {p.name: next(iter(p.theta)) for p in net.projections if p.theta}


def compare(
    update: Float[Array, "*weights"], gradient: Float[Array, "*weights"]
) -> dict[str, Float[Array, ""]]:
    """The four quantities of one projection; all NaN where either side is zero."""
    lengths = jnp.linalg.norm(update.ravel()), jnp.linalg.norm(gradient.ravel())
    u, g = (
        a / jnp.where(length > 0, length, 1)
        for a, length in zip((update, gradient), lengths, strict=True)
    )
    # The arc cosine loses half the digits where the two are parallel; this keeps them all (Kahan
    # 2006).
    angle = 2 * jnp.arctan2(jnp.linalg.norm((u - g).ravel()), jnp.linalg.norm((u + g).ravel()))
    there = gradient != 0
    agree = jnp.sum(there & (jnp.sign(update) == jnp.sign(gradient))) / jnp.maximum(
        jnp.sum(there), 1
    )
    found = {
        "angle": jnp.degrees(angle),
        "norm_ratio": lengths[0] / lengths[1],
        "sign_agreement": agree.astype(angle.dtype),
        "descent": jnp.sum(u * gradient),
    }
    both = (lengths[0] > 0) & (lengths[1] > 0)
    return {quantity: jnp.where(both, value, jnp.nan) for quantity, value in found.items()}


def _has_gradient(loss: Callable[[PyTree], Array], weights: PyTree) -> bool:
    """Whether autodiff can go back through `loss`: found by tracing, before anything is
    computed.
    """
    jax.eval_shape(loss, weights)  # a fault of the prediction itself is raised here
    try:
        jax.eval_shape(jax.grad(loss), weights)
    except (
        ValueError,
        NotImplementedError,
    ):
        # What JAX says of a while-loop or a callback, and of a primitive without a rule.
        return False
    return True


def taught(
    rule: Rule,
    learner: Learner,
    x: Float[Array, "batch *inputs"],
    signal: Signal,
    key: Key[Array, ""],
) -> dict[str, PyTree]:
    """What the turns of a rule hand to the optimiser for one batch, by projection, all on the same
    weights; arguments as `microscope`.

    Of a raw change, which is added, the negative. What memory holds of single samples begins anew,
    the rest is the learner's.
    """
    gamma, net = learner.gamma, learner.net
    total: dict[str, PyTree] = {}
    batch, sequences = x.shape[0], rule.in_time and signal.weight is not None
    state, memory = rule.begin(gamma, net, batch, _at_rest(rule, learner, batch))
    for number, (pair, times) in enumerate(rule.turns):
        for i in range(times):
            carry, update, _ = rule.teach(
                pair, gamma, net, Carry(state, memory, ()), x, signal, rule.key_of(key, number, i)
            )
            state, memory = carry.state, carry.memory
            if sequences:  # which every turn goes through from rest
                state, memory = rule.begin(gamma, net, batch, rule.end(memory))
            for sign, changes in ((1, update.net), (-1, update.change)):
                for name, parts in changes.items():
                    mine = jax.tree.map(lambda a, sign=sign: sign * a, parts)
                    total[name] = (
                        jax.tree.map(jnp.add, total[name], mine) if name in total else mine
                    )
    return total


def _at_rest(rule: Rule, learner: Learner, batch: int) -> PyTree:
    """What lasted of a learner's memory, for a batch of another size."""
    fresh = rule.end(rule.start(learner.gamma, learner.net, batch)[1])
    one, two = (
        jax.eval_shape(lambda n=n: rule.end(rule.start(learner.gamma, learner.net, n)[1]))
        for n in (1, 2)
    )
    return jax.tree.map(
        lambda mine, new, a, b: mine if a.shape == b.shape else new, learner.memory, fresh, one, two
    )
