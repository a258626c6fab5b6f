"""Carries flows through programs, equation by equation.

The analysis errs on the side of too much: branches join, long loops run to a fixed point, an
operation that is not known to keep the axes of a weight loses them, and such a weight cannot be
used forwards any more; a primitive that holds a program we do not know how to enter is taken to
read everything.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from byway.audit.axes import (
    ELEMENTWISE,
    KEEPS,
    SAME,
    Axes,
    evened,
    joined,
    labels,
    plain,
    settled,
)
from byway.audit.constants import constant, made_of_constants
from byway.audit.flow import (
    ASKED,
    FLAT,
    NOTHING,
    RAN,
    Flow,
    Known,
    Parts,
    part,
    parts,
    row,
    union,
    whole,
    with_axis,
)
from byway.audit.program import ASKS, Equation, Program, scanned
from byway.audit.program import trace as trace_program
from byway.audit.use import (
    FORWARDS,
    Use,
    bends,
    current,
    flat_along,
    products,
    scales,
    spread_along,
    used,
    when,
)
from byway.audit.ways import Site, Way, arranged, resized, way

Place = tuple[int, ...]
# What stands for an array, and how often loops make it anew.
Origin = tuple[Place, int]


class Run(NamedTuple):
    """One forward use of a weight.

    Attributes:
        at: which one: unique in the program.
        weight: the name of the weight.
        operands: what stands for the very operands, so that the same use written twice counts once.
        products: how many products of a weight and an activity it took, loops and all.
        sums: how many sums it made of them.
        times: how often the loops turn that it stands in.
        chained: whether the operand itself was computed through this weight: then the run goes on,
            and is no new one.
        active: whether the operand is activity, and not a constant.
        signalled: whether the operand carries the signal.
    """

    at: Place
    weight: str
    operands: tuple[Any, ...]
    products: int
    sums: int
    times: int
    chained: bool
    active: bool
    signalled: bool


class Question(NamedTuple):
    """One call of `Signal.error` or `Signal.loss`.

    Attributes:
        need: "signal.error" or "signal.loss".
        of: what stands for the very output that was asked about.
        numbers: how many came back.
        answers: the runs of the network that the output was computed from.
    """

    need: str
    of: Place
    numbers: float
    answers: frozenset[Place]


class Contact(NamedTuple):
    """One use of a parameter of the rule: it was summed over one of its axes, against data.

    Attributes:
        name: of the parameter.
        over: its axis.
        taught: whether the data carried any part of the signal.
        reads: what the data was computed from.
    """

    name: str
    over: str
    taught: bool
    reads: frozenset[str]


def trace(function: Callable, sources: Sequence[tuple[Any, Known]]) -> tuple[list[Flow], list[Any]]:
    """Trace `function` and carry the flows of its arguments to its results.

    Args:
        function: takes as many arrays as there are sources and returns a flat list of arrays.
        sources: the arrays (or their shapes), each with the flow it starts with.

    Returns:
        The flow of each result, and the arrays that the program closes over.
    """
    program = trace_program(function, [array for array, _ in sources])
    return [whole(flow) for flow in Reader().read(program, [flow for _, flow in sources])], list(
        program.closed_over
    )


class Reader:
    """Carries flows through programs, and notes what it meets on the way.

    Args:
        plastic: whether the program is one of g, which does not run the network: there a weight
            that runs forwards on activity is a weight that is read, and only what carries the
            signal along is a synapse in use.
        answering: the weights of the projections into the output.
        influence: sources that hold how activity depends on weights: what is multiplied with them
            stays held.
        probed: whether the loss is asked so often that its answers are the error.

    Attributes:
        runs, questions, contacts: what was met, by where it was met.
        slots: of the program read last, what is known of every slot.
    """

    def __init__(
        self,
        plastic: bool = False,
        answering: frozenset[str] = frozenset(),
        influence: frozenset[str] = frozenset(),
        probed: bool = False,
    ):
        self.plastic, self.answering, self.influence = plastic, answering, influence
        self.asked = {
            question: "signal.error" if probed else need for question, need in ASKED.items()
        }
        self.runs: dict[Any, Run] = {}
        self.questions: dict[Any, Question] = {}
        self.contacts: dict[Any, Contact] = {}
        self.slots: dict[int, Known] = {}
        self._at: list[int] = []
        self._parts: list[int] = []
        self._everything = NOTHING

    def read(
        self, program: Program, flows: Sequence[Known], found: Mapping[int, Flow] | None = None
    ) -> list[Known]:
        """The flows of the results of a program.

        Args:
            program: the program.
            flows: of its arguments.
            found: by slot, what is known of it besides.
        """
        self._everything = union(flows)
        origins: dict[int, Origin] = {
            slot: ((slot,), 1) for slot in (*program.ins, *program.constants)
        }
        return self._run(program, flows, origins, found or {})

    def _run(
        self,
        program: Program,
        flows: Sequence[Known],
        origins: dict[int, Origin],
        found: Mapping[int, Flow],
    ) -> list[Known]:
        known: dict[int, Known] = {
            slot: constant(value) for slot, value in program.constants.items()
        }
        known.update(zip(program.ins, flows, strict=True))
        for number, equation in enumerate(program.equations):
            self._at.append(number)
            before, after = (
                tuple(program.shapes[s] for s in slots) for slots in (equation.ins, equation.outs)
            )
            made = tuple(origins[s] for s in equation.ins)
            times = max((times for _, times in made), default=1)
            site = Site(
                equation.name, equation.params, equation.ins, program, made, times, before, after[0]
            )
            outs = self._equation(site, equation, [known[s] for s in equation.ins])
            for k, (slot, out) in enumerate(zip(equation.outs, outs, strict=True)):
                known[slot] = _besides(out, found[slot]) if slot in found else out
                origins[slot] = ((*self._at, k), times)
            self._at.pop()
        if not self._at:
            self.slots = known
        return [known[s] for s in program.outs]

    def _equation(self, site: Site, equation: Equation, flows: list[Known]) -> list[Known]:
        if site.name in CONTROL:
            return CONTROL[site.name](self, site, equation.inner, [whole(flow) for flow in flows])
        if site.name == "optimization_barrier":  # of several arrays, each by itself
            return flows
        made = _unknown(self._everything) if equation.opaque else self._in_parts(site, flows)
        return [made] * len(equation.outs)

    def _in_parts(self, site: Site, flows: list[Known]) -> Known:
        """An equation on arrays some of which are known in parts."""
        if (made := arranged(site, flows)) is not None:
            return made
        for i, flow in enumerate(flows):
            if isinstance(flow, Parts):
                found = way(site, i, flow.axis)
                if found is not None and not any(size * found.scale % 1 for size in flow.sizes):
                    return self._part_by_part(site, found, [*map(whole, flows[:i]), *flows[i:]])
        return self._combine(site, [whole(flow) for flow in flows])

    def _part_by_part(self, site: Site, found: Way, flows: list[Known]) -> Known:
        if found.start is not None and found.out is not None:
            ((i, at),) = found.cut.items()
            flows[i] = part(flows[i], at, found.start, size := site.after[found.out])
            before = tuple(
                resized(shape, at, size) if j == i else shape for j, shape in enumerate(site.before)
            )
            return self._in_parts(site._replace(before=before), flows)
        sizes = _cuts(
            [
                flow.sizes
                for j, at in found.cut.items()
                if isinstance(flow := flows[j], Parts) and flow.axis == at
            ]
        )
        made, start = [], 0
        for k, size in enumerate(sizes):
            cut = found.cut
            some = [
                part(flow, cut[j], start, size) if j in cut else flow
                for j, flow in enumerate(flows)
            ]
            before = tuple(
                resized(shape, cut[j], size) if j in cut else shape
                for j, shape in enumerate(site.before)
            )
            after = (
                site.after
                if found.out is None
                else resized(site.after, found.out, size * found.scale)
            )
            self._parts.append(k)
            made.append(self._in_parts(site._replace(before=before, after=after), some))
            self._parts.pop()
            start += size
        if found.out is None:
            return dataclasses.replace(flow := union(made), done=(flow.done[1], flow.done[1]))
        sizes = [int(size * found.scale) for size in sizes]
        return parts(
            found.out, sizes[::-1] if found.turned else sizes, made[::-1] if found.turned else made
        )

    def _combine(self, site: Site, flows: list[Flow]) -> Flow:
        if site.name in ASKS:
            return self._asked(site, flows)
        if (made := made_of_constants(site, flows)) is not None:
            return made
        reads = frozenset().union(*(flow.reads for flow in flows))
        crossed, answers = (
            frozenset().union(*(getattr(flow, of) for flow in flows))
            for of in ("crossed", "answers")
        )
        if site.name == "name":  # of names only that of slopes is written down
            reads |= {"slope"}
        bent = bends(site, flows) or any(flow.bent for flow in flows)
        out = Flow(reads, {}, crossed, answers, *when(site.name, flows), bent=bent)
        if site.name == "broadcast_in_dim" or any(flow.held for flow in flows):
            return self._holding(site, out, flows)
        return out

    def _holding(self, site: Site, out: Flow, flows: list[Flow]) -> Flow:
        """The same, with what its operands held and it still holds."""
        held: dict[str, Axes | None] = {}
        crossed, answered = set(out.crossed), set[Place]()
        signalled = [flow for flow in flows if flow.signalled]
        for i, flow in enumerate(flows):
            if not flow.held:
                continue
            others = union(flows[:i] + flows[i + 1 :])
            # What a sum of products leaves is known by the other factor; a plain sum has taken it
            # up before.
            data = (
                dataclasses.replace(flow, constant=False) if site.name == "reduce_sum" else others
            )
            shape, seen = site.before[i], dict[Axes | None, Use]()
            even = site.name in ELEMENTWISE and (shape != site.after or FLAT in flow.held)
            spread = spread_along(flow, shape, site.after, range(len(shape))) if even else ()
            currents = [(j, one) for j, one in enumerate(flows) if j != i]
            for name, some in flow.held.items():
                # What a current became is still a thing of the same units, where nothing taught
                # came in.
                gone = name.startswith(RAN) and not (
                    site.name in KEEPS and all(name in one.held for one in signalled)
                )
                if name == FLAT or gone:
                    continue
                if some not in seen:
                    seen[some] = used(site, i, some, flows, others)
                key, left = name, seen[some].left
                if name.startswith("net."):
                    if left is not None and any(
                        scales(site, name, left, one, j)
                        for j, one in currents
                        if RAN + name in one.held
                    ):
                        continue
                    if seen[some].use == FORWARDS and not data.stored:
                        taken = products(site, i)
                        key, left = self._forwards(site, name, taken, left, data, answered)
                elif not name.startswith(RAN) and seen[some].over and not data.stored:
                    crossed |= self._crossed(name, seen[some].over, data)
                    continue
                if left is not None and SAME in labels(spread):
                    left = evened(left, spread)
                if key:
                    held[key] = joined(held[key], left) if key in held else left
        settle = {some: settled(some) for some in set(held.values())}
        held = {name: settle[some] for name, some in held.items()}
        if (flat := flat_along(site, flows)) is not None:
            held[FLAT] = flat
        return dataclasses.replace(
            out, held=held, crossed=frozenset(crossed), answers=frozenset(answered) or out.answers
        )

    def _forwards(
        self,
        site: Site,
        name: str,
        taken: int,
        left: Axes | None,
        data: Flow,
        answered: set[Place],
    ) -> tuple[str, Axes | None]:
        """What is left of a weight that ran, by its name, and on which axes: the current that it
        caused; or it is still there.
        """
        at = self._ran(site, name, taken, data)
        if name in self.answering:
            answered.add(at)
        if self.influence.isdisjoint(data.reads) and (data.signalled or not self.plastic):
            return ("", None) if left is None else (RAN + name, current(left, site.after))
        return name, None if site.after else ()

    def _crossed(self, name: str, over: set[str], data: Flow) -> set[tuple[str, str]]:
        for label in over:
            self.contacts[(*self._at, *self._parts, name, label)] = Contact(
                name, label, data.signalled, data.reads
            )
        return {(name, label) for label in over} if data.signalled else set()

    def _ran(self, site: Site, name: str, taken: int, data: Flow) -> Place:
        at, times = (*self._at, *self._parts), site.times
        operands = (name, *self._parts, *(origin for origin, _ in site.origins))
        counts = taken * times, math.prod(site.after) * times, times
        known = name in data.reads, data.active, data.signalled
        self.runs[(*at, name)] = Run(at, name, operands, *counts, *known)
        return at

    def _asked(self, site: Site, flows: list[Flow]) -> Flow:
        """A question to the signal reads the output that it is about, and of the target no more
        than it says.
        """
        output, target, *_ = flows
        need = self.asked[site.name]
        reads = (output.reads - {"record.output"}) | (target.reads - {"signal.target"}) | {need}
        kept = {
            name: some
            for name, some in output.held.items()
            if name != FLAT and not name.startswith(RAN)
        }
        if site.name != ASKS[0]:
            kept = dict.fromkeys(kept)
        held = {name: some if some and plain(some[-1]) else None for name, some in kept.items()}
        at = (*self._at, *self._parts)
        origin, times = site.origins[0]
        self.questions[at] = Question(
            need, (*origin, *self._parts), math.prod(site.after) * times, output.answers
        )
        bent = (not output.active and not site.program.goes_on(site.ins[0])) or union(flows).bent
        return Flow(
            frozenset(reads),
            held,
            union(flows).crossed,
            output.answers,
            *when(site.name, flows),
            bent=bent,
        )

    def _loop(self, turn: Callable[[list[Flow]], list[Flow]], carry: list[Flow]) -> list[Flow]:
        """What a loop carries after any number of turns.

        What it reads comes first. An activity that starts from a constant and takes up data on the
        way is data: by its first turn alone, where a constant is summed against the weights, all
        that follows would hold them as weights.
        """
        final = _grown(turn, carry)
        return _grown(
            turn,
            [
                dataclasses.replace(a, reads=b.reads, constant=False)
                for a, b in zip(carry, final, strict=True)
            ],
        )

    def _inner(
        self, program: Program, flows: Sequence[Known], origins: Sequence[Origin]
    ) -> list[Flow]:
        table = dict(zip(program.ins, origins, strict=True)) | {
            slot: ((*self._at, slot), 1) for slot in program.constants
        }
        return [whole(flow) for flow in self._run(program, flows, table, {})]

    def _scan(self, site: Site, inside: Sequence[Program], flows: list[Flow]) -> list[Known]:
        (body,), length = inside, site.params["length"]
        consts, carries = scanned(site.params)
        fixed, carry = flows[:consts], flows[consts : consts + carries]
        xs = [row(flow, None) for flow in flows[consts + carries :]]
        fresh = [((*self._at, -1 - k), length * site.times) for k in range(len(flows) - consts)]

        def turn(carry: list[Flow]) -> list[Flow]:
            return self._inner(body, [*fixed, *carry, *xs], [*site.origins[:consts], *fresh])

        carry = self._loop(lambda carry: turn(carry)[:carries], carry)
        made = [dataclasses.replace(flow, constant=False) for flow in turn(carry)[carries:]]
        return [*carry, *(with_axis(flow, 0, length) for flow in made)]

    def _while(self, site: Site, inside: Sequence[Program], flows: list[Flow]) -> list[Known]:
        condition, body = inside
        n_cond, n_body = site.params["cond_nconsts"], site.params["body_nconsts"]
        fixed, carry = flows[: n_cond + n_body], flows[n_cond + n_body :]
        # Nobody knows how often it turns: twice at least.
        fresh = [((*self._at, -1 - k), 2 * site.times) for k in range(len(carry))]

        def turn(carry: list[Flow]) -> list[Flow]:
            (go_on,) = self._inner(
                condition, [*fixed[:n_cond], *carry], [*site.origins[:n_cond], *fresh]
            )
            outs = self._inner(
                body, [*fixed[n_cond:], *carry], [*site.origins[n_cond : n_cond + n_body], *fresh]
            )
            return [_chosen(go_on, a | b) for a, b in zip(carry, outs, strict=True)]

        return [*self._loop(turn, carry)]

    def _cond(self, site: Site, inside: Sequence[Program], flows: list[Flow]) -> list[Known]:
        outs = []
        for k, branch in enumerate(inside):
            self._at.append(k)
            outs.append(self._inner(branch, flows[1:], site.origins[1:]))
            self._at.pop()
        return [_chosen(flows[0], union(each)) for each in zip(*outs, strict=True)]


CONTROL: dict[str, Callable[[Reader, Site, Sequence[Program], list[Flow]], list[Known]]] = {
    "scan": Reader._scan,
    "while": Reader._while,
    "cond": Reader._cond,
}


def _cuts(each: list[tuple[int, ...]]) -> list[int]:
    """The sizes of the parts when all cuts are made."""
    edges = sorted({sum(sizes[: k + 1]) for sizes in each for k in range(len(sizes))})
    return [high - low for low, high in zip([0, *edges], edges, strict=False)]


def _chosen(choice: Flow, flow: Flow) -> Flow:
    """A choice is read, and one made by the signal meets the weights that it chooses among. It has
    axes of its own.
    """
    held = {name: None for name in choice.held if name != FLAT and not name.startswith(RAN)}
    return dataclasses.replace(flow | dataclasses.replace(choice, held=held), constant=False)


def _besides(known: Known, found: Flow) -> Known:
    """An array of which something was found: what is the target is no answer about an output."""
    if isinstance(known, Parts):
        return known._replace(flows=tuple(_besides(flow, found) for flow in known.flows))
    reads = known.reads - {*ASKED.values()} if "signal.target" in found.reads else known.reads
    return dataclasses.replace(
        known, reads=reads | found.reads, held={**known.held, **found.held}, constant=False
    )


def _grown(turn: Callable[[list[Flow]], list[Flow]], carry: list[Flow]) -> list[Flow]:
    while (grown := [a | b for a, b in zip(carry, turn(carry), strict=True)]) != carry:
        carry = grown
    return carry


def _unknown(everything: Flow) -> Flow:
    held = {*everything.held, *(name for name in everything.reads if name.endswith(".weight"))} - {
        FLAT
    }
    return dataclasses.replace(
        everything,
        reads=everything.reads | {"unknown program"},
        held=dict.fromkeys(held),
        constant=False,
    )
