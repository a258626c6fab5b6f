"""What raw samples are to a network, and what its outputs mean: plain numbers and words, so that
they can be kept beside the weights and used where the task is not.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Encoding:
    """The way from a raw sample to a network's input, and from its outputs to answers.

    Attributes:
        shape: of a raw sample; of one time step, where samples are `sequences`.
        sequences: whether a raw sample is a sequence, of any length.
        in_time: whether the network sees a sample step by step.
        order: the order in which the network takes the numbers of what `shape` says, if it is
            another one: their places in that, row by row.
        taken: the shape in which the network takes what `shape` says, if it is another one.
        levels: raw samples are whole numbers from 0 to this, and are divided by it; None where
            they are other numbers.
        mean: what is taken off other numbers, "1 ... features"; None for nothing.
        deviation: what they are then divided by.
        room: how many features, or rows of an image, of zeros go in front.
        labels: the label of each output; empty where outputs are no classes.
        loss: the loss that it was trained by, which says what outputs stand for; empty where that
            is not known.
        target_mean: of the numbers to be predicted, "out"; None where outputs are none.
        target_deviation: what outputs are multiplied by; None for nothing.
        flat: whether an answer is one number and not a list of them.
        at_end: whether a sequence has one answer, that of its last step.
    """

    shape: tuple[int, ...]
    sequences: bool = False
    in_time: bool = False
    order: np.ndarray | None = None
    taken: tuple[int, ...] | None = None
    levels: int | None = None
    mean: np.ndarray | None = None
    deviation: np.ndarray | None = None
    room: int = 0
    labels: tuple[Any, ...] = ()
    loss: str = ""
    target_mean: np.ndarray | None = None
    target_deviation: np.ndarray | None = None
    flat: bool = False
    at_end: bool = False

    @property
    def answering(self) -> bool:
        """Whether it says what outputs mean."""
        return bool(self.labels) or self.target_mean is not None

    def answers(self, output: Any) -> np.ndarray:
        """What outputs, "... out", say: the label of the largest, or numbers in their own units;
        the outputs themselves where nobody said what they mean.
        """
        output = np.asarray(output)
        if self.labels:
            return np.array(self.labels)[np.argmax(output, -1)]
        if self.target_mean is None:
            return output
        scale = 1.0 if self.target_deviation is None else self.target_deviation
        numbers = output.astype(float) * scale + self.target_mean
        return numbers[..., 0] if self.flat else numbers

    def to_json(self) -> dict[str, Any]:
        """Its fields in plain values."""
        held = vars(self).items()
        return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in held}

    @classmethod
    def from_json(cls, held: Mapping[str, Any]) -> "Encoding":
        """The same again; what it does not know is left aside.

        Raises:
            TypeError, ValueError, KeyError: it is none.
        """
        made: dict[str, Any] = {}
        for name, value in held.items():
            kind = KINDS.get(name)
            if kind is not None:
                made[name] = None if value is None and name in OPTIONAL else kind(value)
        return cls(**made)


def _sizes(value: Any) -> tuple[int, ...]:
    return tuple(int(one) for one in value)


def _numbers(value: Any) -> np.ndarray:
    numbers = np.asarray(value, float)
    if not np.isfinite(numbers).all():
        raise ValueError("numbers that are not finite")
    return numbers


def _order(value: Any) -> np.ndarray:
    order = np.asarray(value)
    if not np.array_equal(np.sort(order), np.arange(order.size)):
        raise ValueError("an order that does not take each number once")
    return order


def _labels(value: Any) -> tuple[Any, ...]:
    if not all(isinstance(label, str | int | float) for label in value):
        raise TypeError("a label that is neither text nor a number")
    return tuple(value)


# By field, what makes its value of what JSON holds; and the fields of which null is a value.
KINDS: dict[str, Any] = {
    **dict.fromkeys(("shape", "taken"), _sizes),
    **dict.fromkeys(("sequences", "in_time", "flat", "at_end"), bool),
    **dict.fromkeys(("levels", "room"), int),
    **dict.fromkeys(("mean", "deviation", "target_mean", "target_deviation"), _numbers),
    "order": _order,
    "labels": _labels,
    "loss": str,
}
OPTIONAL = {"order", "taken", "levels", "mean", "deviation", "target_mean", "target_deviation"}
