"""The contestants in JAX: Byway's epoch with and without scores, the floor, and many seeds."""

import time
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp

import byway
from benchmarks import floor
from benchmarks.data import task_and_splits
from benchmarks.job import Job
from benchmarks.worker import Contestant
from byway.learning.learner import Learner
from byway.system.process import use_compilation_cache
from byway.training.loop import Loop
from byway.training.optimisers import optimiser
from byway.training.step import ORDER, Optimisers, branch, learn

byway.use_all_cores()


def make_loop(job: Job, seeds: int = 1, stages: int = 1) -> Loop:
    """Byway's loop for a job, with Adam at a constant rate."""
    task, splits = task_and_splits(job)
    rule = byway.rule(job.rule, **dict(job.hyper))
    net = byway.mlp(
        *job.sizes, activation=job.activation, readout_from=job.readout_from, **rule.network_options
    )
    adam = optimiser("adam", floor.LEARNING_RATE, "constant", 1)
    optimisers, numbers = Optimisers(adam, adam), list(range(seeds))
    return Loop(rule, net, task, splits, optimisers, job.batch, numbers, probe=256, stages=stages)


def scored(job: dict) -> Contestant:
    """Byway's epoch as `fit` runs it: it scores every batch."""
    loop = make_loop(Job(**job))
    return Contestant(
        loop.train, lambda: _accuracy(loop), {"compile_seconds": loop.compile_seconds}
    )


def shared(job: dict, stages: int) -> Contestant:
    """The same, with layers shared by some devices."""
    loop = make_loop(Job(**job), stages=stages)
    return Contestant(loop.train, facts={"compile_seconds": loop.compile_seconds})


def bare(job: dict) -> Contestant:
    """Byway's steps alone, without scores."""
    loop = make_loop(Job(**job))
    epoch, seconds = _compiled(bare_epoch(loop), loop.learners, loop.data["train"])

    def run():
        loop.learners = jax.block_until_ready(epoch(loop.learners, loop.data["train"]))

    return Contestant(run, lambda: _accuracy(loop), {"compile_seconds": seconds})


def hand_written(job: dict) -> Contestant:
    """The floor."""
    loop = make_loop(Job(**job))
    state, args = floor_start(loop)
    epoch, seconds = _compiled(floor_epoch(loop), state, *args)

    def run():
        nonlocal state
        state = jax.block_until_ready(epoch(state, *args))

    def accuracy():
        theta = {
            p.name: {
                name: a[None]
                for name, a in zip(("weight", "bias"), pair, strict=True)
                if a is not None
            }
            for p, pair in zip(loop.learners.net.projections, state.theta, strict=True)
        }
        loop.learners = eqx.tree_at(
            lambda one: one.net, loop.learners, loop.learners.net.with_theta(theta)
        )
        return _accuracy(loop)

    return Contestant(run, accuracy, {"compile_seconds": seconds})


def together(job: dict, seeds: int) -> Contestant:
    """Byway's axis of seeds: one program trains them all."""
    loop = make_loop(Job(**job), seeds)
    return Contestant(
        loop.train, lambda: _accuracy(loop), {"compile_seconds": loop.compile_seconds}
    )


def one_by_one(job: dict, seeds: int) -> Contestant:
    """The same learners, each trained by the program for one, one after another."""
    loop = make_loop(Job(**job))
    learners = each_alone(make_loop(Job(**job), seeds))

    def run():
        for i, learner in enumerate(learners):
            loop.learners = learner
            loop.train()
            learners[i] = loop.learners

    def accuracy():
        total = 0.0
        for learner in learners:
            loop.learners = learner
            total += _accuracy(loop)
        return total / seeds

    return Contestant(run, accuracy, {"compile_seconds": loop.compile_seconds})


def compile_seconds(job: dict) -> float:
    """Seconds to compile Byway's epoch, with the programs that `fit` keeps on disk."""
    use_compilation_cache()
    return make_loop(Job(**job)).compile_seconds


def bare_epoch(loop: Loop) -> Callable:
    """`epoch(learners, train) -> learners`: Byway's epoch without its scores, to be jitted."""

    def epoch(learner: Learner, train):
        order = jax.random.permutation(branch(learner.key, ORDER, learner.step), train.size)
        order = order[: loop.steps * loop.batch].reshape(loop.steps, loop.batch)

        def step(learner, index):
            x, signal = loop.layout.divide(
                loop.task.batch(train, index, branch(learner.key, ORDER, learner.step))
            )
            return learn(loop.rule, loop.optimisers, learner, x, signal)[0], None

        return jax.lax.scan(step, learner, order)[0]

    return loop.layout.over(epoch)


def floor_epoch(loop: Loop) -> Callable:
    """The hand-written epoch for the rule and task of `loop`, to be jitted."""
    return floor.make_epoch(floor.UPDATES[loop.rule.id], loop.batch, loop.task.white)


def floor_start(loop: Loop) -> tuple[floor.State, tuple]:
    """The floor's state at the start of Byway's first learner; its feedback, pixels and labels."""
    one = jax.tree.map(lambda a: a[0].copy(), loop.learners)
    theta = [(p.weight, p.bias) for p in one.net.projections]
    means = list(one.memory.values()) if one.memory else []
    x, y = loop.data["train"]
    return floor.start(theta, means, one.key), (
        list(one.gamma.values()),
        x.reshape(len(x), -1).copy(),
        y,
    )


def each_alone(loop: Loop) -> list[Learner]:
    """The learners of `loop`, each as a stack of one."""
    host = loop.real_learners()
    return [
        jax.tree.map(lambda a, i=i: jnp.asarray(a[i : i + 1]), host) for i in range(len(loop.seeds))
    ]


def _compiled(epoch: Callable, *args) -> tuple[Callable, float]:
    started = time.perf_counter()
    program = jax.jit(epoch, donate_argnums=0).lower(*args).compile()
    return program, time.perf_counter() - started


def _accuracy(loop: Loop) -> float:
    return float(loop.score("test")["accuracy"].mean())
