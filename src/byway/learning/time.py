"""Rules in time: those that learn from one step after another, and those that learn from whole
sequences.
"""

import dataclasses
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key
from typing_extensions import override

from byway.core.errors import ConfigError, RuleError
from byway.core.record import Record
from byway.core.signal import Signal
from byway.core.tree import PyTree
from byway.learning.learner import Learner
from byway.learning.rule import (
    Carry,
    Optimise,
    Pair,
    Rule,
    Score,
    Update,
    Watch,
    unscored,
    unwatched,
)
from byway.network.network import Network


class _InTime(Rule):
    """What both kinds share: every turn on a batch of sequences starts from rest, and may make
    several updates on its way.
    """

    in_time: ClassVar[bool] = True

    @override
    def updates(self, steps: int | None, every: int | None) -> int:
        """One for every so many steps."""
        if every is None or steps is None:
            return 1
        if not 1 <= every <= steps or steps % every:
            wanted = f"a divisor of {steps}, the length of a sequence"
            raise ConfigError(f"every = {every}", wanted, "leave every out for one update a batch")
        return steps // every

    @override
    def learn(
        self,
        learner: Learner,
        x: Float[Array, "batch *inputs"],
        signal: Signal,
        key: Key[Array, ""],
        optimise: Optimise,
        score: Score = unscored,
        watch: Watch = unwatched,
        every: int | None = None,
    ) -> tuple[Learner, dict[str, Array]]:
        if signal.weight is None:
            return super().learn(learner, x, signal, key, optimise, score, watch)
        every, kept = x.shape[1] if every is None else every, {}
        for number, (pair, times) in enumerate(self.turns):

            def once(i, held, pair=pair, number=number):
                learner, _ = held
                state, memory = self.begin(learner.gamma, learner.net, x.shape[0], learner.memory)

                def some(held, part):
                    learner, carry = held
                    carry, update, scores = self.teach(
                        pair,
                        learner.gamma,
                        learner.net,
                        carry,
                        x,
                        signal,
                        self.key_of(key, number, i),
                        score,
                        watch,
                        part * every,
                        every,
                    )
                    return (optimise(learner, number, update, scores), carry), scores

                (learner, carry), scores = summed(
                    some, (learner, Carry(state, memory, learner.seen)), x.shape[1] // every
                )
                return dataclasses.replace(
                    learner, memory=self.end(carry.memory), seen=carry.seen
                ), scores

            held = once(0, (learner, None))
            learner, scores = held if times == 1 else jax.lax.fori_loop(1, times, once, held)
            kept = scores if pair is self else kept
        return learner, kept


class StepRule(_InTime):
    """Abstract: a rule whose f and g see one time step of a batch of sequences; nothing is kept of
    a step but state, memory and sums.

    An independent sample is a sequence of one step, so such a rule learns from those too, on
    networks without cycles.
    """

    @override
    def require_time(self, net: Network, task: str, in_time: bool) -> None:
        """Either will do, but a cycle needs time."""
        if not in_time and not net.feedforward:
            what = "cells with a state" if net.stateful else "a cycle" if net.cyclic else "a delay"
            raise RuleError(
                f"{self.id} was given a network with {what}, on the task {task}, whose samples "
                "are independent",
                "a task in time, where the network carries the step before; or a network without",
                "use a rule that settles, such as pc"
                if net.cyclic and not net.stateful
                else "choose a task whose samples are sequences",
            )

    @override
    def begin(self, gamma: PyTree, net: Network, batch: int, kept: PyTree) -> tuple[PyTree, PyTree]:
        """A sequence starts with nothing in memory."""
        return self.start(gamma, net, batch)

    @override
    def end(self, memory: PyTree) -> PyTree:
        """A sequence leaves nothing behind but what was learnt."""
        return ()

    @override
    def predict(
        self,
        gamma: PyTree,
        net: Network,
        x: Float[Array, "batch *inputs"],
        key: Key[Array, ""],
        in_time: bool = False,
    ) -> Record:
        if not in_time:
            return super().predict(gamma, net, x, key)

        def step(state, t):
            state, record = self.f(
                gamma, net, state, step_of(x, t), None, jax.random.fold_in(key, t)
            )
            return state, (record.output, record.readouts)

        _, read = jax.lax.scan(step, self.start(gamma, net, x.shape[0])[0], jnp.arange(x.shape[1]))
        output, readouts = jax.tree.map(lambda a: jnp.moveaxis(a, 0, 1), read)
        return Record({}, output, readouts)

    @override
    def teach(
        self,
        pair: Pair,
        gamma: PyTree,
        net: Network,
        carry: Carry,
        x: Float[Array, "batch *inputs"],
        signal: Signal,
        key: Key[Array, ""],
        score: Score = unscored,
        watch: Watch = unwatched,
        first: Int[Array, ""] | int = 0,
        steps: int | None = None,
    ) -> tuple[Carry, Update, dict[str, Array]]:
        """Call f and g once for each time step, on the same weights.

        Updates and scores are sums over the steps, where the signal's weights make a mean of the
        scores of a sequence; measures are each step's share of the mean over the sequence.
        """
        if signal.weight is None:
            return super().teach(pair, gamma, net, carry, x, signal, key, score, watch)
        length = x.shape[1]

        def step(carry, t):
            t = first + t
            now = signal.at(t)
            state, record = pair.f(
                gamma, net, carry.state, step_of(x, t), now, jax.random.fold_in(key, t)
            )
            memory, update = pair.g(gamma, net, carry.memory, record, now)
            scores = {k: jnp.sum(v, 0) / x.shape[0] for k, v in score(record.output, now).items()}
            measures = {k: v / length for k, v in record.measures.items()}
            return Carry(state, memory, watch(carry.seen, net, record, update, now)), (
                update,
                scores | measures,
            )

        carry, (update, scores) = summed(step, carry, length if steps is None else steps)
        return carry, update, scores


class RoundTripRule(StepRule):
    """Abstract: a rule that goes through a sequence and then back through it, and learns on the way
    back; what it needs of a step is had again and not kept. Inputs are data, and read twice.

    f takes one step, `back` takes it back. g sees the steps from the last to the first, and memory
    carries what later steps owe to earlier ones. Between several updates in a sequence nothing is
    owed.
    """

    @abstractmethod
    def back(
        self,
        gamma: PyTree,
        net: Network,
        state: PyTree,
        x: Float[Array, "batch *inputs"],
        key: Key[Array, ""],
    ) -> tuple[PyTree, Record]:
        """Take a step of f back.

        Args:
            gamma: the rule's own parameters.
            net: the network.
            state: what the step left.
            x: its input.
            key: its key.

        Returns:
            The state before it, and the record that f made of it.
        """

    def depart(self, gamma: PyTree, net: Network, state: PyTree, steps: int) -> PyTree:
        """The state with what f needs to note on a way of so many steps; by default nothing."""
        return state

    def arrive(self, gamma: PyTree, net: Network, state: PyTree) -> PyTree:
        """The state without such notes."""
        return state

    def drift(self, gamma: PyTree, net: Network, again: PyTree, start: PyTree) -> Float[Array, ""]:
        """How far going back missed; by default the largest difference of any unit at the start.

        Args:
            gamma: the rule's own parameters.
            net: the network.
            again: the state that going back came to, with its notes.
            start: the one that the way there began from, without.
        """
        return _apart(self.arrive(gamma, net, again), start)

    def there_and_back(
        self,
        gamma: PyTree,
        net: Network,
        state: PyTree,
        x: Float[Array, "batch *inputs"],
        signal: Signal | None,
        key: Key[Array, ""],
    ) -> tuple[PyTree, Record]:
        """One step, and what is had again of it: all that g ever sees. For the audit."""
        state, _ = self.f(gamma, net, self.depart(gamma, net, state, 1), x, signal, key)
        _, record = self.back(gamma, net, state, x, key)
        return self.arrive(gamma, net, state), record

    @override
    def teach(
        self,
        pair: Pair,
        gamma: PyTree,
        net: Network,
        carry: Carry,
        x: Float[Array, "batch *inputs"],
        signal: Signal,
        key: Key[Array, ""],
        score: Score = unscored,
        watch: Watch = unwatched,
        first: Int[Array, ""] | int = 0,
        steps: int | None = None,
    ) -> tuple[Carry, Update, dict[str, Array]]:
        """Call f once for each time step, then `back` and g once for each, all on the same weights.

        Scores and measures are as in a `StepRule`; one more, "drift", says how far going back
        missed. A turn of another kind goes there alone.
        """
        if signal.weight is None or not isinstance(pair, RoundTripRule):
            return super().teach(
                pair, gamma, net, carry, x, signal, key, score, watch, first, steps
            )
        length = x.shape[1] if steps is None else steps

        def forth(state, t):
            t = first + t
            now = signal.at(t)
            state, record = pair.f(
                gamma, net, state, step_of(x, t), now, jax.random.fold_in(key, t)
            )
            scores = {k: jnp.sum(v, 0) / x.shape[0] for k, v in score(record.output, now).items()}
            measures = {k: v / x.shape[1] for k, v in record.measures.items()}
            return state, scores | measures

        def home(held, t):
            state, memory, seen = held
            t = first + length - 1 - t
            state, record = self.back(gamma, net, state, step_of(x, t), jax.random.fold_in(key, t))
            now = signal.at(t)
            memory, update = pair.g(gamma, net, memory, record, now)
            return (state, memory, watch(seen, net, record, update, now)), update

        there, scores = summed(forth, self.depart(gamma, net, carry.state, length), length)
        memory = self.start(gamma, net, x.shape[0])[1]
        (again, _, seen), update = summed(home, (there, memory, carry.seen), length)
        share = length / x.shape[1]
        scores["drift"] = share * self.drift(gamma, net, again, carry.state)
        return Carry(self.arrive(gamma, net, there), memory, seen), update, scores


class SequenceRule(_InTime):
    """Abstract: a rule whose f and g see whole sequences, "batch time *inputs".

    Several updates in a sequence see it piece by piece: f starts from the state that the piece
    before left, and nothing goes back from one piece into the one before.
    """

    @override
    def require_time(self, net: Network, task: str, in_time: bool) -> None:
        if not in_time:
            raise RuleError(
                f"{self.id} on the task {task}",
                "a task in time: it goes through whole sequences",
                "use bp, or another task",
            )

    @override
    def begin(self, gamma: PyTree, net: Network, batch: int, kept: PyTree) -> tuple[PyTree, PyTree]:
        return self.start(gamma, net, batch)[0], kept

    @override
    def teach(
        self,
        pair: Pair,
        gamma: PyTree,
        net: Network,
        carry: Carry,
        x: Float[Array, "batch *inputs"],
        signal: Signal,
        key: Key[Array, ""],
        score: Score = unscored,
        watch: Watch = unwatched,
        first: Int[Array, ""] | int = 0,
        steps: int | None = None,
    ) -> tuple[Carry, Update, dict[str, Array]]:
        """Take as many of the steps from `first` on as are asked for."""
        if steps is not None and steps < x.shape[1]:
            x, signal = jax.tree.map(
                lambda a: jax.lax.dynamic_slice_in_dim(a, first, steps, 1), (x, signal)
            )
        return super().teach(pair, gamma, net, carry, x, signal, key, score, watch)


def _apart(one: PyTree, other: PyTree) -> Float[Array, ""]:
    """The largest difference of any two numbers in two states."""
    gaps = jax.tree.map(lambda a, b: jnp.max(jnp.abs(a - b), initial=0), one, other)
    return jnp.max(jnp.stack([gap.astype(float) for gap in jax.tree.leaves(gaps)]))


def summed(
    step: Callable[[Any, Int[Array, ""] | int], tuple[Any, PyTree]], carry: Any, steps: int
) -> tuple[Any, PyTree]:
    """Scan `step(carry, t) -> (carry, new)` over t = 0, 1 ...; nothing is kept for each step, not
    even its number.

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


def step_of(
    x: Float[Array, "batch time *inputs"], t: Int[Array, ""] | int
) -> Float[Array, "batch *inputs"]:
    """The inputs of one time step, counted from 0."""
    return jax.lax.dynamic_index_in_dim(x, t, 1, keepdims=False)
