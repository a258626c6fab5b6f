"""A rule's parts as programs with named arguments and results, and what flows through them, round
after round.

Weights and the signal can wait in gamma, in the state or in the memory, and pass in the record. So
what those hold is carried from `init` and `start` through every turn, and through `keep`, back to
the start until nothing changes.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from byway.audit.axes import POST, PRE, axes
from byway.audit.flow import NOTHING, Flow, Known, parameter, union, weight
from byway.audit.program import Program, trace
from byway.audit.reader import Contact, Question, Reader, Run
from byway.audit.watch import watched_network, watched_signal
from byway.core.record import Record
from byway.core.signal import Signal
from byway.learning.rule import Pair, Rule
from byway.learning.time import RoundTripRule
from byway.network.network import Network
from byway.network.projections import Projection

# What the leaves of gamma, state and memory hold, by their names.
Held = dict[str, Flow]
# Of a part, by its name, what is known of its slots besides.
Found = Mapping[str, Mapping[int, Flow]]
CARRIED = ("gamma.", "state.", "memory.")
# What was read of the signal in an earlier step.
PAST = "signal.past."


def leaves(prefix: str, tree: Any) -> dict[str, Any]:
    """The arrays of a tree, named by their path, as in "gamma.hidden1" and
    "net.input-hidden1.weight".
    """
    found = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(_open(tree))[0]:
        steps = [str(getattr(k, "name", getattr(k, "key", getattr(k, "idx", "")))) for k in path]
        if not path and f"{prefix}." in CARRIED:  # one array, and no tree of several
            steps = ["array"]
        found[".".join([prefix, *(s for s in steps if s != "phases")])] = leaf
    return found


def _open(tree: Any) -> Any:
    """Of a network its weights and its wiring: where its units are is nobody's business."""
    return (
        {p.name: p.theta | p.structure for p in tree.projections}
        if isinstance(tree, Network)
        else tree
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """One function of a rule, traced.

    Attributes:
        program: its program.
        arguments: by name, shapes or arrays, in the order of the program's.
        results: names, in the order of the program's.
    """

    program: Program
    arguments: dict[str, Any]
    results: list[str]


def part(function: Callable[..., Mapping[str, Any]], arguments: Mapping[str, Any]) -> Part:
    """Trace a function of named trees that returns named trees."""
    named = {
        name: leaf
        for prefix, tree in arguments.items()
        for name, leaf in leaves(prefix, tree).items()
    }
    results: list[str] = []

    def flat(*arrays):
        trees, at = [], 0
        for tree in arguments.values():
            structure = jax.tree.structure(_open(tree))
            opened = jax.tree.unflatten(structure, arrays[at : at + structure.num_leaves])
            trees.append(_closed(tree, opened) if isinstance(tree, Network) else opened)
            at += structure.num_leaves
        made = {
            name: a
            for prefix, tree in function(*trees).items()
            for name, a in leaves(prefix, tree).items()
        }
        results[:] = list(made)
        return [jnp.asarray(a) for a in made.values()]

    return Part(trace(flat, list(named.values())), named, results)


def _closed(net: Network, opened: Mapping[str, Mapping[str, Any]]) -> Network:
    wired = net.with_structure(
        {
            p.name: {part: opened[p.name][part] for part in p.structure}
            for p in net.projections
            if p.structure
        }
    )
    return wired.with_theta(
        {p.name: {part: opened[p.name][part] for part in p.theta} for p in net.projections}
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Turn:
    """The f and the g of a turn, and the names of the phases that f records."""

    f: Part
    g: Part
    phases: tuple[str, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Round:
    """What flows where once nothing changes any more.

    Attributes:
        results: by name ("update.input-hidden.weight", "gamma.hidden1", "memory.hidden1" ...), of
            all turns together.
        held: what the leaves of gamma, state and memory hold.
        runs: forward uses of weights, by turn.
        questions: what was asked of the signal, by turn.
        contacts: uses of the rule's parameters.
        slots: of each f and g, by their names, what is known of every slot.
    """

    results: dict[str, Flow]
    held: Held
    runs: list[list[Run]]
    questions: list[list[Question]]
    contacts: list[Contact]
    slots: dict[str, dict[int, Known]]


def what_g_sees(pair: Pair) -> Callable[..., tuple[Any, Record]]:
    """The function whose record g is given: f, or for a rule that goes back what is had again of
    it.
    """
    return pair.there_and_back if isinstance(pair, RoundTripRule) else pair.f


class Steps:
    """One rule on one network, traced.

    Args:
        rule: the rule.
        net: the network.
        x: a batch of what the rule sees.
        signal: its signal.
    """

    def __init__(self, rule: Rule, net: Network, x: Any, signal: Signal):
        self.rule, self.net, self.x, self.signal = (
            rule,
            watched_network(net),
            x,
            watched_signal(signal),
        )
        self.batch = len(x)
        key = jax.eval_shape(lambda: jax.random.key(0))
        self.start = part(self._start, {"net": self.net, "key": key})
        begun = eqx.filter_eval_shape(self._start, self.net, key)
        self.carried = {name: begun[name] for name in ("gamma", "state", "memory")}
        self.turns = [self._turn(pair, key, **self.carried) for pair, _ in rule.turns]
        self.after = self._after(**self.carried)

    def _start(self, net, key) -> dict[str, Any]:
        gamma = self.rule.init(net, key)
        state, memory = self.rule.start(gamma, net, self.batch)
        return {"gamma": gamma, "state": state, "memory": memory}

    def _turn(self, pair: Pair, key: Any, gamma: Any, state: Any, memory: Any) -> Turn:
        left: list[Any] = []
        run = what_g_sees(pair)

        def f(gamma, net, state, x, target, key):
            state, record = run(
                gamma, net, state, x, dataclasses.replace(self.signal, target=target), key
            )
            arrays, constants = eqx.partition(record, eqx.is_array)
            left[:] = [
                constants,
                jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), arrays),
            ]
            return {"state": state, "record": arrays}

        common = {"gamma": gamma, "net": self.net}
        of_f = part(
            f,
            {
                **common,
                "state": state,
                "x": self.x,
                "signal.target": self.signal.target,
                "key": key,
            },
        )
        constants, record = left

        def g(gamma, net, memory, record, target):
            memory, update = pair.g(
                gamma,
                net,
                memory,
                eqx.combine(record, constants),
                dataclasses.replace(self.signal, target=target),
            )
            return {
                "memory": memory,
                "update": update.net,
                "update.change": update.change,
                "gamma": update.gamma,
            }

        of_g = part(
            g, {**common, "memory": memory, "record": record, "signal.target": self.signal.target}
        )
        return Turn(of_f, of_g, tuple(record.phases))

    def _after(self, gamma: Any, state: Any, memory: Any) -> list[Part]:
        """What changes gamma and the network besides updates: `keep`, and `conclude`."""
        found, cls = [], type(self.rule)
        if cls.keep is not Rule.keep:

            def keep(gamma, net):
                gamma, net = self.rule.keep(gamma, net)
                return {"gamma": gamma, "update": net}

            found.append(part(keep, {"gamma": gamma, "net": self.net}))
        if cls.conclude is not Rule.conclude:

            def conclude(gamma, net, memory):
                gamma, net = self.rule.conclude(gamma, net, memory)
                return {"gamma": gamma, "update": net}

            found.append(part(conclude, {"gamma": gamma, "net": self.net, "memory": memory}))
        return found

    @functools.cached_property
    def weights(self) -> dict[str, Flow]:
        """The flow of each weight of the network."""
        projections = [p for p in self.net.projections if p.weight is not None]
        return {
            name: weight(name, p.weight.shape, axes_of(p))
            for p in projections
            for name in [f"net.{p.name}.weight"]
        }

    @functools.cached_property
    def alone(self) -> dict[str, Flow]:
        """What g, and what comes after it, reads for each result by itself: from what f left and
        what is stored.
        """
        found: dict[str, Flow] = {}
        for one in (*(turn.g for turn in self.turns), *self.after):
            sources = [self.weights.get(name, Flow(frozenset({name}))) for name in one.arguments]
            _collect(found, _changed(one, Reader(plastic=True).read(one.program, sources)))
        return found

    def round(
        self,
        influence: frozenset[str] = frozenset(),
        found: Found | None = None,
        probed: bool = False,
        given: Mapping[str, Known] | None = None,
    ) -> Round:
        """Carry flows through all parts until nothing changes.

        Args:
            influence: leaves of state and memory that hold how activity depends on weights.
            found: what is known of some slots besides.
            probed: whether the loss is asked so often that its answers are the error.
            given: what is known of arguments besides their names.
        """
        begun = Reader().read(self.start.program, self._sources(self.start, {}))
        held = {
            name: _held(name, union([flow]))
            for name, flow in zip(self.start.results, begun, strict=True)
        }
        while True:
            made = self._once(held, influence, found or {}, probed, given or {})
            grown = dict(held)
            for name, flow in made.results.items():
                if name.startswith(CARRIED):
                    grown[name] = grown.get(name, NOTHING) | _held(name, flow)
            if grown == held:
                return made
            held = grown

    def _once(
        self,
        held: Held,
        influence: frozenset[str],
        found: Found,
        probed: bool,
        given: Mapping[str, Known],
    ) -> Round:
        made = Round({}, held, [], [], [], {})
        answering = frozenset(f"net.{p.name}.weight" for p in self.net.incoming(self.net.output))
        given, remembered = dict(given), dict[str, Flow]()
        for k, (turn, (_, times)) in enumerate(zip(self.turns, self.rule.turns, strict=True)):
            # A turn that is taken often is taken twice, to see what the first time left.
            for _ in range(min(times, 2)):
                f, g = (Reader(plastic, answering, influence, probed) for plastic in (False, True))
                left = f.read(
                    turn.f.program, self._sources(turn.f, held, given), found.get(f"f{k}")
                )
                record = dict(zip(turn.f.results, left, strict=True))
                learnt = _changed(
                    turn.g,
                    g.read(
                        turn.g.program,
                        self._sources(turn.g, held, given | record),
                        found.get(f"g{k}"),
                    ),
                )
                _collect(made.results, [*record.items(), *learnt])
                remembered |= {name: flow for name, flow in learnt if name.startswith("memory.")}
                if not self.rule.in_time:  # all turns see the same sample
                    given |= {
                        name: flow
                        for name, flow in [*record.items(), *learnt]
                        if name.startswith(("state.", "memory."))
                    }
            # What g runs on activity is transport, and no run of the network.
            made.runs.append([*f.runs.values(), *(run for run in g.runs.values() if run.signalled)])
            made.questions.append([*f.questions.values(), *g.questions.values()])
            made.contacts.extend([*f.contacts.values(), *g.contacts.values()])
            made.slots.update({f"f{k}": f.slots, f"g{k}": g.slots})
        for one in self.after:
            reader = Reader(True, answering, influence, probed)
            _collect(
                made.results,
                # What is concluded, is from memory as the turns left it.
                _changed(
                    one, reader.read(one.program, self._sources(one, held, given | remembered))
                ),
            )
            made.contacts.extend(reader.contacts.values())
        return made

    def _sources(
        self, part: Part, held: Held, given: Mapping[str, Known] | None = None
    ) -> list[Known]:
        return [
            (given or {}).get(name) or self._source(name, leaf, held)
            for name, leaf in part.arguments.items()
        ]

    def _source(self, name: str, leaf: Any, held: Held) -> Flow:
        if name in self.weights:
            return self.weights[name]
        if name.startswith(CARRIED) and jnp.issubdtype(leaf.dtype, jnp.inexact):
            return parameter(name, np.shape(leaf)) | held.get(name, NOTHING)
        return Flow(frozenset({name})) | held.get(name, NOTHING)


def axes_of(projection: Projection) -> tuple[str, ...]:
    """What each axis of a projection's weight stands for, by its own word; or by its program, where
    an axis of one leaves it open.
    """
    said, shape = projection.axes, projection.weight.shape
    if all(one or n > 1 for one, n in zip(said, shape, strict=True)):
        return said
    reader, own, name = Reader(), tuple(str(k) for k in range(len(shape))), "gamma.weight"
    pre = jax.ShapeDtypeStruct((2, *projection.src_shape), projection.weight.dtype)
    program = trace(
        lambda w, pre: [projection.with_theta({"weight": w}).forward(pre)], [projection.weight, pre]
    )
    reader.read(
        program, [Flow(frozenset({name}), {name: axes(shape, own)}), Flow(frozenset({"x"}))]
    )
    summed = {contact.over for contact in reader.contacts.values()}
    return tuple(
        one or (PRE if label in summed else POST) for one, label in zip(said, own, strict=True)
    )


def _changed(part: Part, flows: Iterable[Known]) -> list[tuple[str, Known]]:
    """The results of a part, but for what it hands on as it is."""
    own = dict(zip(part.program.ins, part.arguments, strict=True))
    named = zip(part.results, flows, part.program.outs, strict=True)
    return [
        (name, flow)
        for name, flow, slot in named
        if own.get(slot) not in (name, name.replace("update.", "net."))
    ]


def _collect(into: dict[str, Flow], named: Iterable[tuple[str, Known]]) -> None:
    for name, flow in named:
        key = name.replace("update.change.", "update.")
        into[key] = union([into[key], flow]) if key in into else union([flow])


def _held(name: str, flow: Flow) -> Flow:
    """What a leaf takes along to the next step: weights, and the signal with what it met.

    Not into gamma: parameters are learned from the signal, like the weights, and are no path for
    it. How they are learned is a question of its own.
    """
    weights = {weight: some for weight, some in flow.held.items() if weight.startswith("net.")}
    if name.startswith("gamma."):
        return Flow(held=weights)
    past = {
        f"{PAST}{read.removeprefix(PAST).removeprefix('signal.')}"
        for read in flow.reads
        if read.startswith("signal.")
    }
    return Flow(frozenset(past | ({"slope"} & flow.reads)), weights, flow.crossed)
