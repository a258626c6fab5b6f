"""A learning rule: the pair f, g with its own parameters gamma.

    state, record  = f(gamma, network, state, x, signal, key)     everything dynamic
    memory, update = g(gamma, network, memory, record, signal)    everything plastic

All chance is in f: g has no key. How a rule is run belongs to its kind: a `Rule` learns from
independent samples, a `StepRule` from one time step after another, a `SequenceRule` from whole
sequences (`learning/time.py`).

The sign contract: an update is a pseudo-gradient, the ASCENT direction of the loss, averaged over
the batch. The optimiser subtracts it, so any optax transformation applies to it unchanged.
"""

import dataclasses
import importlib
import importlib.util
import sys
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from byway.core.check import Check
from byway.core.errors import RuleError
from byway.core.hyper import check_ranges, make_live
from byway.core.record import Record
from byway.core.registry import snake_case
from byway.core.signal import Signal
from byway.core.tree import PyTree
from byway.learning.learner import Learner
from byway.network.network import Network

Answer = Literal["yes", "no"]
Need = Literal["target", "error", "loss", "reward"]


@dataclasses.dataclass(frozen=True)
class Claims:
    """What a rule says of itself, in the audit's terms; a test holds the audit's verdict to it.

    Attributes:
        transport: does an update use the weights of another projection, against the direction in
            which they carry activity?
        locking: must an update wait for something that is computed downstream of it, from the same
            sample?
        derivative: does an update depend on the slope φ′(u) of a unit’s activation?
        signal: which parts of the teaching signal is an update computed from: the target, the error
            at the output, the loss or a reward?
        phases: how many times does the network run for one update?
        memory: what does the rule carry from one step to the next, besides the weights: nothing,
            about a number for each unit, one for each synapse, or one for each pair of the two
            (influence)?
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
    """What a rule wants changed.

    Attributes:
        net: pseudo-gradients by projection name, a dict shaped like `Projection.theta`; theta -
            rate * update descends. A projection left out does not learn.
        gamma: pseudo-gradients of the rule's own parameters, shaped like gamma, or, where gamma is
            a dict, like some of its entries; None where they do not learn.
        change: what is added to theta as it is, past the optimiser, shaped as `net`: for plasticity
            that brings its own rate.
    """

    net: dict[str, dict[str, Array]]
    gamma: PyTree | None = None
    change: dict[str, dict[str, Array]] = eqx.field(default_factory=dict)


class Pair(eqx.Module):
    """One f and one g."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        make_live(cls, __name__.rpartition(".")[0])

    @abstractmethod
    def f(
        self,
        gamma: PyTree,
        net: Network,
        state: PyTree,
        x: Float[Array, "batch *inputs"],
        signal: Signal | None,
        key: Key[Array, ""],
    ) -> tuple[PyTree, Record]:
        """Run the network. `signal` is None when predicting; `record.output` is the prediction
        either way, with a signal perhaps that of a network which was told the target.
        """

    @abstractmethod
    def g(
        self, gamma: PyTree, net: Network, memory: PyTree, record: Record, signal: Signal
    ) -> tuple[PyTree, Update]:
        """Learn from a record. Never runs the forward network."""


class Carry(NamedTuple):
    """What is handed from one call of a pair to the next, within a batch.

    Attributes:
        state: of f.
        memory: of g.
        seen: what growth remembers (`Growth.watch`).
    """

    state: PyTree
    memory: PyTree
    seen: PyTree


# Of an output and a signal, by name, the scores of each sample.
Score = Callable[[Array, Signal], dict[str, Array]]
# What growth makes of one call: (what it remembers, network, record, update, signal) -> what it
# remembers.
Watch = Callable[[PyTree, Network, Record, Update, Signal], PyTree]
# One step of the optimiser: (learner, number of the turn, update, mean scores) -> learner.
Optimise = Callable[[Learner, int, Update, dict[str, Array]], Learner]


def unscored(output: Array, signal: Signal) -> dict[str, Array]:
    """No score at all."""
    return {}


def unwatched(seen: PyTree, net: Network, record: Record, update: Update, signal: Signal) -> PyTree:
    """What growth makes of a call where nothing grows."""
    return seen


class Rule(Pair):
    """Abstract base of every learning rule; each rule is one final class in one file.

    A hyper-parameter is a field made by `hyper`. Besides the methods, a rule states:

    Attributes:
        claims: what the audit must find.
        learning_rate: the rate at which its optimiser trains it well on the default task.
        gamma_rate: the rate of its own parameters, where they learn, in units of that.
        optimiser: the optimiser that it works best with, by name.
        schedule: the course of the rate, by name.
        network_options: options of the network builders that it works best with, or cannot do
            without.
        writes_label: whether f writes the label over the first inputs, one for each class: they
            must be spare (`Task.spare`), unless `overwritten` says otherwise of a network.
        settles: whether f takes many small steps on each sample by itself, so that a batch is worth
            dividing among cores.
        in_time: whether it learns from sequences.
        in_events: whether it trains networks with units in continuous time that send spikes.
        in_flow: whether it trains networks with units whose state follows a differential equation.
        particular: whether it trains networks alone that are built for it, or for images, so that
            it is named to nobody whose network another rule refuses.
    """

    claims: ClassVar[Claims]
    writes_label: ClassVar[bool] = False
    settles: ClassVar[bool] = False
    in_time: ClassVar[bool] = False
    in_events: ClassVar[bool] = False
    in_flow: ClassVar[bool] = False
    particular: ClassVar[bool] = False
    learning_rate: ClassVar[float] = 1e-3
    gamma_rate: ClassVar[float] = 1.0
    optimiser: ClassVar[str] = "adam"
    schedule: ClassVar[str] = "cosine"
    network_options: ClassVar[Mapping[str, Any]] = {}

    def __check_init__(self) -> None:
        check_ranges(self)

    @property
    def id(self) -> str:
        """The rule's name on the command line: its class name in snake case, which is also its
        file's name.
        """
        return snake_case(type(self).__name__)

    def overwritten(self, net: Network) -> int:
        """How many of the first inputs f writes a label over, which must be spare."""
        return net[net.output].size if self.writes_label else 0

    @property
    def claimed(self) -> Claims:
        """Its claims, with its options as they are; by default those of all."""
        return self.claims

    def advice(self, measures: Mapping[str, float]) -> str | None:
        """What to tell the user of an epoch whose mean `Record.measures` these are; None if all is
        well.
        """
        return None

    def checks(self) -> Sequence[Check]:
        """The exact tests that this rule brings along, which `byway verify` runs.

        They are those of `checks(rule)` in the file beside the rule's own, `dfa_checks.py` beside
        `dfa.py`; a rule without such a file has none, unless it says otherwise here.
        """
        for kind in type(self).__mro__[: type(self).__mro__.index(Rule)]:
            name = f"{kind.__module__}_checks"
            if name in sys.modules or _exists(name):
                return importlib.import_module(name).checks(self)
        return ()

    @abstractmethod
    def accepts(self, net: Network) -> None:
        """Raise `RuleError` if this rule cannot train `net`."""

    def init(self, net: Network, key: Key[Array, ""]) -> PyTree:
        """Draw gamma, the rule's own parameters; none by default."""
        return {}

    def start(self, gamma: PyTree, net: Network, batch: int) -> tuple[PyTree, PyTree]:
        """The (activity state, rule memory) at the start of a run of `batch` samples; by default
        rest, and nothing to carry.
        """
        return net.rest(batch), ()

    @property
    def turns(self) -> tuple[tuple[Pair, int], ...]:
        """What is done with a batch: pairs, each so many times in a row.

        State and memory go from one to the next; each turn has moments of the optimiser of its own.
        The scores of a batch are those of the turn of the rule itself.
        """
        return ((self, 1),)

    def keep(self, gamma: PyTree, net: Network) -> tuple[PyTree, Network]:
        """What has to hold of gamma and the network after each update: bounds, norms, decay;
        everything as it is, by default.
        """
        return gamma, net

    def conclude(self, gamma: PyTree, net: Network, memory: PyTree) -> tuple[PyTree, Network]:
        """What is done before somebody looks at the network: a readout solved from what memory
        gathered; nothing, by default.

        It is done on a copy: training goes on from what there was before.
        """
        return gamma, net

    # How it is run. Kinds of rule differ in what follows; a rule does not.

    def require_time(self, net: Network, task: str, in_time: bool) -> None:
        """Raise `RuleError` unless a rule of this kind learns from such samples: sequences, or
        independent ones.
        """
        if in_time:
            raise RuleError(
                f"{self.id} on the task {task}, whose samples are sequences",
                "a rule that learns from sequences",
                "use bptt (the baseline), rtrl, or frozen (the control)",
            )

    def updates(self, steps: int | None, every: int | None) -> int:
        """How many updates a batch makes, of samples that are sequences of so many steps (None:
        that are none).

        Raises:
            ConfigError: `every` is no number of time steps that this kind of rule can learn from at
                once.
        """
        return 1

    def begin(self, gamma: PyTree, net: Network, batch: int, kept: PyTree) -> tuple[PyTree, PyTree]:
        """The state and memory that a batch starts from: those of `start`, with what lasted of
        memory from the batch before.
        """
        return self.start(gamma, net, batch)[0], kept

    def end(self, memory: PyTree) -> PyTree:
        """What lasts of memory from one batch to the next: all of it."""
        return memory

    def predict(
        self,
        gamma: PyTree,
        net: Network,
        x: Float[Array, "batch *inputs"],
        key: Key[Array, ""],
        in_time: bool = False,
    ) -> Record:
        """The prediction on a batch, without a signal and from rest.

        Args:
            gamma: the rule's own parameters.
            net: the network.
            x: the inputs, "batch time *inputs" in time.
            key: for what f draws.
            in_time: whether the inputs are sequences.

        Returns:
            A record; in time its output and readouts are "batch time out".
        """
        return self.f(gamma, net, self.start(gamma, net, x.shape[0])[0], x, None, key)[1]

    def teach(
        self,
        pair: Pair,
        gamma: PyTree,
        net: Network,
        carry: Carry,
        x: Float[Array, "batch *inputs"],
        signal: Signal,
        key: Key[Array, ""],
        score: Score = unscored,
        watch: Watch = unwatched,
        first: Int[Array, ""] | int = 0,
        steps: int | None = None,
    ) -> tuple[Carry, Update, dict[str, Array]]:
        """One call of f and of g; of a rule in time, as many as there are time steps, all on the
        same weights.

        Args:
            pair: whose f and g.
            gamma: the rule's own parameters.
            net: the network.
            carry: what the call before left.
            x: the inputs, "batch time *inputs" in time.
            signal: their signal.
            key: for what f draws.
            score: what to measure of outputs.
            watch: what growth makes of each call.
            first: the first time step to take.
            steps: how many, the whole sequence by default.

        Returns:
            What is carried on, the update, and the batch mean of each score and measure.
        """
        state, record = pair.f(gamma, net, carry.state, x, signal, key)
        memory, update = pair.g(gamma, net, carry.memory, record, signal)
        # Of sequences, their steps too.
        samples = (0,) if signal.weight is None else tuple(range(signal.weight.ndim))
        scores = {
            k: jnp.sum(v, samples) / x.shape[0] for k, v in score(record.output, signal).items()
        }
        return (
            Carry(state, memory, watch(carry.seen, net, record, update, signal)),
            update,
            scores | record.measures,
        )

    def learn(
        self,
        learner: Learner,
        x: Float[Array, "batch *inputs"],
        signal: Signal,
        key: Key[Array, ""],
        optimise: Optimise,
        score: Score = unscored,
        watch: Watch = unwatched,
        every: int | None = None,
    ) -> tuple[Learner, dict[str, Array]]:
        """Take all turns on one batch.

        Args:
            learner: the learner.
            x: the inputs.
            signal: their signal.
            key: for what f draws in this batch.
            optimise: applies an update.
            score: what to measure of outputs.
            watch: what growth makes of each call.
            every: time steps between updates, for a rule in time; a whole sequence by default.

        Returns:
            The learner after it, and the mean of each score and measure.
        """
        state, memory = self.begin(learner.gamma, learner.net, x.shape[0], learner.memory)
        carry, kept = Carry(state, memory, learner.seen), {}
        for number, (pair, times) in enumerate(self.turns):

            def once(i, held, pair=pair, number=number):
                learner, carry, _ = held
                carry, update, scores = self.teach(
                    pair,
                    learner.gamma,
                    learner.net,
                    carry,
                    x,
                    signal,
                    self.key_of(key, number, i),
                    score,
                    watch,
                )
                return optimise(learner, number, update, scores), carry, scores

            held = once(0, (learner, carry, None))
            learner, carry, scores = held if times == 1 else jax.lax.fori_loop(1, times, once, held)
            kept = scores if pair is self else kept
        return dataclasses.replace(learner, memory=self.end(carry.memory), seen=carry.seen), kept

    def key_of(self, key: Key[Array, ""], turn: int, time: Int[Array, ""] | int) -> Key[Array, ""]:
        """The key of one call of a turn: that of the batch, where there is one call in all."""
        if len(self.turns) == 1 and self.turns[0][1] == 1:
            return key
        return jax.random.fold_in(jax.random.fold_in(key, turn), time)


def _exists(module: str) -> bool:
    """Whether there is such a module; none is beside what no file holds, as in a notebook."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ModuleNotFoundError, ValueError):
        return False
