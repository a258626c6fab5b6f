"""Growth: what changes the wiring of a network, or resets units, while any rule trains it."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import equinox as eqx
from jaxtyping import Array, Bool, Float, Key

from byway.core.errors import ConfigError
from byway.core.given import require
from byway.core.hyper import check_ranges, make_live
from byway.core.record import Record
from byway.core.registry import snake_case
from byway.core.signal import Signal
from byway.core.tree import PyTree
from byway.learning.rule import Update
from byway.network.network import Network

# By projection and part, shaped like theta: which weights began anew.
Fresh = dict[str, dict[str, Bool[Array, "*weights"]]]
# What a policy may go by: an update carries the signal.
Source = Literal["weights", "activity", "update", "loss", "signal"]


class Growth(eqx.Module):
    """Abstract base of every growth policy; each is one final class in one file of `growths/`.

    It has a memory of its own. `watch` looks at every call of f and g, and `taught` says what of an
    update is learned; `grow` acts every so many updates, on one clock for all seeds. Shapes never
    change, so nothing is compiled anew. Of weights that began anew training forgets the moments of
    the optimiser, and what the rule's memory held of each. Several policies may grow one network:
    each has its own clock, and is `told` which weights the others let begin anew. What one of them
    only tries (`trials`) the others do not see.

    Attributes:
        claims: what it goes by; the audit holds it to that.
        every: updates from one time to the next.
        until: share of a run after which it rests, so that what grew last can still learn.
    """

    claims: ClassVar[frozenset[Source]]
    every: eqx.AbstractVar[int]
    until: eqx.AbstractVar[float]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        make_live(cls, __name__.rpartition(".")[0])

    def __check_init__(self) -> None:
        check_ranges(self)

    @property
    def id(self) -> str:
        """Its name on the command line: its class name in snake case, which is also its file's
        name.
        """
        return snake_case(type(self).__name__)

    @abstractmethod
    def accepts(self, net: Network) -> None:
        """Raise `RuleError` if there is nothing in `net` that could grow so."""

    def start(self, net: Network) -> PyTree:
        """What it remembers at the start; nothing by default."""
        return ()

    def watch(self, memory: PyTree, net: Network, record: Record, update: Update) -> PyTree:
        """What it makes of one call of f and g; nothing by default."""
        return memory

    def heard(self, memory: PyTree, net: Network, record: Record, signal: Signal) -> PyTree:
        """What it makes of the teaching signal of one call; nothing by default."""
        return memory

    def scored(self, memory: PyTree, loss: Float[Array, ""]) -> PyTree:
        """What it makes of the loss of a batch; nothing by default."""
        return memory

    def taught(self, memory: PyTree, update: Update) -> Update:
        """What of an update the network learns; all of it by default."""
        return update

    def told(self, memory: PyTree, fresh: Fresh) -> PyTree:
        """What it remembers once another policy has let weights begin anew; as it was by default.

        Args:
            memory: what it remembers.
            fresh: which weights.
        """
        return memory

    def trials(self, memory: PyTree) -> dict[str, Bool[Array, "..."]]:
        """By projection, the slots in which it only tries a synapse: to other policies they are
        free. None by default.
        """
        return {}

    def advice(self, memory: PyTree) -> str | None:
        """What to tell the user at the end of a training; None if all is well."""
        return None

    @abstractmethod
    def grow(
        self, memory: PyTree, net: Network, key: Key[Array, ""], done: Float[Array, ""]
    ) -> tuple[PyTree, Network, Fresh]:
        """Grow once.

        Args:
            memory: what it remembers.
            net: the network.
            key: the randomness.
            done: the share of the time of growth that has passed, 1 the last time.

        Returns:
            What it remembers, the network after it, and which weights began anew.
        """


def policies(given: Any) -> tuple[Growth, ...]:
    """The policies that grow a network, in the order in which they act.

    Raises:
        ConfigError: something else, or one of them twice.
    """
    listed = isinstance(given, Sequence) and not isinstance(given, str)
    several: tuple[Any, ...] = tuple(given) if listed else () if given is None else (given,)
    for one in several:
        require(Growth, "growth", one, "growth policies", 'for example byway.growth("set")')
    names = [one.id for one in several]
    if len({*names}) < len(names):
        raise ConfigError(f"growth = {', '.join(names)}", "each policy once", "name others")
    return several
