"""Batches on their way to the devices: where the samples lie there, nothing has to move; else some
batches at a time are fetched.

What is fetched is gathered in the same order, and learned from by the same program, as it would be
from memory: so it teaches the same, to the bit. It is gathered while the learners are busy with
what was gathered before.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from byway.core.task import Split
from byway.training.layout import Layout

T = TypeVar("T")

# What is fetched at once, for all learners together: so much memory [B], and so many samples that a
# slow disk gives them in seconds.
MOST_BYTES, MOST_SAMPLES = 2**26, 2**16


# Samples, or the numbers of those in each batch.
Own = Split | Array


class Window(NamedTuple):
    """Some updates of an epoch, with what they learn from.

    Attributes:
        first: the number of the first of them in the epoch.
        last: that of the one after them.
        own: what each learner has for itself, with a leading axis of learners: the samples of its
            batches where they are fetched, else their numbers, "learners steps batch".
        shared: what all have in common: the numbers of the samples in each batch, "steps batch"; or
            the samples.
    """

    first: int
    last: int
    own: Own
    shared: Own


class Batches:
    """The batches of an epoch, in windows that come one after another: a single one, unless samples
    are fetched.

    Args:
        split: the samples.
        batch: how many are in a batch.
        seeds: how many learners there are, without those that fill up the devices.
        layout: where they are.
    """

    def __init__(self, split: Split, batch: int, seeds: int, layout: Layout):
        self._split, self._batch, self._seeds, self._layout = split, batch, seeds, layout
        self._steps = split.size // batch
        self._span = min(self._steps, most(split, seeds * batch)) if split.fetched else self._steps
        self._rows = layout.share(jnp.arange(self._span * batch).reshape(self._span, batch))

    def begin(self, order: Int[Array, "learners steps batch"]) -> None:
        """Another epoch, of which these are the numbers of the samples."""
        self._whole = Window(0, self._steps, order, self._split)
        if self._split.fetched:
            self._order = self._layout.fetch(order)[: self._seeds]
            self._now, self._next = None, None

    def at(self, step: int) -> Window:
        """The window with the update of that number; of several, none before the last that was
        asked for.
        """
        if not self._split.fetched:
            return self._whole
        if self._next is None:
            self._next = ahead(
                self._fetch, range(step // self._span, -(-self._steps // self._span))
            )
        while self._now is None or self._now.last <= step:
            self._now = next(self._next)
        return self._now

    def _fetch(self, number: int) -> Window:
        first, last = number * self._span, min((number + 1) * self._span, self._steps)
        # Seeds that only fill up the devices, and steps that only fill up the window, learn from
        # nothing.
        empty = self._layout.padded, self._span * self._batch
        own = [np.zeros((*empty, *a.shape[1:]), a.dtype) for a in self._split]
        for one, numbers in enumerate(self._order[:, first:last].reshape(self._seeds, -1)):
            for a, taken in zip(own, self._split.taken(numbers), strict=True):
                a[one, : len(numbers)] = taken
        return Window(
            first, last, self._layout.place(Split(*(jnp.asarray(a) for a in own))), self._rows
        )


def chunks(split: Split, size: int, layout: Layout) -> Iterator[tuple[Split, int, int]]:
    """A split to be scored in chunks of some samples: all of it at once, unless its samples are
    fetched.

    Returns:
        Samples, the number of their first chunk, and how many are real: the others fill up the last
        chunk.
    """
    if not split.fetched:
        yield split, 0, split.size
        return
    span = size * min(-(-split.size // size), max(1, most(split, 1) // size))

    def fetch(start: int) -> tuple[Split, int, int]:
        real = min(span, split.size - start)
        found = split.some(slice(start, start + real))
        filled = (jnp.pad(a, [(0, span - real)] + [(0, 0)] * (a.ndim - 1)) for a in found)
        return layout.share(Split(*filled)), start // size, real

    yield from ahead(fetch, range(0, split.size, span))


def most(split: Split, together: int) -> int:
    """How many times so many samples are fetched at once, at least once."""
    each = sum(int(np.prod(a.shape[1:])) * np.dtype(a.dtype).itemsize for a in split)
    return max(1, min(MOST_BYTES // max(1, each), MOST_SAMPLES) // together)


def ahead(fetch: Callable[[int], T], numbers: Iterable[int]) -> Iterator[T]:
    """What `fetch` makes of each number, each begun while the one before is in use."""
    with ThreadPoolExecutor(1) as worker:
        waiting = []
        for number in numbers:
            waiting.append(worker.submit(fetch, number))
            if len(waiting) == 2:
                yield waiting.pop(0).result()
        yield from (one.result() for one in waiting)
