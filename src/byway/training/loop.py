"""The loop: an epoch is one call of one compiled program, for all learners at once."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from byway.core.errors import ConfigError
from byway.core.given import LARGEST_COUNT
from byway.core.hyper import Mould, numbers_of, unknown_to_python
from byway.core.keys import seeded
from byway.core.task import Split, Task
from byway.core.tree import PyTree
from byway.learning.growth import Growth
from byway.learning.learner import Learner
from byway.learning.rule import Rule
from byway.metrics.growing import WHOLE, Wired, growing, grows, wired
from byway.metrics.predictions import Predictions
from byway.network.blackbox import failures
from byway.network.network import Network
from byway.system.process import warn_of_idle_cores
from byway.system.together import largest
from byway.training.batches import Batches, chunks
from byway.training.fingerprint import fingerprint
from byway.training.layout import Layout
from byway.training.optimisers import at_rate
from byway.training.pipeline import Pipeline
from byway.training.programs import MOST_ANSWERS, RIGHT, SAID, WATCHED, Made, Setting, programs
from byway.training.step import Optimisers, Start

# Samples scored at once: large enough to fill a core, small enough for wide convolutions.
SCORE_BATCH = 500
# For how long the devices that share layers are tried one after another [s], of an epoch that took
# so many times as long at least.
TRIED, SHORTEST = 0.3, 2


class Loop:
    """Trains, scores and probes a stack of learners, one for each seed, by compiled programs.

    Args:
        rule: the rule; or one for each learner, which differ in their numbers alone (see
            `numbers_of`).
        net: the network; each learner draws its own weights.
        task: what to learn.
        splits: its data.
        optimisers: for theta and gamma; or a pair for each learner, which differ in their numbers
            alone.
        batch: samples in an update.
        seeds: the seed of each learner.
        probe: validation samples under the microscope.
        every: time steps between updates, for a rule that sees one at a time.
        growth: the policies that grow the networks.
        rests: for each, the update after which it does nothing more.
        starts: what each learner begins with, where nothing is drawn.
        stages: how many devices share the layers; each learner is on one by default.

    Attributes:
        learners: the learners, every array with a leading axis of at least `len(seeds)`; replaced
            by each epoch.
        numbers: those of each learner's rule, optimisers and growth, arrays with that axis.
        steps: updates in an epoch; samples that do not fill a batch wait for the next epoch's
            order.
        compile_seconds: time spent compiling the epoch, if that was not done before, with its first
            update.
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
        growth: Sequence[Growth] = (),
        rests: Sequence[int] | None = None,
        starts: Sequence[Start] | None = None,
        stages: int = 1,
    ):
        self.growth = growth = tuple(growth)
        self.rests = (LARGEST_COUNT,) * len(growth) if rests is None else tuple(rests)
        self.net, self.task, self.batch, self.seeds = net, task, batch, seeds
        rules = [rule] * len(seeds) if isinstance(rule, Rule) else list(rule)
        pairs = (
            [optimisers] * len(seeds) if isinstance(optimisers, Optimisers) else list(optimisers)
        )
        self.rule, self.optimisers = rules[0], pairs[0]
        self.steps = splits["train"].size // batch
        warn_of_idle_cores(len(seeds))
        # What Python answers is asked for a whole batch at once.
        divided = self.rule.settles and net.differentiable and stages == 1
        self.layout = Layout(len(seeds), divided, stages)
        self.data = {
            name: split if split.fetched else self.layout.share(split)
            for name, split in splits.items()
        }
        self.batches = Batches(self.data["train"], batch, len(seeds), self.layout)
        self.probe = min(probe, splits["validation"].size)
        numbers, self._mould = self._stacked(
            [(*made, growth) for made in zip(rules, pairs, strict=True)]
        )
        self._programs = programs(
            self._mould,
            self.rule,
            growth,
            net,
            task,
            Setting(batch, every, self.layout, self.probe, SCORE_BATCH),
        )
        staged = self._programs.staged
        self._pipeline = None if stages == 1 else Pipeline(staged, self.layout, WATCHED)
        self.numbers = self.layout.place(numbers)
        keys = jax.vmap(seeded)(jnp.array(self._filled(seeds), jnp.uint32))
        self._starts = starts and jax.tree.map(
            lambda *each: jnp.stack(each), *self._filled(list(starts))
        )
        learners = self._answer(
            self._programs.start, numbers, keys, self._starts, net, splits["train"].first(batch)
        )
        # The ones that only fill up the devices count as failed, so that they are skipped.
        failed = jnp.where(jnp.arange(self.layout.padded) < len(seeds), -1, 0).astype(
            learners.failed.dtype
        )
        self.learners = self.layout.place(eqx.tree_at(lambda one: one.failed, learners, failed))
        self._wired_first = self._wired()
        self._drawn: tuple[Any, int] = None, 0
        self.compile_seconds = self._warm()
        self._looked, self.look_compile_seconds = False, 0.0

    def train(self, first: int = 0, last: int | None = None) -> tuple[dict[str, np.ndarray], float]:
        """Train every learner for one epoch, or for a stretch of it: how it is cut into stretches
        changes no bit of what is learnt.

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
        (seconds,) = largest(time.perf_counter() - started)
        return {k: np.concatenate([one[k] for one in found], 1) for k in found[0]}, seconds

    def sound(self, values: dict[str, Any]) -> dict[str, np.ndarray]:
        """Numbers of the seeds asked for, "seeds *rest"; NaN where the learner has failed."""
        return self._sound(self._real(values))

    def _sound(self, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        alive = self.failed < 0
        return {
            k: np.where(alive.reshape(-1, *[1] * (v.ndim - 1)), v, np.nan)
            for k, v in values.items()
        }

    def finished(self, means: dict[str, Any]) -> dict[str, np.ndarray]:
        """Scores, "seeds" each, from the means of their parts, "seeds *parts"; NaN where the
        learner has failed.
        """
        scores = {score.name: score for score in self.task.scores}
        made = {}
        for name, parts in self.sound(means).items():
            score = scores.get(name.partition("/")[0])
            made[name] = (
                parts if score is None else np.array([score.of(one) for one in parts], float)
            )
        return made

    def score(self, split: str, strict: bool = False) -> dict[str, np.ndarray]:
        """Scores on a split, "seeds" each; a readout besides the main one adds its own, as
        "accuracy/head".

        Args:
            split: its name.
            strict: raise `ConfigError` where a score is no number for any learner, although what
                they answer are numbers.
        """
        return self._scored(split, strict, keep=False)[0]

    def answered(self, split: str) -> tuple[dict[str, np.ndarray], Predictions | None]:
        """Scores on a split, and the answers that were scored.

        Returns:
            The same as `score`; and what each learner answers to each sample, or None where there
            is nothing to be answered, where that is more than `MOST_ANSWERS`, and where what is
            right is not the same for all learners, as in a world that changes with their steps.
        """
        return self._scored(split, strict=False, keep=True)

    def _scored(
        self, split: str, strict: bool, keep: bool
    ) -> tuple[dict[str, np.ndarray], Predictions | None]:
        sums, answers, size = [], [], self.data[split].size
        together = min(SCORE_BATCH, size)
        for some, first, real in chunks(self.data[split], together, self.layout):
            shared = some, *self.layout.share((jnp.int32(first), jnp.int32(real)))
            found, told = self._answer(self._programs.score, self.numbers, self._whole, shared)
            sums.append({k: v[:, : -(-real // together)] for k, v in self._real(found).items()})
            if keep:
                flat = {k: v.reshape(len(v), -1, *v.shape[3:]) for k, v in self._real(told).items()}
                answers.append({k: v[:, :real] for k, v in flat.items()})
        means = {
            k: np.concatenate([one[k] for one in sums], 1).sum(1, dtype=float) / size
            for k in sums[0]
        }
        sound = np.isfinite(means.pop(WATCHED)) & (self.failed < 0)
        made = self.finished(means)
        for score in self.task.scores:
            if strict and sound.any() and np.isnan(made[score.name][sound]).all():
                raise ConfigError(
                    f"the score {score.name} of the task {self.task.id}, which is "
                    f"{made[score.name][sound][0]} on the {split} split",
                    "a number, as the network's outputs are",
                    "look for a division by zero in the task's score, or in what finishes it",
                )
        return made, self._predictions(answers) if keep else None

    def _predictions(self, answers: list[dict[str, np.ndarray]]) -> Predictions | None:
        """Answers of one window after the other, "seeds samples ...", in the task's own terms."""
        found = {k: np.concatenate([one[k] for one in answers], 1) for k in answers[0]}
        if not found or found[SAID][0].size > MOST_ANSWERS:
            return None
        sound, encoding = self.failed < 0, self.task.encoding
        right = found[RIGHT][sound] if sound.any() else found[RIGHT][:1]
        if not np.array_equal(right, np.broadcast_to(right[:1], right.shape), equal_nan=True):
            return None
        said, truth = found[SAID], right[0]
        if not encoding.labels:
            said, truth = (np.asarray(encoding.answers(a), float) for a in (said, truth))
        lost = ~sound.reshape(-1, *[1] * (said.ndim - 1))
        values = np.where(lost, np.asarray(-1 if encoding.labels else np.nan, said.dtype), said)
        return Predictions(values, truth, encoding.labels, tuple(self.seeds))

    def grown(self) -> dict[str, dict[str, np.ndarray]]:
        """What has become of the wiring since the start, by metric, of the whole network, "seeds";
        nothing where none may grow.
        """
        if not grows(self.net, self.growth):
            return {}
        both = zip(self._wired_first, self._wired(), self._each(self.learners.net), strict=True)
        each = [growing(net, first, now) for first, now, net in both]
        return {
            name: self._sound({WHOLE: np.array([float(one[name]) for one in each])})
            for name in each[0]
        }

    def look(self) -> tuple[dict[str, dict[str, np.ndarray]], float]:
        """What the microscope sees on validation samples.

        Returns:
            By quantity, by projection, "seeds" each; and the time it took, without compiling [s].
        """
        some = self.layout.share(self.data["validation"].first(self.probe))
        seen = lambda: self._answer(self._programs.look, self.numbers, self._whole, some)
        started = time.perf_counter()
        if not self._looked:
            seen()
            self._looked, self.look_compile_seconds, started = (
                True,
                time.perf_counter() - started,
                time.perf_counter(),
            )
        found = seen()
        (seconds,) = largest(time.perf_counter() - started)
        return {
            quantity: self.sound(one) for quantity, one in self.layout.fetch(found).items()
        }, seconds

    def real_learners(self) -> Learner:
        """The learners of the seeds asked for, on one device."""
        return self.real(self.learners)

    def real(self, learners: Learner) -> Learner:
        """Some learners without those that only fill up the devices, on one device."""
        return jax.tree.map(jnp.asarray, self._real(learners))

    @property
    def failed(self) -> np.ndarray:
        """The update that broke each learner, counted from 1, or -1."""
        return np.asarray(self._real(self.learners.failed))

    def _real(self, tree: Any) -> Any:
        """Without the learners that only fill up the devices; on the host."""
        return jax.tree.map(lambda a: a[: len(self.seeds)], self.layout.fetch(tree))

    def fingerprint(self) -> str:
        """What is computed, and from what: the same for the same training in another process."""
        # Weights are drawn, whatever they are here.
        still = self.net.with_theta(jax.tree.map(jnp.zeros_like, self.net.theta))
        window, clock = self.batches.at(0), self._clock(0, 0, 0)
        train, scored = self.data["train"], self.data["validation"].first(SCORE_BATCH)
        programs = self._programs
        traced = [
            programs.start.trace(
                self.numbers, self._whole.key, self._starts, self.net, train.first(self.batch)
            ),
            programs.order(train.size).trace(self.numbers, self._whole, clock[0]),
            programs.train.trace(self.numbers, self._whole, window.own, (window.shared, *clock)),
            programs.score.trace(self.numbers, self._whole, (scored, *clock[:2])),
        ]
        return fingerprint(*traced, self.layout.fetch(self.numbers), still, self._starts)

    @property
    def step_bytes(self) -> int:
        """Memory of one compiled update of one learner: the learner, its batch and what the step
        needs besides [B].
        """
        return self._programs.step_bytes(
            self.numbers, self._whole, self.data["train"].first(self.batch)
        )

    @property
    def stages(self) -> list[list[str]]:
        """Where devices share the layers, the projections that each trains."""
        return [] if self._pipeline is None else self._pipeline.trained

    def speed_up(self, each: float) -> float:
        """How many times as long an update takes while the devices that share the layers work one
        after another; 0 where they do not, and where it would take longer than the training did.

        Args:
            each: the time that one takes while they work at once [s].
        """
        if self._pipeline is None or each * self.steps < TRIED * SHORTEST:
            return 0.0
        size = self._pipeline.size
        window = self._window
        count = min(window.last - window.first, max(size, int(TRIED / each) // size * size))
        clock = self._clock(0, count, 0)
        learners = jax.tree.map(jnp.copy, self.learners)
        started = time.perf_counter()
        self._answer(
            self._pipeline.train,
            self.numbers,
            learners,
            window.own,
            (window.shared, *clock),
            size,
        )
        return (time.perf_counter() - started) / count / each

    def change(
        self,
        rule: Rule | None = None,
        lr: float | None = None,
        lr_gamma: float | None = None,
        growth: Sequence[Growth] | None = None,
    ) -> None:
        """Go on with other numbers, in all learners; nothing is compiled anew.

        Args:
            rule: the same rule with other live numbers; as it is by default.
            lr: the learning rate of the weights from here on, which the schedule goes on to lower;
                of an optimiser given by name.
            lr_gamma: that of the rule's own parameters.
            growth: the same policies with other live numbers; as they are by default.

        Raises:
            ConfigError: a rule or policies that differ in more than their numbers.
        """
        if rule is not None or growth is not None:
            rule = self.rule if rule is None else rule
            growth = self.growth if growth is None else tuple(growth)
            numbers, mould = self._stacked([(rule, self.optimisers, growth)] * len(self.seeds))
            if mould != self._mould:
                raise ConfigError(
                    f"{(rule, *growth)} in place of {(self.rule, *self.growth)}",
                    "what differs in its live numbers alone",
                    "train it anew",
                )
            self.rule, self.growth = rule, growth
            self.numbers = self.layout.place(numbers)
        moments = tuple(
            (at_rate(theta, lr), at_rate(gamma, lr_gamma)) for theta, gamma in self.learners.moments
        )
        self.learners = eqx.tree_at(
            lambda one: one.moments, self.learners, self.layout.place(moments)
        )

    def teach(self, data: Mapping[str, Split]) -> None:
        """Go on with other samples, from the next update on; nothing is compiled anew.

        Args:
            data: in place of the splits of these names, as many samples of the same shapes, in
                memory.

        Raises:
            ConfigError: no such split, or samples of another shape.
        """
        for name, split in data.items():
            held = self.data.get(name)
            if held is None or held.fetched or _shaped(held) != _shaped(split):
                raise ConfigError(
                    f"samples of shapes {_shaped(split)} for the split {name}",
                    "none by that name" if held is None else f"{_shaped(held)}, in memory",
                    "train it anew",
                )
        self.data |= {k: self.layout.share(split.some(slice(None))) for k, split in data.items()}
        self.batches = Batches(self.data["train"], self.batch, len(self.seeds), self.layout)
        self._drawn = None, 0

    def _warm(self) -> float:
        """Compile the epoch's program, and let it make an update that is forgotten: XLA leaves work
        undone until what it compiled has run once. What is asked of a black box cannot be
        forgotten, so there it makes none. The time that took [s].
        """
        started = time.perf_counter()
        learners = _copied(self.learners)
        self._update(0, int(self.net.differentiable))
        self.learners, self._drawn = learners, (learners, 0)
        return time.perf_counter() - started

    def _update(self, first: int, last: int) -> dict[str, np.ndarray]:
        """Train from one update of the epoch up to another, or up to the end of what has been
        fetched; the scores of each.
        """
        # Drawing the order of a million samples takes as long as learning from many of them: once
        # in an epoch will do.
        learners, upto = self._drawn
        if learners is not self.learners or upto != first:
            self.batches.begin(self._ordered(first))
        window, failed = self.batches.at(first), self.failed >= 0
        start, end = first - window.first, min(last, window.last) - window.first
        clock = self._clock(start, end, self._done - start)
        self._window, shared = window, (window.shared, *clock)
        train = self._programs.train if self._pipeline is None else self._pipeline.train
        self.learners, scores = self._answer(train, self.numbers, self.learners, window.own, shared)
        self._drawn = self.learners, window.first + end
        alive = lambda v: np.where(failed.reshape(-1, *[1] * (v.ndim - 1)), np.nan, v)
        return {k: alive(v[:, start:end]) for k, v in self._real(scores).items()}

    def _wired(self) -> list[Wired]:
        """The synapses of each seed; of none where none may grow."""
        if not grows(self.net, self.growth):
            return []
        both = self._each((self.learners.net, self.learners.seen))
        return [wired(net, self.growth, seen) for net, seen in both]

    def _each(self, tree: Any) -> list[Any]:
        """The same of each seed."""
        held = self._real(tree)
        return [
            jax.tree.map(lambda a, i=i: jnp.asarray(a[i]), held) for i in range(len(self.seeds))
        ]

    @property
    def _whole(self) -> Learner:
        """The learners, on one device where their layers are on several."""
        return self.layout.on_one(self.learners)

    @property
    def _done(self) -> int:
        """How many updates the learners have made, those apart that failed on the way."""
        return int(np.max(self.layout.fetch(self.learners.step)))

    def _clock(self, first: int, last: int, done: int) -> tuple[Array, ...]:
        """The updates of a window to do, those done before it, and after which growth rests."""
        counts = jnp.int32(first), jnp.int32(last), jnp.int32(done)
        return self.layout.share((*counts, jnp.array(self.rests, jnp.int32)))

    def _ordered(self, first: int) -> Array:
        """The order of an epoch of which `first` updates are done, of every learner."""
        draw = self._programs.order(self.data["train"].size)
        return self.layout.place(
            draw(self.numbers, self._whole, self.layout.share(jnp.int32(first)))
        )

    def _answer(self, program: Callable, *args: Any) -> Any:
        """What a program returns, when it is there."""
        with failures(self.net), unknown_to_python(self.rule):
            return jax.block_until_ready(program(*args))

    def _stacked(self, each: list[Made]) -> tuple[list[Array], Mould]:
        """The numbers of what trains each learner, with a leading axis, and all else of it, which
        must be the same.
        """
        numbers, moulds = zip(*map(numbers_of, each), strict=True)
        if other := next(
            (
                one
                for one, mould in zip(each, moulds, strict=True)
                if one != each[0] and mould != moulds[0]
            ),
            None,
        ):
            raise ConfigError(
                f"{other[0]} beside {each[0][0]}",
                "rules that differ in their live numbers alone",
                "train it in another loop",
            )
        return [
            jnp.stack([jnp.asarray(a) for a in those])
            for those in zip(*self._filled(list(numbers)), strict=True)
        ], moulds[0]

    def _filled(self, each: list[Any]) -> list[Any]:
        """One for each learner, and for those that fill up the devices the last once more."""
        return each + [each[-1]] * (self.layout.padded - len(each))


def _shaped(split: Split) -> list[tuple[tuple[int, ...], str]]:
    return [(tuple(a.shape), str(a.dtype)) for a in split]


@jax.jit
def _copied(tree: PyTree) -> PyTree:
    return jax.tree.map(jnp.copy, tree)
