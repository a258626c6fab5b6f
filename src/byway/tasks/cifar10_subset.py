"""A subset of CIFAR-10 (cifar10_subset): 19,961 training and 9,968 test images, 32x32.

    x   (32, 32, 3), RGB scaled to [0, 1]
    y   10 classes; 17,961 train, 2,000 validation (the last of the training part), 9,968 test

Limits   NOT CIFAR-10: the first 20,000 official training images less 39, and the official test set
         less 32. Its results must not be quoted as CIFAR-10 results. It has no public address
Source   Krizhevsky, Learning multiple layers of features from tiny images, 2009
"""

import zipfile
from typing import ClassVar

import numpy as np
from typing_extensions import override

from byway.core.errors import DataError
from byway.core.hyper import hyper
from byway.tasks._files import DataFile, locate
from byway.tasks._images import CIFAR10_CLASSES, Images, ImageTask

FILE = DataFile(
    "cifar10",
    "cifar10_subset.npz",
    "",
    "sha256:a12768fd7b544e8ac0a56644c37820b4263991b140a08d36ab59eb02fbe1a05c",
)


class CIFAR10Subset(ImageTask):
    """A third of CIFAR-10; not to be quoted as CIFAR-10."""

    names: ClassVar[tuple[str, ...]] = CIFAR10_CLASSES
    validation: int = hyper(2_000, "images kept from training for validation", low=1)

    input_shape: ClassVar[tuple[int, ...]] = (32, 32, 3)
    outputs: ClassVar[int] = 10
    white: ClassVar[int] = 255

    @override
    def read(self):
        path = locate(FILE)
        try:
            with np.load(path, allow_pickle=False) as data:
                return Images(
                    data["train_images"],
                    data["train_labels"],
                    data["test_images"],
                    data["test_labels"],
                )
        except (KeyError, ValueError, zipfile.BadZipFile) as problem:
            raise DataError(
                f"{path} cannot be read: {problem}",
                "the four arrays of images and labels",
                "fetch it again",
            ) from problem
