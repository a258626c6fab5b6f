"""Sparse networks that rewire as they learn, beside those that do not and a dense one, on MNIST:
`python examples/sparse_mnist.py`.

Weights decay, so that synapses of pixels that are never lit come to be the weakest and are the
first to go.
"""

import argparse

import optax

import byway
from byway.network.builders import mlp


def main() -> None:
    """Print a line for each network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--fan-in", type=int, default=32)
    asked = parser.parse_args()
    byway.use_all_cores()
    task = byway.task("mnist")
    data = task.load()
    steps = data["train"].size // 128
    optimiser = optax.adamw(
        optax.cosine_decay_schedule(1e-3, asked.epochs * steps), weight_decay=0.1
    )
    for label, fan_in, growth in (
        ("dense", None, None),
        ("wiring as drawn", asked.fan_in, None),
        ("set, once an epoch", asked.fan_in, byway.growth("set", every=steps)),
    ):
        net = mlp(task.input_shape, 300, 300, task.outputs, fan_in=fan_in)
        weights = sum(p.weight.size for p in net.projections)
        options = {
            "epochs": asked.epochs,
            "batch": 128,
            "seeds": asked.seeds,
            "optimiser": optimiser,
            "looks": 0,
        }
        result = byway.fit(net, byway.rule("bp"), task, data=data, growth=growth, **options)
        print(f"{label}: {weights:,} weights, {result}", flush=True)


if __name__ == "__main__":
    main()
