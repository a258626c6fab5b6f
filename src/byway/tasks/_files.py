"""Finds the files of a data set: in $BYWAY_DATA, then in the cache, then at their original address.

Every file is checked against its published checksum each time it is opened, so a truncated or
altered one is never used.
"""

import gzip
import hashlib
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from byway.core.errors import DataError
from byway.system.folders import cache_folder


@dataclass(frozen=True)
class DataFile:
    """One file of a data set.

    Attributes:
        folder: the data set's folder, below $BYWAY_DATA and below the cache.
        name: the file's name there.
        url: where it comes from, or "" if it cannot be downloaded.
        checksum: "sha256:..." or "md5:...", as published.
    """

    folder: str
    name: str
    url: str
    checksum: str


def idx_files(folder: str, url: str, *checksums: str) -> tuple[DataFile, ...]:
    """The four files of a data set that was published as MNIST was: training images and labels,
    test images and labels.

    Args:
        folder: the data set's folder.
        url: the address that the names of the files are added to.
        checksums: the sha256 of each file.
    """
    names = [
        f"{part}-{what}-ubyte.gz"
        for part in ("train", "t10k")
        for what in ("images-idx3", "labels-idx1")
    ]
    return tuple(
        DataFile(folder, name, url + name, f"sha256:{checksum}")
        for name, checksum in zip(names, checksums, strict=True)
    )


def locate(file: DataFile) -> Path:
    """The path of a checked copy of `file`, downloaded if need be.

    Raises:
        DataError: it is nowhere, cannot be downloaded, is empty, or is not the published file.
    """
    given, ours = os.environ.get("BYWAY_DATA"), cache_folder()
    places = [Path(given)] if given else []
    places += [] if ours is None else [ours / "data"]
    for place in places:
        path = place / file.folder / file.name
        if path.is_file():
            _check(path, file)
            return path
    if ours is None:
        raise DataError(
            f"{file.folder}/{file.name} is not on this machine, and this user has no home folder",
            "a folder to keep it in",
            "name one in $BYWAY_CACHE, or one that has it in $BYWAY_DATA",
        )
    path = _download(file, ours / "data" / file.folder)
    _check(path, file)
    return path


def _download(file: DataFile, folder: Path) -> Path:
    here = (
        f"put it at {folder / file.name}, or in {file.folder}/ below the folder that $BYWAY_DATA "
        "names"
    )
    if not file.url:
        raise DataError(
            f"{file.folder}/{file.name} is not on this machine",
            "that file: it has no public address",
            here,
        )
    import pooch
    import requests

    try:
        pooch.retrieve(
            file.url, known_hash=file.checksum, fname=file.name, path=folder, progressbar=False
        )
    except (OSError, ValueError, requests.RequestException) as problem:
        # The trace of three network libraries would bury the message.
        raise DataError(
            f"{file.folder}/{file.name} is not on this machine and could not be downloaded: "
            f"{type(problem).__name__}",
            f"the file from {file.url}",
            f"check the network, or {here}",
        ) from None
    return folder / file.name


def _check(path: Path, file: DataFile) -> None:
    size = path.stat().st_size
    if size == 0:
        raise DataError(
            f"{path} is empty", "the published file", "delete it, so that it is fetched again"
        )
    kind, _, wanted = file.checksum.partition(":")
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, kind).hexdigest()
    if found != wanted:
        raise DataError(
            f"{path} ({size:,} bytes) has the {kind} {found[:12]}...",
            f"{wanted[:12]}..., as published: this copy is truncated or altered",
            "delete it, so that it is fetched again",
        )


def read_idx(path: Path) -> np.ndarray:
    """An array of unsigned bytes in the IDX format (LeCun), gzip-compressed.

    Raises:
        DataError: the file is cut short, or is no IDX file of bytes.
    """
    try:
        raw = gzip.decompress(path.read_bytes())
    except (EOFError, zlib.error, gzip.BadGzipFile) as problem:
        raise DataError(
            f"{path} cannot be unpacked: {problem}",
            "a complete gzip file",
            "delete it, so that it is fetched again",
        ) from problem
    if len(raw) < 4 or raw[:3] != b"\x00\x00\x08":
        raise DataError(
            f"{path} starts with {raw[:4].hex() or 'nothing'}",
            "000008.., an IDX file of bytes",
            "check what the file is",
        )
    rank = raw[3]
    header = 4 + 4 * rank
    shape = tuple(int.from_bytes(raw[4 + 4 * i : 8 + 4 * i], "big") for i in range(rank))
    if len(raw) - header != np.prod(shape, dtype=np.int64):
        raise DataError(
            f"{path} holds {max(len(raw) - header, 0):,} values",
            f"{np.prod(shape, dtype=np.int64):,}, for the shape {shape} it states",
            "fetch it again",
        )
    return np.frombuffer(raw, np.uint8, offset=header).reshape(shape)
