"""The compiled programs of a run: what one learner does, made into what a stack of them does
in one call.
"""

import contextlib
import functools
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from byway.core.code import Itself, behind
from byway.core.hyper import Mould
from byway.core.signal import Signal
from byway.core.task import Split, Task
from byway.learning.growth import Growth
from byway.learning.learner import Learner
from byway.learning.rule import Rule
from byway.metrics.microscope import microscope
from byway.network.network import Network
from byway.training.batches import Own
from byway.training.layout import Layout, skip_failed
from byway.training.pipeline import Staged
from byway.training.step import (
    NOISE,
    ORDER,
    Optimisers,
    Start,
    branch,
    concluded,
    grown,
    learn,
    new_learner,
)

# Under this name, beside a task's scores, goes what shows whether a learner's numbers are still
# finite; no task's score is called so.
WATCHED = "/"
# What samples are answered, and what they should be.
SAID, RIGHT = "said", "right"
# Sets of compiled programs that are kept for the next training of their kind.
KEPT = 8
# So many numbers of answers are kept of a learner; more would take the room of the data.
MOST_ANSWERS = 2**22
# What a learner is trained by.
Made = tuple[Rule, Optimisers, tuple[Growth, ...]]


class Setting(NamedTuple):
    """What programs are made for, beside rule, optimisers, growth and task.

    Attributes:
        batch: samples in an update.
        every: time steps between updates, or None.
        layout: how the learners lie on the devices.
        probe: validation samples under the microscope.
        chunk: samples scored at once.
    """

    batch: int
    every: int | None
    layout: Layout
    probe: int
    chunk: int


class Programs:
    """What a loop runs, compiled when it is first called. The numbers of rule, optimisers and
    growth are arguments; all else is fixed.

    Args:
        mould: rule, optimisers and growth without their numbers.
        task: gives the task, while a loop that runs these programs holds it.
        setting: all else.
    """

    def __init__(self, mould: Mould, task: Callable[[], Task], setting: Setting):
        self._mould, self._task, self._setting = mould, task, setting
        self.start = jax.jit(jax.vmap(self._start, in_axes=(0, 0, 0, None, None)))
        self.order = functools.lru_cache(
            lambda size: jax.jit(self._over(functools.partial(self._order, size)))
        )
        self.train = jax.jit(self._over(self._unless_failed), donate_argnums=1)
        self.score = jax.jit(self._over(self._score_one))
        self.look = jax.jit(self._over(self._look_one))
        self._bytes: dict[Any, int] = {}
        self._staged: dict[Any, Staged] = {}

    def staged(self, numbers: list[Array], learners: Learner, own: Own, held: Own) -> Staged:
        """An update with the layers in stages, for arguments of `train`."""
        one = lambda stacks: jax.tree.map(lambda a: a[0], stacks)
        arguments = *jax.eval_shape(one, (numbers, learners, own)), jax.eval_shape(lambda: held)
        key = *jax.tree.leaves(arguments), jax.tree.structure(arguments)
        if key not in self._staged:
            update = lambda numbers, *rest: self.update(self._mould(numbers), *rest)
            self._staged[key] = Staged(update, arguments, self._setting.layout)
        return self._staged[key]

    def step_bytes(self, numbers: list[Array], learners: Learner, train: Split) -> int:
        """Memory of one update of one learner [B]."""
        shapes = jax.eval_shape(
            lambda stack: jax.tree.map(lambda a: a[0], stack), (numbers, learners)
        )
        key = *jax.tree.leaves(shapes), jax.tree.structure(shapes)
        if key not in self._bytes:
            x, signal = jax.eval_shape(self._example, shapes[1].net, train)

            def step(numbers, one, x, signal):
                rule, optimisers, growth = self._mould(numbers)
                return learn(
                    rule, optimisers, one, x, signal, self._measured, self._setting.every, growth
                )[0]

            used = (
                jax.jit(step, donate_argnums=1)
                .lower(*shapes, x, signal)
                .compile()
                .memory_analysis()
            )
            # A backend may not say.
            sizes = (
                (0,)
                if used is None
                else (
                    used.temp_size_in_bytes,
                    used.argument_size_in_bytes,
                    used.output_size_in_bytes,
                )
            )
            self._bytes[key] = sum(sizes) - (0 if used is None else used.alias_size_in_bytes)
        return self._bytes[key]

    def _over(self, function: Callable) -> Callable:
        """`function(made, parts of one ..., shared)` for one learner -> `program(numbers, stacks
        ..., shared)` for all of them.
        """

        def one(of_one, shared):
            numbers, *parts = of_one
            return function(self._mould(numbers), *parts, shared)

        over = self._setting.layout.over(one)
        return lambda *args: over(args[:-1], args[-1])

    def _example(self, net: Network, train: Split):
        return self._batch(
            net, train, jnp.arange(self._setting.batch), jax.random.key(0), jnp.int32(0)
        )

    def _batch(
        self,
        net: Network,
        split: Split,
        index: Int[Array, " batch"],
        key: Key[Array, ""],
        step: Int[Array, ""],
        lesson: bool = False,
    ) -> tuple[Array, Signal]:
        """Some samples and their signal at a step, in the precision of the network's weights; as
        they are learned from, if it is for a lesson.
        """
        task = self._task()
        made = (task.lesson if lesson else task.batch)(split, index, key)
        return in_precision(task.drift(*made, step), net.dtype)

    def _start(
        self,
        numbers: list[Array],
        key: Key[Array, ""],
        start: Start | None,
        net: Network,
        train: Split,
    ) -> Learner:
        rule, optimisers, growth = self._mould(numbers)
        return new_learner(rule, net, optimisers, *self._example(net, train), key, growth, start)

    def _order(
        self, size: int, made: Made, learner: Learner, first: Int[Array, ""]
    ) -> Int[Array, "steps batch"]:
        """Which samples each update of an epoch learns from: it follows from the learner's key and
        its step at the start.
        """
        batch = self._setting.batch
        order = self._task().order(branch(learner.key, ORDER, learner.step - first), size)
        return order[: size // batch * batch].reshape(-1, batch)

    def _unless_failed(self, made: Made, learner: Learner, own: Own, shared: Any):
        return skip_failed(
            lambda learner, shared: self._updates(made, learner, *shared), learner, (own, shared)
        )

    def _updates(
        self, made: Made, learner: Learner, own: Own, shared: tuple[Own, Array, Array, Array, Array]
    ) -> tuple[Learner, dict[str, Float[Array, "steps *parts"]]]:
        """The updates of a window from number `first` (from 0) up to `last`, left out; and the
        scores of each, zero for the others.

        One program trains whole windows and parts of them: whoever stops to look changes nothing in
        what is learnt.
        """
        _, optimisers, growth = made
        held, first, last, done, rests = shared

        def one(i, carry):
            learner, scores = carry
            learner, new = self.update(made, learner, own, held, i)
            # By the clock of all seeds: a branch of each would be taken by every one.
            number = done + i + 1
            for place, policy in enumerate(growth):
                due = (number % policy.every == 0) & (number <= rests[place])
                whole = jnp.maximum(rests[place] - rests[place] % policy.every, 1)
                so_far = number.astype(jnp.float32) / whole.astype(jnp.float32)
                learner = jax.lax.cond(
                    due,
                    functools.partial(grown, growth, place, optimisers, done=so_far),
                    lambda one: one,
                    learner,
                )
            return learner, {k: v.at[i].set(new[k]) for k, v in scores.items()}

        start = learner.step - first
        shapes = jax.eval_shape(
            lambda learner: self.update(made, learner, own, held, first)[1], learner
        )
        window = len(held if isinstance(own, Split) else own)
        none = {k: jnp.zeros((window, *v.shape), v.dtype) for k, v in shapes.items()}
        learner, scores = jax.lax.fori_loop(first, last, one, (learner, none))
        # It is watched before its update: if number i (from 0) is the first that is not finite,
        # update i (from 1) broke it.
        sound = jnp.isfinite(scores.pop(WATCHED))
        whole = jnp.all(
            jnp.stack([jnp.all(jnp.isfinite(a)) for a in jax.tree.leaves(learner.net.theta)])
        )
        broke = jnp.where(jnp.all(sound), last, jnp.argmin(sound).astype(last.dtype))
        failed = jnp.where(jnp.all(sound) & whole, learner.failed, start + broke)
        return eqx.tree_at(lambda one: one.failed, learner, failed), scores

    def update(
        self, made: Made, learner: Learner, own: Own, held: Own, i: Int[Array, ""]
    ) -> tuple[Learner, dict[str, Array]]:
        """Update number `i` of a window, and its scores. Of the samples and their numbers in each
        batch, one is the learner's own, and the other is shared (see `Window`).
        """
        (rule, optimisers, growth), setting = made, self._setting
        both: tuple[Any, Any] = (own, held) if isinstance(own, Split) else (held, own)
        train, order = both
        index = jax.lax.dynamic_index_in_dim(order, i, keepdims=False)
        key = branch(learner.key, ORDER, learner.step)
        x, signal = setting.layout.divide(
            self._batch(learner.net, train, index, key, learner.step, lesson=True)
        )
        return learn(rule, optimisers, learner, x, signal, self._measured, setting.every, growth)

    def _score_one(
        self, made: Made, learner: Learner, shared: tuple[Split, Array, Array]
    ) -> tuple[dict[str, Float[Array, "chunks *parts"]], dict[str, Array]]:
        """The sum of each score over each chunk of samples, and what `_answers` gives, "chunks
        batch ...": `first` is the number of the first chunk, `size` how many samples are real.
        """
        (split, first, size), (rule, *_), task = shared, made, self._task()
        learner = concluded(rule, learner)
        batch = min(self._setting.chunk, split.size)
        chunks = -(-split.size // batch)
        numbers = jnp.arange(chunks * batch, dtype=size.dtype)
        index = jnp.minimum(numbers, size - 1).reshape(chunks, batch)
        real = (numbers < size).reshape(chunks, batch)

        def chunk(args):
            index, real, number = args
            key = branch(learner.key, NOISE, number)
            x, signal = self._setting.layout.divide(
                self._batch(learner.net, split, index, key, learner.step)
            )
            record = rule.predict(learner.gamma, learner.net, x, key, task.in_time)
            scores = self._per_sample(record.output, signal)
            for name, output in record.readouts.items():
                scores |= {
                    f"{metric}/{name}": v
                    for metric, v in self._per_sample(output, signal).items()
                    if metric != WATCHED
                }
            sums = {
                k: jnp.sum(jnp.where(real.reshape(-1, *[1] * (v.ndim - 1)), v, 0), 0)
                for k, v in scores.items()
            }
            answers = self._answers(record.output, signal)
            few = all(chunks * a.size <= MOST_ANSWERS for a in answers.values())
            return sums, answers if few else {}

        return jax.lax.map(chunk, (index, real, first + numbers[:chunks]))

    def _measured(
        self, output: Array, signal: Signal
    ) -> dict[str, Float[Array, "*batch_and_parts"]]:
        """What the task scores, and beside it what is finite as long as the learner's numbers are:
        its loss, or the sum of its output.
        """
        if output.dtype.itemsize < 4:  # too few digits for sums over samples
            output, signal = in_precision((output, signal), jnp.float32)
        scores = {k: v.astype(output.dtype) for k, v in self._task().score(output, signal).items()}
        return scores | {
            WATCHED: signal.loss(output) if signal.taught else signal.weigh(jnp.sum(output, -1))
        }

    def _per_sample(self, output: Array, signal: Signal) -> dict[str, Float[Array, "batch *parts"]]:
        return {
            k: v.sum(1) if self._task().in_time else v
            for k, v in self._measured(output, signal).items()
        }

    def _answers(self, output: Array, signal: Signal) -> dict[str, Array]:
        """By SAID what each sample is answered, by RIGHT what it should have been: the number of a
        class, or outputs as they are. Of a sequence with one answer it is that one; elsewhere a
        step that does not count has -1, or NaN. Nothing where there is no target.
        """
        encoding, counts = self._task().encoding, signal.weight
        if not signal.taught or (encoding.labels and len(encoding.labels) != output.shape[-1]):
            return {}
        both, nothing = {SAID: output, RIGHT: signal.target}, jnp.nan
        if encoding.labels:
            both = {k: jnp.argmax(v, -1).astype(jnp.int32) for k, v in both.items()}
            nothing = -1
        elif output.dtype.itemsize < 4:  # NumPy has no functions for some types of half precision
            both = in_precision(both, jnp.float32)
        if counts is None:
            return both
        if encoding.at_end:
            last = jnp.argmax(counts, 1)
            return {k: v[jnp.arange(len(v)), last] for k, v in both.items()}
        asked = lambda v: (counts > 0).reshape(*counts.shape, *[1] * (v.ndim - counts.ndim))
        return {k: jnp.where(asked(v), v, jnp.asarray(nothing, v.dtype)) for k, v in both.items()}

    def _look_one(
        self, made: Made, learner: Learner, split: Split
    ) -> dict[str, dict[str, Float[Array, ""]]]:
        key = branch(learner.key, NOISE, 0)
        x, signal = self._batch(
            learner.net, split, jnp.arange(self._setting.probe), key, learner.step
        )
        return microscope(made[0], concluded(made[0], learner), x, signal, key)


def in_precision(tree: Any, dtype: Any) -> Any:
    """A tree whose floats are of one type."""
    return jax.tree.map(
        lambda a: a.astype(dtype) if jnp.issubdtype(a.dtype, jnp.floating) else a, tree
    )


def programs(
    mould: Mould,
    rule: Rule,
    growth: tuple[Growth, ...],
    net: Network,
    task: Task,
    setting: Setting,
) -> Programs:
    """The programs of a run: those of an earlier one of the same kind, if they are still
    kept.
    """
    code = behind(
        type(rule),
        *map(type, growth),
        type(task),
        *mould.fixed,
        *(population.cell for population in net.populations),
    )
    # A task that holds arrays is of its own kind, and they go when it goes.
    same = task if _hashable(task) else Itself(task)
    # Some things have no hash, or no answer to whether they are equal.
    with contextlib.suppress(TypeError, ValueError):
        return _kept(mould, same, setting, code)
    return Programs(mould, lambda: task, setting)


@functools.lru_cache(maxsize=KEPT)
def _kept(
    mould: Mould, task: Task | Itself, setting: Setting, code: tuple[Hashable, ...]
) -> Programs:
    return Programs(mould, task.get if isinstance(task, Itself) else lambda: task, setting)


def _hashable(task: Task) -> bool:
    try:
        hash(task)
    except TypeError:
        return False
    return True
