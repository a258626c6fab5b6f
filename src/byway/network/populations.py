"""Populations: the nodes of a network."""

import math

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from byway.core.errors import ConfigError, ShapeError
from byway.core.given import require_whole
from byway.network.cell import Cell, CellState, Local

# Keeps RMS normalisation finite for a silent population.
NORM_EPSILON = 1e-8


class Population(eqx.Module):
    """A group of units of one kind.

    Attributes:
        name: what projections call it.
        shape: the shape of its units, () never; (n,) or (height, width, channels).
        cell: what a unit does with its drive: an activation function, or a cell with a state.
        norm: whether it sends its activity divided by its root mean square (as forward-forward
            needs).
        position: where each unit sits, "units 3" [um].
        born: how many of its units, the first ones, there are when a network is drawn; the other
            places are for units that are born later. None for all.
    """

    name: str = eqx.field(static=True)
    shape: tuple[int, ...] = eqx.field(static=True)
    cell: Cell
    norm: bool = eqx.field(static=True)
    position: Float[Array, "units 3"]
    born: int | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        if self.born is not None:
            require_whole("born", self.born, 1, self.size)
        if not self.shape or any(n < 1 for n in self.shape):
            raise ShapeError(
                f"population {self.name!r} of shape {self.shape}",
                "at least one unit on each axis",
                "give positive sizes",
            )
        if (
            not isinstance(self.name, str)
            or not self.name
            or any(mark in self.name for mark in "-./")
        ):
            raise ConfigError(
                f"a population called {self.name!r}",
                "a name without '-', '.' and '/'",
                "rename it: these join names to longer ones",
            )
        if self.position.shape != (self.size, 3):
            raise ShapeError(
                f"positions of shape {self.position.shape}",
                f"({self.size}, 3)",
                "give one point in space to each unit",
            )

    @property
    def size(self) -> int:
        """How many units it has."""
        return math.prod(self.shape)

    @property
    def drive(self) -> tuple[int, ...]:
        """The shape of the drive u of one sample: that of the units, with an axis of ports in front
        where the cell has several.
        """
        return self.shape if self.cell.ports == 1 else (self.cell.ports, *self.shape)

    @property
    def sent(self) -> tuple[int, ...]:
        """The shape of its activity in one sample, which is what it sends: that of the units, with
        an axis in front where each unit sends several numbers.
        """
        return (len(self.cell.sends), *self.shape) if self.cell.sends else self.shape

    @property
    def black_box(self) -> bool:
        """Whether its activity has no slope."""
        return self.cell.black_box

    def local(self, state: CellState, u: Float[Array, "batch *drive"]) -> Local:
        """The derivatives of a step of its cell."""
        return self.cell.local(state, u)

    def activate(self, u: Float[Array, "batch *drive"]) -> Float[Array, "batch *units"]:
        """phi(u) of a cell without a state."""
        return self.cell.step({}, u)[1]

    def slope(self, u: Float[Array, "batch *drive"]) -> Array | float | None:
        """phi'(u) of a cell without a state; the number 1.0 where phi is the identity, None where
        it is a black box.
        """
        return self.local({}, u).slope

    def send(self, post: Array) -> Array:
        """What its projections receive of the activity "batch *units": itself, or post /
        rms(post).
        """
        return post / self.scale(post) if self.norm else post

    def scale(self, post: Array) -> Array:
        """What a normalised population divides its activity by: rms(post) + eps, "batch 1 ..."."""
        return self._rms(post) + NORM_EPSILON

    def unsend(self, post: Array, delta: Array) -> Array:
        """The transpose of the derivative of `send` at `post`, applied to `delta` "batch *units".

        With r = rms(h) + eps:  J^T d = d / r - h (h . d) / (n rms(h) r^2).
        """
        if not self.norm:
            return delta
        rms = self._rms(post)
        axes = tuple(range(1, post.ndim))
        r = rms + NORM_EPSILON
        overlap = jnp.mean(post * delta, axes, keepdims=True)
        return delta / r - post * overlap / (jnp.maximum(rms, NORM_EPSILON) * r**2)

    def _rms(self, post: Array) -> Array:
        square = jnp.mean(post**2, tuple(range(1, post.ndim)), keepdims=True)
        # The root has no derivative at zero, where autodiff would make a NaN of a silent sample.
        return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)
