"""Networks in space that grow while `fa` trains them or nothing does, by one policy or another, on
digits: `python examples/growing.py deep_r migration`.
"""

import argparse

import numpy as np

import byway


def main() -> None:
    """Print a line for each rule and policy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("policies", nargs="+")
    parser.add_argument("--rules", nargs="+", default=["fa", "frozen"])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    byway.use_all_cores()
    task = byway.task("digits")
    data = task.load()
    net = byway.grownet(task.input_shape, 200, task.outputs, regions=3, fan_in=16, spare=8)
    for policy in (None, *asked.policies):
        for rule in asked.rules:
            result = byway.fit(
                net,
                byway.rule(rule),
                task,
                data=data,
                growth=None if policy is None else byway.growth(policy),
                epochs=asked.epochs,
                seeds=asked.seeds,
                looks=0,
                progress=False,
            )
            wired = [byway.wiring(result.learner(i).net) for i in range(asked.seeds)]
            spread = lambda a: f"{np.mean(a):.2f} +- {np.std(a, ddof=1):.2f}"
            sizes = [np.abs(one.weight) for one in wired]
            by_weight = [
                np.average(one.length, weights=size) for one, size in zip(wired, sizes, strict=True)
            ]
            print(
                f"{policy} {rule}: {spread(100 * result.accuracy)} %, "
                f"{spread([one.synapses for one in wired])} synapses, "
                f"{spread([one.cost for one in wired])} mm in all, "
                f"{spread(by_weight)} um on average by weight",
                flush=True,
            )
            for told in result.advice.values():
                print(f"  {told}")


if __name__ == "__main__":
    main()
