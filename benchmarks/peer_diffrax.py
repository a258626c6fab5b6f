"""Diffrax's adjoints of a neural ODE, with steps of one size."""

import time

import diffrax
import jax
import jax.numpy as jnp

from benchmarks.ode_work import Work
from benchmarks.report import version
from benchmarks.worker import Contestant


def gradient(solver: str, adjoint: str, work: list[int]) -> Contestant:
    """By the names of a solver and an adjoint of Diffrax."""
    given = Work(*work)
    theta, x, target = jax.tree.map(jnp.asarray, given.drawn())

    def rate(t, s, args):
        theta, drive = args
        h = jnp.tanh(s @ theta["flow-hidden1"]["weight"] + theta["flow-hidden1"]["bias"])
        return drive + h @ theta["hidden1-flow"]["weight"]

    def loss(theta, x, target):
        drive = x @ theta["input-flow"]["weight"] + theta["input-flow"]["bias"]
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(rate),
            getattr(diffrax, solver)(),
            0.0,
            1.0,
            1 / given.steps,
            jnp.zeros_like(drive),
            (theta, drive),
            adjoint=getattr(diffrax, adjoint)(),
            max_steps=given.steps + 8,
        )
        output = solution.ys[0] @ theta["flow-output"]["weight"] + theta["flow-output"]["bias"]
        return -jnp.mean(jnp.sum(target * jax.nn.log_softmax(output), 1))

    started = time.perf_counter()
    program = jax.jit(jax.grad(loss)).lower(theta, x, target).compile()
    facts = {
        "compile_seconds": time.perf_counter() - started,
        "temp_bytes": program.memory_analysis().temp_size_in_bytes,
        "versions": {name: version(name) for name in ("diffrax", "jax")},
    }
    return Contestant(lambda: jax.block_until_ready(program(theta, x, target)), None, facts)
