"""Before anything is timed: do the contestants do the same arithmetic?"""

import jax
import jax.numpy as jnp

from benchmarks.contestants import bare_epoch, each_alone, floor_epoch, floor_start, make_loop
from benchmarks.job import Job


def distance_from_floor(job: dict) -> dict[str, float]:
    """The largest difference between any weight of the floor and of Byway's epoch, bare and scored, after one epoch."""
    loop = make_loop(Job(**job))
    state, args = floor_start(loop)
    by_hand = jax.jit(floor_epoch(loop))(state, *args).theta
    without = jax.jit(bare_epoch(loop))(loop.learners, loop.data["train"])
    loop.epoch()
    return {"bare": _distance(by_hand, without), "scored": _distance(by_hand, loop.learners)}


def distance_between_seeds(job: dict, seeds: int) -> float:
    """The largest difference between any weight of learners trained together and one by one, after one epoch."""
    stack, single = make_loop(Job(**job), seeds), make_loop(Job(**job))
    alone = each_alone(stack)
    stack.epoch()
    worst = 0.0
    for learner, beside in zip(alone, each_alone(stack), strict=True):
        single.learners = learner
        single.epoch()
        pairs = zip(jax.tree.leaves(single.learners.net.theta), jax.tree.leaves(beside.net.theta), strict=True)
        worst = max(worst, *(float(jnp.abs(a - b).max()) for a, b in pairs))
    return worst


def _distance(by_hand: list, learners) -> float:
    ours = [(p.weight, p.bias) for p in learners.net.projections]
    pairs = zip(jax.tree.leaves(by_hand), jax.tree.leaves(ours), strict=True)
    return max(float(jnp.abs(a - b[0]).max()) for a, b in pairs)
