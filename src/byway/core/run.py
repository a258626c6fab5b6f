"""Running a rule's f and g over whatever time a task has: what training, scoring and the microscope share."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, PyTree

from byway.core.record import Record
from byway.core.rule import Rule, Update
from byway.core.signal import Signal

Scores = dict[str, Array]


def predict(rule: Rule, gamma: PyTree, net: Any, x: Float[Array, "batch *inputs"], key: Key[Array, ""], in_time: bool = False) -> Record:
    """The rule's prediction on a batch, without a signal and from rest.

    Args:
        rule: the rule.
        gamma: its own parameters.
        net: the network.
        x: the inputs, "batch time *inputs" in time.
        key: for what f draws.
        in_time: whether the inputs are sequences.

    Returns:
        A record; in time its output and readouts are "batch time out".
    """
    state, _ = rule.start(gamma, net, x.shape[0])
    if not (in_time and rule.sees == "step"):
        return rule.f(gamma, net, state, x, None, key)[1]

    def step(state, t):
        state, record = rule.f(gamma, net, state, step_of(x, t), None, jax.random.fold_in(key, t))
        return state, (record.output, record.readouts)

    _, read = jax.lax.scan(step, state, jnp.arange(x.shape[1]))
    output, readouts = jax.tree.map(lambda a: jnp.moveaxis(a, 0, 1), read)
    return Record({}, output, readouts)


def teach(
    rule: Rule,
    gamma: PyTree,
    net: Any,
    state: PyTree,
    memory: PyTree,
    x: Float[Array, "batch *inputs"],
    signal: Signal,
    key: Key[Array, ""],
    score: Callable[[Array, Signal], Scores],
    calls: int = 1,
) -> tuple[PyTree, PyTree, Update, Scores]:
    """One call of f and of g; of so many, over which measures are averaged.

    Returns:
        The state and memory after it, the update, and the batch mean of each score and measure.
    """
    state, record = rule.f(gamma, net, state, x, signal, key)
    memory, update = rule.g(gamma, net, memory, record, signal)
    samples = (0,) if signal.weight is None else tuple(range(signal.weight.ndim))  # of sequences, their steps too
    scores = {k: jnp.sum(v, samples) / x.shape[0] for k, v in score(record.output, signal).items()}
    return state, memory, update, scores | {k: v / calls for k, v in record.measures.items()}


def teach_in_time(
    rule: Rule,
    gamma: PyTree,
    net: Any,
    state: PyTree,
    memory: PyTree,
    x: Float[Array, "batch time *inputs"],
    signal: Signal,
    key: Key[Array, ""],
    score: Callable[[Array, Signal], Scores],
    first: Int[Array, ""] | int = 0,
    steps: int | None = None,
) -> tuple[PyTree, PyTree, Update, Scores]:
    """F and g once for each time step, on the same weights; nothing is kept of a step but state, memory and the sums.

    Args:
        rule: a rule that sees one step at a time.
        gamma: its own parameters.
        net: the network.
        state: the activity before the first of the steps.
        memory: what g carries.
        x: whole sequences.
        signal: their signal.
        key: for what f draws.
        score: of an output and a signal.
        first: the first step to take.
        steps: how many, the whole sequence by default.

    Returns:
        As `teach`; updates and scores are sums over the steps, where the signal's weights make a mean of the scores of a
        sequence; measures are each step's share of the mean over the sequence.
    """

    def step(carry, t):
        state, memory = carry
        t = first + t
        of_t = step_of(x, t), signal.at(t), jax.random.fold_in(key, t)
        state, memory, update, scores = teach(rule, gamma, net, state, memory, *of_t, score, x.shape[1])
        return (state, memory), (update, scores)

    (state, memory), (update, scores) = summed(step, (state, memory), x.shape[1] if steps is None else steps)
    return state, memory, update, scores


def summed(step: Callable[[Any, Int[Array, ""]], tuple[Any, PyTree]], carry: Any, steps: int) -> tuple[Any, PyTree]:
    """Scan `step(carry, t) -> (carry, new)` over t = 0, 1 ...; nothing is kept for each step, not even its number.

    Returns:
        The last carry, and the sum of what was new.
    """
    if steps == 1:
        return step(carry, jnp.int32(0))
    shapes = jax.eval_shape(lambda carry: step(carry, jnp.int32(0))[1], carry)

    def one(everything, _):
        t, carry, sums = everything
        carry, new = step(carry, t)
        return (t + 1, carry, jax.tree.map(jnp.add, sums, new)), None

    zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
    (_, carry, sums), _ = jax.lax.scan(one, (jnp.int32(0), carry, zeros), None, steps)
    return carry, sums


def step_of(x: Float[Array, "batch time *inputs"], t: Int[Array, ""] | int) -> Float[Array, "batch *inputs"]:
    """The inputs of one time step, counted from 0."""
    return jax.lax.dynamic_index_in_dim(x, t, 1, keepdims=False)
