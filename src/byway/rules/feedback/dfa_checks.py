"""Direct feedback alignment: backprop where one matrix can say it all, and only there."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from byway.core.check import Check
from byway.verify.oracle import (
    EXACT,
    apart,
    from_autodiff,
    layered,
    learned,
    recorded,
    taught,
)

SOURCE = "Nokland 2016"


def checks(rule):

    def shallow():
        problem = layered(6, 5, 4)
        return from_autodiff(
            rule, problem, {"hidden1": problem.net.theta["hidden1-output"]["weight"].T}
        )

    def linear():
        problem = layered(6, 5, 7, 4, 3, phi="identity", loss="squared_error")
        return from_autodiff(rule, problem, _products(problem.net))

    return [
        Check("one hidden layer, B = Wᵀ: update = autodiff", shallow, EXACT, SOURCE),
        Check("deep linear net, B = (W_L ... W_l)ᵀ: update = autodiff", linear, EXACT, SOURCE),
        Check(
            "deep tanh net, the same B: distance from autodiff",
            lambda: _chained(rule),
            0.01,
            "equal only if layers chain",
            least=True,
        ),
        Check(
            "other last weights, same error: change of updates below",
            lambda: _leak(rule),
            0.0,
            SOURCE,
        ),
    ]


def _products(net):
    """W_L ... W_{l+1} for each hidden layer, "out units"."""
    weights = [np.asarray(p.weight) for p in net.projections]
    return {
        h.name: jnp.asarray(np.linalg.multi_dot([*weights[i:], np.eye(weights[-1].shape[1])]).T)
        for i, h in enumerate(net.hidden, 1)
    }


def _chained(rule) -> float:
    problem = layered(6, 5, 7, 4, 3)
    update, true = (
        taught(rule, problem.net, problem.x, problem.signal, _products(problem.net)),
        problem.gradient(),
    )
    return min(
        apart(update[name]["weight"], true[name]["weight"])
        for name in ("input-hidden1", "hidden1-hidden2")
    )


def _leak(rule) -> float:
    net, x, signal, _ = layered(6, 5, 4, 3)
    other = net.with_theta(
        {
            "hidden2-output": {
                "weight": jnp.asarray(2 * np.asarray(net.theta["hidden2-output"]["weight"]) + 1)
            }
        }
    )
    record = recorded(rule, net, x, signal)
    changed = eqx.tree_at(lambda r: r.output, recorded(rule, other, x, signal), record.output)
    before, after = (
        learned(rule, net, record, signal).net,
        learned(rule, other, changed, signal).net,
    )
    return max(
        apart(after[name]["weight"], before[name]["weight"])
        for name in ("input-hidden1", "hidden1-hidden2")
    )
