"""Sequences of different lengths as arrays: filled up with zeros to the longest, beside what says
which steps count.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from byway.core.errors import DataError

WAY = (
    "give a list of arrays (time, features), or a filled-up array with mask=: lengths, or bools "
    "(samples, time)"
)


class Steps(list[np.ndarray]):
    """Targets of sequences, one for each step: their shape leaves nothing to ask."""


def filled(
    part: str, x: Any, mask: Any
) -> tuple[np.ndarray, Bool[np.ndarray, "samples time"], Int[np.ndarray, " samples"]]:
    """Sequences as one array.

    Args:
        part: which part of the data they are, for errors.
        x: a list of arrays "time features" or "time"; or an array "samples time features" or
            "samples time".
        mask: which steps count, "samples time", or how many of each sequence are there, "samples";
            for a list, a list of bools; None for all of them.

    Returns:
        "samples time features", zero after the end of each; which steps count; and how many there
        are of each up to the last that counts.

    Raises:
        DataError: they are no sequences of one kind, or the mask does not fit.
    """
    one_array = isinstance(x, np.ndarray) and x.dtype.kind != "O"
    whole, there = (
        (x, np.ones(np.shape(x)[:2], bool))
        if one_array
        else _joined(part, [np.asarray(one) for one in x])
    )
    whole = whole[..., None] if whole.ndim == 2 else whole
    if whole.ndim != 3 or 0 in whole.shape:
        raise DataError(
            f"{part}sequences of shape {whole.shape}",
            "(samples, time, features), or (samples, time)",
            WAY,
        )
    counts = there if mask is None else _counted(part, mask, there)
    if not counts.any(1).all():
        raise DataError(
            f"the {part}sequence {int(np.argmin(counts.any(1)))} has no step that counts",
            "one at least",
            "leave it out",
        )
    time = whole.shape[1]
    lengths = time - np.argmax(counts[:, ::-1], 1)
    after = np.arange(time) >= lengths[:, None]
    return np.where(after[..., None], np.zeros((), whole.dtype), whole), counts, lengths


def in_steps(
    part: str,
    y: Any,
    counts: Bool[np.ndarray, "samples time"],
    lengths: Int[np.ndarray, " samples"],
    numbers: bool,
    at_end: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Targets of sequences, one for each step or one for each sequence.

    Args:
        part: which part of the data they are, for errors.
        y: "samples ..." for one a sequence; "samples time ..." or a list of arrays "time ..." for
            one a step.
        counts: which steps count.
        lengths: how many steps there are of each sequence.
        numbers: whether they are numbers, of which there may be several.
        at_end: whether there is one for each sequence, where that could be either.

    Returns:
        "samples time ...", and which steps count: of one for each sequence, the last alone.
    """
    samples, time = counts.shape
    ragged = not isinstance(y, np.ndarray) and len({np.shape(one)[:1] for one in y}) > 1
    sure = ragged or isinstance(y, Steps)
    if ragged:
        each = [np.asarray(one) for one in y]
        if len(each) != samples or any(
            len(one) not in (n, time) for one, n in zip(each, lengths, strict=True)
        ):
            raise DataError(
                f"{part}y that are as long as {[len(one) for one in each[:4]]} ...",
                f"{lengths[:4].tolist()} ...",
                WAY,
            )
        y, _ = _joined(part, each, time)
    y = np.asarray(y)
    if len(y) != samples:
        raise DataError(
            f"{samples} {part}sequences and {len(y)} y",
            "a target for each, or for each of its steps",
            "check the two",
        )
    deepest = 1 + numbers  # axes of one target for each sequence, at most
    stepwise = sure or y.ndim > deepest or (y.ndim == 2 and y.shape[1] == time and not at_end)
    if stepwise and numbers and y.ndim == 2 and time > 1 and not sure:
        raise DataError(
            f"{part}y of shape {y.shape} for sequences of {time} steps",
            f"a number for each step as {(*y.shape, 1)}, or {time} numbers at the end of each "
            "with at_end=True",
            "say which of the two it is",
        )
    if not stepwise:
        last = np.arange(time) == (lengths - 1)[:, None]
        return np.repeat(y[:, None], time, 1), last
    if y.shape[1] != time or y.ndim > deepest + 1 or at_end:
        several = not numbers and y.shape[1] == time and not at_end
        raise DataError(
            f"{part}y of shape {y.shape} for sequences of {time} steps",
            "a label for each step"
            if several
            else "a target for each step, or one for each sequence",
            'for numbers to be predicted, add kind="regression"' if several else WAY,
        )
    return y, counts


def grouped(
    groups: np.ndarray, x: np.ndarray, y: np.ndarray | None, at_end: bool
) -> tuple[list[np.ndarray], Any]:
    """The rows of a table, each a time step, as sequences: those of one group, in their order.

    Args:
        groups: which sequence each row belongs to.
        x: "rows features".
        y: "rows ...", or None.
        at_end: whether the last row of a sequence alone has its target.
    """
    _, first, number = np.unique(groups, return_index=True, return_inverse=True)
    place = np.argsort(np.argsort(first))[number]  # in the order in which they appear
    order = np.argsort(place, kind="stable")
    cuts = np.cumsum(np.bincount(place))[:-1]
    parts = np.split(x[order], cuts)
    if y is None:
        return parts, None
    targets = np.split(y[order], cuts)
    if at_end:
        return parts, np.stack([one[-1] for one in targets])
    return parts, Steps(targets)


def _joined(
    part: str, arrays: Sequence[np.ndarray], time: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Arrays "time ..." as one, filled up with zeros, and which steps are there."""
    forms = [(one.dtype.kind in "biuf", one.shape[1:]) for one in arrays]
    if not arrays or not all(one.ndim for one in arrays) or len(set(forms)) > 1:
        other = next((i for i, form in enumerate(forms) if form != forms[0]), 0)
        shown = (
            [f"{arrays[i].dtype} of shape {arrays[i].shape}" for i in (other, 0)]
            if arrays
            else ["none"]
        )
        raise DataError(
            f"{part}sequence {other}: {' beside '.join(shown)}",
            "arrays that differ in their length alone",
            WAY,
        )
    lengths = np.array([len(one) for one in arrays])
    time = int(lengths.max()) if time is None else time
    whole = np.zeros((len(arrays), time, *arrays[0].shape[1:]), np.result_type(*arrays))
    for i, one in enumerate(arrays):
        whole[i, : len(one)] = one
    return whole, np.arange(time) < lengths[:, None]


def _counted(part: str, mask: Any, there: np.ndarray) -> np.ndarray:
    samples, time = there.shape
    if not isinstance(mask, np.ndarray) and len({np.shape(one) for one in mask}) > 1:
        mask, _ = _joined(part, [np.asarray(one, bool) for one in mask], time)
    mask = np.asarray(mask)
    if (
        mask.dtype.kind in "iu"
        and mask.shape == (samples,)
        and mask.min() >= 1
        and mask.max() <= time
    ):
        return there & (np.arange(time) < mask[:, None])
    if mask.dtype.kind == "b" and mask.shape == (samples, time):
        return there & mask
    raise DataError(
        f"a {part}mask of type {mask.dtype} and shape {mask.shape} for {samples} sequences of "
        f"{time} steps",
        f"bools {(samples, time)}, or {(samples,)} lengths from 1 to {time}",
        "leave it out where every step counts",
    )
