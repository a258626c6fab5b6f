"""The contestants in time: the floor's updates and Byway's, on the same sequences of the adding
task from the same weights.
"""

import functools
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp

import byway
from benchmarks import floor, floor_spiking, floor_time
from benchmarks.job import Job
from benchmarks.worker import Contestant
from byway.core.signal import Signal, SquaredError
from byway.learning.learner import Learner
from byway.network.builders import rnn
from byway.training.optimisers import optimiser
from byway.training.step import Optimisers, learn, new_learner

byway.use_all_cores()

Data = tuple[jax.Array, jax.Array, jax.Array]


def hand_written(job: dict) -> Contestant:
    """The floor."""
    epoch, state, data = floor_epoch(Job(**job))
    return _contestant(epoch, state, data)


def bare(job: dict) -> Contestant:
    """Byway's steps alone, without scores."""
    epoch, learner, data = byway_epoch(Job(**job))
    return _contestant(epoch, learner, data)


def sequences(job: Job) -> Data:
    """Inputs, targets and what each step counts, "updates batch time ..."."""
    count = job.steps * job.batch
    task = byway.task("adding", length=job.length, samples=count)
    x, signal = task.batch(task.load()["train"], jnp.arange(count), jax.random.key(0))
    x, target, weight = (
        a.reshape(job.steps, job.batch, *a.shape[1:]) for a in (x, signal.target, signal.weight)
    )
    return x, target, weight


def byway_epoch(job: Job) -> tuple[Callable, Learner, Data]:
    """`epoch(learner, *data) -> learner`, to be jitted, a fresh learner and the data."""
    rule, data = byway.rule(job.rule, **dict(job.hyper)), sequences(job)
    adam = optimiser("adam", floor.LEARNING_RATE, "constant", 1)
    optimisers = Optimisers(adam, adam)
    x, target, weight = (a[0] for a in data)
    net = rnn(*job.sizes, **{**rule.network_options, "activation": job.activation})
    learner = new_learner(
        rule, net, optimisers, x, Signal(target, SquaredError(), weight), jax.random.key(0)
    )

    def epoch(learner, *data):
        def update(learner, batch):
            x, target, weight = batch
            return learn(rule, optimisers, learner, x, Signal(target, SquaredError(), weight))[
                0
            ], None

        return jax.lax.scan(update, learner, data)[0]

    return epoch, learner, data


def floor_epoch(job: Job) -> tuple[Callable, floor.State, Data]:
    """`epoch(state, *data) -> state`, to be jitted, the state at the start of Byway's learner and
    the data.
    """
    _, learner, data = byway_epoch(job)
    theta = jax.tree.map(jnp.copy, [(p.weight, p.bias) for p in learner.net.projections])
    if job.activation == "lif":
        feedback = learner.gamma.get("hidden1") if isinstance(learner.gamma, dict) else None
        gradient = functools.partial(_with, floor_spiking.GRADIENTS[job.rule], feedback)
    else:
        gradient = floor_time.GRADIENTS[job.rule]
    return floor_time.make_epoch(gradient), floor.start(theta, [], learner.key), data


def _with(gradient: Callable, feedback: jax.Array | None, theta: list, *batch: jax.Array) -> list:
    return gradient(theta, feedback, *batch)


def _contestant(epoch: Callable, carry, data: Data) -> Contestant:
    started = time.perf_counter()
    program = jax.jit(epoch, donate_argnums=0).lower(carry, *data).compile()
    seconds = time.perf_counter() - started

    def run():
        nonlocal carry
        carry = jax.block_until_ready(program(carry, *data))

    return Contestant(run, facts={"compile_seconds": seconds})
