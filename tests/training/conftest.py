"""A task small enough to compile in a moment, and rules whose answers are known beforehand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from byway.core.encoding import Encoding
from byway.core.signal import CrossEntropy, Signal
from byway.core.task import Split, Task
from byway.tasks._images import ImageTask

SIZES = {"train": 24, "validation": 10, "test": 11}


class Blobs(Task):
    """Three clouds of points; the last input is the sample's number, as a thousandth."""

    input_shape = (4,)
    outputs = 3
    spare = 3  # which tests of `ff` here do not mind
    encoding = Encoding(shape=(4,), labels=("red", "green", "blue"), loss="cross_entropy")

    def load(self):
        splits, draw = {}, np.random.default_rng(0)
        for name, size in SIZES.items():
            y = np.arange(size) % 3
            x = np.column_stack(
                [2 * np.eye(3)[y] + draw.normal(size=(size, 3)), np.arange(size) / 1000]
            )
            splits[name] = Split(jnp.asarray(x), jnp.asarray(y))
        return splits

    def batch(self, split, index, key):
        return split.x[index], Signal(
            jax.nn.one_hot(split.y[index], 3, dtype=float), CrossEntropy()
        )

    scores, score = ImageTask.scores, ImageTask.score


@pytest.fixture(scope="session")
def blobs():
    return Blobs()


@pytest.fixture(scope="session", autouse=True)
def _cache_of_its_own(tmp_path_factory):
    """What is compiled here goes to a folder of this session, not to the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BYWAY_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
