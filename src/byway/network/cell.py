"""What a unit does with its drive, from one step to the next: the cell of a population.

    state_t, post_t = step(state_{t-1}, u_t)

A cell acts on each unit alone, so all of its derivatives are numbers by unit. `local` writes them
out, and with them every rule in time (`bptt`, `rtrl`, `eprop` ...) trains any cell without knowing
its name.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key
from typing_extensions import override

from byway.core.hyper import check_ranges
from byway.core.registry import snake_case

# A derivative of each unit, "batch *units"; a plain number where it is the same for all, at all
# times.
Derivative = Array | float
CellState = dict[str, Array]


class Local(NamedTuple):
    """The derivatives of one step of a cell, unit by unit; what is left out is zero.

    Attributes:
        carry: d state'_i / d state_j, by the names (i, j).
        drive: d state'_i / du, by name; "batch ports *units" where there are several ports.
        read: d post / d state_j, by name.
        slope: d post / du, as `drive`; None where there is no derivative, and where several numbers
            are sent: those are parts of the state, and `drive` has their derivatives.
        after: d post / d state'_i, by name, where the activity follows from the state after the
            step alone: then `read` and `slope` are this times `carry` and `drive`, and a rule that
            has d state' / d theta needs neither. None where it does not. Where several numbers are
            sent, each is a part of the state itself: 1.0 for all of them.
    """

    carry: Mapping[tuple[str, str], Derivative]
    drive: Mapping[str, Derivative]
    read: Mapping[str, Derivative]
    slope: Derivative | None
    after: Mapping[str, Derivative] | None = None


class Cell(eqx.Module):
    """Abstract base: an `Activation`, which has no state, or a `StatefulCell`.

    Attributes:
        name: what it is called on the command line.
        gain: weights into such units are drawn with variance gain / fan_in.
        ports: how many drives it takes; with several, u is "batch ports *units".
        carries: the parts of its state that credit flows through, that is, those that have
            derivatives; none where there is no state.
        sends: where each unit sends several numbers, the parts of its state that these are: its
            activity is "batch sends *units".
        in_events: whether it lives in continuous time and sends spike times, see `events`.
        flows: whether its state follows a differential equation, see `flows`.
        silent: whether its units send nothing in most steps, as those that spike do.
        own: the ports that take parameters of the units themselves, such as a time constant that is
            learned: what drives them is an `Offset`, a bias and nothing else.
        opposed: whether weights between two populations of such units, one way and the other, are
            drawn as each other's transpose with the sign turned.
    """

    if TYPE_CHECKING:  # to a type checker an abstract variable is an argument of every cell
        name: str = eqx.field(init=False)
        gain: float = eqx.field(init=False)
    else:
        name: eqx.AbstractVar[str]
        gain: eqx.AbstractVar[float]
    ports: ClassVar[int] = 1
    carries: ClassVar[tuple[str, ...]] = ()
    sends: ClassVar[tuple[str, ...]] = ()
    in_events: ClassVar[bool] = False
    flows: ClassVar[bool] = False
    silent: ClassVar[bool] = False
    own: ClassVar[tuple[int, ...]] = ()
    opposed: ClassVar[bool] = False

    @property
    def black_box(self) -> bool:
        """Whether its activity has no derivative by its drive."""
        return False

    @property
    def lean(self) -> float:
        """The mean of weights into such units, in their standard deviations."""
        return 0.0

    def fed_by(self, recurrent: bool) -> tuple[int, ...]:
        """The ports that a projection feeds, one that carries the past (`recurrent`) or one that
        does not; all by default.
        """
        return tuple(range(self.ports))

    def drawn(
        self, key: Key[Array, ""], like: Float[Array, "own *units"]
    ) -> Float[Array, "own *units"]:
        """The first parameters of units, in the order of the ports `own`; all 0 by default."""
        return jnp.zeros_like(like)

    def rest(self, like: Float[Array, "batch *units"]) -> CellState:
        """The state before the first step, for units shaped like `like`; nothing for a cell without
        a state.
        """
        return {}

    @abstractmethod
    def step(
        self, state: CellState, u: Float[Array, "batch *drive"]
    ) -> tuple[CellState, Float[Array, "batch *units"]]:
        """The state after a step with the drive u, and the activity."""

    @abstractmethod
    def local(self, state: CellState, u: Float[Array, "batch *drive"]) -> Local:
        """The derivatives of that step, given the state before it."""


class StatefulCell(Cell):
    """Abstract: a cell with a state, one final class in one file of `cells/`. Its numbers are
    declared by `hyper`.
    """

    def __check_init__(self):
        check_ranges(self)

    @property
    @override
    def name(self) -> str:
        """Its class name in snake case, which is also its file's name."""
        return snake_case(type(self).__name__)

    @property
    @override
    def gain(self) -> float:
        return 1.0


class AffineCell(StatefulCell):
    """Abstract: a cell whose state is scaled and added to, and can be had back from what it became.

        s'_i = z_i s_i + w_i,   post = read(s'),   so   s_i = (s'_i - w_i) / z_i

    part by part, in the order of `carries`; z and w follow from the drive, and from those parts of
    s' that come before. The activity follows from the state alone, and is 0 at rest.

    Attributes:
        keeps: the least that z can be; 1 where nothing is ever forgotten.
    """

    if TYPE_CHECKING:
        keeps: float = eqx.field(init=False)
    else:
        keeps: eqx.AbstractVar[float]

    @abstractmethod
    def gate(
        self, part: str, u: Float[Array, "batch *drive"], after: CellState
    ) -> tuple[Derivative, Array]:
        """The z in (0, 1] and the w of one part of the state; `after` has the parts before it."""

    def read(self, state: CellState) -> Float[Array, "batch *units"]:
        """The activity of units in this state; by default its last part."""
        return state[self.carries[-1]]

    @override
    def step(self, state, u):
        after: CellState = {}
        for part in self.carries:
            z, w = self.gate(part, u, after)
            after[part] = z * state[part] + w
        return after, self.read(after)

    def back(self, after: CellState, u: Float[Array, "batch *drive"]) -> CellState:
        """The state before a step with the drive u; what the step forgot is lost to rounding."""
        before = {}
        for part in self.carries:
            z, w = self.gate(part, u, after)
            before[part] = (after[part] - w) / z
        return before


@jax.custom_jvp
def spike(above: Float[Array, "*units"], pseudo: Float[Array, "*units"]) -> Float[Array, "*units"]:
    """1 where a potential is above its threshold, else 0; its derivative by `above` is taken to be
    `pseudo`.

    Source   Neftci, Mostafa and Zenke, Surrogate gradient learning in spiking neural networks, IEEE
             Signal Process. Mag. 36:51, 2019
    """
    return (above > 0).astype(above.dtype)


@spike.defjvp
def _spike_jvp(primals, tangents):
    above, pseudo = primals
    return spike(above, pseudo), pseudo * tangents[0]


class Like(eqx.Module):
    """What a cell that is made of another takes over from it: all but how it steps.

    Attributes:
        cell: the other.
    """

    cell: eqx.AbstractVar[Cell]

    name = property(lambda self: self.cell.name)
    gain = property(lambda self: self.cell.gain)
    lean = property(lambda self: self.cell.lean)
    ports = property(lambda self: self.cell.ports)
    carries = property(lambda self: self.cell.carries)
    sends = property(lambda self: self.cell.sends)
    silent = property(lambda self: self.cell.silent)
    own = property(lambda self: self.cell.own)
    opposed = property(lambda self: self.cell.opposed)
    black_box = property(lambda self: self.cell.black_box)

    def fed_by(self, recurrent: bool) -> tuple[int, ...]:
        """The ports that a projection feeds."""
        return self.cell.fed_by(recurrent)
