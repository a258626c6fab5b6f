"""Processes that compute together, those of `jax.distributed`: each runs the same program, and what
one of them alone can know, such as the time or what lies on a disk, is made known to all here.

Every function is called by all processes, in the same order. Where there is one, it does nothing.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental.multihost_utils import broadcast_one_to_all, process_allgather

from byway.core.errors import BywayError, ConfigError, RunError

T = TypeVar("T")


def leads() -> bool:
    """Whether this is the process that writes, draws and prints: the first."""
    return jax.process_index() == 0


def alone() -> bool:
    """Whether there is no other."""
    return jax.process_count() == 1


def largest(*numbers: float) -> list[float]:
    """Of each number the largest that any process gives."""
    if alone():
        return list(numbers)
    # As bytes: JAX would round them to single precision.
    mine = np.frombuffer(np.array(numbers, float).tobytes(), np.uint8)
    return np.frombuffer(_gathered(mine).tobytes(), float).reshape(-1, len(numbers)).max(0).tolist()


def _as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def told(
    find: Callable[[], T],
    pack: Callable[[T], bytes] = _as_json,
    unpack: Callable[[bytes], T] = json.loads,
) -> T:
    """What the first process finds, in all of them; and what it raises.

    Args:
        find: is called there alone.
        pack: makes bytes of what it found; by default, of plain values.
        unpack: makes that of the bytes again.

    Raises:
        BywayError: what `find` raised; in the other processes as a `RunError`.
    """
    if alone():
        return find()
    if not leads():
        failed, said = _heard(b"")
        if failed:
            raise RunError(*json.loads(said))
        return unpack(said)
    try:
        found = find()
    except BywayError as error:
        _heard(_as_json((error.given, error.wanted, error.fix)), failed=True)
        raise
    _heard(pack(found))
    return found


def require_same(what: Mapping[str, Any]) -> None:
    """Raise `ConfigError`, in all processes, unless all compute the same.

    Args:
        what: that, in plain values by name; names are the same in all processes.
    """
    if alone():
        return
    first, names = told(lambda: dict(what)), list(what)
    unlike = [len(names) - i for i, name in enumerate(names) if first[name] != what[name]]
    (found,) = largest(max(unlike, default=0))  # in the order of the names the first
    if found:
        name = names[-int(found)]
        here = f"process {jax.process_index()} of {jax.process_count()}"
        raise ConfigError(
            f"{name} = {what[name]} in {here}, and another in others",
            "the same call in all processes of jax.distributed",
            "call Byway with the same arguments in all of them",
        )


def _heard(said: bytes, failed: bool = False) -> tuple[bool, bytes]:
    """What the first process says."""
    size, wrong = np.asarray(broadcast_one_to_all(np.array([len(said), failed], np.int32)))
    held = np.zeros(size, np.uint8) if not leads() else np.frombuffer(said, np.uint8)
    return bool(wrong), np.asarray(broadcast_one_to_all(held)).astype(np.uint8).tobytes()


def _gathered(mine: np.ndarray) -> np.ndarray:
    """The arrays of all processes, with a leading axis of those."""
    return np.asarray(process_allgather(mine))
