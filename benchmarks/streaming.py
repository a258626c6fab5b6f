"""One long sequence, learned in a process of its own."""

import time

import jax
import jax.numpy as jnp
import optax

import byway
from benchmarks.fitting import peak
from byway.core.signal import Signal, SquaredError
from byway.network.builders import rnn
from byway.training.step import Optimisers, learn, new_learner


def once(rule: str, cell: str, units: int, length: int, every: int | None) -> dict[str, float]:
    """Bytes of the compiled update besides its arguments, bytes that the process grew by while it
    ran, bytes of the sequence, and the time that it took [s].
    """
    learned, optimisers = byway.rule(rule), Optimisers(optax.sgd(1e-3), optax.sgd(1e-3))
    key = jax.random.key(0)
    x = jax.random.normal(key, (1, length, 4))
    # To say what was there ten steps before.
    target = jnp.roll(x[..., :1], 10, axis=1)
    signal = Signal(target, SquaredError(), jnp.full((1, length), 1 / length))
    net = rnn(4, units, 1, activation=cell)
    learner = new_learner(learned, net, optimisers, x, signal, key)

    def update(learner, x, signal):
        return learn(learned, optimisers, learner, x, signal, every=every)[0]

    program = jax.jit(update).lower(learner, x, signal).compile()
    used = program.memory_analysis()
    jax.block_until_ready((x, signal, learner))
    before, begun = peak(), time.perf_counter()
    ended = jax.block_until_ready(program(learner, x, signal))
    seconds = time.perf_counter() - begun
    if not all(jnp.isfinite(a).all() for a in jax.tree.leaves(ended.net.theta)):
        raise SystemExit(f"{rule} diverged")
    return {
        "predicted": 0 if used is None else used.temp_size_in_bytes,
        "grown": peak() - before,
        "data": sum(a.nbytes for a in (x, target, signal.weight)),
        "seconds": seconds,
    }
