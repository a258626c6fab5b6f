"""The memory of one step of training, in place, of rules that keep their directions or do not."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

import byway
from byway.core.record import Phase, Record
from byway.core.signal import CrossEntropy, Signal
from byway.learning.rule import Update
from byway.rules.perturbation._directions import drawn
from byway.rules.perturbation.weight_perturbation import WeightPerturbation

ANSWER, KEPT = "an answer", "weight_perturbation, its direction kept"
RULES = ("weight_perturbation", "forward_gradient", "bp")


class Keeping(WeightPerturbation):
    """The same rule, with one direction that is drawn once and kept until it is used."""

    def f(self, gamma, net, state, x, signal, key):
        v = drawn(net, jax.random.split(key, 1)[0])
        up, down = (
            net.with_theta(jax.tree.map(lambda w, v, s=s: w + s * v, net.theta, v))
            .forward(x)
            .post[net.output]
            for s in (self.sigma, -self.sigma)
        )
        kept = {f"{name}.{part}": a for name, w in v.items() for part, a in w.items()}
        phases = {"up": Phase({}, {}, {"": up}, {}, kept), "down": Phase({}, {}, {"": down}, {})}
        return state, Record(phases, (up + down) / 2)

    def g(self, gamma, net, memory, record, signal):
        up, down = (jnp.mean(signal.loss(record[phase].post[""])) for phase in ("up", "down"))
        s, kept = (up - down) / (2 * self.sigma), record["up"].injected
        return memory, Update(
            {name: {k: s * kept[f"{name}.{k}"] for k in w} for name, w in net.theta.items()}
        )


def needed(sizes: list[int], batch: int) -> dict[str, int]:
    """What compiled programs set aside besides their arguments [B], by name; and the weights."""
    net = byway.mlp(*sizes)
    x, signal = jnp.zeros((batch, sizes[0])), Signal(jnp.zeros((batch, sizes[-1])), CrossEntropy())
    found = {"weights": sum(a.nbytes for w in net.theta.values() for a in w.values())}
    answer = lambda theta, x: net.with_theta(theta).forward(x).post[net.output]
    found[ANSWER] = _set_aside(answer, (), net.theta, x)
    rules = {name: byway.rule(name) for name in RULES} | {KEPT: Keeping()}
    for name, rule in rules.items():

        def step(theta: dict, x: Array, target: Array, key: Array, rule=rule) -> dict:
            net_now, signal_now = net.with_theta(theta), Signal(target, CrossEntropy())
            _, record = rule.f({}, net_now, net.rest(batch), x, signal_now, key)
            update = rule.g({}, net_now, (), record, signal_now)[1].net
            return jax.tree.map(lambda w, u: w - 0.1 * u, theta, update)

        found[name] = _set_aside(step, (0,), net.theta, x, signal.target, jax.random.key(0))
    return found


def _set_aside(function: Callable, in_place: tuple[int, ...], *args) -> int:
    program = jax.jit(function, donate_argnums=in_place).lower(*args).compile()
    return program.memory_analysis().temp_size_in_bytes
