"""Does learning go stale? Backprop and continual backprop on a stream that changes slowly: `python
examples/plasticity.py`.

The error of each sample is taken before it is learned from, and averaged over the first and the
last part of the stream.
"""

import argparse

import numpy as np
import optax

import byway
from byway.training.loop import Loop
from byway.training.step import Optimisers


def main() -> None:
    """Print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=300_000)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--lr", type=float, default=0.01)
    asked = parser.parse_args()
    byway.use_all_cores()
    task = byway.task("slow_change", samples=asked.samples)
    data, part = task.load(), asked.samples // 15
    optimiser = Optimisers(optax.sgd(asked.lr), optax.sgd(asked.lr))
    for rate in (0.0, 1e-4, 1e-3):
        growth = byway.growth("continual_backprop", rate=rate) if rate else None
        rule, net, seeds = (
            byway.rule("bp"),
            byway.mlp(task.input_shape, 5, 1),
            list(range(asked.seeds)),
        )
        loop = Loop(rule, net, task, data, optimiser, 1, seeds, 100, growth=growth)
        loss, seconds = loop.train()
        error = 2 * loss["loss"]
        first, last = error[:, :part].mean(1), error[:, -part:].mean(1)
        name = f"continual_backprop, rate {rate:g}" if rate else "backprop"
        spread = lambda a: f"{np.mean(a):.3f} ± {np.std(a, ddof=1):.3f}"
        print(
            f"{name}: squared error of the first {part:,} {spread(first)}, of the last "
            f"{spread(last)}; {seconds:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
