"""What may reach a learner about how well it did."""

from abc import abstractmethod

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from byway.core.tag import ERROR, LOSS, tag


class Loss(eqx.Module):
    """A loss with its own link: it takes the output as the network leaves it."""

    @abstractmethod
    def value(self, output: Float[Array, "*batch out"], target: Float[Array, "*batch out"]) -> Float[Array, " *batch"]:
        """The loss C of each sample (and time step)."""

    @abstractmethod
    def link(self, output: Float[Array, "*batch out"]) -> Float[Array, "*batch out"]:
        """What the output is taken for: the value that is compared with the target."""

    def error(self, output: Float[Array, "*batch out"], target: Float[Array, "*batch out"]) -> Float[Array, "*batch out"]:
        """dC/d(output) = link(output) - target, written out (no autodiff): the link of each loss is the one that fits it."""
        return self.link(output) - target


class CrossEntropy(Loss):
    """Softmax and cross-entropy: C = -sum_k t_k log softmax(y)_k; its error is exact where targets sum to one."""

    def value(self, output, target):
        """See `Loss.value`."""
        return -jnp.sum(target * jax.nn.log_softmax(output, axis=-1), axis=-1)

    def link(self, output):
        """The softmax."""
        return jax.nn.softmax(output, axis=-1)


class SquaredError(Loss):
    """Half the squared distance: C = |y - t|^2 / 2."""

    def value(self, output, target):
        """See `Loss.value`."""
        return jnp.sum((output - target) ** 2, axis=-1) / 2

    def link(self, output):
        """The output itself."""
        return output


LOSSES: dict[str, Loss] = {"cross_entropy": CrossEntropy(), "squared_error": SquaredError()}


class Signal(eqx.Module):
    """The teaching signal of one batch. A rule asks for as much of it as it needs; the audit sees what it asked for.

    Attributes:
        target: the task's target, "batch out" (one-hot for classification), or "batch time out" for sequences.
        criterion: the loss that scores an output against the target.
        weight: what each time step of each sample counts, "batch time"; None where there is no time. The weights of a
            sample sum to one, so the loss of a sequence does not grow with its length.
    """

    target: Float[Array, "*batch out"]
    criterion: Loss = eqx.field(static=True)
    weight: Float[Array, " *batch"] | None = None

    def error(self, output: Float[Array, "*batch out"]) -> Float[Array, "*batch out"]:
        """The error dLoss/d(output) of each sample; its sign is the ascent direction of the loss."""
        return tag(self.weigh(self.criterion.error(output, self.target)), ERROR)

    def loss(self, output: Float[Array, "*batch out"]) -> Float[Array, " *batch"]:
        """The scalar loss of each sample."""
        return tag(self.weigh(self.criterion.value(output, self.target)), LOSS)

    def weigh(self, values: Float[Array, "*batch_and_parts"]) -> Float[Array, "*batch_and_parts"]:
        """What each time step has, multiplied by what the step counts; just as it is where there is no time."""
        return values if self.weight is None else values * self.weight.reshape(self.weight.shape + (1,) * (values.ndim - self.weight.ndim))

    def at(self, t: Int[Array, ""] | int) -> "Signal":
        """The signal of one time step, counted from 0, of a batch of sequences."""
        target, weight = (jax.lax.dynamic_index_in_dim(a, t, 1, keepdims=False) for a in (self.target, self.weight))
        return Signal(target, self.criterion, weight)
