"""The continuous adjoint, where it breaks: an equation that contracts cannot be gone back through,
and that is measured.
"""

import jax
import jax.numpy as jnp

import byway
from byway.core.signal import CrossEntropy, Signal
from byway.learning.rule import Carry
from byway.network.builders import graph
from byway.network.cells.flow import Flow
from byway.verify.oracle import drawn, gap, samples


def _stiff():
    """Units that decay at a rate of 200, and slow ones that listen to them."""
    fast, slow = (Flow(steps=100, decay=d, method="midpoint") for d in (200.0, 0.0))
    sizes = {"input": 3, "fast": 3, "slow": 3, "hidden": 4, "output": 2}
    edges = [
        *(("input", "fast"), ("input", "slow"), ("fast", "hidden"), ("slow", "hidden")),
        *(("hidden", "fast"), ("hidden", "slow"), ("slow", "output")),
    ]
    return graph(sizes, edges, activation={"fast": fast, "slow": slow, "hidden": "tanh"})


def test_on_a_stiff_decay_the_gradient_is_wrong_and_said_to_be_and_checkpoints_are_right():
    net = drawn(_stiff)
    x, target = samples((2, 3), 2)
    signal = Signal(target, CrossEntropy())

    def learned(rule, net):
        carry = Carry(*rule.start({}, net, 2), ())
        _, update, scores = rule.teach(rule, {}, net, carry, x, signal, jax.random.key(0))
        return update.net, scores

    names = ("backsolve", "reversible_ode", "checkpointed")
    rules = {name: byway.rule(name) for name in names}

    @jax.jit
    def everything(net):
        def loss(theta):
            _, record = rules["checkpointed"].f({}, net.with_theta(theta), (), x, None, None)
            return jnp.mean(signal.loss(record.output))

        return jax.grad(loss)(net.theta), {n: learned(rule, net) for n, rule in rules.items()}

    true, found = everything(net)
    for name, (update, scores) in found.items():
        measures = {measure: float(value) for measure, value in scores.items()}
        advice = rules[name].advice(measures)
        if name == "checkpointed":
            assert gap(update, true) < 1e-12 and measures["drift"] == 0 and advice is None
        else:
            assert not gap(update, true) < 1e-2
            wrong = measures["apart" if name == "reversible_ode" else "drift"]
            assert not wrong < 0.1 and advice is not None and "checkpointed or bp" in advice
