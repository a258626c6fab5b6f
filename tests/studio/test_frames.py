"""What the page is sent, byte for byte, against a reader that knows no more than the protocol."""

import json
import struct

import numpy as np
import pytest

from byway.studio.frames import bundle, decode, eight_bits, encode


def test_a_frame_is_read_by_what_the_protocol_says():
    values = np.array([1.5, np.nan, -2], np.float32)
    bytes_ = np.arange(5, dtype=np.uint8)
    frame = encode("units", 1, 7, {"low": float("nan"), "quantity": "activité"}, v=values, b=bytes_)
    (size,) = struct.unpack_from("<I", frame)
    assert size % 4 == 0
    head = json.loads(frame[4 : 4 + size])
    assert head == {
        "topic": "units",
        "side": 1,
        "update": 7,
        "low": None,
        "quantity": "activité",
        "arrays": [["v", "f4", [3]], ["b", "u1", [5]]],
    }
    at = 4 + size
    np.testing.assert_array_equal(np.frombuffer(frame, "<f4", 3, at), values)
    assert frame[at + 12 :] == bytes([0, 1, 2, 3, 4, 0, 0, 0])


def test_a_bundle_is_its_frames_each_behind_its_length():
    frames = [encode("state"), encode("units", v=np.zeros((2, 3), np.uint32))]
    whole = bundle(frames)
    assert whole == b"".join(struct.pack("<I", len(one)) + one for one in frames)
    found = decode(whole)
    assert [one.head["topic"] for one in found] == ["state", "units"]
    assert found[1].arrays["v"].shape == (2, 3)
    assert decode(b"") == []


@pytest.mark.parametrize(
    "broken",
    [b"\1", b"\4\0\0\0", b"\4\0\0\0\4\0\0\0", bundle([encode("state")])[:-3], b"\xff" * 40],
)
def test_broken_bytes_are_no_bundle(broken):
    with pytest.raises(ValueError):
        decode(broken)


def test_eight_bits_keep_the_ends_and_say_where_nothing_is_known():
    values = np.array([-1.0, 0.0, 1.0, 2.0, np.nan, np.inf])
    assert eight_bits(values, -1, 1).tolist() == [1, 128, 255, 255, 0, 0]
    assert eight_bits(np.array([3.0]), 3, 3).tolist() == [1]
    many = np.linspace(-1, 1, 1000)
    back = -1 + (eight_bits(many, -1, 1).astype(float) - 1) / 254 * 2
    assert np.abs(back - many).max() <= 1 / 254
