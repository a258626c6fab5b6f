"""Frames: what the page is sent, as bytes. `studio/README.md` says what belongs to which topic.

    bundle   frames, each behind a u32 with its length
    frame    a u32 with the length of the head, the head (JSON), its arrays
    head     topic, side, update, and what belongs to the topic; `arrays` lists name, type and shape

Head and arrays are padded to four bytes, so that a page can read them where they lie. Numbers are
little-endian.
"""

import json
import math
import struct
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

# By their names in a head.
TYPES = {"u1": np.uint8, "i1": np.int8, "u4": np.uint32, "f4": np.float32}
NAMES = {np.dtype(kind): name for name, kind in TYPES.items()}
COUNT = struct.Struct("<I")
WORD = 4


class Frame(NamedTuple):
    """One frame.

    Attributes:
        head: its topic, and what belongs to it.
        arrays: by name.
    """

    head: dict[str, Any]
    arrays: dict[str, np.ndarray]


def encode(
    topic: str,
    side: int = 0,
    update: int = 0,
    head: Mapping[str, Any] | None = None,
    **arrays: np.ndarray,
) -> bytes:
    """A frame.

    Args:
        topic: what it is of.
        side: of which of two rules that run side by side.
        update: how many updates had been made.
        head: what belongs to the topic, in plain values; a number that is none becomes null.
        arrays: of the types of `TYPES`.
    """
    listed = [[name, NAMES[a.dtype], list(a.shape)] for name, a in arrays.items()]
    whole = {"topic": topic, "side": side, "update": update, **(head or {}), "arrays": listed}
    text = json.dumps(_plain(whole), ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % WORD)
    parts = [COUNT.pack(len(text)), text]
    for a in arrays.values():
        held = np.ascontiguousarray(a).astype(a.dtype.newbyteorder("<"), copy=False)
        parts += [held.tobytes(), bytes(-held.nbytes % WORD)]
    return b"".join(parts)


def bundle(frames: Iterable[bytes]) -> bytes:
    """Frames as one message."""
    return b"".join(part for one in frames for part in (COUNT.pack(len(one)), one))


def decode(data: bytes) -> list[Frame]:
    """The frames of a bundle.

    Raises:
        ValueError: it is none.
    """
    found, at = [], 0
    try:
        while at < len(data):
            (size,) = COUNT.unpack_from(data, at)
            at += COUNT.size
            if at + size > len(data):
                raise ValueError("a frame that ends early")
            found.append(_frame(data[at : at + size]))
            at += size
    except (struct.error, KeyError, TypeError) as problem:
        raise ValueError(f"a broken frame: {problem}") from problem
    return found


def eight_bits(
    values: Float[np.ndarray, "*any"], low: float, high: float
) -> UInt8[np.ndarray, "*any"]:
    """Numbers as 1 (`low`) to 255 (`high`), rounded; 0 where there is no number."""
    span = high - low if high > low else 1.0
    known = np.isfinite(values)
    share = np.clip((np.where(known, values, low) - low) / span, 0, 1)
    return np.where(known, 1 + np.rint(share * 254), 0).astype(np.uint8)


def _frame(data: bytes) -> Frame:
    (size,) = COUNT.unpack_from(data, 0)
    at = COUNT.size + size
    head = json.loads(data[COUNT.size : at])
    arrays = {}
    for name, kind, shape in head["arrays"]:
        count = math.prod(shape)
        made = np.frombuffer(data, np.dtype(TYPES[kind]).newbyteorder("<"), count, at)
        arrays[name] = made.reshape(shape)
        at += made.nbytes + -made.nbytes % WORD
    return Frame(head, arrays)


def _plain(value: Any) -> Any:
    """What JSON can hold."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
