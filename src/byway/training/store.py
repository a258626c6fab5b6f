"""Checkpoints on disk: orbax makes each whole or not there at all; in it, one safetensors file, so
that nothing that is read is code.

FOLDER/STEP/default/training.safetensors    every array by its name; in its header, what else there
                                            is to know, as JSON
"""

import contextlib
import dataclasses
import json
import logging
import os
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from typing_extensions import override

from byway.core.errors import RunError
from byway.system.together import alone

Arrays = dict[str, np.ndarray]
FILE = "training.safetensors"
# Whatever is logged from this folder, orbax logs.
HERE = Path(str(ocp.__file__)).parent


class _OneFile(ocp.CheckpointHandler):
    """Arrays and plain values in one file, with a checksum of the arrays: a bit that a disk lost is
    found.
    """

    @override
    def save(self, directory: os.PathLike[str], args: "_Save") -> None:
        # Of another order safetensors writes the wrong numbers.
        arrays = {name: np.asarray(a, order="C") for name, a in args.arrays.items()}
        header = {"about": json.dumps(args.about), "crc": str(_crc(arrays))}
        with open(Path(directory) / FILE, "wb") as file:
            file.write(save(arrays, header))
            file.flush()
            os.fsync(file.fileno())

    @override
    def restore(
        self, directory: os.PathLike[str], args: "_Restore"
    ) -> tuple[Arrays, dict[str, Any]]:
        header, arrays = _held(Path(directory) / FILE)
        if header["crc"] != str(_crc(arrays)):
            raise ValueError("its arrays are not those that were written")
        return arrays, json.loads(header["about"])


@ocp.args.register_with_handler(_OneFile, for_save=True)
@dataclasses.dataclass
class _Save(ocp.args.CheckpointArgs):
    arrays: Arrays
    about: dict[str, Any]


@ocp.args.register_with_handler(_OneFile, for_restore=True)
@dataclasses.dataclass
class _Restore(ocp.args.CheckpointArgs):
    pass


@contextlib.contextmanager
def opened(folder: Path, keep: int = 0, read_only: bool = False) -> Iterator[ocp.CheckpointManager]:
    """The checkpoints of a folder, of which so many of the latest are kept (0: all); what a kill
    left half written is cleared away.
    """
    writing: dict[str, Any] = {"max_to_keep": keep or None, "cleanup_tmp_directories": True}
    reading: dict[str, Any] = {"read_only": True, "create": False, "save_interval_steps": 0}
    if not alone():  # others have no part in it, so orbax must not wait for them
        mine = {"primary_host": jax.process_index(), "active_processes": {jax.process_index()}}
        one = ocp.options.MultiprocessingOptions(**mine, barrier_sync_key_prefix=str(folder))
        writing |= {"multiprocessing_options": one, "create": False}
    options = ocp.CheckpointManagerOptions(
        enable_async_checkpointing=False, **(reading if read_only else writing)
    )
    with _quiet():
        manager = ocp.CheckpointManager(
            Path(folder).resolve(), options=options, item_handlers=_OneFile()
        )
        try:
            yield manager
        finally:
            manager.close()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what orbax logs: it warns of what is asked for here, and shows what is raised anyway.
    Other people's logs pass.
    """

    def others(record: logging.LogRecord) -> bool:
        return HERE not in Path(record.pathname).parents

    shared = logging.getLogger("absl")
    shared.addFilter(others)
    try:
        yield
    finally:
        shared.removeFilter(others)


def write(manager: ocp.CheckpointManager, step: int, arrays: Arrays, about: dict[str, Any]) -> None:
    """Add a checkpoint; raise `RunError` if it cannot be written."""
    try:
        manager.save(step, args=_Save(arrays, about), force=True)
    except OSError as problem:
        raise RunError(
            f"the checkpoint of step {step} cannot be written to {manager.directory}: "
            f"{str(problem).partition(chr(10))[0]}",
            "room on a disk that can be written",
            "make room; 'byway resume RUN' then resumes from the checkpoint before, which is "
            "untouched",
        ) from problem


def read(manager: ocp.CheckpointManager, step: int) -> tuple[Arrays, dict[str, Any]]:
    """The arrays and the rest of a checkpoint; raise `RunError` if it is not as it was written."""
    try:
        held: Any = manager.restore(step, args=_Restore())
        return held
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as problem:
        raise RunError(
            f"the checkpoint {manager.directory / str(step)} cannot be read: "
            f"{str(problem).partition(chr(10))[0]}",
            "one as it was written",
            "restore it from a copy, or delete that folder: the one before it counts then, or the "
            "training starts anew",
        ) from problem


def packed(kept: tuple[int, Arrays, dict[str, Any]] | None) -> bytes:
    """A checkpoint, its step first, as bytes for another process; none is no bytes."""
    if kept is None:
        return b""
    step, arrays, about = kept
    return save(arrays, {"about": json.dumps([step, about])})


def unpacked(held: bytes) -> tuple[int, Arrays, dict[str, Any]] | None:
    """What `packed` was given."""
    if not held:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / FILE
        path.write_bytes(held)
        header, arrays = _held(path)
    step, about = json.loads(header["about"])
    return step, arrays, about


def _held(path: Path) -> tuple[dict[str, str], Arrays]:
    """The header of a file, and its arrays."""
    with safe_open(path, "numpy") as file:
        return file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def _crc(arrays: Arrays) -> int:
    crc = 0
    for name in sorted(arrays):
        crc = zlib.crc32(arrays[name].tobytes(), zlib.crc32(name.encode(), crc))
    return crc
