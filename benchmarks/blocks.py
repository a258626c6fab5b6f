"""From what sparsity in blocks pays: `python -m benchmarks.blocks`, or with widths.

All that learning asks of a projection (forward, backward and outer, in one compiled program), of as
many units on either side and the same share of synapses: the dense product, the dense product under
a mask, `FixedFanIn`, whose synapses lie anywhere, and `BlockFanIn` in blocks of several sizes. The
ways take turns; the fastest of their rounds counts.
"""

import functools
import sys

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.sparse import masked, seconds, thrice
from byway.network.blocks import BlockFanIn
from byway.network.builders.assembly import placed
from byway.network.projections import Dense
from byway.network.sparse import FixedFanIn

WIDTHS, BATCHES, BLOCKS = (512, 1024, 2048, 4096), (1, 16, 128), (16, 64)
DENSITIES = (0.5, 0.25, 0.1, 0.05, 0.02, 0.005)


def ways(width: int, batch: int, density: float) -> dict:
    """Each way's program with its arguments; no blocks where there is not even one in a row."""
    draw, key = np.random.default_rng(0), jax.random.key(0)
    src, dst = ends = placed(["a", "b"], [(width,), (width,)], "relu", False, "a", "b")
    sent = tuple(jnp.asarray(draw.normal(size=(batch, width)), jnp.float32) for _ in range(2))
    dense = Dense("a", "b", (width,), (width,), jnp.zeros((width, width)), None)
    mask = jnp.asarray(draw.random((width, width)) < density, jnp.float32)
    anywhere = FixedFanIn.between(src, dst, max(1, round(density * width)), bias=False)
    given = {
        "dense": (thrice, (dense.redraw(key, *ends), *sent)),
        "mask": (masked, (dense.redraw(key, *ends), mask, *sent)),
        "anywhere": (thrice, (anywhere.redraw(key, *ends), *sent)),
    }
    for block in BLOCKS:
        if some := round(density * width / block):
            p = BlockFanIn.between(src, dst, some * block, block, bias=False).redraw(key, *ends)
            given[f"blocks of {block}"] = thrice, (p, *sent)
    return {
        name: functools.partial(jax.jit(lambda *a, run=run: run(*a)).lower(*args).compile(), *args)
        for name, (run, args) in given.items()
    }


def main() -> None:
    """Print a line for each width, batch and density."""
    widths = [int(n) for n in sys.argv[1:]] or WIDTHS
    names = ["dense", "mask", "anywhere", *(f"blocks of {block}" for block in BLOCKS)]
    print("time [ms]\n units batch density " + " ".join(f"{name:>12}" for name in names))
    for width in widths:
        for batch in BATCHES:
            for density in DENSITIES:
                took = seconds(ways(width, batch, density))
                times = (f"{1e3 * took[n]:12.3f}" if n in took else f"{'-':>12}" for n in names)
                print(f"{width:6} {batch:5} {density:7.3f} " + " ".join(times), flush=True)


if __name__ == "__main__":
    main()
