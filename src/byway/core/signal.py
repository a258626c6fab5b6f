"""What may reach a learner about how well it did."""

from abc import abstractmethod

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from byway.core.tag import ERROR, LOSS, tag


class Loss(eqx.Module):
    """A loss with its own link: it takes the output as the network leaves it."""

    @abstractmethod
    def value(self, output: Float[Array, "batch out"], target: Float[Array, "batch out"]) -> Float[Array, " batch"]:
        """The loss C of each sample."""

    @abstractmethod
    def error(self, output: Float[Array, "batch out"], target: Float[Array, "batch out"]) -> Float[Array, "batch out"]:
        """dC/d(output) of each sample, written out (no autodiff)."""


class CrossEntropy(Loss):
    """Softmax and cross-entropy: C = -sum_k t_k log softmax(y)_k, so dC/dy = softmax(y) - t."""

    def value(self, output, target):
        """See `Loss.value`."""
        return -jnp.sum(target * jax.nn.log_softmax(output, axis=-1), axis=-1)

    def error(self, output, target):
        """See `Loss.error`. Exact where the targets of a sample sum to one."""
        return jax.nn.softmax(output, axis=-1) - target


class SquaredError(Loss):
    """Half the squared distance: C = |y - t|^2 / 2, so dC/dy = y - t."""

    def value(self, output, target):
        """See `Loss.value`."""
        return jnp.sum((output - target) ** 2, axis=-1) / 2

    def error(self, output, target):
        """See `Loss.error`."""
        return output - target


class Signal(eqx.Module):
    """The teaching signal of one batch. A rule asks for as much of it as it needs; the audit sees what it asked for.

    Attributes:
        target: the task's target, "batch out" (one-hot for classification).
        criterion: the loss that scores an output against the target.
    """

    target: Float[Array, "batch out"]
    criterion: Loss = eqx.field(static=True)

    def error(self, output: Float[Array, "batch out"]) -> Float[Array, "batch out"]:
        """The error dLoss/d(output) of each sample; its sign is the ascent direction of the loss."""
        return tag(self.criterion.error(output, self.target), ERROR)

    def loss(self, output: Float[Array, "batch out"]) -> Float[Array, " batch"]:
        """The scalar loss of each sample."""
        return tag(self.criterion.value(output, self.target), LOSS)
