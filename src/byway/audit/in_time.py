"""What a rule keeps of the past, and whether it reads the future.

A few time steps are written out as one program in which every step's input and target is a source of its own. What an
update at step t was computed from says whether it had to wait for a later step; what is alive between steps, for
sequences of two lengths, says whether memory grows with the length.
"""

import math
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp

from byway.audit.flow import Flow, trace
from byway.core.rule import Answer, Rule
from byway.core.signal import Right, Signal, SquaredError
from byway.core.time import SequenceRule
from byway.network.network import Network

BATCH = 2


def reads_future(rule: Rule, net: Network, steps: int = 3) -> Answer:
    """Whether an update needs the input or the target of a step after the one that it learns from.

    A rule that sees one step at a time is called for each of them in turn. One that sees a whole sequence gives a single
    update, which is what it has for every step.
    """
    if not rule.in_time:
        return "no"
    sources, made = [], []

    def run(*arrays):
        x, target = arrays[:steps], arrays[steps:]
        made.append(_updates(rule, net, x, target))
        return [leaf for update in made[-1] for leaf in jax.tree.leaves(update)]

    for name, size in (("x", net[net.input]), ("target", net[net.output])):
        for t in range(steps):
            sources.append((jnp.zeros((BATCH, *size.shape), _dtype(net)), Flow(frozenset({f"{name}.{t}"}))))
    found, _ = trace(run, sources)
    counts = [len(jax.tree.leaves(update)) for update in made[-1]]
    at = 0
    for t, count in enumerate(counts):
        reads = frozenset().union(*(flow.reads for flow in found[at : at + count]))
        if any(f"{name}.{later}" in reads for name in ("x", "target") for later in range(t + 1, steps)):
            return "yes"
        at += count
    return "no"


def memory_in_time(rule: Rule, net: Network) -> Literal["flat", "grows"]:
    """Whether what is alive between f and g, and from step to step, grows with the length of the sequence."""
    if not rule.in_time:
        return "flat"
    return "grows" if _alive(rule, net, 8) > _alive(rule, net, 4) else "flat"


def _updates(rule: Rule, net: Network, x, target) -> list[Any]:
    """The update of each step."""
    gamma = rule.init(net, jax.random.key(0))
    state, memory = rule.start(gamma, net, BATCH)
    weight = jnp.ones(BATCH, _dtype(net))
    if isinstance(rule, SequenceRule):
        signal = Signal(jnp.stack(target, 1), SquaredError(), jnp.ones((BATCH, len(x)), _dtype(net)), Right())
        _, record = rule.f(gamma, net, state, jnp.stack(x, 1), signal, jax.random.key(0))
        return [rule.g(gamma, net, memory, record, signal)[1]] * len(x)
    made = []
    for now, wanted in zip(x, target, strict=True):
        signal = Signal(wanted, SquaredError(), weight, Right())
        state, record = rule.f(gamma, net, state, now, signal, jax.random.key(0))
        memory, update = rule.g(gamma, net, memory, record, signal)
        made.append(update)
    return made


def _alive(rule: Rule, net: Network, steps: int) -> int:
    """Bytes of record, state and memory."""
    time = (steps,) if isinstance(rule, SequenceRule) else ()

    def run():
        gamma = rule.init(net, jax.random.key(0))
        state, memory = rule.start(gamma, net, BATCH)
        x = jnp.zeros((BATCH, *time, *net[net.input].shape), _dtype(net))
        target = jnp.zeros((BATCH, *time, *net[net.output].shape), _dtype(net))
        signal = Signal(target, SquaredError(), jnp.ones((BATCH, *time), _dtype(net)), Right())
        state, record = rule.f(gamma, net, state, x, signal, jax.random.key(0))
        return state, memory, record

    shapes = jax.tree.leaves(eqx.filter_eval_shape(run))
    return sum(math.prod(s.shape) * s.dtype.itemsize for s in shapes if isinstance(s, jax.ShapeDtypeStruct))


def _dtype(net: Network):
    return net.dtype
