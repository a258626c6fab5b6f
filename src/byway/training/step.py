"""One batch learned: f and g of each turn of a rule, then optax. A pure function: it can be scanned, mapped and differentiated."""

import dataclasses
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from byway.core.learner import Learner
from byway.core.rule import Rule, Score, Update, unscored
from byway.core.signal import Signal
from byway.network.network import Network

# Every source of randomness of a learner is one of these branches of its key, so that all rules that train one seed
# see the same initial weights and the same order of data.
WEIGHTS, GAMMA, ORDER, NOISE = range(4)
Scores = dict[str, Array]


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
    memory = rule.end(rule.start(gamma, net, x.shape[0])[1])
    bare = Learner(net, gamma, memory, (), (), jnp.int32(0), key, jnp.int32(-1))
    learns: dict[int, tuple[list[str], list[str] | None]] = {}

    def note(learner: Learner, turn: int, update: Update, scores: Scores) -> Learner:
        learns[turn] = list(update.net), None if update.gamma is None else _named(update.gamma)
        return learner

    eqx.filter_eval_shape(lambda: rule.learn(bare, x, signal, key, note)[0].step)
    moments = []
    for turn in range(len(rule.turns)):
        taught, own = learns[turn]
        theta = optimisers.theta.init({name: net.theta[name] for name in taught})
        moments.append((theta, None if own is None else optimisers.gamma.init(_some(gamma, own))))
    return dataclasses.replace(bare, moments=tuple(moments))


def learn(
    rule: Rule,
    optimisers: Optimisers,
    learner: Learner,
    x: Float[Array, "batch *inputs"],
    signal: Signal,
    score: Score = unscored,
    every: int | None = None,
) -> tuple[Learner, Scores]:
    """Learn from one batch: one update, or one for each turn of the rule and for every so many steps of a batch of sequences.

    Args:
        rule: the learning rule.
        optimisers: for theta and gamma.
        learner: the learner.
        x: the inputs.
        signal: their signal.
        score: what to measure of the output that the update came from.
        every: time steps between updates, for a rule in time, a divisor of the length; a whole sequence by default. With less, what
            the rule carries was gathered under older weights.

    Returns:
        The learner after it, and the mean of each score and measure.
    """

    def optimise(learner: Learner, turn: int, update: Update, scores: Scores) -> Learner:
        return _applied(rule, optimisers, learner, turn, update)

    key = branch(learner.key, NOISE, learner.step)
    learner, scores = rule.learn(learner, x, signal, key, optimise, score, every=every)
    return dataclasses.replace(learner, step=learner.step + 1), scores


def concluded(rule: Rule, learner: Learner) -> Learner:
    """A learner as it is looked at: what the rule does before that (`Rule.conclude`) is done."""
    gamma, net = rule.conclude(learner.gamma, learner.net, learner.memory)
    return dataclasses.replace(learner, gamma=gamma, net=net)


def _applied(rule: Rule, optimisers: Optimisers, learner: Learner, turn: int, update: Update) -> Learner:
    net, gamma = learner.net, learner.gamma
    theta = {name: net.theta[name] for name in update.net}
    theta_moments, gamma_moments = learner.moments[turn]
    # optax mixes its whole-number counts with floats, which strict promotion would refuse.
    with jax.numpy_dtype_promotion("standard"):
        change, theta_moments = optimisers.theta.update(update.net, theta_moments, theta)
        net = net.with_theta(optax.apply_updates(theta, change))
        if update.gamma is not None:
            held = _some(gamma, _named(update.gamma))
            change, gamma_moments = optimisers.gamma.update(update.gamma, gamma_moments, held)
            held: PyTree = optax.apply_updates(held, change)
            gamma = gamma | held if isinstance(gamma, dict) else held
    if update.change:
        theta = net.theta
        net = net.with_theta({name: {k: theta[name][k] + a for k, a in parts.items()} for name, parts in update.change.items()})
    gamma, net = rule.keep(gamma, net)
    moments = (*learner.moments[:turn], (theta_moments, gamma_moments), *learner.moments[turn + 1 :])
    return dataclasses.replace(learner, net=net, gamma=gamma, moments=moments)


def _named(gamma: PyTree) -> list[str]:
    """The entries of an update of gamma; none where gamma is no dict."""
    return list(gamma) if isinstance(gamma, dict) else []


def _some(gamma: PyTree, names: list[str]) -> PyTree:
    """What an update of gamma changes: the entries that it names, or all of it."""
    return {name: gamma[name] for name in names} if isinstance(gamma, dict) else gamma
