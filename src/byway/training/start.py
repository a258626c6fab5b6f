"""What learners begin with where nothing is drawn: the weights of a network, of a learner, or of
each seed of a result.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from byway.core.errors import ConfigError, ShapeError
from byway.core.given import require
from byway.learning.learner import Learner
from byway.learning.rule import Rule
from byway.network.network import Network
from byway.training.result import Result
from byway.training.step import Start


def started(
    given: Network | Learner | Result | None, net: Network, rule: Rule, seeds: Sequence[int]
) -> list[Start] | None:
    """What each learner begins with, or None where all is drawn; weights in the precision of `net`.

    Args:
        given: see `fit`.
        net: the network to be trained; its units are where those of the start are.
        rule: the rule; its own parameters are taken over if they are of its kind, and drawn
            otherwise.
        seeds: the seeds, which those of a result have to be.

    Raises:
        ShapeError: the weights are of another network.
        ConfigError: they are not finite, or a result is of other seeds.
    """
    if given is None:
        return None
    require(
        (Network, Learner, Result),
        "start",
        given,
        "a network, a learner or a result",
        "leave it out for weights that are drawn",
    )
    if isinstance(given, Result):
        if list(given.seeds) != list(seeds):
            raise ConfigError(
                f"start = a result of the seeds {given.seeds}",
                f"one of the seeds {list(seeds)}, which each begin with their own",
                "give result.learner(0) for all of them, or train the same seeds",
            )
        return [_one(given.learner(i), net, rule) for i in range(len(seeds))]
    return [_one(given, net, rule)] * len(seeds)


def _one(given: Network | Learner, net: Network, rule: Rule) -> Start:
    held = given if isinstance(given, Network) else given.net
    for kind, mine, theirs in (
        ("weights", net.theta, held.theta),
        ("wiring", net.structure, held.structure),
    ):
        if _shapes(mine) != _shapes(theirs):
            raise ShapeError(
                f"start with {kind} of {_shapes(theirs)}",
                str(_shapes(mine)),
                "start from a network of the same shape",
            )
    if not all(np.isfinite(a).all() for a in jax.tree.leaves(held.theta)):
        raise ConfigError(
            "start with weights that are not finite",
            "those of a run that did not fail",
            "start from another",
        )
    theta = jax.tree.map(
        lambda mine, theirs: jnp.asarray(theirs, mine.dtype), net.theta, held.theta
    )
    net = net.as_learnt(False).with_theta(theta).with_structure(held.structure)
    # Units may have moved, each seed's its own way.
    mine = {p.name: p.position for p in net.populations}
    moved = {
        p.name: jnp.asarray(p.position, mine[p.name].dtype)
        for p in held.populations
        if p.name in mine and p.position.shape == mine[p.name].shape
    }
    net = net.with_positions(moved)
    return Start(net, _gamma(given, net, rule))


def _gamma(given: Network | Learner, net: Network, rule: Rule) -> Any:
    """A learner's own parameters, if they are such as this rule has."""
    if isinstance(given, Network):
        return None
    wanted = jax.eval_shape(lambda: rule.init(net, jax.random.key(0)))
    alike = jax.tree.structure(wanted) == jax.tree.structure(given.gamma) and _shapes(
        wanted
    ) == _shapes(given.gamma)
    return (
        jax.tree.map(lambda a, mine: jnp.asarray(mine, a.dtype), wanted, given.gamma)
        if alike
        else None
    )


def _shapes(tree: Any) -> dict[str, tuple[int, ...]]:
    """The shapes in a tree, by their places."""
    return {
        jax.tree_util.keystr(path, simple=True, separator="."): a.shape
        for path, a in jax.tree_util.tree_leaves_with_path(tree)
    }
