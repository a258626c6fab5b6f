"""A task: it hands out inputs and signals, and scores outputs."""

import dataclasses
from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from byway.core.encoding import Encoding
from byway.core.errors import ConfigError, DataError
from byway.core.hyper import check_ranges, hypers
from byway.core.registry import snake_case
from byway.core.score import LOSS, Score
from byway.core.signal import Signal

# The setting of a task that says which part of its samples is tested in a cross-validation.
FOLD = "fold"


class Split(NamedTuple):
    """The samples of one part of a task, as they lie on the device (images stay uint8), or where
    they are fetched from.

    Samples that do not fit into memory are fetched some batches at a time. Then x is an
    `np.memmap`, or anything else with a shape and a dtype that gives the samples of a slice and of
    an array of numbers; and the task may use the index of a batch for gathering alone.

    Attributes:
        x: inputs, "samples *inputs".
        y: what the target is made of, "samples ...".
    """

    x: Array
    y: Array

    @property
    def fetched(self) -> bool:
        """Whether x is something like an array that does not lie in memory."""
        if isinstance(self.x, np.ndarray | Array):
            return isinstance(self.x, np.memmap)
        return all(hasattr(self.x, part) for part in ("shape", "dtype"))

    def some(self, numbers: slice | np.ndarray) -> "Split":
        """The samples of some numbers, in memory."""
        return Split(*(jnp.asarray(a) for a in self.taken(numbers)))

    def taken(self, numbers: slice | np.ndarray) -> tuple[Any, Any]:
        """The same as x and y give them.

        Raises:
            DataError: one of them ends before it said that it would.
        """
        asked = len(range(self.size)[numbers]) if isinstance(numbers, slice) else len(numbers)
        found = []
        for name, a in zip(self._fields, self, strict=True):
            try:
                found.append(a[numbers])
            except (IndexError, EOFError) as ended:
                raise _ended(name, f"{type(ended).__name__}: {ended}", asked, self) from ended
            if len(found[-1]) != asked:
                raise _ended(name, f"{len(found[-1])} samples", asked, self)
        return found[0], found[1]

    def first(self, size: int) -> "Split":
        """A split of which the first samples will do: only those, if they have to be fetched."""
        return self.some(slice(size)) if self.fetched else self

    @property
    def size(self) -> int:
        """How many samples there are."""
        return self.x.shape[0]


def _ended(name: str, got: str, asked: int, split: Split) -> DataError:
    """That what samples are fetched from ends early."""
    return DataError(
        f"a source of samples that ends early: of {name}, {got} where {asked} samples were asked "
        "for",
        f"all {split.size} samples that its shape says there are",
        "see whether it was cut off or is still being written; with all of them there, a training "
        "that was saved can be resumed",
    )


class Suggestion(NamedTuple):
    """What trains well on a task, for those who say nothing else.

    Attributes:
        hidden: sizes of the hidden layers of an mlp.
        epochs: passes over the training split.
        batch: samples in an update.
    """

    hidden: tuple[int, ...]
    epochs: int
    batch: int


class Task(eqx.Module):
    """Abstract base of every task; each task is one final class in one file.

    Nothing may be selected on the test split: training looks at `train`, progress and tuning at
    `validation`.

    Attributes:
        suggests: the network size and the budget that the command line starts from.
        in_time: whether a sample is a sequence. Then inputs are "batch time *inputs", targets
            "batch time out", and the signal's weight says which steps count.
        in_order: whether the samples of each split follow each other in time, as those of a series.
    """

    in_time: ClassVar[bool] = False
    in_order: ClassVar[bool] = False

    suggests: ClassVar[Suggestion] = Suggestion(hidden=(500, 500), epochs=10, batch=128)

    def __check_init__(self):
        check_ranges(self)

    @property
    def spare(self) -> int:
        """How many inputs, from the first on, a rule may write over, as they say nothing or may be
        given up: none by default.
        """
        return 0

    @property
    def id(self) -> str:
        """The task's name on the command line: its class name in snake case, which is also its
        file's name.
        """
        return snake_case(type(self).__name__)

    @property
    @abstractmethod
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input; of one time step, where a sample is a sequence."""

    @property
    @abstractmethod
    def outputs(self) -> int:
        """How many outputs a network needs for this task."""

    @property
    def encoding(self) -> Encoding:
        """How raw samples become inputs and what outputs mean, for a predictor that has to do
        without the task. A task of your own states it, unless its samples are inputs already and
        its outputs answers.
        """
        return Encoding(shape=self.input_shape, sequences=self.in_time, in_time=self.in_time)

    @property
    def scores(self) -> tuple[Score, ...]:
        """What `score` measures, the main one first: by it rules are compared and tuned."""
        return (LOSS,)

    @abstractmethod
    def load(self) -> dict[str, Split]:
        """The splits "train", "validation" and "test"; any others are scored at the end, too, and
        reported by their names.
        """

    def check(self, part: str, split: Split) -> None:
        """Raise `DataError` unless a split is of the kind that `load` gives; its arrays are finite
        and as long as each other.
        """

    def order(self, key: Key[Array, ""], size: int) -> Int[Array, " size"]:
        """The order in which an epoch takes the `size` training samples: drawn anew for each,
        unless a task is a stream with its own.
        """
        return jax.random.permutation(key, size)

    def drift(
        self, x: Float[Array, "batch *inputs"], signal: Signal, step: Int[Array, ""]
    ) -> tuple[Float[Array, "batch *inputs"], Signal]:
        """What a batch has become after `step` batches were learned from; the same as ever, unless
        the world of a task changes.

        Training, scores and the microscope see the world as it is at the learner's own step.
        """
        return x, signal

    def in_fold(self, fold: str) -> "Task":
        """The same task with one fold of a cross-validation for its test split. What remains is
        trained and validated on, so scaling knows nothing of what is tested.

        A task whose samples are one pool takes part by a setting `fold`, to which its `load` keeps.

        Args:
            fold: which, as in 2/5, the second of five.

        Raises:
            ConfigError: there is no such setting, or no such fold; or the task is one fold already.
        """
        require_pool(type(self), self.id, getattr(self, FOLD, ""))
        return dataclasses.replace(self, **{FOLD: fold})

    @abstractmethod
    def batch(
        self, split: Split, index: Int[Array, " batch"], key: Key[Array, ""]
    ) -> tuple[Float[Array, "batch *inputs"], Signal]:
        """Gather and scale the samples at `index`; `key` is for tasks that draw something, such as
        noise.
        """

    def lesson(
        self, split: Split, index: Int[Array, " batch"], key: Key[Array, ""]
    ) -> tuple[Float[Array, "batch *inputs"], Signal]:
        """A batch as it is learned from: that of `batch`, unless a task varies its training samples
        each time. Scores, progress and looks are always of `batch`.
        """
        return self.batch(split, index, key)

    def score(
        self, output: Float[Array, "*batch out"], signal: Signal
    ) -> dict[str, Float[Array, "*batch_and_parts"]]:
        """How good each output is, by the name of the score: a number for each, or the parts that
        `Score.finish` puts together.

        In time, what each step scores is multiplied by the step's weight (`Signal.weigh`): the sum
        over time is the sequence's.
        """
        return {LOSS.name: signal.loss(output)}


def require_pool(kind: type[Task], name: str, fold: str) -> None:
    """Raise `ConfigError` unless the samples of a task are one pool, of which any part can be
    tested: then it has a setting for that, and none of it is taken yet.

    Args:
        kind: the task's class.
        name: what it is called.
        fold: that setting, "" where there is none.
    """
    if all(field.name != FOLD for field in hypers(kind)):
        raise ConfigError(
            f"{name} in folds",
            "a task whose samples are one pool, such as digits or data of your own: the test "
            "split of a published data set stays as it is, and samples that are drawn anew need "
            "no folds",
            "train more seeds instead, or choose another task",
        )
    if fold:
        raise ConfigError(f"{name} in folds, of its fold {fold}", "all samples", "leave fold out")
