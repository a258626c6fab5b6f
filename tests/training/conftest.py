"""A task small enough to compile in a moment, and rules whose answers are known beforehand."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from byway.audit.networks import accepted, tiny
from byway.core.encoding import Encoding
from byway.core.errors import RuleError
from byway.core.signal import CrossEntropy, Signal
from byway.core.task import Split, Task
from byway.network.builders import mlp
from byway.tasks._images import ImageTask

SIZES = {"train": 24, "validation": 10, "test": 11}


class Blobs(Task):
    """Three clouds of points; the last input is the sample's number, as a thousandth."""

    input_shape: tuple[int, ...] = eqx.field(static=True, default=(4,))
    outputs: int = eqx.field(static=True, default=3)
    spare = 3  # which tests of `ff` here do not mind

    @property
    def encoding(self):
        labels = ("red", "green", "blue", *"abc"[: self.outputs - 3])
        return Encoding(shape=self.input_shape, labels=labels, loss="cross_entropy")

    def load(self):
        splits, draw = {}, np.random.default_rng(0)
        for name, size in SIZES.items():
            y = np.arange(size) % 3
            x = np.column_stack(
                [2 * np.eye(3)[y] + draw.normal(size=(size, 3)), np.arange(size) / 1000]
            )
            room = np.zeros((size, math.prod(self.input_shape)))
            room[:, :4] = x
            splits[name] = Split(jnp.asarray(room.reshape(size, *self.input_shape)), jnp.asarray(y))
        return splits

    def batch(self, split, index, key):
        return split.x[index], Signal(
            jax.nn.one_hot(split.y[index], self.outputs, dtype=float), CrossEntropy()
        )

    def beside(self, rule, *hidden):
        """A network that a rule trains, of such hidden layers where it may be an mlp, and these
        points as it sees them.
        """
        net = mlp(4, *hidden, 3, **rule.network_options)
        try:
            rule.accepts(net)
        except RuleError:
            net = tiny(accepted(rule)[0], rule)
        return net, Blobs(net[net.input].shape, net[net.output].size)

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
