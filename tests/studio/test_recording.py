"""A recording holds what the board showed, never outgrows its limit, and is data."""

import itertools
import struct
import zlib

import numpy as np
import pytest

from byway.core.errors import RunError
from byway.studio.board import Board
from byway.studio.frames import encode
from byway.studio.recording import KEYS, Recorder, read


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def recorded(path, seconds, limit=2**28, size=8):
    board, clock = Board(), Clock()
    recorder = Recorder(path, board, limit, clock)
    noise = np.random.default_rng(0)
    for tenth in range(10 * seconds):
        board.post("scene", encode("scene")) if not tenth else None
        value = noise.integers(0, 256, size, np.uint8)
        board.post("units", encode("units", 0, tenth, value=value))
        recorder.note()
        assert recorder.bytes <= limit
        clock.now += 0.1001
    recorder.close()
    return recorder


def test_it_holds_what_was_shown_with_a_key_every_so_often(tmp_path):
    path = tmp_path / "a.bywayrec"
    recorder = recorded(path, 25)
    records = list(read(path))
    assert len(records) == 250
    assert [r.time for r in records if r.key] == pytest.approx([0, KEYS, 2 * KEYS], abs=0.15)
    updates = [f.head["update"] for r in records for f in r.frames if f.head["topic"] == "units"]
    assert updates == list(range(250))
    for record in records:
        assert [f.head["topic"] for f in record.frames] == ["scene"] * record.key + ["units"]
    assert recorder.bytes == path.stat().st_size


def test_the_file_is_as_the_protocol_says(tmp_path):
    path = tmp_path / "a.bywayrec"
    recorded(path, 1)
    data = path.read_bytes()
    assert data[:12] == b"BYWAYREC" + struct.pack("<I", 1)
    time, key, size = struct.unpack_from("<dII", data, 12)
    assert (time, key) == (0.0, 1)
    bundle = zlib.decompress(data[28 : 28 + size])
    assert b'"topic":"scene"' in bundle and b'"topic":"units"' in bundle


def test_a_day_stays_below_the_limit_and_is_still_spread_over_the_day(tmp_path):
    path = tmp_path / "a.bywayrec"
    recorder = recorded(path, 600, limit=160_000, size=200)
    assert path.stat().st_size == recorder.bytes <= 160_000
    records = list(read(path))
    times = [r.time for r in records]
    assert times == sorted(times)
    assert records[0].key and times[0] == 0.0
    # Each fifth of the time is there, and what follows a gap begins with a key.
    assert {int(5 * t / times[-1]) for t in times} >= {0, 1, 2, 3, 4}
    for before, after in itertools.pairwise(records):
        assert after.key or after.time - before.time < 0.2


def test_what_was_cut_off_is_left_aside(tmp_path):
    path = tmp_path / "a.bywayrec"
    recorded(path, 2)
    whole = list(read(path))
    data = path.read_bytes()
    path.write_bytes(data[:-3])
    assert list(read(path)) == whole[:-1]


@pytest.mark.parametrize(
    "content", [b"", b"BYWAYREC", b"something else entirely", b"\x80\x04K\x01."]
)
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "a"
    path.write_bytes(content)
    with pytest.raises(RunError, match="no recording"):
        list(read(path))


def test_a_later_version_is_refused_and_so_is_a_file_that_cannot_be_written(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"BYWAYREC" + struct.pack("<I", 2))
    with pytest.raises(RunError, match="version 2"):
        list(read(path))
    with pytest.raises(RunError, match="cannot be written"):
        Recorder(tmp_path / "missing" / "a", Board())
    with pytest.raises(RunError, match="cannot be read"):
        list(read(tmp_path / "missing"))
