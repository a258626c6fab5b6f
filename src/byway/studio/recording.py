"""A recording: the frames that a page would have been sent, in a file that it plays by itself.

    file     "BYWAYREC", a u32 version, then records
    record   f64 time since the start [s], u32 whether it is a key, u32 length, a deflated bundle

A key holds everything, so that playing may begin there. It is data and no code. A recording never
outgrows a limit: where it comes near, what is old is kept as keys, further and further apart.
"""

import os
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from byway.core.errors import RunError
from byway.studio.board import Board, Seen
from byway.studio.frames import Frame, bundle, decode

MAGIC, VERSION, SUFFIX = b"BYWAYREC", 1, ".bywayrec"
HEAD, RECORD = struct.Struct("<8sI"), struct.Struct("<dII")
# The largest file [B]; a key every so often [s]; the most frames a second.
LIMIT, KEYS, RATE = 2**28, 10.0, 10.0
# The share of the limit that is left after thinning out.
LEFT = 0.5


class Record(NamedTuple):
    """One record.

    Attributes:
        time: since the start [s].
        key: whether it holds everything.
        data: a deflated bundle.
    """

    time: float
    key: bool
    data: bytes

    @property
    def frames(self) -> list[Frame]:
        """What is in it."""
        return decode(zlib.decompress(self.data))


class Recorder:
    """Writes what a board shows to a file. A program that is killed leaves all but its last record.

    Args:
        path: the file; one that is there is replaced.
        board: what is recorded.
        limit: the largest file [B].
        clock: tells the time [s].

    Raises:
        RunError: it cannot be written.
    """

    def __init__(
        self,
        path: Path,
        board: Board,
        limit: int = LIMIT,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.path, self._board, self._limit, self._clock = path, board, limit, clock
        self._began, self._last, self._key = clock(), -1.0, -KEYS
        self._spacing, self._seen = KEYS, Seen()
        try:
            self._file = path.open("wb")
        except OSError as problem:
            raise _unwritable(path, problem) from problem
        self._file.write(HEAD.pack(MAGIC, VERSION))
        self.bytes = HEAD.size

    @property
    def seconds(self) -> float:
        """How long it is [s]."""
        return max(self._last, 0.0)

    def note(self) -> None:
        """Record what is new, unless something was a moment ago."""
        now = self._clock() - self._began
        if now - self._last < 1 / RATE:
            return
        key = now - self._key >= KEYS
        frames, seen = self._board.since({} if key else self._seen)
        if not frames:
            return
        self._seen, self._last = seen, now
        if key:
            self._key = now
        data = zlib.compress(bundle(frames), 1)
        try:
            self._file.write(_packed(Record(now, key, data)))
            self._file.flush()
            self.bytes += RECORD.size + len(data)
            if self.bytes > self._limit:
                self._thin()
        except OSError as problem:
            raise _unwritable(self.path, problem) from problem

    def close(self) -> None:
        """Say that it is whole."""
        self._file.close()

    def _thin(self) -> None:
        """Keep keys alone, so far apart that half of the limit is free again; it goes on with one
        that holds everything.
        """
        self._file.close()
        new = self.path.with_name(f".{self.path.name}.new")
        while True:
            last, size = -self._spacing, HEAD.size
            with new.open("wb") as file:
                file.write(HEAD.pack(MAGIC, VERSION))
                for record in read(self.path):
                    if record.key and record.time - last >= self._spacing * (1 - 1e-6):
                        last = record.time
                        file.write(_packed(record))
                        size += RECORD.size + len(record.data)
            # A single key may be larger than that.
            if size <= self._limit * LEFT or self._spacing > self._last:
                break
            self._spacing *= 2
        os.replace(new, self.path)
        self._file, self.bytes, self._key = self.path.open("ab"), size, -KEYS


def read(path: Path) -> Iterator[Record]:
    """The records of a file; one that was cut off at its end is left aside.

    Raises:
        RunError: it is no recording, or of a later version.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEAD.size)
            if len(head) < HEAD.size or not head.startswith(MAGIC):
                raise RunError(
                    f"{path} is no recording", "what 'byway studio --record' wrote", "name another"
                )
            if (version := HEAD.unpack(head)[1]) != VERSION:
                raise RunError(
                    f"{path}, a recording of version {version}",
                    f"version {VERSION}",
                    "take the Byway that wrote it",
                )
            while len(head := file.read(RECORD.size)) == RECORD.size:
                when, key, size = RECORD.unpack(head)
                if len(data := file.read(size)) < size:
                    return
                yield Record(when, bool(key), data)
    except OSError as problem:
        raise RunError(
            f"{path} cannot be read: {problem.strerror}", "a recording", "check the path"
        ) from problem


def _packed(record: Record) -> bytes:
    return RECORD.pack(record.time, int(record.key), len(record.data)) + record.data


def _unwritable(path: Path, problem: OSError) -> RunError:
    return RunError(
        f"{path} cannot be written: {problem.strerror}", "a file for the recording", "name another"
    )
