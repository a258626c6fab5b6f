"""From label sets to verdicts: what a rule's updates read on a given network.

Two traces are read. The *plasticity* trace runs g alone, with every leaf of gamma, net, memory,
record and signal as a named source: it says what an update reads by itself. The *composed* trace
runs f and then g, from the input and the signal: it says which weights the signal met backwards on
its way (weight transport) and which downstream weights an update had to wait for (update locking).
Weights and the signal can wait in gamma, in the state or in the memory, so what those hold is
carried from `init`, `start` and each update back to the start until nothing changes; and weights
can pass in the record.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from byway.audit.behaviour import Trials, why_not
from byway.audit.carried import SIZES, Size, sizes
from byway.audit.flow import NOTHING, Flow, union
from byway.audit.in_time import LONG, SHORT, kept_of_the_past, needs_future, noted_on_the_way
from byway.audit.passes import Passes
from byway.audit.reader import Contact
from byway.audit.steps import CARRIED, PAST, Round, Steps, leaves
from byway.core.display import html
from byway.core.signal import CrossEntropy, Right, Signal, SquaredError
from byway.learning.rule import Claims, Need, Rule
from byway.learning.time import RoundTripRule, SequenceRule
from byway.network.network import Network

NEEDS: tuple[Need, ...] = ("target", "error", "loss", "reward")
# How a rule is run belongs to its kind: the audit reads f, g and what is called around them.
RUNNING = ("learn", "teach", "begin", "end")


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
        learned: by part of gamma, or of what else the rule teaches and carries along.
        dead_gamma: parts of gamma that no update reads.
        findings: anything a person should look at.
        moot: claims that this network cannot bear out: nothing has to wait for later steps, or is
            owed by them, where none depends on another.
    """

    rule: str
    found: Claims
    claims: Claims
    updates: dict[str, Reads]
    learned: dict[str, Reads]
    dead_gamma: list[str]
    findings: list[str]
    moot: frozenset[str] = frozenset()

    @property
    def disagreements(self) -> list[str]:
        """The claims that the program contradicts, each as "what: claimed, found"."""
        names = (f.name for f in dataclasses.fields(Claims) if f.name not in self.moot)
        pairs = ((name, getattr(self.claims, name), getattr(self.found, name)) for name in names)
        return [
            f"{name}: claimed {_say(claimed)}, found {_say(found)}"
            for name, claimed, found in pairs
            if claimed != found
        ]

    def _repr_html_(self) -> str:
        return html(self)

    def to_json(self) -> dict[str, Any]:
        """Plain lists, dicts, strings and numbers."""
        plain = {
            side: {
                k: sorted(v) if isinstance(v, frozenset) else v
                for k, v in vars(getattr(self, side)).items()
            }
            for side in ("found", "claims")
        }
        return {
            "verdict": plain["found"],
            "claims": plain["claims"],
            "agrees": not self.disagreements,
            "updates": {name: vars(reads) for name, reads in self.updates.items()},
            "learned": {name: vars(reads) for name, reads in self.learned.items()},
            "dead_gamma": self.dead_gamma,
            "findings": self.findings,
        }


def audit(rule: Rule, net: Network, batch: int = 3) -> Verdict:
    """Compute what each weight update of `rule` reads on `net`.

    Args:
        rule: the rule.
        net: a network that it accepts.
        batch: samples in the traced batch.

    Raises:
        RuleError: the rule cannot train this network.
    """
    rule.accepts(net)
    entries = [p.by_entries() for p in net.projections]
    net = Network(net.populations, entries, net.input, net.output, net.learnt)
    steps = Steps(rule, net, *example(rule, net, batch, SHORT))
    long = (
        Steps(rule, net, *example(rule, net, batch, LONG))
        if isinstance(rule, SequenceRule)
        else None
    )
    carried = sizes(rule, net, batch)
    influence = frozenset(name for name, size in carried.items() if size == "influence")
    passes = Passes(steps, SHORT if long else 1)
    round = steps.round(influence)
    probed = passes.probed(round)
    if probed:
        round = steps.round(influence, probed=True)
    unseen, trials = why_not(steps), Trials(steps)
    if unseen is None and (known := trials.disguised(round)):
        round = steps.round(influence, known, probed)
    composed, alone = _by_projection(round.results), _by_projection(steps.alone)
    by_g = {name: _read_by_g(flow, round) - {name} for name, flow in alone.items()}
    updates = {
        p.name: _reads(net, p, alone[p.name], composed[p.name], by_g[p.name])
        for p in net.projections
        if p.name in alone
    }
    learned = _learned(steps, round)
    everything = union([*composed.values(), *(round.results[name] for name in learned)])
    signal: frozenset[Need] = frozenset(
        need for need in NEEDS if {f"signal.{need}", PAST + need} & everything.reads
    )
    slopes = (
        trials.slopes(round, bool(signal), bool(learned))
        if unseen is None and "slope" not in everything.reads
        else {}
    )
    found = Claims(
        transport="yes"
        if any(one.transported for one in (*updates.values(), *learned.values()))
        else "no",
        locking="yes"
        if any(one.waits_for for one in (*updates.values(), *learned.values()))
        else "no",
        derivative="yes" if slopes or "slope" in everything.reads else "no",
        signal=signal,
        phases=max(passes.count(round), *(len(turn.phases) for turn in steps.turns)),
        memory=_memory(carried, round),
        past=kept_of_the_past(steps, long) if long else noted_on_the_way(steps),
        # Of a round trip, memory comes from later steps.
        future=needs_future(steps, long)
        if long
        else "yes"
        if isinstance(rule, RoundTripRule)
        and any(read.startswith(PAST) for read in everything.reads)
        else "no",
    )
    live = _live(round) | union(alone.values()).reads
    dead = sorted(name for name in leaves("gamma", steps.carried["gamma"]) if name not in live)
    findings = _findings(rule.claimed, steps, round, alone, by_g, learned, dead)
    findings += [
        f"{name} follows the slope of {', '.join(of)}, and reads none"
        for name, of in slopes.items()
    ]
    findings += [] if unseen is None else [f"f and g were read and not run: {unseen}"]
    moot = ()
    if net.feedforward and rule.claimed.future == "yes":
        # What a round trip carries is what later steps owe to earlier ones.
        moot = ("future", "memory") if isinstance(rule, RoundTripRule) else ("future",)
    return Verdict(rule.id, found, rule.claimed, updates, learned, dead, findings, frozenset(moot))


def _memory(carried: Mapping[str, Size], round: Round) -> Size:
    """The most that is carried; of gamma, which is known to be there, what no parameter takes: more
    than a number a synapse.
    """
    counted: list[Size] = [
        size
        for name, size in carried.items()
        if not name.startswith("gamma.") or (size == "influence" and name in round.results)
    ]
    return max(counted, key=SIZES.index) if counted else SIZES[0]


def _by_projection(results: Mapping[str, Flow]) -> dict[str, Flow]:
    found: dict[str, Flow] = {}
    for name, flow in results.items():
        if name.startswith("update."):
            projection = name.split(".")[1]
            found[projection] = found[projection] | flow if projection in found else flow
    return found


def _read_by_g(alone: Flow, round: Round) -> set[str]:
    """The projections whose weights g reads for an update: from the network, or from wherever they
    were kept.
    """
    sources = [
        (round.results if name.startswith("record.") else round.held).get(name, NOTHING)
        for name in alone.reads
    ]
    return _weights(alone.raw.union(*(flow.raw for flow in sources if not flow.signalled)))


def _reads(net: Network, p, alone: Flow, composed: Flow, by_g: set[str]) -> Reads:
    transported = by_g | (_weights(composed.raw) - {p.name})
    # What lies downstream on the same sample follows the order of the populations: a recurrent
    # projection brings the past.
    upstream = net.upstream(p.src, recurrent=False)
    before = {q.name for q in net.projections if q.dst in upstream} | set(net.recurrent) | {p.name}
    downstream = {
        q.name for q in net.projections if p.dst in net.upstream(q.src, recurrent=False)
    } - before
    depends_on = _depends_on(net, composed)
    waits_for = [name for name in depends_on if name in downstream]
    return Reads(sorted(alone.reads), sorted(transported), waits_for, depends_on)


def _depends_on(net: Network, flow: Flow) -> list[str]:
    return [
        q.name
        for q in net.projections
        if any(name.startswith(f"net.{q.name}.") for name in flow.reads)
    ]


def _weights(names: Iterable[str]) -> set[str]:
    """The projections whose weights are among the names."""
    return {
        name.split(".")[1] for name in names if name.startswith("net.") and name.endswith(".weight")
    }


def _learned(steps: Steps, round: Round) -> dict[str, Reads]:
    """What is read to learn the rule's own parameters: gamma, and whatever else it teaches and
    carries along.

    Such a parameter takes part in transport as a weight does: what it learns crossed another one
    against the direction in which that one is used where no error comes along. And it waits for
    those that lie behind it in that direction.
    """
    live, ways = _live(round), _ways(round.contacts)
    found = {}
    for name, flow in round.results.items():
        own = name.startswith("gamma.") or (
            name.startswith(CARRIED) and flow.taught and name in flow.held
        )
        if not own or name not in live or not flow.reads:
            continue
        backwards = {
            other
            for other, over in flow.crossed
            if other != name and (ways.used.get(other, set()) - {over})
        }
        behind = {
            other
            for other in ways.behind(name)
            if other in flow.reads and name not in ways.behind(other)
        }
        alone = steps.alone.get(name, flow)
        found[name] = Reads(
            sorted(alone.reads),
            sorted(_weights(flow.raw) | backwards),
            sorted(behind),
            _depends_on(steps.net, flow),
        )
    return found


@dataclasses.dataclass(frozen=True)
class _Ways:
    """In which direction the rule's own parameters are used where no error comes along.

    Attributes:
        used: by parameter, the axes that are summed over.
        next: by parameter, those that then get what it made.
    """

    used: dict[str, set[str]]
    next: dict[str, set[str]]

    def behind(self, name: str) -> set[str]:
        """The parameters that lie behind one."""
        found: set[str] = set()
        while more := set().union(*(self.next.get(one, set()) for one in {name, *found})) - found:
            found |= more
        return found


def _ways(contacts: Iterable[Contact]) -> _Ways:
    ways = _Ways({}, {})
    for contact in contacts:
        if not contact.taught:
            ways.used.setdefault(contact.name, set()).add(contact.over)
            for before in contact.reads:
                if before.startswith(CARRIED) and before != contact.name:
                    ways.next.setdefault(before, set()).add(contact.name)
    return ways


def _live(round: Round) -> set[str]:
    """What is carried along and sooner or later read by an update, or by a prediction."""
    found = {
        name
        for key, flow in round.results.items()
        if key.startswith("update.") or key == "record.output"
        for name in flow.reads
    }
    while (
        more := {name for key in found if key in round.results for name in round.results[key].reads}
        - found
    ):
        found |= more
    return found


def _findings(
    claims: Claims,
    steps: Steps,
    round: Round,
    alone: dict[str, Flow],
    by_g: dict[str, set[str]],
    learned: dict[str, Reads],
    dead: list[str],
) -> list[str]:
    hides = claims.transport == "no"
    findings = [
        f"{name} holds {', '.join(sorted(_weights(flow.raw)))}"
        for name, flow in round.held.items()
        if hides and flow.raw
    ]
    for name, flow in alone.items():
        if hides and by_g[name]:
            findings.append(
                f"g reads the weights of {', '.join(sorted(by_g[name]))} to update {name}"
            )
        if "unknown program" in flow.reads:
            findings.append(
                f"the update of {name} runs a program that the audit cannot enter: taken to read "
                "everything"
            )
    findings += [
        f"{name} is taught through {', '.join(one.transported)}"
        for name, one in learned.items()
        if hides and one.transported
    ]
    findings += [f"no update reads {name}" for name in dead]
    own = [
        name
        for name in RUNNING
        if getattr(type(steps.rule), name).__module__.partition(".")[0]
        != Rule.__module__.partition(".")[0]
    ]
    findings += [
        f"{steps.rule.id} runs itself by a {name} of its own, which the audit does not read"
        for name in own
    ]
    shapes = {p.weight.shape for p in steps.net.projections if p.weight is not None}
    constants = [c for turn in steps.turns for c in turn.g.program.closed_over]
    findings += [
        f"g closes over an array of shape {c.shape}, that of a weight"
        for c in constants
        if np.shape(c) in shapes
    ]
    return findings


def example(
    rule: Rule, net: Network, batch: int, steps: int = SHORT
) -> tuple[Float[Array, "batch *inputs"], Signal]:
    """A random batch of what the rule sees, with one-hot targets.

    The loss is cross-entropy, or the squared error where the output projects onwards: what it sends
    on is then a value.
    """
    time, classes = (steps,) if isinstance(rule, SequenceRule) else (), net[net.output].size
    x = np.random.default_rng(1).normal(size=(batch, *time, *net[net.input].shape))
    target = np.eye(classes)[np.arange(batch * math.prod(time)).reshape(batch, *time) % classes]
    criterion = SquaredError() if net.outgoing(net.output) else CrossEntropy()
    weight = jnp.asarray(np.full((batch, *time), 1 / steps), net.dtype) if time else None
    return jnp.asarray(x, net.dtype), Signal(
        jnp.asarray(target, net.dtype), criterion, weight, Right()
    )


def _say(value: Any) -> str:
    return " and ".join(sorted(value)) or "none" if isinstance(value, frozenset) else str(value)
