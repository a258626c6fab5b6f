"""Forward-forward as far as it goes: MNIST, wide layers, many epochs, and what the long run asks
for.

At Adam's usual rate the goodness of a layer grows without end and the last tenths of a point are
lost. What helps is that of the paper: gradient descent with momentum, weight decay (more of it on
the softmax head), and a rate that falls to zero in the second half.

    python examples/long_ff.py
    # 3 layers of 1000 units, 60 epochs: a quarter of an hour on two cores
    python examples/long_ff.py --width 2000 --layers 4 --validation 1

Source   Hinton, The forward-forward algorithm: some preliminary investigations, 2022, arXiv
         2212.13345, section 3.3
"""

import argparse

import optax

import byway
from byway.training.history import Reading

BATCH = 100
RATE, HEAD_RATE = 1e-3, 1e-2
DECAY, HEAD_DECAY = 3e-4, 3e-3


def optimiser(updates: int) -> optax.GradientTransformation:
    """Momentum and decay, each for layers and head; the rate stands still for the first half and
    then falls to zero.
    """

    def part(rate: float, decay: float) -> optax.GradientTransformation:
        fall = optax.linear_schedule(rate, 0.0, updates - updates // 2, updates // 2)
        return optax.chain(optax.add_decayed_weights(decay), optax.sgd(fall, momentum=0.9))

    layers_and_head = {"layer": part(RATE, DECAY), "head": part(HEAD_RATE, HEAD_DECAY)}
    return optax.multi_transform(
        layers_and_head,
        lambda theta: {name: "head" if name.endswith("-output") else "layer" for name in theta},
    )


def main() -> None:
    """Train, print each epoch and what came out."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--width", type=int, default=1000, help="units of a layer (1000)")
    parser.add_argument("--layers", type=int, default=3, help="hidden layers (3)")
    parser.add_argument(
        "--epochs", type=int, default=60, help="passes over the training split (60)"
    )
    parser.add_argument("--seeds", type=int, default=1, help="networks (1)")
    parser.add_argument(
        "--validation",
        type=int,
        default=5000,
        help="training images kept for validation (5000); 1 trains on 59,999",
    )
    asked = parser.parse_args()
    byway.use_all_cores()
    task = byway.task("mnist", validation=asked.validation)
    widths, data = [asked.width] * asked.layers, task.load()
    rule = byway.rule("ff")
    net = byway.mlp(
        task.input_shape,
        *widths,
        task.outputs,
        readout_from=range(1, asked.layers),
        **rule.network_options,
    )
    updates = asked.epochs * (data["train"].size // BATCH)

    def tell(row: Reading) -> None:
        good, loss = 100 * row["validation/accuracy"].mean(), row.get("train/loss")
        print(
            f"epoch {row.epoch:3.0f}, {row.seconds:6.0f} s: validation {good:.2f} %, loss "
            f"{'' if loss is None else loss.mean():.4}",
            flush=True,
        )

    result = byway.fit(
        net,
        rule,
        task,
        epochs=asked.epochs,
        batch=BATCH,
        seeds=asked.seeds,
        optimiser=optimiser(updates),
        looks=0,
        data=data,
        on_epoch=tell,
    )
    print(result)
    print(
        f"test error: goodness readout {100 * (1 - result.accuracy)} %, softmax head "
        f"{100 * (1 - result.test['accuracy/head'])} %"
    )


if __name__ == "__main__":
    main()
