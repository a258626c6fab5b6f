"""The contract of a task, law by law, and all of it in one call."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from typing_extensions import override

from byway.core.hyper import hypers
from byway.core.signal import NoLoss, Signal
from byway.core.task import Split, Task
from byway.training.plan import checked
from byway.verify.held import ContractError, Held, demand, told, tried

# Samples in a batch that a law looks at, and the step at which a world is looked at again.
BATCH, LATER = 5, 1_000


@dataclasses.dataclass(frozen=True)
class Report:
    """What `check_task` found; it prints well.

    Attributes:
        task: the task's id.
        sizes: the samples of each split.
        laws: every law, once for each split that it was tried on.
    """

    task: str
    sizes: dict[str, int]
    laws: list[Held]

    @property
    def problems(self) -> list[str]:
        """What does not hold."""
        return [held.problem for held in self.laws if held.problem]

    @override
    def __str__(self) -> str:
        sizes = ", ".join(f"{name} {size:,}" for name, size in self.sizes.items()) or "no splits"
        verdict = "does not conform" if self.problems else "conforms"
        return "\n".join([f"{self.task}: {verdict}, with {sizes}", *told(self.laws)])


def check_task(task: Task, data: Mapping[str, Split] | None = None) -> Report:
    """Hold a task to what training, scores and the audit take for granted.

    One line in a test of yours: `check_task(MyTask())`. It takes some seconds.

    Args:
        task: the task; its settings are used as they are.
        data: what `task.load()` gave, where you have it already; then it is not loaded again.

    Returns:
        What was tried; print it.

    Raises:
        ContractError: something does not hold. Everything is tried before, and the message is the
            whole report.
    """
    found: dict[str, Split] = {}

    def it_hands_out_splits_that_can_be_used() -> None:
        found.update(checked(task, dict(task.load() if data is None else data)))

    with jax.enable_x64(True):
        laws = [tried(it_hands_out_splits_that_can_be_used, "")]
        laws += [tried(law, "", task) for law in BY_ITSELF]
        if data is None and found:
            laws.append(tried(loading_again_gives_the_same, "", task, found))
        laws += [
            tried(law, name, Part(task, name, split))
            for law in ON_SPLITS
            for name, split in found.items()
        ]
    report = Report(task.id, {name: split.size for name, split in found.items()}, laws)
    if report.problems:
        raise ContractError(
            str(report),
            "a task that keeps the contract",
            "mend the first problem, and run it again",
        )
    return report


@dataclasses.dataclass(frozen=True)
class Part:
    """A split of a task, of which laws take a few samples."""

    task: Task
    name: str
    split: Split

    @property
    def few(self) -> Split:
        """The samples that are looked at."""
        return self.split.first(min(BATCH, self.split.size))

    def batch(self, task: Task | None = None) -> tuple[Array, Signal]:
        """The last of them before the first."""
        index = jnp.arange(min(BATCH, self.split.size))[::-1]
        return (task or self.task).batch(self.few, index, jax.random.key(0))

    def outputs(self, signal: Signal) -> Array:
        """Outputs that some network might give."""
        shape = (*signal.target.shape[:-1], self.task.outputs)
        drawn = np.random.default_rng(0).normal(size=shape)
        return jnp.asarray(drawn, signal.target.dtype)


def its_settings_are_declared(task: Task) -> None:
    """Every setting has a line that says what it does."""
    for field in hypers(type(task)):
        demand(
            bool(field.metadata["doc"]),
            f"{field.name} without a description",
            "a line on what it does",
            "give it to hyper",
        )


def its_scores_have_names_of_their_own(task: Task) -> None:
    """There is a main score, and no name twice."""
    names = [score.name for score in task.scores]
    demand(
        len(set(names)) == len(names),
        f"scores called {', '.join(names)}",
        "each name once",
        "rename the doubles",
    )


def its_outputs_have_a_label_each(task: Task) -> None:
    """Where outputs are classes; no two have the same one."""
    labels = task.encoding.labels
    demand(
        not labels or len(set(labels)) == len(labels) == task.outputs,
        f"the labels {', '.join(map(str, labels))} of {task.outputs} outputs",
        "one of its own for each output",
        "correct Task.encoding",
    )


def its_order_takes_samples_that_there_are(task: Task) -> None:
    """The order of an epoch names as many samples as there are, by their numbers from 0."""
    for size in (1, 7):
        order = task.order(jax.random.key(1), size)
        demand(
            order.shape == (size,)
            and jnp.issubdtype(order.dtype, jnp.integer)
            and bool(jnp.all((order >= 0) & (order < size))),
            f"an order of {size} samples that is {shown(order)}",
            f"{size} whole numbers from 0 to {size - 1}",
            "see Task.order",
        )


def loading_again_gives_the_same(task: Task, splits: Mapping[str, Split]) -> None:
    """What is loaded depends on the settings alone."""
    again = checked(task, task.load())
    demand(
        again.keys() == splits.keys(),
        f"other splits when it loads again: {', '.join(again)}",
        ", ".join(splits),
        "let load depend on the settings alone",
    )
    for name, split in splits.items():
        few = slice(min(1_000, split.size))
        demand(
            _same(split.some(few), again[name].some(few)),
            f"other samples in {name} when it loads again",
            "the same ones, in the same order",
            "draw from a generator with a seed of its own",
        )


def a_batch_has_the_shape_that_the_task_declares(part: Part) -> None:
    """Inputs and targets, in the precision that JAX is set to."""
    task = part.task
    for x64 in (False, True):
        with jax.enable_x64(x64):
            x, signal = Part(task, part.name, _as_loaded(part.split)).batch()
            size, target = x.shape[0] if x.ndim else 0, signal.target
            time = x.shape[1:2] if task.in_time else ()
            wanted = "float64" if x64 else "float32"
            demand(
                x.shape == (min(BATCH, part.split.size), *time, *task.input_shape),
                f"inputs of shape {x.shape} in {part.name}",
                f"a batch{' of sequences' if task.in_time else ''} of {task.input_shape}",
                "correct input_shape, in_time or batch",
            )
            outputs = 0 if isinstance(signal.criterion, NoLoss) else task.outputs
            demand(
                target.shape[:-1] == (size, *time) and target.shape[-1] in {outputs, task.outputs},
                f"targets of shape {target.shape} in {part.name}",
                f"{(size, *time, outputs)}",
                "correct outputs or batch",
            )
            demand(
                x.dtype == target.dtype == wanted,
                f"inputs of {x.dtype} and targets of {target.dtype} in {part.name}",
                f"both of {wanted}, in which JAX computes",
                "convert them by astype(float)",
            )


def a_batch_is_finite(part: Part) -> None:
    """Every number of it."""
    x, signal = part.batch()
    demand(
        _finite((x, signal)),
        f"numbers that are not finite in a batch of {part.name}",
        "finite ones",
        "look at what batch divides by",
    )


def the_weights_of_a_sequence_sum_to_one(part: Part) -> None:
    """In time; out of time there are none."""
    x, signal = part.batch()
    if not part.task.in_time:
        demand(
            signal.weight is None,
            f"weights of time steps in {part.name}, of samples that are no sequences",
            "none",
            "leave weight out, or set in_time",
        )
        return
    weight = signal.weight
    demand(
        weight is not None and weight.shape == x.shape[:2],
        f"weights of shape {None if weight is None else weight.shape} in {part.name}",
        f"{x.shape[:2]}, one for each time step of each sequence",
        "give the signal a weight",
    )
    if weight is not None:
        sums = np.asarray(weight.sum(1))
        demand(
            bool(np.allclose(sums, 1.0, atol=1e-6) and jnp.all(weight >= 0)),
            f"weights that sum to {shown(sums)} in {part.name}",
            "weights from 0 on, of which those of a sequence sum to one",
            "divide each by the sum of its sequence",
        )


def the_same_key_gives_the_same_batch_compiled_or_not(part: Part) -> None:
    """A batch depends on its arguments alone."""
    key, index, few = jax.random.key(2), jnp.arange(min(BATCH, part.split.size)), part.few
    draw = lambda: part.task.batch(few, index, key)
    # A task may hold what cannot be hashed, which the bound method would be.
    compiled = jax.jit(lambda *given: part.task.batch(*given))  # noqa: PLW0108
    demand(
        _same(draw(), draw()) and _same(draw(), compiled(few, index, key), 1e-6),
        f"another batch of {part.name} from the same key",
        "the same, compiled or not",
        "draw from the key alone, with jax.random",
    )


def a_copy_hands_out_the_same(part: Part) -> None:
    """A task is its settings: one taken apart and put together again is as good."""
    leaves, shape = jax.tree.flatten(part.task)
    demand(
        _same(part.batch(), part.batch(jax.tree.unflatten(shape, leaves))),
        f"another batch of {part.name} from a copy",
        "the same",
        "keep what it needs in fields",
    )


def every_score_is_a_finite_number_of_each_sample(part: Part) -> None:
    """Those that the task declares, of outputs that a network might give."""
    _, signal = part.batch()
    output = part.outputs(signal)
    scores = part.task.score(output, signal)
    names = [score.name for score in part.task.scores]
    demand(
        set(names) <= scores.keys(),
        f"scores {', '.join(scores) or 'none'} in {part.name}",
        ", ".join(names),
        "let score give what scores declares",
    )
    for score in part.task.scores:
        values = scores[score.name]
        demand(
            values.ndim >= 1 and len(values) == len(output),
            f"{score.name} of shape {values.shape} for {len(output)} samples of {part.name}",
            "a number for each, or its parts",
            "see Task.score",
        )
        in_time = 0 if signal.weight is None else 1
        mean = np.asarray(values.sum(1) if in_time and values.ndim > 1 else values).mean(0)
        demand(
            bool(np.isfinite(values).all()) and bool(np.isfinite(score.of(mean))),
            f"{score.name} = {shown(score.of(mean))} of random outputs in {part.name}",
            "a finite number",
            "look at what score divides by",
        )


def a_reward_is_a_finite_number_of_each_sample(part: Part) -> None:
    """Where the task hands one out."""
    _, signal = part.batch()
    if signal.payoff is not None:
        reward = signal.reward(part.outputs(signal))
        demand(
            reward.shape == signal.target.shape[:-1] and _finite(reward),
            f"rewards of shape {reward.shape} in {part.name}",
            f"{signal.target.shape[:-1]}, and finite",
            "correct its payoff",
        )


def a_world_that_changes_keeps_its_shape(part: Part) -> None:
    """What a batch has become, at the first step and later."""
    x, signal = part.batch()
    for step in (0, LATER):
        drift = lambda: part.task.drift(x, signal, jnp.int32(step))  # noqa: B023 - called here
        later = drift()
        demand(
            _shapes(later) == _shapes((x, signal)) and _finite(later) and _same(later, drift()),
            f"a batch of {part.name} that has another shape or numbers that are not finite, "
            f"after {step:,} steps",
            "the same shapes and types, and the same batch each time it is asked",
            "see Task.drift",
        )


def shown(value: Any) -> str:
    """An array, cut short."""
    return np.array2string(np.asarray(value), precision=4, threshold=8)


def _as_loaded(split: Split) -> Split:
    """Its samples in the precision that JAX is set to, as `load` would give them there."""
    return split if split.fetched else Split(*(jnp.asarray(np.asarray(a)) for a in split))


def _same(one: Any, other: Any, within: float = 0.0) -> bool:
    ours, theirs = jax.tree.leaves(one), jax.tree.leaves(other)
    return len(ours) == len(theirs) and all(
        np.shape(a) == np.shape(b) and np.allclose(a, b, within, within)
        for a, b in zip(ours, theirs, strict=True)
    )


def _finite(tree: Any) -> bool:
    return all(bool(np.isfinite(np.asarray(a)).all()) for a in jax.tree.leaves(tree))


def _shapes(tree: Any) -> list[tuple[Any, Any]]:
    return [(a.shape, a.dtype) for a in jax.tree.leaves(tree)]


BY_ITSELF: tuple[Callable[[Task], None], ...] = (
    its_settings_are_declared,
    its_scores_have_names_of_their_own,
    its_outputs_have_a_label_each,
    its_order_takes_samples_that_there_are,
)
ON_SPLITS: tuple[Callable[[Part], None], ...] = (
    a_batch_has_the_shape_that_the_task_declares,
    a_batch_is_finite,
    the_weights_of_a_sequence_sum_to_one,
    the_same_key_gives_the_same_batch_compiled_or_not,
    a_copy_hands_out_the_same,
    every_score_is_a_finite_number_of_each_sample,
    a_reward_is_a_finite_number_of_each_sample,
    a_world_that_changes_keeps_its_shape,
)
