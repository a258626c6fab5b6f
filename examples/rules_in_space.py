"""Small networks in space on digits. `python examples/rules_in_space.py fa ff`: each rule on one
that is rewired meanwhile, beside the same with only the readout learnt. `... --births splitting`:
few units, to which a policy adds others.
"""

import argparse

import numpy as np

import byway

# The units that a rule works with here, where not those that it asks for.
UNITS = {"ep": "tanh"}


def trained(task: byway.Task, net: byway.Network, rule: byway.Rule, growth: byway.Growth | None):
    """Accuracy of each seed in percent, and how many units there are in the first region."""
    result = byway.fit(
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
    alive = [int(result.learner(i).net.alive("region1").sum()) for i in range(3)]
    return 100 * result.accuracy, alive


def rewired(task: byway.Task, name: str) -> None:
    """A line for a rule, beside the control."""
    rule = byway.rule(name)
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
    learnt, frozen = (
        trained(task, net, one, byway.growth("set", every=50))[0]
        for one in (rule, byway.rule("frozen"))
    )
    print(
        f"{name}: {said(learnt)} %, frozen {said(frozen)} %, gains {np.round(learnt - frozen, 1)}"
    )


def born(task: byway.Task, policy: str) -> None:
    """Lines for 8 units, for 8 to which a policy adds up to 24, and for 32."""
    of = {"8 units": (8, 1.0), f"8 of 32 units, {policy}": (32, 0.25), "32 units": (32, 1.0)}
    for name in ("bp", "frozen"):
        for what, (units, share) in of.items():
            net = byway.grownet(
                task.input_shape, units, task.outputs, regions=1, fan_in=12, born=share
            )
            growth = byway.growth(policy, every=40, units=4) if share < 1 else None
            accuracy, alive = trained(task, net, byway.rule(name), growth)
            print(f"{name}, {what}: {said(accuracy)} %, {alive} in the end", flush=True)


def said(values: np.ndarray) -> str:
    """Mean and spread."""
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
        rewired(task, name)
    for policy in asked.births:
        born(task, policy)


if __name__ == "__main__":
    main()
