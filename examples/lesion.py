"""A ball of units is cut out of a network in space that has learnt digits, and training goes on,
beside the same training of the network left whole: `python examples/lesion.py`.
"""

import argparse
import dataclasses

import jax.numpy as jnp
import numpy as np

import byway

CENTRE, RADIUS = (200.0, 200.0, 200.0), 150.0


def main() -> None:
    """Print a line for each rule, with growth and without."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rules", nargs="+", default=["dfa", "bp"])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    task = byway.task("digits")
    data = task.load()
    policies = {
        "no growth": None,
        "growth": [
            byway.growth("rigl", every=25, until=1.0),
            byway.growth("neurogenesis", every=50, least=0.1, units=8, until=1.0),
        ],
    }

    net = byway.grownet(task.input_shape, 200, task.outputs, regions=3, fan_in=16, spare=8)
    options = {
        "data": data,
        "epochs": asked.epochs,
        "looks": 0,
        "progress": False,
    }

    def score(net):
        test = data["test"]
        said = net.forward(jnp.asarray(test.x, net.dtype)).post[net.output]
        return 100 * float(np.mean(np.argmax(said, 1) == np.asarray(test.y)))

    for name in asked.rules:
        for grows, growth in policies.items():
            rule, rows = byway.rule(name), []
            well = byway.fit(net, rule, task, growth=growth, seeds=asked.seeds, **options)
            for seed in range(asked.seeds):
                learner = well.learner(seed)
                hurt = byway.lesion(learner.net, centre=CENTRE, radius=RADIUS)
                row = [sum(map(len, hurt.units.values())), score(learner.net), score(hurt.net)]
                for one in (hurt.net, learner.net):
                    start = dataclasses.replace(learner, net=one)
                    again = byway.fit(
                        one, rule, task, growth=growth, start=start, first_seed=seed, **options
                    )
                    row.append(100 * again.accuracy[0])
                rows.append(row)
            columns = zip(
                ("units cut", "well", "hurt", "hurt, trained on", "whole, trained on"),
                np.transpose(rows),
                strict=True,
            )
            spread = [f"{what} {a.mean():.1f} +- {a.std(ddof=1):.1f}" for what, a in columns]
            print(f"{name}, {grows}: {'; '.join(spread)}", flush=True)


if __name__ == "__main__":
    main()
