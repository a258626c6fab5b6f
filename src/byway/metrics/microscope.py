"""The microscope: how the update of each projection compares with the true gradient.

With U the update as the rule hands it to the optimiser and G the true gradient, both of a projection's weights on the
same samples:

    angle             arccos <U, G> / (|U| |G|)                     [degree]
    norm ratio        |U| / |G|                                     1 in backprop
    sign agreement    share of the weights with G != 0 whose U has the sign of G; half of them do by chance
    descent           <U, G> / |U|: how much the loss falls, to first order, for a step of length one along -U
                      [loss per unit of weight]; |G| cos(angle), so never more than the gradient's own, |G|

G is autodiff's gradient of the mean loss of the prediction that the rule makes. For most rules that is backprop's; in time
a prediction is a scan, so it is that of BPTT; for forward-forward it descends the loss of the labels' goodness. Biases are
left out: a handful of numbers of another kind, they would blur what the synapses do.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from byway.core.learner import Learner
from byway.core.rule import Rule
from byway.core.run import predict, teach, teach_in_time
from byway.core.signal import Signal

QUANTITIES = ("angle", "norm_ratio", "sign_agreement", "descent")
Seen = dict[str, dict[str, Array]]


def microscope(rule: Rule, learner: Learner, x: Float[Array, "batch *inputs"], signal: Signal, key: Key[Array, ""]) -> Seen:
    """Compare each projection's update with the true gradient, on one batch of any size.

    Args:
        rule: the rule.
        learner: one learner.
        x: a batch of inputs.
        signal: its signal.
        key: the key of f, the same for both sides.

    Returns:
        By quantity (see the head of this file), by projection that learns; NaN where either side is zero. Nothing where
        there is no true gradient: with a black box in the network, and where autodiff cannot go back through a prediction,
        as through one that settles for as long as it takes.
    """
    true = true_gradient(rule, learner, x, signal, key)
    if true is None:
        return {quantity: {} for quantity in QUANTITIES}
    in_steps = signal.weight is not None and rule.sees == "step"
    state, memory = _at_rest(rule, learner, x.shape[0], in_steps)
    lesson = teach_in_time if in_steps else teach
    _, _, update, _ = lesson(rule, learner.gamma, learner.net, state, memory, x, signal, key, lambda output, signal: {})
    seen = {name: compare(mine["weight"], true[name]) for name, mine in update.net.items()}
    return {quantity: {name: found[quantity] for name, found in seen.items()} for quantity in QUANTITIES}


def true_gradient(
    rule: Rule, learner: Learner, x: Float[Array, "batch *inputs"], signal: Signal, key: Key[Array, ""]
) -> dict[str, Array] | None:
    """The gradient of the prediction's mean loss by the weights of each projection; None where there is none."""
    net = learner.net
    if not net.differentiable:
        return None

    def loss(weights):
        changed = net.with_theta({name: {"weight": weight} for name, weight in weights.items()})
        record = predict(rule, learner.gamma, changed, x, key, signal.weight is not None)
        return jnp.sum(signal.loss(record.output)) / x.shape[0]

    weights = {p.name: p.weight for p in net.projections}
    return jax.grad(loss)(weights) if _has_gradient(loss, weights) else None


def compare(update: Float[Array, "*weights"], gradient: Float[Array, "*weights"]) -> dict[str, Float[Array, ""]]:
    """The four quantities of one projection; all NaN where either side is zero."""
    lengths = jnp.linalg.norm(update.ravel()), jnp.linalg.norm(gradient.ravel())
    u, g = (a / jnp.where(length > 0, length, 1) for a, length in zip((update, gradient), lengths, strict=True))
    # The arc cosine loses half the digits where the two are parallel; this keeps them all (Kahan 2006).
    angle = 2 * jnp.arctan2(jnp.linalg.norm((u - g).ravel()), jnp.linalg.norm((u + g).ravel()))
    there = gradient != 0
    agree = jnp.sum(there & (jnp.sign(update) == jnp.sign(gradient))) / jnp.maximum(jnp.sum(there), 1)
    found = {
        "angle": jnp.degrees(angle),
        "norm_ratio": lengths[0] / lengths[1],
        "sign_agreement": agree.astype(angle.dtype),
        "descent": jnp.sum(u * gradient),
    }
    both = (lengths[0] > 0) & (lengths[1] > 0)
    return {quantity: jnp.where(both, value, jnp.nan) for quantity, value in found.items()}


def _has_gradient(loss: Callable[[PyTree], Array], weights: PyTree) -> bool:
    """Whether autodiff can go back through `loss`: found by tracing, before anything is computed."""
    jax.eval_shape(loss, weights)  # a fault of the prediction itself is raised here
    try:
        jax.eval_shape(jax.grad(loss), weights)
    except (ValueError, NotImplementedError):  # what JAX says of a while-loop or a callback, and of a primitive without a rule
        return False
    return True


def _at_rest(rule: Rule, learner: Learner, batch: int, in_steps: bool) -> tuple[PyTree, PyTree]:
    """The state and memory to teach a batch from: what memory holds of single samples begins anew, the rest is the learner's."""
    state, fresh = rule.start(learner.gamma, learner.net, batch)
    if in_steps:  # a sequence begins with nothing in memory
        return state, fresh
    one, two = (jax.eval_shape(lambda n=n: rule.start(learner.gamma, learner.net, n)[1]) for n in (1, 2))
    memory = jax.tree.map(lambda mine, new, a, b: mine if a.shape == b.shape else new, learner.memory, fresh, one, two)
    return state, memory
