"""Which way a fixed fan-in is fastest, a dense matrix with zeros in it or a gather: `python -m
benchmarks.sparse`.

`FixedFanIn` chooses by the shapes at hand, from two numbers at the head of
`byway/network/sparse.py`; this measures both ways for several sizes, each with all three operations
in one compiled program, and says which is chosen.
"""

import statistics
import time
from unittest.mock import patch

import jax
import jax.numpy as jnp

from byway.network.builders import placed
from byway.network.sparse import FixedFanIn

SIZES = [(n, fan, batch) for n in (256, 1024, 4096) for fan in (16, 100) for batch in (1, 8, 128)]
REPEATS = 5


def seconds(p: FixedFanIn, batch: int, by_matrix: bool) -> float:
    """The median time of forward, backward and outer together [s]."""
    with patch.object(FixedFanIn, "_by_matrix", lambda self, batch: by_matrix):
        run = jax.jit(
            lambda p, pre, delta: (p.forward(pre), p.backward(delta), p.outer(pre, delta))
        )
        pre, delta = jnp.ones((batch, *p.src_shape)), jnp.ones((batch, *p.dst_shape))
        jax.block_until_ready(run(p, pre, delta))
        taken = []
        for _ in range(REPEATS):
            started = time.perf_counter()
            jax.block_until_ready(run(p, pre, delta))
            taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def main() -> None:
    """Print a line for each size."""
    print(
        f"{'units':>6} {'fan-in':>6} {'batch':>6} {'matrix [ms]':>12} {'gather [ms]':>12}  faster "
        " chosen"
    )
    for n, fan, batch in SIZES:
        src, dst = placed(["a", "b"], [(n,), (n,)], "relu", False, "a", "b")
        p = FixedFanIn.between(src, dst, fan).redraw(jax.random.key(0), src, dst)
        matrix, gather = (1e3 * seconds(p, batch, way) for way in (True, False))
        chosen = "matrix" if p._by_matrix(batch) else "gather"
        print(
            f"{n:6} {fan:6} {batch:6} {matrix:12.2f} {gather:12.2f}  "
            f"{'matrix' if matrix < gather else 'gather'}  {chosen}",
            flush=True,
        )


if __name__ == "__main__":
    main()
