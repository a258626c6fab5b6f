"""From what sparsity on a fixed fan-in pays: `python -m benchmarks.sparse`.

Three ways to do all that learning asks of a projection (forward, backward and outer, in one
compiled program), at several widths, fan-ins and batches: the dense product of as many units, the
dense product whose weights and updates are multiplied by a mask, which is what most libraries do,
and `FixedFanIn`, over a matrix with zeros in it or synapse by synapse. It chooses between its two
by two numbers at the head of `byway/network/sparse.py`, which this is there to find. The ways take
turns; the fastest of their rounds counts. Bytes are those that the compiled program sets aside
beside what it is given and gives back.
"""

import sys
import time
from collections.abc import Callable
from unittest.mock import patch

import jax
import jax.numpy as jnp

from byway.network.builders.assembly import placed
from byway.network.projections import Dense
from byway.network.sparse import FixedFanIn

WIDTHS, BATCHES = (256, 1024, 4096), (1, 16, 128)
SPARSITIES = (0.5, 0.75, 0.9, 0.95, 0.98, 0.995)
ROUNDS = 5


def thrice(p, pre, delta):
    """All that a rule asks of a projection."""
    return p.forward(pre), p.backward(delta), p.outer(pre, delta)


def masked(p: Dense, mask, pre, delta):
    """The same over weights that a mask keeps at zero."""
    p = p.with_theta({"weight": p.weight * mask})
    update = p.outer(pre, delta)
    return p.forward(pre), p.backward(delta), update | {"weight": update["weight"] * mask}


def ways(width: int, fan_in: int, batch: int) -> dict[str, tuple[Callable[[], object], int]]:
    """Each way's compiled program with its arguments, and the bytes that it sets aside."""
    src, dst = placed(["a", "b"], [(width,), (width,)], "relu", False, "a", "b")
    key = jax.random.key(0)
    sparse = FixedFanIn.between(src, dst, fan_in).redraw(key, src, dst)
    made = jnp.zeros((width, width)), jnp.zeros(width)
    dense = Dense("a", "b", src.shape, dst.drive, *made).redraw(key, src, dst)
    mask = jnp.zeros((width, width)).at[sparse.index, jnp.arange(width)[:, None]].set(1)
    sent = jnp.ones((batch, width)), jnp.ones((batch, width))
    made = {}
    for name, run, given, by_matrix in (
        ("dense", thrice, (dense, *sent), False),
        ("mask", masked, (dense, mask, *sent), False),
        ("matrix", thrice, (sparse, *sent), True),
        ("synapses", thrice, (sparse, *sent), False),
    ):
        with patch.object(FixedFanIn, "_by_matrix", lambda self, batch, chosen=by_matrix: chosen):
            # A function of its own: JAX knows a function that it has traced before.
            program = jax.jit(lambda *a, run=run: run(*a)).lower(*given).compile()
        held = program.memory_analysis()
        if held is None:
            raise SystemExit("this JAX does not say how much memory a program takes")
        made[name] = lambda program=program, given=given: program(*given), held.temp_size_in_bytes
    made["chosen"] = made["matrix" if sparse._by_matrix(batch) else "synapses"]
    return made


def seconds(runs: dict[str, Callable[[], object]]) -> dict[str, float]:
    """The fastest round of each [s], the ways taking turns."""
    for run in runs.values():
        jax.block_until_ready(run())
    best = dict.fromkeys(runs, float("inf"))
    for _ in range(ROUNDS):
        for name, run in runs.items():
            started = time.perf_counter()
            jax.block_until_ready(run())
            best[name] = min(best[name], time.perf_counter() - started)
    return best


def main() -> None:
    """Print a line for each width, batch and sparsity."""
    widths = [int(n) for n in sys.argv[1:]] or WIDTHS
    print("time [ms]: dense, masked, matrix with zeros, synapses; then bytes set aside [kB]")
    print(
        f"{'units':>6} {'batch':>6} {'sparsity':>8} {'dense':>8} {'mask':>8} {'matrix':>8}", end=""
    )
    print(f" {'synapses':>8}  chosen     of mask  {'mask kB':>8} {'ours kB':>8}")
    for width in widths:
        for batch in BATCHES:
            for sparsity in SPARSITIES:
                made = ways(width, max(1, round((1 - sparsity) * width)), batch)
                chosen = made.pop("chosen")
                which = next(name for name, one in made.items() if one == chosen)
                took = seconds({name: run for name, (run, _) in made.items()})
                print(
                    f"{width:6} {batch:6} {100 * sparsity:7.1f}% "
                    + " ".join(f"{1e3 * took[name]:8.2f}" for name in made)
                    + f"  {which:8} {took['mask'] / took[which]:8.2f}x"
                    + f"  {made['mask'][1] / 1e3:8.0f} {chosen[1] / 1e3:8.0f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
