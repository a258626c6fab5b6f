"""Small networks in space on digits. `python examples/rules_in_space.py fa ff`: each rule on one
that is rewired meanwhile, beside the same with only the readout learnt. `... --births splitting`:
few units, to which a policy adds others. `... --cycles ep pc ipc`: rules that settle on a network
with cycles, beside the same with only the readout learnt.
"""

import argparse
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import byway

# What a rule needs here beside its defaults, and the units that it works with, where not those
# that it asks for.
SETTINGS: dict[str, dict[str, Any]] = {
    "activity_forward_gradient": {"group": 4},
    "node_perturbation": {"draws": 16},
}
UNITS = {"ep": "tanh"}
# With cycles; and the rate there, at which `ipc` takes many steps on each batch.
SETTLING: dict[str, dict[str, Any]] = {"pc": {"precision": 0.01, "steps": 50, "rate": 0.1}}
RATE, RATES = 3e-3, {"ipc": 1e-3}


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


def in_space(task: byway.Task, **more: Any) -> byway.Network:
    """Three small regions, of which the output reads the last."""
    options = {"regions": 3, "fan_in": 12, "readout_from": (2,), **more}
    return byway.grownet(task.input_shape, 60, task.outputs, **options)


def rewired(task: byway.Task, name: str) -> tuple[byway.Result, byway.Result]:
    """What a rule learns while the network is rewired, and what the readout alone does."""
    rule = byway.rule(name, **SETTINGS.get(name, {}))
    needs = {k: v for k, v in rule.network_options.items() if k in ("activation", "norm")}
    needs |= {"activation": UNITS[name]} if name in UNITS else {}
    net = in_space(task, spare=4, **needs)
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


def cyclic(name: str, calls: float | None, learns: bool) -> np.ndarray:
    """Accuracy on each of three networks with cycles.

    Args:
        name: a rule that settles.
        calls: how strongly units answer each other at first, see `calmed`; None for as drawn.
        learns: whether all weights learn, or those of the readout alone.
    """
    pc = name == "pc"
    task = byway.task("digits", loss="squared_error" if pc else "cross_entropy")
    net = in_space(task, cycles=True, activation="tanh")
    hidden = {p.name: 0.0 for p in net.projections if p.dst != net.output}
    accuracy = []
    for seed in range(3):
        start = net.redraw(jax.random.key(seed))
        result = byway.fit(
            net,
            byway.rule(name, **SETTLING.get(name, {})),
            task,
            start=start if calls is None else calmed(start, calls),
            optimiser="adam",
            lr=RATES.get(name, RATE),
            schedule="constant",
            scales=None if learns else hidden,
            epochs=10,
            batch=32,
            looks=0,
            progress=False,
        )
        accuracy.append(result.accuracy[0])
    return np.array(accuracy)


def calmed(net: byway.Network, calls: float) -> byway.Network:
    """The same network, the weights between its hidden units scaled until the largest eigenvalue of
    W + W^T is `calls` in size: what a unit sends comes back to it both ways.
    """
    hidden = [p.name for p in net.hidden]
    ends = np.cumsum([0, *(net[name].size for name in hidden)])
    at = {name: slice(*ends[i : i + 2]) for i, name in enumerate(hidden)}
    between = [p for p in net.projections if p.src in at and p.dst in at]
    w = np.zeros((ends[-1], ends[-1]))
    for p in between:
        w[at[p.src], at[p.dst]] = p.forward(jnp.eye(net[p.src].size)) - p.offset
    scale = calls / np.abs(np.linalg.eigvalsh(w + w.T)).max()
    return net.with_theta(
        {p.name: {**p.theta, "weight": scale * p.theta["weight"]} for p in between}
    )


def said(accuracy: np.ndarray) -> str:
    """Mean and spread, in percent."""
    values = 100 * accuracy
    return f"{values.mean():.2f} +- {values.std(ddof=1):.2f}"


def main() -> None:
    """Print a line for each rule, and some for each policy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rules", nargs="*")
    parser.add_argument("--births", nargs="*", default=[])
    parser.add_argument("--cycles", nargs="*", default=[])
    asked = parser.parse_args()
    byway.use_all_cores()
    task = byway.task("digits")
    for name in asked.rules:
        learnt, frozen = (result.accuracy for result in rewired(task, name))
        gains = np.round(100 * (learnt - frozen), 1)
        print(f"{name}: {said(learnt)} %, frozen {said(frozen)} %, gains {gains}", flush=True)
    for policy in asked.births:
        born(task, policy)
    for name in asked.cycles:
        for calls in (None, 0.8):
            learnt, readout = (cyclic(name, calls, learns) for learns in (True, False))
            gains = np.round(100 * (learnt - readout), 1)
            print(
                f"{name} with cycles, {calls or 'as drawn'}: {said(learnt)} %, readout alone "
                f"{said(readout)} %, gains {gains}",
                flush=True,
            )


if __name__ == "__main__":
    main()
