"""The loop: an epoch is one call of one compiled program, for all seeds at once."""

import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from byway.core.learner import Learner
from byway.core.rule import Rule
from byway.core.run import predict
from byway.core.signal import Signal
from byway.core.task import Split, Task
from byway.metrics.alignment import angles
from byway.network.blackbox import failures
from byway.network.network import Network
from byway.training.seeds import over_seeds, padded, place, replicate, skip_failed
from byway.training.step import NOISE, ORDER, Optimisers, branch, learn, new_learner

# Samples scored at once: large enough to fill a core, small enough for wide convolutions.
SCORE_BATCH = 500


class Loop:
    """Compiled programs that train, score and probe a stack of learners, one for each seed.

    Attributes:
        learners: the learners, every array with a leading axis of at least `len(seeds)`; replaced by each epoch.
        steps: updates in an epoch; samples that do not fill a batch wait for the next epoch's order.
        compile_seconds: time spent compiling the epoch.
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
    ):
        self.every, self.net = every, net
        self.rule, self.task, self.optimisers, self.batch, self.seeds = rule, task, optimisers, batch, seeds
        self.steps = splits["train"].size // batch
        count = len(seeds)
        self.data = {name: replicate(split, count) for name, split in splits.items()}
        self.probe = min(probe, splits["validation"].size)
        self.learners = self._start(net, padded(count))
        started = time.perf_counter()
        epoch = jax.jit(over_seeds(lambda one, data: skip_failed(self._epoch, one, data), count), donate_argnums=0)
        self._run = epoch.lower(self.learners, self.data["train"]).compile()
        self.compile_seconds = time.perf_counter() - started
        self.step_bytes = self._step_bytes()
        self._score = jax.jit(over_seeds(self._score_one, count))
        self._angles = jax.jit(over_seeds(self._angles_one, count))

    def epoch(self) -> tuple[dict[str, np.ndarray], float]:
        """Train every learner for one epoch.

        Returns:
            The mean of each training score, "seeds", and the time it took [s].
        """
        started = time.perf_counter()
        with failures(self.net):
            self.learners, scores = jax.block_until_ready(self._run(self.learners, self.data["train"]))
        return self._sound(scores), time.perf_counter() - started

    def score(self, split: str) -> dict[str, np.ndarray]:
        """Mean scores on a split, "seeds" each; a readout besides the main one adds its own, as "accuracy/head"."""
        with failures(self.net):
            return self._sound(self._score(self.learners, self.data[split]))

    def angles(self) -> dict[str, np.ndarray]:
        """By projection, the angle to the true gradient on validation samples [degree], "seeds" each; none with black boxes."""
        return self._sound(self._angles(self.learners, self.data["validation"]))

    def real_learners(self) -> Learner:
        """The learners of the seeds asked for, on one device."""
        return jax.tree.map(jnp.asarray, self._real(self.learners))

    @property
    def failed(self) -> np.ndarray:
        """The update that broke each learner, counted from 1, or -1."""
        return np.asarray(self._real(self.learners.failed))

    def _sound(self, scores: dict[str, Any]) -> dict[str, np.ndarray]:
        """Scores of the seeds asked for; NaN where the learner has failed."""
        alive = self.failed < 0
        return {k: np.where(alive, v, np.nan) for k, v in self._real(scores).items()}

    def _real(self, tree: Any) -> Any:
        """Without the learners that only fill up the devices; on the host."""
        return jax.tree.map(lambda a: a[: len(self.seeds)], jax.device_get(tree))

    def _example(self):
        return self.task.batch(self.data["train"], jnp.arange(self.batch), jax.random.key(0))

    def _start(self, net: Network, stack: int) -> Learner:
        x, signal = self._example()
        seeds = self.seeds + [self.seeds[-1]] * (stack - len(self.seeds))
        keys = jax.vmap(jax.random.key)(jnp.array(seeds, jnp.uint32))
        learners = jax.jit(jax.vmap(lambda key: new_learner(self.rule, net, self.optimisers, x, signal, key)))(keys)
        # The ones that only fill up the devices count as failed, so that they are skipped.
        failed = jnp.where(jnp.arange(stack) < len(self.seeds), -1, 0).astype(learners.failed.dtype)
        return place(eqx.tree_at(lambda one: one.failed, learners, failed), len(self.seeds))

    def _step_bytes(self) -> int:
        one = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), self.learners)
        x, signal = jax.eval_shape(self._example)
        step = jax.jit(lambda one, x, signal: learn(self.rule, self.optimisers, one, x, signal, every=self.every)[0], donate_argnums=0)
        used = step.lower(one, x, signal).compile().memory_analysis()
        if used is None:  # a backend that does not say
            return 0
        return used.temp_size_in_bytes + used.argument_size_in_bytes + used.output_size_in_bytes - used.alias_size_in_bytes

    def _epoch(self, learner: Learner, train: Split) -> tuple[Learner, dict[str, Float[Array, ""]]]:
        start = learner.step
        order = jax.random.permutation(branch(learner.key, ORDER, start), train.size)
        order = order[: self.steps * self.batch].reshape(self.steps, self.batch)

        def step(learner: Learner, index: Int[Array, " batch"]):
            x, signal = self.task.batch(train, index, branch(learner.key, ORDER, learner.step))
            return learn(self.rule, self.optimisers, learner, x, signal, self.task.score, self.every)

        learner, scores = jax.lax.scan(step, learner, order)
        # A loss is taken before its update: if number i (from 0) is the first that is not finite, update i (from 1) broke it.
        sound = jnp.isfinite(scores["loss"])
        whole = jnp.all(jnp.stack([jnp.all(jnp.isfinite(a)) for a in jax.tree.leaves(learner.net.theta)]))
        first = jnp.where(jnp.all(sound), self.steps, jnp.argmin(sound)).astype(start.dtype)
        failed = jnp.where(jnp.all(sound) & whole, learner.failed, start + first)
        return eqx.tree_at(lambda one: one.failed, learner, failed), {k: jnp.mean(v) for k, v in scores.items()}

    def _score_one(self, learner: Learner, split: Split) -> dict[str, Float[Array, ""]]:
        size = split.size
        batch = min(SCORE_BATCH, size)
        chunks = -(-size // batch)
        index = jnp.minimum(jnp.arange(chunks * batch), size - 1).reshape(chunks, batch)
        real = (jnp.arange(chunks * batch) < size).reshape(chunks, batch)

        def chunk(args):
            index, real, number = args
            key = branch(learner.key, NOISE, number)
            x, signal = self.task.batch(split, index, key)
            record = predict(self.rule, learner.gamma, learner.net, x, key, self.task.in_time)
            scores = self._per_sample(record.output, signal)
            for name, output in record.readouts.items():
                scores |= {f"{metric}/{name}": v for metric, v in self._per_sample(output, signal).items()}
            return {k: jnp.sum(jnp.where(real, v, 0)) for k, v in scores.items()}

        sums = jax.lax.map(chunk, (index, real, jnp.arange(chunks)))
        return {k: jnp.sum(v) / size for k, v in sums.items()}

    def _per_sample(self, output: Array, signal: Signal) -> dict[str, Float[Array, " batch"]]:
        return {k: v.sum(1) if self.task.in_time else v for k, v in self.task.score(output, signal).items()}

    def _angles_one(self, learner: Learner, split: Split) -> dict[str, Float[Array, ""]]:
        key = branch(learner.key, NOISE, 0)
        x, signal = self.task.batch(split, jnp.arange(self.probe), key)
        return angles(self.rule, learner, x, signal, key)
