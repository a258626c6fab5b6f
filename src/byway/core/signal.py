"""What may reach a learner about how well it did."""

from abc import abstractmethod

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
from typing_extensions import override

from byway.core.errors import RuleError, ShapeError


class Loss(eqx.Module):
    """A loss with its own link: it takes the output as the network leaves it."""

    @abstractmethod
    def value(
        self, output: Float[Array, "*batch out"], target: Float[Array, "*batch out"]
    ) -> Float[Array, " *batch"]:
        """The loss C of each sample (and time step)."""

    @abstractmethod
    def link(self, output: Float[Array, "*batch out"]) -> Float[Array, "*batch out"]:
        """What the output is taken for: the value that is compared with the target."""

    def error(
        self, output: Float[Array, "*batch out"], target: Float[Array, "*batch out"]
    ) -> Float[Array, "*batch out"]:
        """dC/d(output) = link(output) - target, written out (no autodiff): the link of each loss is
        the one that fits it.
        """
        return self.link(output) - target


class CrossEntropy(Loss):
    """Softmax and cross-entropy: C = -sum_k t_k log softmax(y)_k; its error is exact where targets
    sum to one.
    """

    @override
    def value(self, output, target):
        return -jnp.sum(target * jax.nn.log_softmax(output, axis=-1), axis=-1)

    @override
    def link(self, output):
        """The softmax."""
        return jax.nn.softmax(output, axis=-1)


class SquaredError(Loss):
    """Half the squared distance: C = |y - t|^2 / 2."""

    @override
    def value(self, output, target):
        return jnp.sum((output - target) ** 2, axis=-1) / 2

    @override
    def link(self, output):
        """The output itself."""
        return output


LOSSES: dict[str, Loss] = {"cross_entropy": CrossEntropy(), "squared_error": SquaredError()}


def loss_called(loss: Loss) -> str:
    """The name of a loss; empty of one that has none."""
    return next((name for name, known in LOSSES.items() if type(known) is type(loss)), "")


class NoLoss(Loss):
    """What stands for the loss where there are no targets: whoever asks for it is refused."""

    @override
    def value(self, output, target):
        raise _nothing("loss")

    @override
    def link(self, output):
        raise _nothing("error")

    @override
    def error(self, output, target):
        raise _nothing("error")


class Payoff(eqx.Module):
    """What an output earns: one number, which says how good it was and not what would have been
    better.
    """

    @abstractmethod
    def value(
        self, output: Float[Array, "*batch out"], target: Float[Array, "*batch out"]
    ) -> Float[Array, " *batch"]:
        """The reward of each sample (and time step)."""


class Right(Payoff):
    """1 where the largest output is that of the target, 0 elsewhere."""

    @override
    def value(self, output, target):
        return (jnp.argmax(output, -1) == jnp.argmax(target, -1)).astype(output.dtype)


class Near(Payoff):
    """1 where every output is less than a distance from its target, 0 elsewhere."""

    distance: float = eqx.field(static=True)

    @override
    def value(self, output, target):
        return jnp.all(jnp.abs(output - target) < self.distance, -1).astype(output.dtype)


class Closeness(Payoff):
    """Minus half the squared distance to the target."""

    @override
    def value(self, output, target):
        return -SquaredError().value(output, target)


class Signal(eqx.Module):
    """The teaching signal of one batch. A rule asks for as much of it as it needs; the audit sees
    what it asked for.

    Attributes:
        target: the task's target, "batch out" (one-hot for classification), or "batch time out" for
            sequences; "batch 0" where there is none.
        criterion: the loss that scores an output against the target; `NoLoss` where there is none.
        weight: what each time step of each sample counts, "batch time"; None where there is no
            time. The weights of a sample sum to one, so the loss of a sequence does not grow with
            its length.
        payoff: what an output earns, for rules that learn from a reward alone; None on a task that
            hands out none.
    """

    target: Float[Array, "*batch out"]
    criterion: Loss = eqx.field(static=True)
    weight: Float[Array, " *batch"] | None = None
    payoff: Payoff | None = eqx.field(static=True, default=None)

    def error(self, output: Float[Array, "*batch out"]) -> Float[Array, "*batch out"]:
        """The error dLoss/d(output) of each sample; its sign is the ascent direction of the
        loss.
        """
        self._require_shape(output)
        return self.weigh(self.criterion.error(output, self.target))

    def loss(self, output: Float[Array, "*batch out"]) -> Float[Array, " *batch"]:
        """The scalar loss of each sample."""
        self._require_shape(output)
        return self.weigh(self.criterion.value(output, self.target))

    def reward(self, output: Float[Array, "*batch out"]) -> Float[Array, " *batch"]:
        """What each sample's output earns, one number; a rule may ask it of what it tried, such as
        an output with noise or a choice.

        Raises:
            RuleError: the task hands out no reward.
        """
        if self.payoff is None:
            raise RuleError(
                "a reward, asked of a signal that has none",
                "a task that hands one out, such as digits",
                "give the signal of a task of your own a payoff, as in Signal(target, criterion, "
                "payoff=Right()); or use another rule",
            )
        return self.weigh(self.payoff.value(output, self.target))

    @property
    def taught(self) -> bool:
        """Whether there are targets, and so a loss and an error."""
        return not isinstance(self.criterion, NoLoss)

    def weigh(self, values: Float[Array, "*batch_and_parts"]) -> Float[Array, "*batch_and_parts"]:
        """What each time step has, multiplied by what the step counts; just as it is where there is
        no time.
        """
        return (
            values
            if self.weight is None
            else values
            * self.weight.reshape(self.weight.shape + (1,) * (values.ndim - self.weight.ndim))
        )

    def at(self, t: Int[Array, ""] | int) -> "Signal":
        """The signal of one time step, counted from 0, of a batch of sequences."""
        target, weight = (
            jax.lax.dynamic_index_in_dim(a, t, 1, keepdims=False)
            for a in (self.target, self.weight)
        )
        return Signal(target, self.criterion, weight, self.payoff)

    def _require_shape(self, output: Float[Array, "..."]) -> None:
        """Raise where arrays of different shapes would be broadcast to what nobody meant."""
        if self.taught and output.shape != self.target.shape:
            raise ShapeError(
                f"an output of shape {output.shape}",
                f"{self.target.shape}, as the targets",
                "reshape the targets",
            )


def _nothing(part: str) -> RuleError:
    return RuleError(
        f"the {part}, asked of a signal without targets",
        "a task with targets",
        "use a rule that needs none; or give the samples labels",
    )
