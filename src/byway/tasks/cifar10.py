"""CIFAR-10 (cifar10): colour photographs, 32x32.

    x   (32, 32, 3), RGB scaled to [0, 1]
    y   10 classes; 45,000 train, 5,000 validation (the last of the official training part), 10,000
        test

Source   Krizhevsky, Learning multiple layers of features from tiny images, 2009; the binary
         version, which needs no pickle
"""

import tarfile
import zlib
from pathlib import Path
from typing import ClassVar

import numpy as np
from typing_extensions import override

from byway.core.errors import DataError
from byway.core.hyper import hyper
from byway.tasks._files import DataFile, locate
from byway.tasks._images import CIFAR10_CLASSES, Images, ImageTask

FILE = DataFile(
    "cifar10",
    "cifar-10-binary.tar.gz",
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    "md5:c32a1d4ab5d03f1284b67883e8d87530",
)
RECORD = 1 + 32 * 32 * 3  # one label, then the planes red, green, blue


class CIFAR10(ImageTask):
    """32x32 colour photographs."""

    names: ClassVar[tuple[str, ...]] = CIFAR10_CLASSES
    validation: int = hyper(5_000, "images kept from training for validation", low=1)

    input_shape: ClassVar[tuple[int, ...]] = (32, 32, 3)
    outputs: ClassVar[int] = 10
    white: ClassVar[int] = 255

    @override
    def read(self):
        return read_binary(locate(FILE))


def read_binary(path: Path) -> Images:
    """The images of a `cifar-10-binary.tar.gz`; nothing is unpacked to disk.

    Raises:
        DataError: a member is missing, or is not a whole number of images.
    """
    try:
        with tarfile.open(path) as archive:
            train = [_member(archive, f"data_batch_{i}.bin") for i in range(1, 6)]
            test = _member(archive, "test_batch.bin")
    except (tarfile.TarError, EOFError, zlib.error) as problem:
        raise DataError(
            f"{path} cannot be read: {problem}",
            "the archive as published",
            "delete it, so that it is fetched again",
        ) from problem
    (train_x, train_y), (test_x, test_y) = _split(np.concatenate(train)), _split(test)
    return Images(train_x, train_y, test_x, test_y)


def _member(archive: tarfile.TarFile, name: str) -> np.ndarray:
    path = f"cifar-10-batches-bin/{name}"
    stream = archive.extractfile(path) if path in archive.getnames() else None
    if stream is None:
        raise DataError(
            f"the archive has no {path}",
            "five training batches and a test batch",
            "fetch the archive again",
        )
    raw = np.frombuffer(stream.read(), np.uint8)
    if raw.size == 0 or raw.size % RECORD:
        raise DataError(
            f"{path} holds {raw.size:,} bytes",
            f"a multiple of {RECORD:,}",
            "fetch the archive again",
        )
    return raw.reshape(-1, RECORD)


def _split(records: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    planes = records[:, 1:].reshape(-1, 3, 32, 32)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), records[:, 0].copy()
