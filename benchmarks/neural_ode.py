"""The contestants of neural ODEs in JAX: Byway's rules, and solvers differentiated as they stand.

All of them take the gradient of the same loss by the same weights: states driven by the input and
by a hidden layer of tanh, read out at the end.
"""

import time
from collections.abc import Callable

import jax
import jax.numpy as jnp

import byway
from benchmarks.ode_work import INPUTS, OUTPUTS, Work
from benchmarks.worker import Contestant
from byway.core.signal import CrossEntropy, Signal
from byway.learning.rule import Carry
from byway.network.builders import ode


def solved(theta: dict, x: jax.Array, step: Callable, steps: int, remat: bool) -> jax.Array:
    """The end of a solver whose `step(rate, carry, h)` is scanned; the carry begins with s."""
    drive = x @ theta["input-flow"]["weight"] + theta["input-flow"]["bias"]

    def rate(s):
        h = jnp.tanh(s @ theta["flow-hidden1"]["weight"] + theta["flow-hidden1"]["bias"])
        return drive + h @ theta["hidden1-flow"]["weight"]

    start = jnp.zeros_like(drive)
    carry = (start, start, rate(start)) if step is heun else (start, start)
    one = lambda carry, _: (step(rate, carry, 1 / steps), None)
    return jax.lax.scan(jax.checkpoint(one) if remat else one, carry, None, steps)[0][0]


def midpoint(rate, carry, h):
    """The explicit midpoint method."""
    s, same = carry
    return s + h * rate(s + h / 2 * rate(s)), same


def heun(rate, carry, h):
    """Reversible Heun."""
    y, y_hat, v = carry
    y_hat = 2 * y - y_hat + h * v
    after = rate(y_hat)
    return y + h * (v + after) / 2, y_hat, after


def mccallum_foster(rate, carry, h):
    """McCallum and Foster's solver on the midpoint method."""
    y, z = carry
    moved = lambda s, h: h * rate(s + h / 2 * rate(s))
    y = 0.999 * y + 0.001 * z + moved(z, h)
    return y, z - moved(y, -h)


STEPS = {"midpoint": midpoint, "heun": heun, "mccallum_foster": mccallum_foster}
# By solver, Byway's rule for it.
RULES = {
    "heun": ("reversible_ode", {"solver": "reversible_heun"}),
    "mccallum_foster": ("reversible_ode", {}),
    "midpoint": ("checkpointed", {}),
    "backsolve": ("backsolve", {}),
    "stored": ("bp", {}),
}


def loss(theta: dict, end: jax.Array, target: jax.Array) -> jax.Array:
    """The mean cross-entropy of a readout."""
    output = end @ theta["flow-output"]["weight"] + theta["flow-output"]["bias"]
    return -jnp.mean(jnp.sum(target * jax.nn.log_softmax(output), 1))


def by_hand(solver: str, work: list[int], remat: bool = True) -> Contestant:
    """Autodiff through a scan; with `remat` what is within a step is computed again."""
    given = Work(*work)
    theta, x, target = jax.tree.map(jnp.asarray, given.drawn())
    return gradients(_by_hand(solver, given, remat), theta, x, target)


def by_byway(solver: str, work: list[int]) -> Contestant:
    """A rule of Byway's."""
    given = Work(*work)
    theta, x, target = jax.tree.map(jnp.asarray, given.drawn())
    return gradients(_by_byway(solver, given), theta, x, target)


def apart(work: list[int]) -> dict[str, float]:
    """By solver, the largest difference of any two numbers of the two gradients."""
    given = Work(*work)
    theta, x, target = jax.tree.map(jnp.asarray, given.drawn())
    found = {}
    for solver in STEPS:
        one = jax.jit(_by_hand(solver, given, True))(theta, x, target)
        other = jax.jit(_by_byway(solver, given))(theta, x, target)
        gaps = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), one, other)
        found[solver] = max(jax.tree.leaves(gaps))
    return found


def _by_hand(solver: str, work: Work, remat: bool) -> Callable:
    def total(theta, x, target):
        return loss(theta, solved(theta, x, STEPS[solver], work.steps, remat), target)

    return jax.grad(total)


def _by_byway(solver: str, work: Work) -> Callable:
    name, hyper = RULES[solver]
    rule = byway.rule(name, **hyper)
    net = ode(INPUTS, work.states, OUTPUTS, steps=work.steps, method="midpoint")

    def gradient(theta, x, target):
        carry = Carry(*rule.start({}, net, len(x)), ())
        net_now = net.with_theta(theta)
        signal = Signal(target, CrossEntropy())
        return rule.teach(rule, {}, net_now, carry, x, signal, jax.random.key(0))[1].net

    return gradient


def gradients(gradient: Callable, *args) -> Contestant:
    """A gradient, compiled, as a contestant; facts say what memory the program sets aside."""
    started = time.perf_counter()
    program = jax.jit(gradient).lower(*args).compile()
    memory = program.memory_analysis()
    facts = {
        "compile_seconds": time.perf_counter() - started,
        "temp_bytes": None if memory is None else memory.temp_size_in_bytes,
    }
    return Contestant(lambda: jax.block_until_ready(program(*args)), None, facts)
