"""MNIST (mnist): handwritten digits, 28x28.

    x   (28, 28, 1), grey levels scaled to [0, 1]
    y   10 classes; 55,000 train, 5,000 validation (the last of the official training part), 10,000 test

Source   LeCun, Cortes and Burges, The MNIST database of handwritten digits
"""

from typing import ClassVar

from byway.core.hyper import hyper
from byway.tasks._files import DataFile
from byway.tasks._images import IDXTask

URL = "https://ossci-datasets.s3.amazonaws.com/mnist/"
FILES = tuple(
    DataFile("mnist", name, URL + name, "sha256:" + checksum)
    for name, checksum in (
        ("train-images-idx3-ubyte.gz", "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
        ("train-labels-idx1-ubyte.gz", "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
        ("t10k-images-idx3-ubyte.gz", "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
        ("t10k-labels-idx1-ubyte.gz", "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
    )
)


class MNIST(IDXTask):
    """28x28 handwritten digits."""

    files: ClassVar[tuple[DataFile, ...]] = FILES
    validation: int = hyper(5_000, "images kept from training for validation", low=1)
