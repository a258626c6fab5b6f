"""What every image classification task shares: checked splits and scaled pixels."""

import dataclasses
from abc import abstractmethod
from typing import ClassVar, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from typing_extensions import override

from byway.core.errors import ConfigError, DataError
from byway.core.hyper import hyper
from byway.core.task import Split
from byway.tasks._files import DataFile, idx_files, locate, read_idx
from byway.tasks._jitter import JITTER, MOST, jittered
from byway.tasks._labelled import LabelledTask

# Read whole by `mnist`, row by row by `mnist_rows`.
MNIST_FILES = idx_files(
    "mnist",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
)
# Of `cifar10` and its subset, in the order of their numbers.
CIFAR10_CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)


class Images(NamedTuple):
    """A data set as read: pixels uint8 "samples height width channels", labels uint8 "samples"."""

    train_x: np.ndarray
    train_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray


class ImageTask(LabelledTask):
    """Abstract: classify uint8 images.

    Attributes:
        jitter: how far training images are shifted.
        validation: how many of the last training samples make the validation split.
        white: the largest pixel value: pixels are divided by it, so inputs lie in [0, 1].
    """

    validation: eqx.AbstractVar[int]  # pyright: ignore[reportGeneralTypeIssues]  what stands in for it has a default
    white: eqx.AbstractClassVar[int]  # pyright: ignore[reportGeneralTypeIssues]

    jitter: int = hyper(0, JITTER, unit="pixel", low=0, high=MOST)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(height, width, channels) of an image."""
        return self.input_shape

    @property
    @override
    def spare(self):
        """A corner of an image may be given up for the label."""
        return self.outputs

    @property
    @override
    def encoding(self):
        return dataclasses.replace(super().encoding, shape=self.image_shape, levels=self.white)

    @abstractmethod
    def read(self) -> Images:
        """Read the official training and test parts."""

    @override
    def load(self):
        """Labels are checked; pixels stay uint8."""
        images = self.read()
        for part, x, y in (
            ("training", images.train_x, images.train_y),
            ("test", images.test_x, images.test_y),
        ):
            check_images(part, x, y, self.image_shape, self.outputs)
        train = len(images.train_x) - self.validation
        if not 0 < self.validation < len(images.train_x):
            raise ConfigError(
                f"validation = {self.validation}",
                f"a number from 1 to {len(images.train_x) - 1}",
                "leave some samples to both splits",
            )
        return {
            "train": Split(
                jnp.asarray(images.train_x[:train]), jnp.asarray(images.train_y[:train])
            ),
            "validation": Split(
                jnp.asarray(images.train_x[train:]), jnp.asarray(images.train_y[train:])
            ),
            "test": Split(jnp.asarray(images.test_x), jnp.asarray(images.test_y)),
        }

    @override
    def scaled(self, x):
        return x.astype(float) / self.white

    @override
    def lesson(self, split, index, key):
        return self.batch(*jittered(split, index, key, self.jitter), key)

    @override
    def check(self, part, split):
        check_images(part, np.asarray(split.x), np.asarray(split.y), self.image_shape, self.outputs)


class IDXTask(ImageTask):
    """Abstract: an image task that was published as four IDX files of 28x28 grey images in 10
    classes, as MNIST was.

    Attributes:
        files: training images and labels, test images and labels.
    """

    files: ClassVar[tuple[DataFile, ...]]

    input_shape: ClassVar[tuple[int, ...]] = (28, 28, 1)
    outputs: ClassVar[int] = 10
    white: ClassVar[int] = 255

    @override
    def read(self):
        train_x, train_y, test_x, test_y = (read_idx(locate(file)) for file in self.files)
        return Images(train_x[..., None], train_y, test_x[..., None], test_y)


def check_images(
    part: str, x: np.ndarray, y: np.ndarray, shape: tuple[int, ...], classes: int
) -> None:
    """Raise `DataError` unless `x` are uint8 images of `shape` and `y` as many labels below
    `classes`.
    """
    if x.dtype != np.uint8 or x.shape[1:] != shape:
        raise DataError(
            f"{part} images of type {x.dtype} and shape {x.shape[1:]}",
            f"uint8 and {shape}",
            "convert them",
        )
    if y.ndim != 1 or y.dtype.kind not in "iu":
        raise DataError(
            f"{part} labels of type {y.dtype} and shape {y.shape}",
            "a whole number for each image",
            "convert them",
        )
    if len(x) != len(y) or len(x) == 0:
        raise DataError(
            f"{len(x):,} {part} images and {len(y):,} labels",
            "as many of each, and some",
            "check the two files",
        )
    if y.min() < 0 or y.max() >= classes:
        raise DataError(
            f"{part} labels from {y.min()} to {y.max()}",
            f"from 0 to {classes - 1}",
            "check how the classes are numbered",
        )
