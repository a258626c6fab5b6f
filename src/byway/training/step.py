"""One batch learned: f and g of each turn of a rule, then optax. A pure function: it can be
scanned, mapped and differentiated.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, Key

from byway.core.record import Record
from byway.core.signal import Signal
from byway.core.tree import PyTree
from byway.learning.growth import Fresh, Growth
from byway.learning.learner import Learner
from byway.learning.rule import Rule, Score, Update, unscored
from byway.network.network import Network
from byway.network.sparse import FixedFanIn
from byway.training.optimisers import Optimiser, stepped

# Every source of randomness of a learner is one of these branches of its key, so that all rules
# that train one seed see the same initial weights and the same order of data.
WEIGHTS, GAMMA, ORDER, NOISE, GROWTH = range(5)
Scores = dict[str, Array]
# Of each growth policy, by projection, the slots in which it only tries a synapse.
Tried = Sequence[dict[str, Bool[Array, "..."]]]


class Start(NamedTuple):
    """What a learner begins with, where nothing is drawn.

    Attributes:
        net: the network with its weights, wiring and places.
        gamma: the rule's own parameters; None where the rule draws them.
    """

    net: Network
    gamma: PyTree = None


class Optimisers(NamedTuple):
    """One optax transformation for the weights, one for the rule's own parameters."""

    theta: optax.GradientTransformation | Optimiser
    gamma: optax.GradientTransformation | Optimiser


def branch(key: Key[Array, ""], which: int, step: Int[Array, ""] | int = 0) -> Key[Array, ""]:
    """The key for one purpose (WEIGHTS, GAMMA, ORDER, NOISE or GROWTH) at one step."""
    return jax.random.fold_in(jax.random.fold_in(key, which), step)


def new_learner(
    rule: Rule,
    net: Network,
    optimisers: Optimisers,
    x: Float[Array, "batch *inputs"],
    signal: Signal,
    key: Key[Array, ""],
    growth: Sequence[Growth] = (),
    start: Start | None = None,
) -> Learner:
    """A learner at its start: fresh weights, fresh gamma, empty moments.

    Args:
        rule: the learning rule.
        net: the network whose topology it gets; the weights are drawn anew from `key`.
        optimisers: for theta and gamma.
        x: a batch, for its shape alone.
        signal: that batch's signal, for its shape alone.
        key: the learner's key.
        growth: the policies that grow the network.
        start: weights, and perhaps gamma, that are not to be drawn.
    """
    net = net.redraw(branch(key, WEIGHTS)) if start is None else start.net
    gamma = (
        rule.init(net, branch(key, GAMMA)) if start is None or start.gamma is None else start.gamma
    )
    memory = rule.end(rule.start(gamma, net, x.shape[0])[1])
    seen = tuple(policy.start(net) for policy in growth)
    bare = Learner(net, gamma, memory, seen, (), jnp.int32(0), key, jnp.int32(-1))
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
    growth: Sequence[Growth] = (),
) -> tuple[Learner, Scores]:
    """Learn from one batch: one update, or one for each turn of the rule and for every so many
    steps of a batch of sequences.

    Args:
        rule: the learning rule.
        optimisers: for theta and gamma.
        learner: the learner.
        x: the inputs.
        signal: their signal.
        score: what to measure of the output that the update came from.
        every: time steps between updates, for a rule in time, a divisor of the length; a whole
            sequence by default. With less, what the rule carries was gathered under older weights.
        growth: what watches each call of f and g; when each acts is the loop's business.

    Returns:
        The learner after it, and the mean of each score and measure.
    """

    def optimise(learner: Learner, turn: int, update: Update, scores: Scores) -> Learner:
        for policy, seen in zip(growth, learner.seen, strict=True):
            update = policy.taught(seen, update)
        return _applied(rule, optimisers, learner, turn, update, scores)

    def watch(seen: PyTree, net: Network, record: Record, update: Update, signal: Signal) -> PyTree:
        if not (record.phases or update.net or update.change):
            return seen  # a turn that prepares the next one
        both = zip(growth, seen, strict=True)
        return tuple(
            policy.heard(policy.watch(one, net, record, update), net, record, signal)
            for policy, one in both
        )

    key = branch(learner.key, NOISE, learner.step)
    learner, scores = rule.learn(learner, x, signal, key, optimise, score, watch, every)
    seen = learner.seen
    if "loss" in scores:
        both = zip(growth, seen, strict=True)
        seen = tuple(policy.scored(one, scores["loss"]) for policy, one in both)
    return dataclasses.replace(learner, step=learner.step + 1, seen=seen), scores


def concluded(rule: Rule, learner: Learner) -> Learner:
    """A learner as it is looked at: what the rule does before that (`Rule.conclude`) is done."""
    gamma, net = rule.conclude(learner.gamma, learner.net, learner.memory)
    return dataclasses.replace(learner, gamma=gamma, net=net)


def grown(
    growth: Sequence[Growth],
    number: int,
    optimisers: Optimisers,
    learner: Learner,
    done: Float[Array, ""],
) -> Learner:
    """A learner whose network a policy has grown; of weights that began anew nothing is left in
    moments and memory.

    Args:
        growth: the policies.
        number: the place of the one that acts.
        optimisers: for theta and gamma.
        learner: the learner.
        done: the share of the time of growth that has passed.
    """
    key = branch(learner.key, GROWTH, learner.step)
    key = jax.random.fold_in(key, number) if number else key
    both = list(enumerate(zip(growth, learner.seen, strict=True)))
    tried = [one.trials(held) for i, (one, held) in both if i != number]
    memory, net, fresh = growth[number].grow(
        learner.seen[number], _without(learner.net, tried), key, done
    )
    net, fresh = _tried_again(learner.net, net, tried, fresh)
    seen = tuple(memory if i == number else one.told(held, fresh) for i, (one, held) in both)
    moments = tuple(
        (_forgotten(optimisers.theta, theta, net, fresh), gamma) for theta, gamma in learner.moments
    )
    return dataclasses.replace(
        learner, net=net, seen=seen, moments=moments, memory=_renewed(learner.memory, fresh)
    )


def _without(net: Network, tried: Tried) -> Network:
    """A network whose slots are free where something is only tried."""
    for p, mask in _sparse(net, tried):
        net = net.with_structure({p.name: {"index": jnp.where(mask, p.sources, p.index)}})
    return net


def _tried_again(
    before: Network, net: Network, tried: Tried, fresh: Fresh
) -> tuple[Network, Fresh]:
    """A network that has grown, with what was tried in it before, where the slot is still free and
    its unit does not read the same one elsewhere; both ends have to be there. What is not tried any
    more began anew.
    """
    for old, mask in _sparse(before, tried):
        ((p, _),) = _sparse(net, [{old.name: mask}])
        twice = jnp.any(old.index[:, :, None] == p.index[:, None], 2)
        read = net.alive(p.src).at[old.index].get(mode="fill", fill_value=False)
        back = mask & ~p.alive & ~twice & read & net.alive(p.dst)[:, None]
        net = net.with_structure({p.name: {"index": jnp.where(back, old.index, p.index)}})
        parts = fresh.get(p.name, {})
        lost = (mask & ~back) | parts.get("weight", jnp.zeros(mask.shape, bool))
        fresh = fresh | {p.name: parts | {"weight": lost}}
    return net, fresh


def _sparse(net: Network, tried: Tried) -> list[tuple[FixedFanIn, Bool[Array, "..."]]]:
    """The projections in which something is tried, and where."""
    return [
        (p, masks[p.name])
        for masks in tried
        for p in net.projections
        if p.name in masks and isinstance(p, FixedFanIn)
    ]


def _forgotten(
    optimiser: optax.GradientTransformation | Optimiser, moments: PyTree, net: Network, fresh: Fresh
) -> PyTree:
    """An optimiser's state without what it holds of weights that began anew."""
    old = lambda name, part, a: fresh.get(name, {}).get(part, jnp.zeros(a.shape, bool))
    masks = {
        name: {part: old(name, part, a) for part, a in parts.items()}
        for name, parts in net.theta.items()
    }

    def of(state: PyTree) -> PyTree:
        """In a tree of the optimiser's, whatever is shaped like the weights that it trains."""
        if isinstance(state, dict) and state and state.keys() <= masks.keys():
            return {
                name: jax.tree.map(
                    lambda a, new: jnp.where(new, jnp.zeros_like(a), a), state[name], masks[name]
                )
                for name in state
            }
        return state

    return jax.tree.map(of, moments, is_leaf=lambda node: isinstance(node, dict))


def _renewed(memory: PyTree, fresh: Fresh) -> PyTree:
    """A rule's memory without what it holds of each weight that began anew: what lies under its
    projection and part, shaped so.
    """

    def of(path: tuple[Any, ...], a: Array) -> Array:
        names = [getattr(step, "key", None) for step in path]
        for name, parts in fresh.items():
            for part, new in parts.items():
                if name in names and part in names and a.shape[a.ndim - new.ndim :] == new.shape:
                    a = jnp.where(
                        new.reshape((1,) * (a.ndim - new.ndim) + new.shape), jnp.zeros_like(a), a
                    )
        return a

    return jax.tree_util.tree_map_with_path(of, memory)


def _applied(
    rule: Rule, optimisers: Optimisers, learner: Learner, turn: int, update: Update, scores: Scores
) -> Learner:
    net, gamma = learner.net, learner.gamma
    # Some optax transformations ask for it.
    more = {"value": scores["loss"]} if "loss" in scores else {}
    theta = {name: net.theta[name] for name in update.net}
    theta_moments, gamma_moments = learner.moments[turn]
    times = rule.turns[turn][1]
    # optax mixes its whole-number counts with floats, which strict promotion would refuse.
    with jax.numpy_dtype_promotion("standard"):
        change, theta_moments = stepped(
            optimisers.theta, update.net, theta_moments, theta, times, **more
        )
        moved: PyTree = optax.apply_updates(theta, change)
        net = net.with_theta(moved)
        if update.gamma is not None:
            held = _some(gamma, _named(update.gamma))
            change, gamma_moments = stepped(
                optimisers.gamma, update.gamma, gamma_moments, held, times, **more
            )
            held: PyTree = optax.apply_updates(held, change)
            gamma = gamma | held if isinstance(gamma, dict) else held
    if update.change:
        theta = net.theta
        net = net.with_theta(
            {
                name: {k: theta[name][k] + a for k, a in parts.items()}
                for name, parts in update.change.items()
            }
        )
    gamma, net = rule.keep(gamma, net)
    moments = (
        *learner.moments[:turn],
        (theta_moments, gamma_moments),
        *learner.moments[turn + 1 :],
    )
    return dataclasses.replace(learner, net=net, gamma=gamma, moments=moments)


def _named(gamma: PyTree) -> list[str]:
    """The entries of an update of gamma; none where gamma is no dict."""
    return list(gamma) if isinstance(gamma, dict) else []


def _some(gamma: PyTree, names: list[str]) -> PyTree:
    """What an update of gamma changes: the entries that it names, or all of it."""
    return {name: gamma[name] for name in names} if isinstance(gamma, dict) else gamma
