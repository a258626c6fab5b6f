"""The loop: an epoch is one call of one compiled program, for all learners at once."""

import contextlib
import functools
import time
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from byway.core.code import Itself, behind
from byway.core.errors import ConfigError
from byway.core.given import LARGEST_COUNT
from byway.core.growth import Growth
from byway.core.hyper import Mould, numbers_of, unknown_to_python
from byway.core.learner import Learner
from byway.core.rule import Rule
from byway.core.signal import Signal
from byway.core.task import Split, Task
from byway.metrics.microscope import microscope
from byway.network.blackbox import failures
from byway.network.network import Network
from byway.training.batches import Batches, Own, chunks
from byway.training.fingerprint import fingerprint
from byway.training.layout import Layout, skip_failed
from byway.training.optimisers import at_rate
from byway.training.step import NOISE, ORDER, Optimisers, branch, concluded, grown, learn, new_learner

# Under this name, beside a task's scores, goes what shows whether a learner's numbers are still finite; no task's score is called so.
WATCHED = "/"
# Samples scored at once: large enough to fill a core, small enough for wide convolutions.
SCORE_BATCH = 500
# Sets of compiled programs that are kept for the next training of their kind.
KEPT = 8
# What a learner is trained by.
Made = tuple[Rule, Optimisers, Growth | None]


class Loop:
    """Trains, scores and probes a stack of learners, one for each seed, by compiled programs.

    Args:
        rule: the rule; or one for each learner, which differ in their numbers alone (see `numbers_of`).
        net: the network; each learner draws its own weights.
        task: what to learn.
        splits: its data.
        optimisers: for theta and gamma; or a pair for each learner, which differ in their numbers alone.
        batch: samples in an update.
        seeds: the seed of each learner.
        probe: validation samples under the microscope.
        every: time steps between updates, for a rule that sees one at a time.
        growth: what grows the networks, if anything does.
        rests: the update after which nothing grows any more.

    Attributes:
        learners: the learners, every array with a leading axis of at least `len(seeds)`; replaced by each epoch.
        numbers: those of each learner's rule, optimisers and growth, arrays with that axis.
        steps: updates in an epoch; samples that do not fill a batch wait for the next epoch's order.
        compile_seconds: time spent compiling the epoch, if that was not done before.
        look_compile_seconds: time spent compiling the microscope; 0 before its first look.
    """

    def __init__(
        self,
        rule: Rule | Sequence[Rule],
        net: Network,
        task: Task,
        splits: dict[str, Split],
        optimisers: Optimisers | Sequence[Optimisers],
        batch: int,
        seeds: list[int],
        probe: int,
        every: int | None = None,
        growth: Growth | None = None,
        rests: int = LARGEST_COUNT,
    ):
        self.growth, self.rests = growth, rests
        self.net, self.task, self.batch, self.seeds = net, task, batch, seeds
        rules = [rule] * len(seeds) if isinstance(rule, Rule) else list(rule)
        pairs = [optimisers] * len(seeds) if isinstance(optimisers, Optimisers) else list(optimisers)
        self.rule, self.optimisers = rules[0], pairs[0]
        self.steps = splits["train"].size // batch
        # What Python answers is asked for a whole batch at once.
        self.layout = Layout(len(seeds), self.rule.settles and net.differentiable)
        self.data = {name: split if split.fetched else self.layout.share(split) for name, split in splits.items()}
        self.batches = Batches(self.data["train"], batch, len(seeds), self.layout)
        self.probe = min(probe, splits["validation"].size)
        numbers, self._mould = self._stacked([(*made, growth) for made in zip(rules, pairs, strict=True)])
        self._programs = programs(self._mould, self.rule, growth, net, task, Setting(batch, every, self.layout, self.probe, SCORE_BATCH))
        self.numbers = self.layout.place(numbers)
        keys = jax.vmap(jax.random.key)(jnp.array(self._filled(seeds), jnp.uint32))
        learners = self._answer(self._programs.start, numbers, keys, net, splits["train"].first(batch))
        # The ones that only fill up the devices count as failed, so that they are skipped.
        failed = jnp.where(jnp.arange(self.layout.padded) < len(seeds), -1, 0).astype(learners.failed.dtype)
        self.learners = self.layout.place(eqx.tree_at(lambda one: one.failed, learners, failed))
        self._drawn: tuple[Any, int] = None, 0
        started = time.perf_counter()
        self._update(0, 0)
        self.compile_seconds = time.perf_counter() - started
        self._looked, self.look_compile_seconds = False, 0.0

    def train(self, first: int = 0, last: int | None = None) -> tuple[dict[str, np.ndarray], float]:
        """Train every learner for one epoch, or for a stretch of it: how it is cut into stretches changes no bit of what is learnt.

        Args:
            first: the update of this epoch to start from, counted from 0.
            last: the one to stop before; the end of the epoch by default.

        Returns:
            The training scores of each update, "seeds last-first *parts"; and the time it took [s].
        """
        last, started = self.steps if last is None else last, time.perf_counter()
        found = [self._update(first, last)]
        while (done := self._drawn[1]) < last:
            found.append(self._update(done, last))
        seconds = time.perf_counter() - started
        return {k: np.concatenate([one[k] for one in found], 1) for k in found[0]}, seconds

    def sound(self, values: dict[str, Any]) -> dict[str, np.ndarray]:
        """Numbers of the seeds asked for, "seeds *rest"; NaN where the learner has failed."""
        alive = self.failed < 0
        return {k: np.where(alive.reshape(-1, *[1] * (v.ndim - 1)), v, np.nan) for k, v in self._real(values).items()}

    def finished(self, means: dict[str, Any]) -> dict[str, np.ndarray]:
        """Scores, "seeds" each, from the means of their parts, "seeds *parts"; NaN where the learner has failed."""
        scores = {score.name: score for score in self.task.scores}
        made = {}
        for name, parts in self.sound(means).items():
            score = scores.get(name.partition("/")[0])
            made[name] = parts if score is None else np.array([score.of(one) for one in parts], float)
        return made

    def score(self, split: str, strict: bool = False) -> dict[str, np.ndarray]:
        """Scores on a split, "seeds" each; a readout besides the main one adds its own, as "accuracy/head".

        Args:
            split: its name.
            strict: raise `ConfigError` where a score is no number for any learner, although what they answer are numbers.
        """
        sums, size = [], self.data[split].size
        together = min(SCORE_BATCH, size)
        for some, first, real in chunks(self.data[split], together, self.layout):
            shared = some, *self.layout.share((jnp.int32(first), jnp.int32(real)))
            found = self._real(self._answer(self._programs.score, self.numbers, self.learners, shared))
            sums.append({k: v[:, : -(-real // together)] for k, v in found.items()})
        means = {k: np.concatenate([one[k] for one in sums], 1).sum(1, dtype=float) / size for k in sums[0]}
        sound = np.isfinite(means.pop(WATCHED)) & (self.failed < 0)
        made = self.finished(means)
        for score in self.task.scores:
            if strict and sound.any() and np.isnan(made[score.name][sound]).all():
                raise ConfigError(
                    f"the score {score.name} of the task {self.task.id}, which is {made[score.name][sound][0]} on the {split} split",
                    "a number, as the network's outputs are",
                    "look for a division by zero in the task's score, or in what finishes it",
                )
        return made

    def look(self) -> tuple[dict[str, dict[str, np.ndarray]], float]:
        """What the microscope sees on validation samples.

        Returns:
            By quantity, by projection, "seeds" each; and the time it took, without compiling [s].
        """
        some = self.layout.share(self.data["validation"].first(self.probe))
        seen = lambda: self._answer(self._programs.look, self.numbers, self.learners, some)  # noqa: E731
        started = time.perf_counter()
        if not self._looked:
            seen()
            self._looked, self.look_compile_seconds, started = True, time.perf_counter() - started, time.perf_counter()
        found = seen()
        seconds = time.perf_counter() - started
        return {quantity: self.sound(one) for quantity, one in jax.device_get(found).items()}, seconds

    def real_learners(self) -> Learner:
        """The learners of the seeds asked for, on one device."""
        return jax.tree.map(jnp.asarray, self._real(self.learners))

    @property
    def failed(self) -> np.ndarray:
        """The update that broke each learner, counted from 1, or -1."""
        return np.asarray(self._real(self.learners.failed))

    def _real(self, tree: Any) -> Any:
        """Without the learners that only fill up the devices; on the host."""
        return jax.tree.map(lambda a: a[: len(self.seeds)], jax.device_get(tree))

    def fingerprint(self) -> str:
        """What is computed, and from what: the same for the same training in another process."""
        still = self.net.with_theta(jax.tree.map(jnp.zeros_like, self.net.theta))  # weights are drawn, whatever they are here
        window, zeros = self.batches.at(0), self.layout.share((jnp.int32(0),) * 4)
        train, scored = self.data["train"], self.data["validation"].first(SCORE_BATCH)
        programs = self._programs
        traced = [
            programs.start.trace(self.numbers, self.learners.key, self.net, train.first(self.batch)),
            programs.order(train.size).trace(self.numbers, self.learners, zeros[0]),
            programs.train.trace(self.numbers, self.learners, window.own, (window.shared, *zeros)),
            programs.score.trace(self.numbers, self.learners, (scored, *zeros[:2])),
        ]
        return fingerprint(*traced, self.numbers, still)

    @property
    def step_bytes(self) -> int:
        """Memory of one compiled update of one learner: the learner, its batch and what the step needs besides [B]."""
        return self._programs.step_bytes(self.numbers, self.learners, self.data["train"].first(self.batch))

    def change(self, rule: Rule | None = None, lr: float | None = None, lr_gamma: float | None = None) -> None:
        """Go on with other numbers, in all learners; nothing is compiled anew.

        Args:
            rule: the same rule with other live numbers; as it is by default.
            lr: the learning rate of the weights from here on, which the schedule goes on to lower; of an optimiser given by name.
            lr_gamma: that of the rule's own parameters.

        Raises:
            ConfigError: a rule that differs in more than its numbers.
        """
        if rule is not None:
            numbers, mould = self._stacked([(rule, self.optimisers, self.growth)] * len(self.seeds))
            if mould != self._mould:
                raise ConfigError(f"{rule} in place of {self.rule}", "a rule that differs in its live numbers alone", "train it anew")
            self.rule, self.numbers = rule, self.layout.place(numbers)
        moments = tuple((at_rate(theta, lr), at_rate(gamma, lr_gamma)) for theta, gamma in self.learners.moments)
        self.learners = eqx.tree_at(lambda one: one.moments, self.learners, self.layout.place(moments))

    def _update(self, first: int, last: int) -> dict[str, np.ndarray]:
        """Train from one update of the epoch up to another, or up to the end of what has been fetched; the scores of each."""
        # Drawing the order of a million samples takes as long as learning from many of them: once in an epoch will do.
        learners, upto = self._drawn
        if learners is not self.learners or upto != first:
            self.batches.begin(self._ordered(first))
        window = self.batches.at(first)
        start, end = first - window.first, min(last, window.last) - window.first
        clock = self.layout.share(tuple(jnp.int32(n) for n in (start, end, self._done - start, self.rests)))
        shared = window.shared, *clock
        self.learners, scores = self._answer(self._programs.train, self.numbers, self.learners, window.own, shared)
        self._drawn = self.learners, window.first + end
        return {k: v[:, start:end] for k, v in self._real(scores).items()}

    @property
    def _done(self) -> int:
        """How many updates the learners have made, those apart that failed on the way."""
        return int(np.max(np.asarray(self.learners.step)))

    def _ordered(self, first: int) -> Array:
        """The order of an epoch of which `first` updates are done, of every learner."""
        draw = self._programs.order(self.data["train"].size)
        return self.layout.place(draw(self.numbers, self.learners, self.layout.share(jnp.int32(first))))

    def _answer(self, program: Callable, *args: Any) -> Any:
        """What a program returns, when it is there."""
        with failures(self.net), unknown_to_python(self.rule):
            return jax.block_until_ready(program(*args))

    def _stacked(self, each: list[Made]) -> tuple[list[Array], Mould]:
        """The numbers of what trains each learner, with a leading axis, and all else of it, which must be the same."""
        numbers, moulds = zip(*map(numbers_of, each), strict=True)
        if other := next((one for one, mould in zip(each, moulds, strict=True) if one != each[0] and mould != moulds[0]), None):
            raise ConfigError(
                f"{other[0]} beside {each[0][0]}", "rules that differ in their live numbers alone", "train it in another loop"
            )
        return [jnp.stack([jnp.asarray(a) for a in those]) for those in zip(*self._filled(list(numbers)), strict=True)], moulds[0]

    def _filled(self, each: list[Any]) -> list[Any]:
        """One for each learner, and for those that fill up the devices the last once more."""
        return each + [each[-1]] * (self.layout.padded - len(each))


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
    """What a loop runs, compiled when it is first called. The numbers of rule, optimisers and growth are arguments; all else is fixed.

    Args:
        mould: rule, optimisers and growth without their numbers.
        task: gives the task, while a loop that runs these programs holds it.
        setting: all else.
    """

    def __init__(self, mould: Mould, task: Callable[[], Task], setting: Setting):
        self._mould, self._task, self._setting = mould, task, setting
        self.start = jax.jit(jax.vmap(self._start, in_axes=(0, 0, None, None)))
        self.order = functools.lru_cache(lambda size: jax.jit(self._over(functools.partial(self._order, size))))
        self.train = jax.jit(self._over(self._unless_failed), donate_argnums=1)
        self.score = jax.jit(self._over(self._score_one))
        self.look = jax.jit(self._over(self._look_one))
        self._bytes: dict[Any, int] = {}

    def step_bytes(self, numbers: list[Array], learners: Learner, train: Split) -> int:
        """Memory of one update of one learner [B]."""
        shapes = jax.eval_shape(lambda stack: jax.tree.map(lambda a: a[0], stack), (numbers, learners))
        key = *jax.tree.leaves(shapes), jax.tree.structure(shapes)
        if key not in self._bytes:
            x, signal = jax.eval_shape(self._example, train)

            def step(numbers, one, x, signal):
                rule, optimisers, growth = self._mould(numbers)
                return learn(rule, optimisers, one, x, signal, every=self._setting.every, growth=growth)[0]

            used = jax.jit(step, donate_argnums=1).lower(*shapes, x, signal).compile().memory_analysis()
            # A backend may not say.
            sizes = (0,) if used is None else (used.temp_size_in_bytes, used.argument_size_in_bytes, used.output_size_in_bytes)
            self._bytes[key] = sum(sizes) - (0 if used is None else used.alias_size_in_bytes)
        return self._bytes[key]

    def _over(self, function: Callable) -> Callable:
        """`function(made, parts of one ..., shared)` for one learner -> `program(numbers, stacks ..., shared)` for all of them."""

        def one(of_one, shared):
            numbers, *parts = of_one
            return function(self._mould(numbers), *parts, shared)

        over = self._setting.layout.over(one)
        return lambda *args: over(args[:-1], args[-1])

    def _example(self, train: Split):
        return self._batch(train, jnp.arange(self._setting.batch), jax.random.key(0), jnp.int32(0))

    def _batch(self, split: Split, index: Int[Array, " batch"], key: Key[Array, ""], step: Int[Array, ""]) -> tuple[Array, Signal]:
        return self._task().drift(*self._task().batch(split, index, key), step)

    def _start(self, numbers: list[Array], key: Key[Array, ""], net: Network, train: Split) -> Learner:
        rule, optimisers, growth = self._mould(numbers)
        return new_learner(rule, net, optimisers, *self._example(train), key, growth)

    def _order(self, size: int, made: Made, learner: Learner, first: Int[Array, ""]) -> Int[Array, "steps batch"]:
        """Which samples each update of an epoch learns from: it follows from the learner's key and its step at the start."""
        batch = self._setting.batch
        order = self._task().order(branch(learner.key, ORDER, learner.step - first), size)
        return order[: size // batch * batch].reshape(-1, batch)

    def _unless_failed(self, made: Made, learner: Learner, own: Own, shared: Any):
        return skip_failed(lambda learner, shared: self._updates(made, learner, *shared), learner, (own, shared))

    def _updates(
        self, made: Made, learner: Learner, own: Own, shared: tuple[Own, Array, Array, Array, Array]
    ) -> tuple[Learner, dict[str, Float[Array, "steps *parts"]]]:
        """The updates of a window from number `first` (from 0) up to `last`, left out; and the scores of each, zero for the others.

        One program trains whole windows and parts of them: whoever stops to look changes nothing in what is learnt. Of the samples and
        their numbers in each batch, one is the learner's own, and the other is shared (see `Window`).
        """
        (rule, optimisers, growth), layout = made, self._setting.layout
        held, first, last, done, rests = shared
        both: tuple[Any, Any] = (own, held) if isinstance(own, Split) else (held, own)
        train, order = both

        def step(learner: Learner, index: Int[Array, " batch"]):
            x, signal = layout.divide(self._batch(train, index, branch(learner.key, ORDER, learner.step), learner.step))
            return learn(rule, optimisers, learner, x, signal, self._measured, self._setting.every, growth)

        def one(i, carry):
            learner, scores = carry
            learner, new = step(learner, jax.lax.dynamic_index_in_dim(order, i, keepdims=False))
            if growth is not None:  # by the clock of all seeds: a branch of each would be taken by every one
                number = done + i + 1
                due = (number % growth.every == 0) & (number <= rests)
                learner = jax.lax.cond(due, functools.partial(grown, growth, optimisers), lambda one: one, learner)
            return learner, {k: v.at[i].set(new[k]) for k, v in scores.items()}

        start = learner.step - first
        shapes = jax.eval_shape(lambda learner: step(learner, order[0])[1], learner)
        none = {k: jnp.zeros((len(order), *v.shape), v.dtype) for k, v in shapes.items()}
        learner, scores = jax.lax.fori_loop(first, last, one, (learner, none))
        # It is watched before its update: if number i (from 0) is the first that is not finite, update i (from 1) broke it.
        sound = jnp.isfinite(scores.pop(WATCHED))
        whole = jnp.all(jnp.stack([jnp.all(jnp.isfinite(a)) for a in jax.tree.leaves(learner.net.theta)]))
        broke = jnp.where(jnp.all(sound), last, jnp.argmin(sound).astype(last.dtype))
        failed = jnp.where(jnp.all(sound) & whole, learner.failed, start + broke)
        return eqx.tree_at(lambda one: one.failed, learner, failed), scores

    def _score_one(self, made: Made, learner: Learner, shared: tuple[Split, Array, Array]) -> dict[str, Float[Array, "chunks *parts"]]:
        """The sum of each score over each chunk of samples: `first` is the number of the first chunk, `size` how many samples are real."""
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
            x, signal = self._setting.layout.divide(self._batch(split, index, key, learner.step))
            record = rule.predict(learner.gamma, learner.net, x, key, task.in_time)
            scores = self._per_sample(record.output, signal)
            for name, output in record.readouts.items():
                scores |= {f"{metric}/{name}": v for metric, v in self._per_sample(output, signal).items() if metric != WATCHED}
            return {k: jnp.sum(jnp.where(real.reshape(-1, *[1] * (v.ndim - 1)), v, 0), 0) for k, v in scores.items()}

        return jax.lax.map(chunk, (index, real, first + numbers[:chunks]))

    def _measured(self, output: Array, signal: Signal) -> dict[str, Float[Array, "*batch_and_parts"]]:
        """What the task scores, and beside it what is finite as long as the learner's numbers are: its loss, or the sum of its output."""
        scores = {k: v.astype(output.dtype) for k, v in self._task().score(output, signal).items()}
        return scores | {WATCHED: signal.loss(output) if signal.taught else signal.weigh(jnp.sum(output, -1))}

    def _per_sample(self, output: Array, signal: Signal) -> dict[str, Float[Array, "batch *parts"]]:
        return {k: v.sum(1) if self._task().in_time else v for k, v in self._measured(output, signal).items()}

    def _look_one(self, made: Made, learner: Learner, split: Split) -> dict[str, dict[str, Float[Array, ""]]]:
        key = branch(learner.key, NOISE, 0)
        x, signal = self._batch(split, jnp.arange(self._setting.probe), key, learner.step)
        return microscope(made[0], concluded(made[0], learner), x, signal, key)


def programs(mould: Mould, rule: Rule, growth: Growth | None, net: Network, task: Task, setting: Setting) -> Programs:
    """The programs of a training: those of an earlier one of the same kind, if they are still kept."""
    code = behind(type(rule), type(growth), type(task), *mould.fixed, *(population.cell for population in net.populations))
    # A task that holds arrays is of its own kind, and they go when it goes.
    same = task if _hashable(task) else Itself(task)
    with contextlib.suppress(TypeError, ValueError):  # some things have no hash, or no answer to whether they are equal
        return _kept(mould, same, setting, code)
    return Programs(mould, lambda: task, setting)


@functools.lru_cache(maxsize=KEPT)
def _kept(mould: Mould, task: Task | Itself, setting: Setting, code: tuple[Hashable, ...]) -> Programs:
    return Programs(mould, task.get if isinstance(task, Itself) else lambda: task, setting)


def _hashable(task: Task) -> bool:
    try:
        hash(task)
    except TypeError:
        return False
    return True
