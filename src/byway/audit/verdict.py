"""From label sets to verdicts: what a rule's updates read on a given network.

Two traces are read, of all turns of a rule. The *plasticity* trace runs g alone, with every leaf of gamma, net, memory, record
and signal as a named source: it says what an update reads by itself. The *composed* trace runs f and then g of each turn, and
what is kept and concluded after them, from the input and the signal: it says which weights the signal met backwards on its way
(weight transport) and which downstream weights an update had to wait for (update locking). Weights and the signal can wait in
gamma, in the state or in the memory, so what those hold is carried from `init`, `start` and each update back to the start until
nothing changes; and weights can pass in the record.
"""

import dataclasses
import math
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from byway.audit.flow import NOTHING, Flow, trace, union, weight
from byway.audit.in_time import memory_in_time, reads_future
from byway.core.record import Record
from byway.core.rule import Claims, Rule
from byway.core.signal import CrossEntropy, Right, Signal, SquaredError
from byway.core.time import SequenceRule
from byway.network.network import Network

Leaves = dict[str, Any]
# What the leaves of gamma, state, memory and record hold, by their names.
Held = dict[str, Flow]


@dataclasses.dataclass(frozen=True)
class Reads:
    """What the audit found of the update of one projection.

    Attributes:
        reads: the sources that g reads for it.
        transported: other projections whose weights g reads for it, or its signal met backwards.
        waits_for: projections downstream whose weights it depends on, on the same sample.
        depends_on: all projections whose weights it depends on, on the same sample.
    """

    reads: list[str]
    transported: list[str]
    waits_for: list[str]
    depends_on: list[str]


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The audit of one rule on one network.

    Attributes:
        rule: the rule's id.
        found: what the program says, in the terms of the rule's claims.
        claims: what the rule says of itself.
        updates: by projection that learns.
        dead_gamma: parts of gamma that no update reads.
        findings: anything a person should look at.
    """

    rule: str
    found: Claims
    claims: Claims
    updates: dict[str, Reads]
    dead_gamma: list[str]
    findings: list[str]

    @property
    def disagreements(self) -> list[str]:
        """The claims that the program contradicts, each as "what: claimed, found"."""
        pairs = ((f.name, getattr(self.claims, f.name), getattr(self.found, f.name)) for f in dataclasses.fields(Claims))
        return [f"{name}: claimed {_say(claimed)}, found {_say(found)}" for name, claimed, found in pairs if claimed != found]

    def _repr_html_(self) -> str:
        from byway.notebook import verdict_html  # noqa: PLC0415 - it draws what is below it, when asked

        return verdict_html(self)

    def to_json(self) -> dict[str, Any]:
        """Plain lists, dicts, strings and numbers."""
        plain = {
            side: {k: sorted(v) if isinstance(v, frozenset) else v for k, v in vars(getattr(self, side)).items()}
            for side in ("found", "claims")
        }
        return {
            "verdict": plain["found"],
            "claims": plain["claims"],
            "agrees": not self.disagreements,
            "updates": {name: vars(reads) for name, reads in self.updates.items()},
            "dead_gamma": self.dead_gamma,
            "findings": self.findings,
        }


def audit(rule: Rule, net: Network, batch: int = 3) -> Verdict:
    """Compute what each weight update of `rule` reads on `net`.

    Args:
        rule: the rule.
        net: a network that it accepts; a small one will do, the program is the same.
        batch: samples in the traced batch.

    Raises:
        RuleError: the rule cannot train this network.
    """
    rule.accepts(net)
    program = _Program(rule, net, batch)
    alone, constants = program.plasticity()
    composed, held = program.composed()
    alone = {name: alone.get(name, NOTHING) for name in composed}  # what is only kept or concluded has no g
    by_g = {name: _read_by_g(flow, composed[name], held) - {name} for name, flow in alone.items()}
    updates = {p.name: _reads(net, p, alone[p.name], composed[p.name], by_g[p.name]) for p in net.projections if p.name in composed}
    everything = union(composed.values())
    found = Claims(
        transport="yes" if any(u.transported for u in updates.values()) else "no",
        locking="yes" if any(u.waits_for for u in updates.values()) else "no",
        derivative="yes" if "slope" in everything.reads else "no",
        signal=frozenset(need for need in ("target", "error", "loss", "reward") if f"signal.{need}" in everything.reads),
        phases=len({name for record in program.records for name in record.phases}),
        memory=program.memory_size(),
        past=memory_in_time(rule, net),
        future=reads_future(rule, net),
    )
    read = everything.reads | union(alone.values()).reads
    dead = sorted(name for name in program.gamma_leaves if name not in read)
    return Verdict(rule.id, found, rule.claims, updates, dead, _findings(rule.claims, net, alone, by_g, held, dead, constants))


def _read_by_g(alone: Flow, composed: Flow, held: Held) -> set[str]:
    """The projections whose weights g reads for an update: from the network, or from wherever they were kept."""
    kept = union(held.get(name, NOTHING) for name in alone.reads)
    return _weights(alone.reads | composed.raw | kept.raw)


def _reads(net: Network, p, alone: Flow, composed: Flow, by_g: set[str]) -> Reads:
    transported = by_g | (_weights(composed.backwards) - {p.name})
    # What lies downstream on the same sample follows the order of the populations: a recurrent projection brings the past.
    upstream = net.upstream(p.src, recurrent=False)
    before = {q.name for q in net.projections if q.dst in upstream} | set(net.recurrent) | {p.name}
    downstream = {q.name for q in net.projections if p.dst in net.upstream(q.src, recurrent=False)} - before
    depends_on = [q.name for q in net.projections if any(name.startswith(f"net.{q.name}.") for name in composed.reads)]
    waits_for = [name for name in depends_on if name in downstream]
    return Reads(sorted(alone.reads), sorted(transported), waits_for, depends_on)


def _weights(names: frozenset[str]) -> set[str]:
    """The projections whose weights are among the names."""
    return {name.split(".")[1] for name in names if name.startswith("net.") and name.endswith(".weight")}


def _findings(
    claims: Claims, net: Network, alone: dict[str, Flow], by_g: dict[str, set[str]], held: Held, dead: list[str], constants: list
) -> list[str]:
    # A record is gone after the step: what counts is whether g reads it.
    kept = {name: flow.raw for name, flow in held.items() if flow.raw and not name.startswith("record.")}
    findings = [f"{name} holds {', '.join(sorted(_weights(weights)))}" for name, weights in kept.items()]
    for name, flow in alone.items():
        if by_g[name] and claims.transport == "no":
            findings.append(f"g reads the weights of {', '.join(sorted(by_g[name]))} to update {name}")
        if "unknown program" in flow.reads:
            findings.append(f"the update of {name} runs a program that the audit cannot enter: taken to read everything")
    findings += [f"no update reads {name}" for name in dead]
    shapes = {p.weight.shape for p in net.projections}
    findings += [f"g closes over an array of shape {c.shape}, that of a weight" for c in constants if np.shape(c) in shapes]
    return findings


class _Program:
    """One rule on one network, ready to be traced."""

    def __init__(self, rule: Rule, net: Network, batch: int):
        self.rule, self.net, self.batch = rule, net, batch
        self.key = jax.random.key(0)
        self.x, self.signal = example(rule, net, batch)
        self.gamma = rule.init(net, self.key)
        self.state, self.memory = rule.start(self.gamma, net, batch)
        self.records = self._records()
        self.gamma_leaves = leaves("gamma", self.gamma)

    def _records(self) -> list[Record]:
        """The shapes of what f leaves, for each turn."""

        def run():
            state, memory, records = self.state, self.memory, []
            for pair, _ in self.rule.turns:
                state, record = pair.f(self.gamma, self.net, state, self.x, self.signal, self.key)
                memory, _ = pair.g(self.gamma, self.net, memory, record, self.signal)
                records.append(record)
            return records

        return eqx.filter_eval_shape(run)

    def plasticity(self) -> tuple[dict[str, Flow], list]:
        """What g alone reads for each update, by projection, in any of the turns; and the constants it closes over."""
        found, closed = {}, []
        for (pair, _), shapes in zip(self.rule.turns, self.records, strict=True):
            record, static = eqx.partition(shapes, lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct))
            names: list[str] = []

            def g(gamma, net, memory, record, target, pair=pair, static=static, names=names):
                full = eqx.combine(record, static)
                _, update = pair.g(gamma, net, memory, full, dataclasses.replace(self.signal, target=target))
                return [a for changes in (update.net, update.change) for _, a in self._outputs("update", changes, names)]

            sources = {"gamma": self.gamma, "net": self.net, "memory": self.memory, "record": record, "signal.target": self.signal.target}
            flows, constants = _trace(g, sources, {})
            found = _joined(found, _by_projection(names, flows))
            closed += constants
        return found, closed

    def composed(self) -> tuple[dict[str, Flow], Held]:
        """What f and g together carry to each update; and what each leaf of gamma, state, memory and record holds."""
        held = self._at_start()
        while True:
            names: list[str] = []
            flows = self._batch(held, names)
            grown = dict(held)
            for name, flow in zip(names, flows, strict=True):
                if not name.startswith("update."):
                    grown[name] = grown.get(name, NOTHING) | _held(name, flow)
            if grown == held:
                return _by_projection(names, flows), held
            held = grown

    def _at_start(self) -> Held:
        names: list[str] = []

        def begin(net, key):
            gamma = self.rule.init(net, key)
            state, memory = self.rule.start(gamma, net, self.batch)
            out = [("gamma", gamma), ("state", state), ("memory", memory)]
            return [a for prefix, tree in out for _, a in self._outputs(prefix, tree, names)]

        flows, _ = _trace(begin, {"net": self.net, "key": self.key}, {})
        return {name: _held(name, flow) for name, flow in zip(names, flows, strict=True)}

    def _batch(self, held: Held, names: list[str]) -> list[Flow]:
        def batch(gamma, net, state, memory, x, target, key):
            """All turns on one batch, what is kept, what is concluded; a turn that is taken often, twice, to see what the first left."""
            signal, out = dataclasses.replace(self.signal, target=target), []
            for pair, times in self.rule.turns:
                for _ in range(min(times, 2)):
                    state, record = pair.f(gamma, net, state, x, signal, key)
                    memory, update = pair.g(gamma, net, memory, record, signal)
                    out += [("update", update.net), ("update", update.change), ("gamma", update.gamma), ("record", record)]
            for after in (self.rule.keep(gamma, net), self.rule.conclude(gamma, net, memory)):
                out += [("update", changed(net.theta, after[1].theta)), ("gamma", after[0])]
            out += [("state", state), ("memory", memory)]
            return [a for prefix, tree in out for _, a in self._outputs(prefix, tree, names)]

        arguments = {
            "gamma": self.gamma,
            "net": self.net,
            "state": self.state,
            "memory": self.memory,
            "x": self.x,
            "signal.target": self.signal.target,
            "key": self.key,
        }
        return _trace(batch, arguments, held)[0]

    def _outputs(self, prefix: str, tree: Any, names: list[str]) -> list[tuple[str, Any]]:
        found = list(leaves(prefix, tree).items())
        names += [name for name, _ in found]
        return found

    def memory_size(self) -> Literal["none", "units", "synapses", "influence"]:
        """How much the rule carries: nothing, about a number a unit or a synapse (of each sample), or far more."""
        held = sum(np.size(a) for a in jax.tree.leaves(self.memory))
        synapses = sum(p.weight.size for p in self.net.projections)
        if held > 2 * self.batch * synapses:
            return "influence"
        return "none" if held == 0 else "synapses" if held >= synapses else "units"


def example(rule: Rule, net: Network, batch: int, steps: int = 3) -> tuple[Float[Array, "batch *inputs"], Signal]:
    """A random batch of what the rule sees, with one-hot targets.

    The loss is cross-entropy, or the squared error where the output projects onwards: what it sends on is then a value.
    """
    dtype = net.dtype
    time = (steps,) if isinstance(rule, SequenceRule) else ()
    x = jax.random.normal(jax.random.key(1), (batch, *time, *net[net.input].shape), dtype)
    classes = net[net.output].size
    target = jax.nn.one_hot(jnp.arange(batch * math.prod(time)).reshape(batch, *time) % classes, classes, dtype=dtype)
    criterion = SquaredError() if net.outgoing(net.output) else CrossEntropy()
    return x, Signal(target, criterion, jnp.full((batch, *time), 1 / steps, dtype) if time else None, Right())


def leaves(prefix: str, tree: Any) -> Leaves:
    """The arrays of a tree, named by their path, as in "gamma.hidden1" and "net.input-hidden1.weight"."""
    if isinstance(tree, Network):
        tree = tree.theta
    found = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        steps = [str(getattr(k, "name", getattr(k, "key", getattr(k, "idx", "")))) for k in path]
        found[".".join([prefix, *(s for s in steps if s != "phases")])] = leaf
    return found


def _held(name: str, flow: Flow) -> Flow:
    """What a leaf takes along to the next step: weights, and the signal with what it met.

    Not into gamma: parameters are learned from the signal, like the weights, and are no path for it.
    """
    signal = frozenset(read for read in flow.reads if read.startswith("signal.") and not name.startswith("gamma."))
    return dataclasses.replace(flow, reads=signal)


def _trace(function, arguments: dict[str, Any], held: Held) -> tuple[list[Flow], list]:
    """Trace a function of named trees; a network's sources are its theta, its positions are nobody's business."""
    sources, rebuild = [], []
    for prefix, tree in arguments.items():
        named = leaves(prefix, tree)
        theta = tree.theta if isinstance(tree, Network) else tree
        structure = jax.tree.structure(theta)
        rebuild.append((len(named), structure, tree if isinstance(tree, Network) else None))
        for name, leaf in named.items():
            is_weight = name.startswith("net.") and name.endswith(".weight")
            flow = weight(name, np.ndim(leaf)) if is_weight else Flow(frozenset({name})) | held.get(name, NOTHING)
            sources.append((leaf, flow))

    def flat(*arrays):
        trees, at = [], 0
        for count, structure, net in rebuild:
            tree = jax.tree.unflatten(structure, arrays[at : at + count])
            trees.append(tree if net is None else net.with_theta(tree))
            at += count
        return function(*trees)

    return trace(flat, sources)


def changed(before: dict[str, Leaves], after: dict[str, Leaves]) -> dict[str, Leaves]:
    """The weights that somebody put anew: those that are not the very arrays they were."""
    return {name: new for name, parts in after.items() if (new := {k: a for k, a in parts.items() if a is not before[name][k]})}


def _joined(one: dict[str, Flow], other: dict[str, Flow]) -> dict[str, Flow]:
    return {name: union(found[name] for found in (one, other) if name in found) for name in [*one, *(n for n in other if n not in one)]}


def _by_projection(names: list[str], flows: list[Flow]) -> dict[str, Flow]:
    found: dict[str, Flow] = {}
    for name, flow in zip(names, flows, strict=True):
        if name.startswith("update."):
            projection = name.split(".")[1]
            found[projection] = found.get(projection, Flow()) | flow
    return found


def _say(value: Any) -> str:
    return " and ".join(sorted(value)) or "none" if isinstance(value, frozenset) else str(value)
