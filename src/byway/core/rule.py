"""A learning rule: the pair f, g with its own parameters gamma.

    state, record  = f(gamma, network, state, x, signal, key)     everything dynamic
    memory, update = g(gamma, network, memory, record, signal)    everything plastic

The sign contract: an update is a pseudo-gradient, the ASCENT direction of the loss, averaged over the batch. The
optimiser subtracts it, so any optax transformation applies to it unchanged.
"""

import dataclasses
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import equinox as eqx
from jaxtyping import Array, Float, Key, PyTree

from byway.core.check import Check
from byway.core.hyper import check_ranges
from byway.core.record import Record
from byway.core.registry import snake_case
from byway.core.signal import Signal

Answer = Literal["yes", "no"]
Need = Literal["target", "error", "loss"]


@dataclasses.dataclass(frozen=True)
class Claims:
    """What a rule says of itself, in the audit's terms; a test holds the audit's verdict to it.

    Attributes:
        transport: does an update read weights other than its own that its signal had to pass through?
        locking: must an update wait for something computed downstream of it on the same sample?
        derivative: does an update read phi'(u)?
        signal: which parts of the signal its updates are computed from.
        phases: how many times the network runs for one update.
        memory: what the rule carries from one step to the next, beyond weights and gamma: nothing, about a number a
            unit, about a number a synapse, or more ("influence": a number for each unit and synapse).
        past: does what the rule keeps grow with the length of a sequence?
        future: does an update at one time step need the input or the target of a later one?
    """

    transport: Answer
    locking: Answer
    derivative: Answer
    signal: frozenset[Need]
    phases: int
    memory: Literal["none", "units", "synapses", "influence"]
    past: Literal["flat", "grows"] = "flat"
    future: Answer = "no"


class Update(eqx.Module):
    """Pseudo-gradients: theta - rate * update descends.

    Attributes:
        net: by projection name, a dict shaped like `Projection.theta`. A projection left out does not learn.
        gamma: shaped like gamma, or None where the rule's own parameters do not learn.
    """

    net: dict[str, dict[str, Array]]
    gamma: PyTree | None = None


class Rule(eqx.Module):
    """Abstract base of every learning rule; each rule is one final class in one file.

    A hyper-parameter is a field made by `hyper`. Besides the methods, a rule states:

    Attributes:
        claims: what the audit must find.
        learning_rate: the rate at which Adam trains it well on the default task.
        network_options: options of the network builders that it works best with, or cannot do without.
        writes_label: whether f writes the label over the first inputs, one for each class: they must be spare (`Task.spare`).
        settles: whether f takes many small steps on each sample by itself, so that a batch is worth dividing among cores.
        sees: what one call of f is given: a batch of independent samples; one time "step" of a batch of sequences (a
            sample is a sequence of one step); or whole sequences, "batch time *inputs".
    """

    claims: ClassVar[Claims]
    writes_label: ClassVar[bool] = False
    settles: ClassVar[bool] = False
    sees: ClassVar[Literal["sample", "step", "sequence"]] = "sample"
    learning_rate: ClassVar[float] = 1e-3
    network_options: ClassVar[Mapping[str, Any]] = {}

    def __check_init__(self):
        check_ranges(self)

    @property
    def id(self) -> str:
        """The rule's name on the command line: its class name in snake case, which is also its file's name."""
        return snake_case(type(self).__name__)

    def advice(self, measures: Mapping[str, float]) -> str | None:
        """What to tell the user of an epoch whose mean `Record.measures` these are; None if all is well."""
        return None

    def checks(self) -> Sequence[Check]:
        """The exact tests that this rule brings along, which `byway verify` runs: none, unless it says otherwise."""
        return ()

    @abstractmethod
    def accepts(self, net) -> None:
        """Raise `RuleError` if this rule cannot train `net`."""

    def init(self, net, key: Key[Array, ""]) -> PyTree:
        """Draw gamma, the rule's own parameters; none by default."""
        return {}

    def start(self, gamma: PyTree, net, batch: int) -> tuple[PyTree, PyTree]:
        """The (activity state, rule memory) at the start of a run of `batch` samples; by default rest, and nothing to carry."""
        return net.rest(batch), ()

    @abstractmethod
    def f(
        self, gamma: PyTree, net, state: PyTree, x: Float[Array, "batch *inputs"], signal: Signal | None, key: Key[Array, ""]
    ) -> tuple[PyTree, Record]:
        """Run the network. `signal` is None when predicting; `record.output` is the prediction either way."""

    @abstractmethod
    def g(self, gamma: PyTree, net, memory: PyTree, record: Record, signal: Signal) -> tuple[PyTree, Update]:
        """Learn from a record. Never runs the forward network."""
