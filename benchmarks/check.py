"""Before anything is timed: do the contestants do the same arithmetic?"""

import jax
import jax.numpy as jnp

from benchmarks import floor_time, recurrent
from benchmarks.contestants import bare_epoch, each_alone, floor_epoch, floor_start, make_loop
from benchmarks.gpipe import GPipe
from benchmarks.job import Job


def distance_from_floor(job: dict) -> dict[str, float]:
    """The largest difference between any weight of the floor and of Byway's epoch, bare and scored,
    after one epoch.
    """
    loop = make_loop(Job(**job))
    state, args = floor_start(loop)
    by_hand = jax.jit(floor_epoch(loop))(state, *args).theta
    without = jax.jit(bare_epoch(loop))(loop.learners, loop.data["train"])
    loop.train()
    return {
        "the floor's weights and those of Byway's bare epoch": _distance(by_hand, without),
        "the floor's weights and those of Byway's scored epoch": _distance(by_hand, loop.learners),
    }


def recurrent_from_floor(job: dict) -> dict[str, float]:
    """The largest difference between any weight of the floor's network and Byway's, and between the
    floor's two gradients.
    """
    work = Job(**job)
    by_hand, state, data = recurrent.floor_epoch(work)
    ours, learner, _ = recurrent.byway_epoch(work)
    first = [
        gradient(state.theta, *(a[0] for a in data))
        for gradient in (floor_time.rtrl, floor_time.bptt)
    ]
    reached, learnt = jax.jit(by_hand)(state, *data).theta, jax.jit(ours)(learner, *data)
    return {
        "the floor's two gradients": _apart(*first),
        "the floor's weights and Byway's": _apart(
            reached, [(p.weight, p.bias) for p in learnt.net.projections]
        ),
    }


def spiking_from_floor(job: dict) -> dict[str, float]:
    """The largest difference between any weight of the floor's spiking network and Byway's."""
    work = Job(**job)
    by_hand, state, data = recurrent.floor_epoch(work)
    ours, learner, _ = recurrent.byway_epoch(work)
    reached, learnt = jax.jit(by_hand)(state, *data).theta, jax.jit(ours)(learner, *data)
    return {
        "the floor's weights and Byway's": _apart(
            reached, [(p.weight, p.bias) for p in learnt.net.projections]
        )
    }


def distance_between_seeds(job: dict, seeds: int) -> float:
    """The largest difference between any weight of learners trained together and one by one, after
    one epoch.
    """
    stack, single = make_loop(Job(**job), seeds), make_loop(Job(**job))
    alone = each_alone(stack)
    stack.train()
    worst = 0.0
    for learner, beside in zip(alone, each_alone(stack), strict=True):
        single.learners = learner
        single.train()
        pairs = zip(
            jax.tree.leaves(single.learners.net.theta),
            jax.tree.leaves(beside.net.theta),
            strict=True,
        )
        worst = max(worst, *(float(jnp.abs(a - b).max()) for a, b in pairs))
    return worst


def distance_when_shared(job: dict) -> float:
    """The largest difference between any weight of an epoch on one device and on two."""
    one, two = (make_loop(Job(**job), stages=stages) for stages in (1, 2))
    one.train()
    two.train()
    ours, theirs = (jax.tree.leaves(loop.real_learners().net.theta) for loop in (one, two))
    return max(float(jnp.abs(a - b).max()) for a, b in zip(ours, theirs, strict=True))


def distance_of_gpipe(job: dict, micro: int) -> float:
    """The largest difference between any weight of Byway's backprop and that in micro-batches."""
    loop, other = make_loop(Job(**job)), GPipe(Job(**job), micro)
    loop.train()
    other.epoch()
    ours = [(p.weight, p.bias) for p in loop.real_learners().net.projections]
    theirs = jax.device_get([pair for state in other.states for pair in state.theta])
    return max(
        float(jnp.abs(a[0] - b).max())
        for pair, by_hand in zip(ours, theirs, strict=True)
        for a, b in zip(pair, by_hand, strict=True)
    )


def _distance(by_hand: list, learners) -> float:
    return _apart(
        by_hand,
        [(p.weight[0], None if p.bias is None else p.bias[0]) for p in learners.net.projections],
    )


def _apart(a: list, b: list) -> float:
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return max(float(jnp.abs(x - y).max()) for x, y in pairs)
