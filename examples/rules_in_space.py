"""Small networks in space on digits. `python examples/rules_in_space.py fa ff`: each rule on one
that is rewired meanwhile, beside the same with only the readout learnt. `... --births splitting`:
few units, to which a policy adds others.
"""

import argparse
from typing import Any

import numpy as np

import byway

# What a rule needs here beside its defaults, and the units that it works with, where not those
# that it asks for.
SETTINGS: dict[str, dict[str, Any]] = {
    "activity_forward_gradient": {"group": 4},
    "node_perturbation": {"draws": 16},
}
UNITS = {"ep": "tanh"}


def trained(
    task: byway.Task, net: byway.Network, rule: byway.Rule, growth: byway.Growth | None
) -> byway.Result:
    """The same training for all of them."""
    return byway.fit(
        net,
        rule,
        task,
        growth=growth,
        epochs=10,
        batch=32,
        lr=1e-2,
        seeds=3,
        looks=0,
        progress=False,
    )


def rewired(task: byway.Task, name: str) -> tuple[byway.Result, byway.Result]:
    """What a rule learns while the network is rewired, and what the readout alone does."""
    rule = byway.rule(name, **SETTINGS.get(name, {}))
    needs = {k: v for k, v in rule.network_options.items() if k in ("activation", "norm")}
    needs |= {"activation": UNITS[name]} if name in UNITS else {}
    net = byway.grownet(
        task.input_shape,
        60,
        task.outputs,
        regions=3,
        fan_in=12,
        spare=4,
        readout_from=(2,),
        **needs,
    )
    growth = byway.growth("set", every=50)
    return trained(task, net, rule, growth), trained(task, net, byway.rule("frozen"), growth)


def born(task: byway.Task, policy: str) -> None:
    """Lines for 8 units, for 8 to which a policy adds up to 24, and for 32."""
    of = {"8 units": (8, 1.0), f"8 of 32 units, {policy}": (32, 0.25), "32 units": (32, 1.0)}
    for name in ("bp", "frozen"):
        for what, (units, share) in of.items():
            net = byway.grownet(
                task.input_shape, units, task.outputs, regions=1, fan_in=12, born=share
            )
            growth = byway.growth(policy, every=40, units=4) if share < 1 else None
            result = trained(task, net, byway.rule(name), growth)
            alive = [int(result.learner(i).net.alive("region1").sum()) for i in range(3)]
            print(f"{name}, {what}: {said(result.accuracy)} %, {alive} in the end", flush=True)


def said(accuracy: np.ndarray) -> str:
    """Mean and spread, in percent."""
    values = 100 * accuracy
    return f"{values.mean():.2f} +- {values.std(ddof=1):.2f}"


def main() -> None:
    """Print a line for each rule, and some for each policy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rules", nargs="*")
    parser.add_argument("--births", nargs="*", default=[])
    asked = parser.parse_args()
    byway.use_all_cores()
    task = byway.task("digits")
    for name in asked.rules:
        learnt, frozen = (result.accuracy for result in rewired(task, name))
        gains = np.round(100 * (learnt - frozen), 1)
        print(f"{name}: {said(learnt)} %, frozen {said(frozen)} %, gains {gains}", flush=True)
    for policy in asked.births:
        born(task, policy)


if __name__ == "__main__":
    main()
