"""The loop: an epoch is one call of one compiled program, for all seeds at once."""

import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from byway.core.errors import ConfigError
from byway.core.given import LARGEST_COUNT
from byway.core.growth import Growth
from byway.core.learner import Learner
from byway.core.rule import Rule
from byway.core.signal import Signal
from byway.core.task import Split, Task
from byway.metrics.microscope import microscope
from byway.network.blackbox import failures
from byway.network.network import Network
from byway.training.layout import Layout, skip_failed
from byway.training.step import NOISE, ORDER, Optimisers, branch, concluded, grown, learn, new_learner

# Under this name, beside a task's scores, goes what shows whether a learner's numbers are still finite; no task's score is called so.
WATCHED = "/"
# Samples scored at once: large enough to fill a core, small enough for wide convolutions.
SCORE_BATCH = 500


class Loop:
    """Compiled programs that train, score and probe a stack of learners, one for each seed.

    Attributes:
        learners: the learners, every array with a leading axis of at least `len(seeds)`; replaced by each epoch.
        steps: updates in an epoch; samples that do not fill a batch wait for the next epoch's order.
        compile_seconds: time spent compiling the epoch.
        look_compile_seconds: time spent compiling the microscope; 0 before its first look.
        step_bytes: memory of one compiled update of one learner: the learner, its batch and what the step needs besides.
    """

    def __init__(
        self,
        rule: Rule,
        net: Network,
        task: Task,
        splits: dict[str, Split],
        optimisers: Optimisers,
        batch: int,
        seeds: list[int],
        probe: int,
        every: int | None = None,
        growth: Growth | None = None,
        rests: int = LARGEST_COUNT,
    ):
        self.every, self.net, self.growth, self.rests = every, net, growth, rests
        self.rule, self.task, self.optimisers, self.batch, self.seeds = rule, task, optimisers, batch, seeds
        self.steps = splits["train"].size // batch
        # What Python answers is asked for a whole batch at once.
        self.layout = Layout(len(seeds), rule.settles and net.differentiable)
        self.data = {name: self.layout.share(split) for name, split in splits.items()}
        self.probe = min(probe, splits["validation"].size)
        self.learners = self._start(net, self.layout.padded)
        started = time.perf_counter()
        self._draw = jax.jit(self.layout.over(self._order))
        self._drawn: tuple[Learner, int, Array] = self.learners, 0, self._ordered(0)
        train = self.layout.over(lambda one, shared: skip_failed(self._updates, one[0], (one[1], *shared)))
        updates = jax.jit(lambda learners, order, shared: train((learners, order), shared), donate_argnums=0)
        self._run = updates.lower(self.learners, self._drawn[2], self._stretch(0, self.steps)).compile()
        self.compile_seconds = time.perf_counter() - started
        self.step_bytes = self._step_bytes()
        self._score = jax.jit(self.layout.over(self._score_one))
        self._look, self.look_compile_seconds = None, 0.0

    def train(self, first: int = 0, last: int | None = None) -> tuple[dict[str, np.ndarray], float]:
        """Train every learner for one epoch, or for a stretch of it: how it is cut into stretches changes no bit of what is learnt.

        Args:
            first: the update of this epoch to start from, counted from 0.
            last: the one to stop before; the end of the epoch by default.

        Returns:
            The training scores of each update, "seeds last-first *parts"; and the time it took [s].
        """
        last, started = self.steps if last is None else last, time.perf_counter()
        # Drawing the order of a million samples takes as long as learning from many of them: once in an epoch will do.
        learners, upto, order = self._drawn
        if learners is not self.learners or upto != first:
            order = self._ordered(first)
        with failures(self.net):
            self.learners, scores = jax.block_until_ready(self._run(self.learners, order, self._stretch(first, last)))
        self._drawn = self.learners, last, order
        seconds = time.perf_counter() - started
        return {k: v[:, first:last] for k, v in self._real(scores).items()}, seconds

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
        with failures(self.net):
            means = dict(self._real(self._score(self.learners, self.data[split])))
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
        started = time.perf_counter()
        if self._look is None:
            look = jax.jit(self.layout.over(self._look_one))
            self._look = look.lower(self.learners, self.data["validation"]).compile()
            jax.block_until_ready(self._look(self.learners, self.data["validation"]))  # XLA finishes its work on the first call
            self.look_compile_seconds, started = time.perf_counter() - started, time.perf_counter()
        seen = jax.block_until_ready(self._look(self.learners, self.data["validation"]))
        seconds = time.perf_counter() - started
        return {quantity: self.sound(found) for quantity, found in jax.device_get(seen).items()}, seconds

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

    def _example(self):
        return self._batch(self.data["train"], jnp.arange(self.batch), jax.random.key(0), jnp.int32(0))

    def _batch(self, split: Split, index: Int[Array, " batch"], key: Key[Array, ""], step: Int[Array, ""]) -> tuple[Array, Signal]:
        return self.task.drift(*self.task.batch(split, index, key), step)

    def _start(self, net: Network, stack: int) -> Learner:
        x, signal = self._example()
        seeds = self.seeds + [self.seeds[-1]] * (stack - len(self.seeds))
        keys = jax.vmap(jax.random.key)(jnp.array(seeds, jnp.uint32))
        learners = jax.jit(jax.vmap(lambda key: new_learner(self.rule, net, self.optimisers, x, signal, key, self.growth)))(keys)
        # The ones that only fill up the devices count as failed, so that they are skipped.
        failed = jnp.where(jnp.arange(stack) < len(self.seeds), -1, 0).astype(learners.failed.dtype)
        return self.layout.place(eqx.tree_at(lambda one: one.failed, learners, failed))

    def _step_bytes(self) -> int:
        one = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), self.learners)
        x, signal = jax.eval_shape(self._example)

        def update(one, x, signal):
            return learn(self.rule, self.optimisers, one, x, signal, every=self.every, growth=self.growth)[0]

        step = jax.jit(update, donate_argnums=0)
        used = step.lower(one, x, signal).compile().memory_analysis()
        if used is None:  # a backend that does not say
            return 0
        return used.temp_size_in_bytes + used.argument_size_in_bytes + used.output_size_in_bytes - used.alias_size_in_bytes

    @property
    def _done(self) -> int:
        """How many updates the learners have made, those apart that failed on the way."""
        return int(np.max(np.asarray(self.learners.step)))

    def _stretch(self, first: int, last: int) -> tuple[Split, Array, Array, Array]:
        """What `_updates` shares among learners, on every device."""
        return self.data["train"], *self.layout.share((jnp.int32(first), jnp.int32(last), jnp.int32(self._done - first)))

    def _ordered(self, first: int) -> Array:
        """The order of an epoch of which `first` updates are done, of every learner."""
        return self.layout.place(self._draw(self.learners, self.layout.share(jnp.int32(first))))

    def _order(self, learner: Learner, first: Int[Array, ""]) -> Int[Array, "steps batch"]:
        """Which samples each update of an epoch learns from: it follows from the learner's key and its step at the start."""
        size = self.data["train"].size
        order = self.task.order(branch(learner.key, ORDER, learner.step - first), size)
        return order[: self.steps * self.batch].reshape(self.steps, self.batch)

    def _updates(
        self, learner: Learner, shared: tuple[Array, Split, Array, Array, Array]
    ) -> tuple[Learner, dict[str, Float[Array, "steps *parts"]]]:
        """The updates of an epoch from number `first` (from 0) up to `last`, left out; and the scores of each, zero for the others.

        One program trains whole epochs and parts of them: whoever stops to look changes nothing in what is learnt.
        """
        order, train, first, last, done = shared

        def step(learner: Learner, index: Int[Array, " batch"]):
            x, signal = self.layout.divide(self._batch(train, index, branch(learner.key, ORDER, learner.step), learner.step))
            return learn(self.rule, self.optimisers, learner, x, signal, self._measured, self.every, self.growth)

        def one(i, carry):
            learner, scores = carry
            learner, new = step(learner, jax.lax.dynamic_index_in_dim(order, i, keepdims=False))
            if (growth := self.growth) is not None:  # by the clock of all seeds: a branch of each would be taken by every one
                number = done + i + 1
                due = (number % growth.every == 0) & (number <= self.rests)
                learner = jax.lax.cond(due, lambda one: grown(growth, self.optimisers, one), lambda one: one, learner)
            return learner, {k: v.at[i].set(new[k]) for k, v in scores.items()}

        start = learner.step - first
        shapes = jax.eval_shape(lambda learner: step(learner, order[0])[1], learner)
        none = {k: jnp.zeros((self.steps, *v.shape), v.dtype) for k, v in shapes.items()}
        learner, scores = jax.lax.fori_loop(first, last, one, (learner, none))
        # It is watched before its update: if number i (from 0) is the first that is not finite, update i (from 1) broke it.
        sound = jnp.isfinite(scores.pop(WATCHED))
        whole = jnp.all(jnp.stack([jnp.all(jnp.isfinite(a)) for a in jax.tree.leaves(learner.net.theta)]))
        broke = jnp.where(jnp.all(sound), last, jnp.argmin(sound).astype(last.dtype))
        failed = jnp.where(jnp.all(sound) & whole, learner.failed, start + broke)
        return eqx.tree_at(lambda one: one.failed, learner, failed), scores

    def _score_one(self, learner: Learner, split: Split) -> dict[str, Float[Array, "*parts"]]:
        learner = concluded(self.rule, learner)
        size = split.size
        batch = min(SCORE_BATCH, size)
        chunks = -(-size // batch)
        index = jnp.minimum(jnp.arange(chunks * batch), size - 1).reshape(chunks, batch)
        real = (jnp.arange(chunks * batch) < size).reshape(chunks, batch)

        def chunk(args):
            index, real, number = args
            key = branch(learner.key, NOISE, number)
            x, signal = self.layout.divide(self._batch(split, index, key, learner.step))
            record = self.rule.predict(learner.gamma, learner.net, x, key, self.task.in_time)
            scores = self._per_sample(record.output, signal)
            for name, output in record.readouts.items():
                scores |= {f"{metric}/{name}": v for metric, v in self._per_sample(output, signal).items() if metric != WATCHED}
            return {k: jnp.sum(jnp.where(real.reshape(-1, *[1] * (v.ndim - 1)), v, 0), 0) for k, v in scores.items()}

        sums = jax.lax.map(chunk, (index, real, jnp.arange(chunks)))
        return {k: jnp.sum(v, 0) / size for k, v in sums.items()}

    def _measured(self, output: Array, signal: Signal) -> dict[str, Float[Array, "*batch_and_parts"]]:
        """What the task scores, and beside it what is finite as long as the learner's numbers are: its loss, or the sum of its output."""
        scores = {k: v.astype(output.dtype) for k, v in self.task.score(output, signal).items()}
        return scores | {WATCHED: signal.loss(output) if signal.taught else signal.weigh(jnp.sum(output, -1))}

    def _per_sample(self, output: Array, signal: Signal) -> dict[str, Float[Array, "batch *parts"]]:
        return {k: v.sum(1) if self.task.in_time else v for k, v in self._measured(output, signal).items()}

    def _look_one(self, learner: Learner, split: Split) -> dict[str, dict[str, Float[Array, ""]]]:
        key = branch(learner.key, NOISE, 0)
        x, signal = self._batch(split, jnp.arange(self.probe), key, learner.step)
        return microscope(self.rule, concluded(self.rule, learner), x, signal, key)
