"""Some of the classes of an image task, as a task: what a learned rule is tested on was never seen
while it was learned.
"""

import dataclasses
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from typing_extensions import override

from byway.core.errors import ConfigError
from byway.core.score import Score
from byway.core.task import Split, Task
from byway.tasks._images import ImageTask


class SomeClasses(Task):
    """The samples of some classes, numbered anew from 0 in the order given.

    Attributes:
        task: the image task.
        classes: which of its classes.
    """

    scores: ClassVar[tuple[Score, ...]] = ImageTask.scores
    task: ImageTask
    classes: tuple[int, ...] = eqx.field(static=True)

    @override
    def __check_init__(self):
        if self.task.in_time:
            raise ConfigError(
                f"the task {self.task.id}, whose samples are sequences",
                "one of single images",
                "use digits or mnist",
            )
        fewer = len(set(self.classes)) < len(self.classes) or len(self.classes) < 2
        if fewer or not all(0 <= c < self.task.outputs for c in self.classes):
            raise ConfigError(
                f"the classes {self.classes} of {self.task.id}",
                f"two or more of 0 to {self.task.outputs - 1}, each once",
                "choose others",
            )

    @property
    @override
    def id(self):
        return f"{self.task.id}[{','.join(map(str, self.classes))}]"

    @property
    @override
    def input_shape(self):
        return self.task.input_shape

    @property
    @override
    def outputs(self):
        return len(self.classes)

    @property
    @override
    def encoding(self):
        encoding = self.task.encoding
        return dataclasses.replace(encoding, labels=tuple(encoding.labels[c] for c in self.classes))

    @property
    @override
    def spare(self):
        return self.task.spare

    @override
    def load(self):
        return {name: self._some(split) for name, split in self.task.load().items()}

    @override
    def batch(self, split, index, key):
        x, signal = self.task.batch(split, index, key)
        return x, dataclasses.replace(signal, target=signal.target[:, : self.outputs])

    @override
    def lesson(self, split, index, key):
        x, signal = self.task.lesson(split, index, key)
        return x, dataclasses.replace(signal, target=signal.target[:, : self.outputs])

    @override
    def score(self, output, signal):
        return self.task.score(output, signal)

    def _some(self, split: Split) -> Split:
        labels = np.asarray(split.y)
        mine = np.flatnonzero(np.isin(labels, self.classes))
        number = np.zeros(self.task.outputs, labels.dtype)
        number[list(self.classes)] = np.arange(self.outputs)
        return Split(split.x[mine], jnp.asarray(number[labels[mine]]))
