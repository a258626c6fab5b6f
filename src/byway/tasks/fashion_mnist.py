"""Fashion-MNIST (fashion_mnist): articles of clothing, 28x28.

    x   (28, 28, 1), grey levels scaled to [0, 1]
    y   10 classes; 55,000 train, 5,000 validation (the last of the official training part), 10,000
        test

Source   Xiao, Rasul and Vollgraf, Fashion-MNIST: a novel image dataset for benchmarking machine
         learning algorithms, 2017, arXiv 1708.07747
"""

from typing import ClassVar

from byway.core.hyper import hyper
from byway.tasks._files import idx_files
from byway.tasks._images import IDXTask


class FashionMNIST(IDXTask):
    """28x28 articles of clothing."""

    files: ClassVar = idx_files(
        "fashion_mnist",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    )
    names: ClassVar[tuple[str, ...]] = (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    )
    validation: int = hyper(5_000, "images kept from training for validation", low=1)
