"""Samples that can be used, or an error that says which cannot: what was given or read, checked and
brought to arrays.
"""

import math
from collections.abc import Iterator
from numbers import Number
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from byway.core.errors import ConfigError, DataError
from byway.tasks._ragged import WAY, filled, in_steps
from byway.tasks._shards import Shards
from byway.tasks._targets import numbers_in


class Read(NamedTuple):
    """Samples of one part as they were read and checked.

    Attributes:
        x: "samples *inputs", of sequences "samples time features", filled up.
        y: "samples ...", in time "samples time ..."; None where there is none.
        counts: which steps count, "samples time"; None where there is no time.
        lengths: how many steps there are of each sequence; so too.
    """

    x: Any
    y: np.ndarray | None
    counts: np.ndarray | None = None
    lengths: np.ndarray | None = None

    @property
    def said(self) -> np.ndarray:
        """Every label or number that counts."""
        return (
            np.zeros(0)
            if self.y is None
            else self.y
            if self.counts is None
            else self.y[self.counts]
        )

    def steps(self, values: Any, which: np.ndarray, counted: bool) -> tuple[Any, np.ndarray]:
        """Values of samples as rows or images, and which of them to look at; of sequences, rows of
        all their steps.

        Args:
            values: "samples ...", in time "samples time ...".
            which: the samples to look at.
            counted: whether of steps only those count that have a target; else all that there are.
        """
        if self.counts is None or self.lengths is None:
            return (values[:, None] if values.ndim == 1 else values), which
        there = self.counts if counted else np.arange(self.counts.shape[1]) < self.lengths[:, None]
        return values.reshape(there.size, -1), (which[:, None] & there).ravel()


def usable(
    part: str, x: Any, y: Any, mask: Any, in_time: bool, numbers: bool = False, at_end: bool = False
) -> Read:
    """Samples, and labels or numbers, that can be used, or `DataError`; what lies on disk stays
    there.
    """
    if not in_time:
        if mask is not None:
            raise ConfigError(
                f"a {part}mask for samples without time",
                "sequences",
                "leave it out, or add sequences=True",
            )
        x = Shards([x]) if isinstance(x, np.memmap) and x.ndim else x
        x = x if isinstance(x, Shards) else array(x)
        check_samples(part, x)
        if y is None:
            return Read(with_channel(x), None)
        y = numbers_in(part, array(y), None) if numbers else _labels(part, y)
        if len(y.shape) not in (1, 1 + numbers) or len(y) != len(x) or 0 in y.shape:
            what = "labels", f"({len(x)},), a label for each"
            what = ("y", f"({len(x)},), or ({len(x)}, outputs)") if numbers else what
            raise DataError(
                f"{len(x)} {part}samples and {what[0]} of shape {y.shape}",
                what[1],
                "check the two arrays",
            )
        return Read(with_channel(x), y)
    if isinstance(x, Shards | np.memmap):
        raise DataError(
            f"{part}sequences on disk", "sequences in memory", "read them with numpy.asarray"
        )
    x, counts, lengths = filled(part, x, mask)
    check_samples(part, x, WAY if mask is None else "")
    if y is None:
        return Read(x, None, counts, lengths)
    y, counts = in_steps(part, y, counts, lengths, numbers, at_end)
    if numbers:
        return Read(x, numbers_in(part, y, counts), counts, lengths)
    labels = _labels(part, y[counts])
    whole = np.full(counts.shape, labels[0], labels.dtype)
    whole[counts] = labels
    return Read(x, whole, counts, lengths)


def blocks(x: Any) -> Iterator[tuple[slice, np.ndarray]]:
    """Samples in runs of about a million numbers, in double precision unless they are bytes, each
    with where it is.
    """
    samples = max(1, 2**20 // max(1, math.prod(x.shape[1:])))
    for start in range(0, len(x), samples):
        at = slice(start, start + samples)
        yield at, x[at] if x.dtype == np.uint8 else x[at].astype(float)


def array(given: Any) -> np.ndarray:
    try:
        return np.asarray(given)
    except ValueError as problem:
        way = (
            "bring them to one size; or, if they are sequences of different lengths, add "
            "sequences=True"
        )
        raise DataError(
            f"data that make no array: {problem}", "samples of one shape", way
        ) from problem


def with_channel(x: Any) -> Any:
    """Images without an axis of channels get one."""
    return x if x.ndim != 3 else x.with_channel() if isinstance(x, Shards) else x[..., None]


def check_samples(part: str, x: Any, padding: str = "") -> None:
    if x.dtype.kind not in "buif":
        raise DataError(
            f"{part}samples of type {x.dtype}",
            "numbers",
            "convert them, for example with x.astype(float)",
        )
    if not 2 <= x.ndim <= 4 or 0 in x.shape:
        raise DataError(
            f"{part}samples of shape {x.shape}",
            "(samples, features) or (samples, height, width, channels)",
            "reshape them",
        )
    for at, block in blocks(x) if x.dtype.kind == "f" else ():
        with np.errstate(over="ignore"):
            sound = np.isfinite(block.astype(jnp.zeros(()).dtype))
        if not sound.all():
            first, *place = (int(i) for i in np.argwhere(~sound)[0])
            raise DataError(
                f"{part}sample {at.start + first} holds {block[first, *place]} at {tuple(place)}",
                "finite numbers",
                "fill in or drop what is "
                f"missing{f'; if it fills up shorter sequences, {padding}' if padding else ''}",
            )


def _labels(part: str, given: Any) -> np.ndarray:
    """Labels, all of one kind; an array would make text or numbers of a mixture, so that two labels
    could become one.
    """
    kinds = sorted({_kind(one) for one in given}) if isinstance(given, list | tuple) else []
    if len(kinds) > 1:
        raise DataError(
            f"{part}labels of the kinds {' and '.join(kinds)}",
            "labels of one kind",
            "convert them, or fill in what is missing",
        )
    y = array(given)
    if (
        y.dtype.kind == "O"
        and len({type(label) for label in y}) == 1
        and isinstance(y[0], str | int | np.integer)
    ):
        y = np.array(y.tolist())
    if y.dtype.kind not in "buifUS":
        raise DataError(
            f"{part}labels of type {y.dtype}",
            "whole numbers, text or bools, all of one kind",
            "convert them",
        )
    if y.dtype.kind == "f":
        if (wrong := y[~((y == np.round(y)) & (abs(y) <= 2 / np.finfo(y.dtype).eps))]).size:
            raise DataError(
                f"a {part}label of {wrong[0]}",
                "whole numbers, text or bools",
                'say kind="regression" (--data.kind) if they are numbers to be predicted; else '
                "make classes of them",
            )
        y = y.astype(int)
    return y


def _kind(label: Any) -> str:
    if isinstance(label, bool | np.bool):
        return "bool"
    return (
        "number"
        if isinstance(label, Number)
        else "text"
        if isinstance(label, str)
        else type(label).__name__
    )


def check_like(part: str, x: Any, wanted: Any, in_time: bool) -> None:
    bytes_ = [a.dtype == np.uint8 for a in (x, wanted)]
    if x.shape[1 + in_time :] != wanted.shape[1 + in_time :] or bytes_[0] != bytes_[1]:
        kinds = [
            f"{'bytes' if b else 'numbers'} of shape {a.shape[1 + in_time :]}"
            for a, b in zip((x, wanted), bytes_, strict=True)
        ]
        raise DataError(
            f"{part} samples that are {kinds[0]}",
            f"{kinds[1]}, as in training",
            "bring them to the same form",
        )


def moments(x: Any, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each feature, of images of each channel, over the samples that
    are marked: "1 ... features".

    A feature that does not change has a deviation of 1, and itself for a mean: of many equal
    numbers the mean is not always that number, and what is left is no deviation to divide by.
    Neither is what rounding leaves between two ways to one number.
    """
    count, mean, squares, low, high = (
        0,
        np.zeros(1),
        np.zeros(1),
        np.array(np.inf),
        np.array(-np.inf),
    )
    for at, block in blocks(x):
        some = block[which[at]]
        axes, new = tuple(range(some.ndim - 1)), some.size // some.shape[-1]
        if not new:
            continue
        centre = some.mean(axes, keepdims=True)
        apart = centre - mean
        squares = (
            squares
            + np.square(some - centre).sum(axes, keepdims=True)
            + np.square(apart) * (count * new / (count + new))
        )
        mean = mean + apart * (new / (count + new))
        count += new
        low, high = (
            np.minimum(low, some.min(axes, keepdims=True)),
            np.maximum(high, some.max(axes, keepdims=True)),
        )
    precision = x.dtype if x.dtype.kind == "f" else np.dtype(float)
    same = high - low <= 2 * np.spacing(np.maximum(abs(low), abs(high)).astype(precision)).astype(
        float
    )
    return np.where(same, low, mean), np.where(same, 1.0, np.sqrt(squares / count))
