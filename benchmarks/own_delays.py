"""What delays of each synapse's own cost: `python -m benchmarks.own_delays`, or with numbers of
units.

One update on a cyclic network in space, twice: all synapses of a projection are late alike, and
each by its own length. The two take turns; processor time, the least of their rounds. Beside it,
what the compiled program sets aside.
"""

import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

import byway
from byway.core.signal import Signal, SquaredError
from byway.training.optimisers import optimiser
from byway.training.step import Optimisers, learn, new_learner

UNITS, REGIONS, FAN_IN, SPEED, INPUTS, OUTPUTS = (100,), 3, 32, 80.0, 28, 10
BATCH, STEPS, ROUNDS = 16, 50, 7


class Way(NamedTuple):
    """One network's update: how often it runs, what it sets aside and the longest delay."""

    run: Callable[[], object]
    aside: int
    late: int


def way(rule: byway.Rule, units: int, own: bool) -> Way:
    """Compile one."""
    net = byway.grownet(
        INPUTS,
        units,
        OUTPUTS,
        regions=REGIONS,
        fan_in=FAN_IN,
        cycles=True,
        speed=SPEED,
        own_delays=own,
        activation="leaky",
    )
    keys = jax.random.split(jax.random.key(0))
    x = jax.random.normal(keys[0], (BATCH, STEPS, INPUTS))
    signal = Signal(
        jax.random.normal(keys[1], (BATCH, STEPS, OUTPUTS)),
        SquaredError(),
        jnp.ones((BATCH, STEPS)),
    )
    adam = optimiser("adam", 1e-3, "constant", 1)
    optimisers = Optimisers(adam, adam)
    learner = new_learner(rule, net, optimisers, x, signal, jax.random.key(0))
    update = jax.jit(lambda learner: learn(rule, optimisers, learner, x, signal)[0])
    program = update.lower(learner).compile()
    held = program.memory_analysis()
    if held is None:
        raise SystemExit("this JAX does not say how much memory a program takes")
    late = max(p.delay or 0 for p in net.projections)
    return Way(lambda: program(learner), held.temp_size_in_bytes, late)


def least(ways: list[Way]) -> list[float]:
    """Processor time of each [s]."""
    best = [float("inf")] * len(ways)
    for _ in range(ROUNDS + 1):
        for i, one in enumerate(ways):
            started = time.process_time()
            jax.block_until_ready(one.run())
            best[i] = min(best[i], time.process_time() - started)
    return best


def main() -> None:
    """Print a line for each rule and number of units."""
    for units in [int(n) for n in sys.argv[1:]] or UNITS:
        for name in ("bptt", "eprop"):
            ways = [way(byway.rule(name), units, own) for own in (False, True)]
            alike, own = least(ways)
            print(
                f"{name}, {units} units, delays up to {ways[0].late} alike and {ways[1].late} own: "
                f"{1e3 * alike:.1f} and {1e3 * own:.1f} ms, {own / alike:.2f}x; "
                f"{ways[0].aside / 1e6:.1f} and {ways[1].aside / 1e6:.1f} MB, "
                f"{ways[1].aside / ways[0].aside:.2f}x",
                flush=True,
            )


if __name__ == "__main__":
    main()
