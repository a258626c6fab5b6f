"""Raw samples as networks take them: what `Encoding` says, done."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np

from byway.core.encoding import Encoding
from byway.core.errors import DataError
from byway.tasks._read import usable


def encoded(encoding: Encoding, x: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """New samples, as the network takes them.

    Args:
        encoding: how.
        x: "samples *shape", reshaped perhaps; or "samples time *shape", or a list of arrays
            "time *shape", where samples are sequences.

    Returns:
        "samples *inputs", in time "samples time *inputs", filled up with zeros; and how long each
        sequence is, where samples are sequences.

    Raises:
        DataError: they are not such as it was made for.
    """
    read = usable("new ", x, None, None, encoding.sequences)
    lead: tuple[int, ...] = (len(read.x),) if read.lengths is None else read.x.shape[:2]
    given, wanted = read.x.shape[len(lead) :], encoding.shape
    whole = read.x.dtype.kind in "bui"
    if encoding.levels is not None:
        whole = whole or bool(np.all(read.x == np.round(read.x)))
        fits = whole and read.x.min() >= 0 and read.x.max() <= encoding.levels
        kind = f"whole numbers from 0 to {encoding.levels}"
    else:
        fits, kind = read.x.dtype != np.uint8, "numbers"
    if not fits or not _reshapes(given, wanted):
        what = "bytes" if read.x.dtype == np.uint8 else "numbers"
        span = f" from {read.x.min():g} to {read.x.max():g}" if _reshapes(given, wanted) else ""
        raise DataError(
            f"new samples that are {what} of shape {given}{span}",
            f"{kind} of shape {wanted}, as in training",
            "bring them to the same form",
        )
    dtype = jnp.zeros(()).dtype
    samples = read.x.reshape(*lead, *wanted)
    if encoding.levels is not None:
        scaled = samples.astype(dtype) / np.asarray(encoding.levels, dtype)
    else:
        scaled = standardised(samples.astype(float), encoding.mean, encoding.deviation)
        with np.errstate(over="ignore"):
            scaled = scaled.astype(dtype)
    if not np.isfinite(scaled).all():
        raise DataError(
            "samples that overflow when they are standardised",
            "numbers like those of training",
            "check their units",
        )
    if read.lengths is not None:
        there = np.arange(read.x.shape[1]) < read.lengths[:, None]
        scaled = np.where(there.reshape(*lead, *[1] * len(wanted)), scaled, np.zeros((), dtype))
    if encoding.room:
        front = np.zeros((*lead, encoding.room, *wanted[1:]), dtype)
        scaled = np.concatenate([front, scaled], len(lead))
    if encoding.order is not None:
        scaled = scaled.reshape(*lead, -1)[..., encoding.order]
    if encoding.taken is not None:
        scaled = scaled.reshape(*lead, *encoding.taken)
    return scaled, read.lengths


def standardised(
    block: np.ndarray, mean: np.ndarray | None, deviation: np.ndarray | None
) -> np.ndarray:
    """Samples with mean 0 and deviation 1, or as they are where nobody asked for that."""
    if mean is None or deviation is None:
        return block
    with np.errstate(over="ignore"):
        return (block - mean) / deviation


def _reshapes(given: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether samples of one shape become those of the other without two axes changing places."""
    long, own = ([n for n in shape if n > 1] for shape in (given, wanted))
    return math.prod(given) == math.prod(wanted) and (long == own or min(len(long), len(own)) < 2)
