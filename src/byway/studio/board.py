"""The board: the newest of everything that is to be seen. Whoever looks gets what it has not seen,
and nothing twice; what was replaced meanwhile is gone, so a reader that stalls costs nothing.
"""

import collections
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from byway.studio.frames import encode

# So many changes of synapses are kept for those who are a little late; the points that a curve
# keeps, which is then thinned out.
CHANGES, POINTS = 64, 2048
# What is seen of a slot, by its topic and side.
Seen = dict[tuple[str, int], Any]


class Latest:
    """One frame that replaces the one before."""

    def __init__(self, frame: bytes, number: int):
        self._frame, self._number = frame, number

    def since(self, seen: int | None) -> tuple[list[bytes], int]:
        """The frames that whoever saw that much has not seen, and what it will have seen then; None
        for nothing at all.
        """
        return ([] if seen == self._number else [self._frame]), self._number


class Changing:
    """Something large of which changes are sent: whoever is too far behind gets it whole.

    Args:
        whole: makes the frame of all of it.
        version: which it is.
    """

    def __init__(self, whole: Callable[[], bytes], version: int):
        self._whole, self.version = whole, version
        self._changes: collections.deque[tuple[int, bytes]] = collections.deque(maxlen=CHANGES)

    def change(self, frame: bytes | None, version: int) -> None:
        """Another version, which this frame makes of the one before; with none it begins anew."""
        if frame is None:
            self._changes.clear()
        else:
            self._changes.append((self.version, frame))
        self.version = version

    def since(self, seen: int | None) -> tuple[list[bytes], int]:
        """See `Latest.since`."""
        if seen == self.version:
            return [], self.version
        bases = [base for base, _ in self._changes]
        if seen in bases:
            later = list(self._changes)[bases.index(seen) :]
            return [frame for _, frame in later], self.version
        return [self._whole()], self.version


class Curves:
    """What was measured over training. A curve keeps at most `POINTS`: then each second one goes.

    Args:
        side: of which it is.
    """

    def __init__(self, side: int):
        self._side = side
        self._series: dict[str, dict[str, str]] = {}
        self._points: list[tuple[float, dict[str, float]]] = []
        self._began = 0  # changes whenever the page has to begin anew

    def add(self, update: int, values: Mapping[str, float], about: Mapping[str, Any]) -> None:
        """A point.

        Args:
            update: when it was measured.
            values: by name.
            about: of each name its title and unit.
        """
        new = {name: about[name] for name in values if name not in self._series}
        if new:
            self._series |= new
            self._began += 1
        self._points.append((float(update), dict(values)))
        if len(self._points) > POINTS:
            self._points = self._points[len(self._points) % 2 :: 2]
            self._began += 1

    def since(self, seen: tuple[int, int] | None) -> tuple[list[bytes], tuple[int, int]]:
        """See `Latest.since`."""
        count = len(self._points)
        first = seen[1] if seen is not None and seen[0] == self._began else 0
        now = self._began, count
        if not count or (first and first == count):
            return [], now
        some = self._points[first:]
        head = {
            "first": first,
            "series": [{"name": name, **one} for name, one in self._series.items()],
        }
        y = np.array([[values.get(name, np.nan) for _, values in some] for name in self._series])
        y = np.where(np.abs(y) < np.finfo(np.float32).max, y, np.nan).astype(np.float32)
        x = np.array([update for update, _ in some], np.float32)
        return [encode("plots", self._side, int(x[-1]), head, x=x, y=y)], now


Slot = Latest | Changing | Curves


class Board:
    """All slots. Any thread may post and read.

    Attributes:
        posted: called after something was posted.
    """

    def __init__(self) -> None:
        self._slots: dict[tuple[str, int], Slot] = {}
        self._lock = threading.Lock()
        self._number = 0
        self.posted: Callable[[], None] = lambda: None

    def post(self, topic: str, frame: bytes, side: int = 0) -> None:
        """Replace what a topic says."""
        with self._lock:
            self._number += 1
            self._slots[topic, side] = Latest(frame, self._number)
        self.posted()

    def put(self, topic: str, slot: Slot, side: int = 0) -> None:
        """Let a topic have a slot of its own."""
        with self._lock:
            self._slots[topic, side] = slot
        self.posted()

    def change(self, write: Callable[[], None]) -> None:
        """Write to slots of their own, while nobody reads."""
        with self._lock:
            write()
        self.posted()

    def since(self, seen: Seen) -> tuple[list[bytes], Seen]:
        """What whoever has seen so much has not seen: scenes first, as the rest refers to them."""
        frames: list[bytes] = []
        with self._lock:
            now: Seen = {}
            for key in self._order():
                more, now[key] = self._slots[key].since(seen.get(key))
                frames += more
        return frames, now

    def _order(self) -> Sequence[tuple[str, int]]:
        return sorted(self._slots, key=lambda key: (key[0] != "scene", key[0] != "places", key))
