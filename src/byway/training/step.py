"""One step of learning: f, then g, then optax. A pure function, so it can be scanned, mapped and differentiated."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from byway.core.learner import Learner
from byway.core.rule import Rule, Update
from byway.core.run import Scores, step_of, summed, teach, teach_in_time
from byway.core.signal import Signal
from byway.network.network import Network

# Every source of randomness of a learner is one of these branches of its key, so that all rules that train one seed
# see the same initial weights and the same order of data.
WEIGHTS, GAMMA, ORDER, NOISE = range(4)


class Optimisers(NamedTuple):
    """One optax transformation for the weights, one for the rule's own parameters."""

    theta: optax.GradientTransformation
    gamma: optax.GradientTransformation


def branch(key: Key[Array, ""], which: int, step: Int[Array, ""] | int = 0) -> Key[Array, ""]:
    """The key for one purpose (WEIGHTS, GAMMA, ORDER or NOISE) at one step."""
    return jax.random.fold_in(jax.random.fold_in(key, which), step)


def new_learner(
    rule: Rule, net: Network, optimisers: Optimisers, x: Float[Array, "batch *inputs"], signal: Signal, key: Key[Array, ""]
) -> Learner:
    """A learner at its start: fresh weights, fresh gamma, empty moments.

    Args:
        rule: the learning rule.
        net: the network whose topology it gets; the weights are drawn anew from `key`.
        optimisers: for theta and gamma.
        x: a batch, for its shape alone.
        signal: that batch's signal, for its shape alone.
        key: the learner's key.
    """
    net = net.redraw(branch(key, WEIGHTS))
    gamma = rule.init(net, branch(key, GAMMA))
    state, memory = rule.start(gamma, net, x.shape[0])
    by_step = signal.weight is not None and rule.sees == "step"

    def one_update(x, signal):
        if by_step:
            x, signal = step_of(x, 0), signal.at(0)
        _, record = rule.f(gamma, net, state, x, signal, key)
        return rule.g(gamma, net, memory, record, signal)[1]

    taught: Update = eqx.filter_eval_shape(one_update, x, signal)
    moments = (
        optimisers.theta.init({name: net.theta[name] for name in taught.net}),
        None if taught.gamma is None else optimisers.gamma.init(gamma),
    )
    return Learner(net, gamma, state, memory, moments, jnp.int32(0), key, jnp.int32(-1))


def learn(
    rule: Rule,
    optimisers: Optimisers,
    learner: Learner,
    x: Float[Array, "batch *inputs"],
    signal: Signal,
    score: Callable[[Array, Signal], Scores] = lambda output, signal: {},
    every: int | None = None,
) -> tuple[Learner, Scores]:
    """Learn from one batch: one update, or one for every so many steps of a batch of sequences.

    Args:
        rule: the learning rule.
        optimisers: for theta and gamma.
        learner: the learner.
        x: the inputs.
        signal: their signal.
        score: what to measure of the output that the update came from.
        every: time steps between updates, for a rule that sees one at a time, a divisor of the length; a whole sequence
            by default. With less, what the rule carries was gathered under older weights.

    Returns:
        The learner after it, and the mean of each score and measure.
    """
    key = branch(learner.key, NOISE, learner.step)
    if signal.weight is None or rule.sees != "step":
        state, memory, update, scores = teach(rule, learner.gamma, learner.net, learner.state, learner.memory, x, signal, key, score)
        return _applied(optimisers, learner, update, state, memory), scores
    every = x.shape[1] if every is None else every

    def some(learner, number):
        state, memory, update, scores = teach_in_time(
            rule, learner.gamma, learner.net, learner.state, learner.memory, x, signal, key, score, number * every, every
        )
        return _applied(optimisers, learner, update, state, memory), scores

    # Each sequence starts from rest, and leaves nothing behind but what was learnt.
    state, memory = rule.start(learner.gamma, learner.net, x.shape[0])
    rested = dataclasses.replace(learner, state=state, memory=memory)
    learnt, scores = summed(some, rested, x.shape[1] // every)
    return dataclasses.replace(learnt, state=learner.state, memory=learner.memory, step=learner.step + 1), scores


def _applied(optimisers: Optimisers, learner: Learner, update: Update, state: PyTree, memory: PyTree) -> Learner:
    net, gamma = learner.net, learner.gamma
    theta = {name: net.theta[name] for name in update.net}
    theta_moments, gamma_moments = learner.moments
    # optax mixes its whole-number counts with floats, which strict promotion would refuse.
    with jax.numpy_dtype_promotion("standard"):
        change, theta_moments = optimisers.theta.update(update.net, theta_moments, theta)
        net = net.with_theta(optax.apply_updates(theta, change))
        if update.gamma is not None:
            change, gamma_moments = optimisers.gamma.update(update.gamma, gamma_moments, gamma)
            gamma = optax.apply_updates(gamma, change)
    moments = (theta_moments, gamma_moments)
    return Learner(net, gamma, state, memory, moments, learner.step + 1, learner.key, learner.failed)
