"""How a rule's update compares with the true gradient: the microscope's first lens."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from byway.core.learner import Learner
from byway.core.rule import Rule
from byway.core.run import predict, teach, teach_in_time
from byway.core.signal import Signal


def angles(
    rule: Rule, learner: Learner, x: Float[Array, "batch *inputs"], signal: Signal, key: Key[Array, ""]
) -> dict[str, Float[Array, ""]]:
    """The angle between the weight update of each projection and the true gradient.

    The true gradient is autodiff's, of the mean loss of the prediction that this rule makes (`f` without a signal): for
    most rules the feed-forward output, for forward-forward the goodness of each label.

    Args:
        rule: the rule.
        learner: one learner.
        x: a batch of inputs.
        signal: its signal.
        key: the key of f, the same for both sides.

    Returns:
        By projection that learns, the angle [degree]; NaN where either side is zero. Nothing for a network with black boxes,
        which has no true gradient.
    """
    net, gamma = learner.net, learner.gamma
    if not net.differentiable:
        return {}
    in_time = signal.weight is not None

    def loss(theta):
        record = predict(rule, gamma, net.with_theta(theta), x, key, in_time)
        return jnp.sum(signal.loss(record.output)) / x.shape[0]

    true = jax.grad(loss)(net.theta)
    state, memory = rule.start(gamma, net, x.shape[0])
    lesson = teach_in_time if in_time and rule.sees == "step" else teach
    memory = memory if in_time else learner.memory
    _, _, update, _ = lesson(rule, gamma, net, state, memory, x, signal, key, lambda output, signal: {})
    return {name: _angle(mine["weight"], true[name]["weight"]) for name, mine in update.net.items()}


def _angle(a: Array, b: Array) -> Array:
    cosine = jnp.sum(a * b) / (jnp.linalg.norm(a.ravel()) * jnp.linalg.norm(b.ravel()))
    return jnp.degrees(jnp.arccos(jnp.clip(cosine, -1, 1)))
