"""What y means: labels, numbers, or nothing. Of each: how it is kept, what a network is to answer,
how well it did, and what its outputs mean.
"""

from abc import abstractmethod
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from typing_extensions import override

from byway.core.errors import DataError
from byway.core.score import ACCURACY, LOSS, NRMSE, R2, RMSE, Score
from byway.core.signal import Closeness, Loss, NoLoss, Payoff, Right, Signal, loss_called


class Targets(eqx.Module):
    """Abstract: what the y of a task's samples mean.

    Attributes:
        scores: as of `Task`.
        criterion: the loss.
        payoff: what an output earns; None for no reward.
    """

    scores: eqx.AbstractClassVar[tuple[Score, ...]]
    criterion: eqx.AbstractVar[Loss]
    payoff: eqx.AbstractClassVar[Payoff | None]

    @property
    @abstractmethod
    def outputs(self) -> int:
        """How many outputs a network needs."""

    @abstractmethod
    def kept(self, y: np.ndarray, counts: Bool[np.ndarray, "samples time"] | None) -> np.ndarray:
        """Y as a split keeps it: "samples ...", and in time "samples time ...", where it also says
        which steps count.
        """

    @abstractmethod
    def target(
        self, y: Array, in_time: bool
    ) -> tuple[Float[Array, "*batch out"], Float[Array, "batch time"] | None]:
        """The target of a batch of what was kept; and in time what each step counts, which sums to
        one.
        """

    def signal(self, y: Array, in_time: bool) -> Signal:
        """The signal of a batch."""
        target, weight = self.target(y, in_time)
        return Signal(target, self.criterion, weight, self.payoff)

    @abstractmethod
    def score(self, output: Float[Array, "*batch out"], signal: Signal) -> dict[str, Array]:
        """What `Task.score` of a task with such targets gives."""

    @property
    @abstractmethod
    def meaning(self) -> dict[str, Any]:
        """What outputs mean, as arguments of `Encoding`."""

    @abstractmethod
    def counted(self, y: np.ndarray) -> Bool[np.ndarray, "samples time"]:
        """Which steps count, of what `kept` made of sequences."""


class Classes(Targets):
    """Labels, numbered in their order.

    Attributes:
        labels: the label of each output.
    """

    scores: ClassVar[tuple[Score, ...]] = (ACCURACY, LOSS)
    payoff: ClassVar[Payoff | None] = Right()
    criterion: Loss = eqx.field(static=True)
    labels: tuple[Any, ...] = eqx.field(static=True)

    @property
    @override
    def outputs(self):
        return len(self.labels)

    @override
    def kept(self, y, counts):
        """The number of each label, and -1 at steps that do not count."""
        numbers = np.minimum(
            np.searchsorted(np.array(self.labels), y), len(self.labels) - 1
        ).astype(np.int32)
        return numbers if counts is None else np.where(counts, numbers, np.int32(-1))

    @override
    def target(self, y, in_time):
        return jax.nn.one_hot(y, self.outputs, dtype=float), _shares(y >= 0) if in_time else None

    @override
    def score(self, output, signal):
        return {
            ACCURACY.name: signal.weigh(Right().value(output, signal.target)),
            LOSS.name: signal.loss(output),
        }

    @property
    @override
    def meaning(self):
        return {"labels": self.labels, "loss": loss_called(self.criterion)}

    @override
    def counted(self, y):
        return y >= 0


class Numbers(Targets):
    """Numbers to be predicted. The network learns (y - mean) / deviation; errors and answers are in
    the units of y.

    Attributes:
        mean: what is taken off each number, "out".
        deviation: what it is then divided by.
        centre: of the training samples, in the network's units: R² is taken from there, as far from
            zero it would drown in rounding.
        flat: whether y has no axis for its numbers, as each sample or step has one.
    """

    scores: ClassVar[tuple[Score, ...]] = (RMSE, NRMSE, R2, LOSS)
    payoff: ClassVar[Payoff | None] = Closeness()
    criterion: Loss = eqx.field(static=True)
    mean: np.ndarray = eqx.field(converter=np.asarray)
    deviation: np.ndarray = eqx.field(converter=np.asarray)
    centre: np.ndarray = eqx.field(converter=np.asarray)
    flat: bool = eqx.field(static=True)

    @property
    @override
    def outputs(self):
        return len(self.mean)

    @override
    def kept(self, y, counts):
        """Standardised; in time with a last column, 1 at steps that count."""
        dtype = jnp.zeros(()).dtype
        numbers = (y.reshape(*y.shape[: y.ndim - (not self.flat)], -1) - self.mean) / self.deviation
        if counts is None:
            return numbers.astype(dtype)
        return np.concatenate(
            [np.where(counts[..., None], numbers, 0), counts[..., None]], -1
        ).astype(dtype)

    @override
    def target(self, y, in_time):
        y = y.astype(float)  # what was kept before JAX was set to double precision
        return (y[..., :-1], _shares(y[..., -1] > 0)) if in_time else (y, None)

    @override
    def score(self, output, signal):
        scale, centre = (
            jnp.asarray(a, output.dtype).reshape((1,) * (output.ndim - 1) + (-1,))
            for a in (self.deviation, self.centre)
        )
        square, away = (output - signal.target) ** 2, signal.target - centre
        shares = jnp.stack([square, away, away**2], -1)
        parts = {RMSE.name: square * scale**2, NRMSE.name: shares, R2.name: shares}
        return {name: signal.weigh(part) for name, part in parts.items()} | {
            LOSS.name: signal.loss(output)
        }

    @property
    @override
    def meaning(self):
        return {
            "target_mean": self.mean,
            "target_deviation": self.deviation,
            "flat": self.flat,
            "loss": loss_called(self.criterion),
        }

    @override
    def counted(self, y):
        return y[..., -1] > 0


class Nothing(Targets):
    """No y: for rules that learn without any.

    Attributes:
        outputs: how many a network has is for the user to say.
    """

    scores: ClassVar[tuple[Score, ...]] = ()
    payoff: ClassVar[Payoff | None] = None
    criterion: Loss = eqx.field(static=True, default=NoLoss())
    outputs: int = eqx.field(static=True, default=1)

    @override
    def kept(self, y, counts):
        """Nothing, and in time 1 at steps that count."""
        return (
            np.zeros((len(y), 0), np.float32)
            if counts is None
            else counts[..., None].astype(jnp.zeros(()).dtype)
        )

    @override
    def target(self, y, in_time):
        return (y[..., :0], _shares(y[..., 0] > 0)) if in_time else (y, None)

    @override
    def score(self, output, signal):
        return {}

    @property
    @override
    def meaning(self):
        return {}

    @override
    def counted(self, y):
        return y[..., 0] > 0


def _shares(counts: Bool[Array, "batch time"]) -> Float[Array, "batch time"]:
    """What each step counts, so that all of a sequence count one together."""
    counted = counts.astype(float)
    return counted / jnp.sum(counted, 1, keepdims=True)


def numbers_in(
    part: str, y: np.ndarray, counts: Bool[np.ndarray, "samples time"] | None
) -> Float[np.ndarray, "samples *rest"]:
    """Y as numbers, finite wherever they count.

    Raises:
        DataError: they are none.
    """
    try:
        numbers = y.astype(float) if y.dtype.kind in "biufUSO" else None
    except (TypeError, ValueError):
        numbers = None
    if numbers is None:
        raise DataError(
            f"{part}y of type {y.dtype}, such as {y.ravel()[0]!r}, for a regression",
            "numbers",
            'check the column; or say kind="classification", if they are labels',
        )
    with np.errstate(over="ignore"):
        sound = np.isfinite(numbers.astype(jnp.zeros(()).dtype))
    if counts is not None:
        sound |= ~counts.reshape(*counts.shape, *[1] * (y.ndim - 2))
    if not sound.all():
        where = tuple(int(i) for i in np.argwhere(~sound)[0])
        raise DataError(
            f"{part}y of sample {where[0]} is {numbers[where]}",
            "finite numbers",
            "fill in or drop what is missing",
        )
    return numbers
