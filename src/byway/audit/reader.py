"""Carries flows through programs, equation by equation.

The analysis errs on the side of too much: branches join, long loops run to a fixed point, an operation that is not known to keep
the axes of a weight loses them, and such a weight cannot be used forwards any more; a primitive that holds a program we do not
know how to enter is taken to read everything.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from byway.audit.axes import (
    BOTH,
    ELEMENTWISE,
    FED,
    KEEPS,
    NEITHER,
    POST,
    PRE,
    SAME,
    Axes,
    Shape,
    axis,
    evened,
    fed,
    joined,
    labels,
    plain,
    settled,
)
from byway.audit.flow import ASKED, CONSTANT, FLAT, NOTHING, RAN, Flow, Known, Parts, part, parts, row, union, whole, with_axis
from byway.audit.program import ASKS, Program
from byway.audit.program import trace as trace_program
from byway.audit.ways import Site, Way, arranged, resized, way

# How an operation uses a weight: sums it, against activity, over its presynaptic axes alone; sums it otherwise; or not at all.
FORWARDS, OTHERWISE, KEPT = "forwards", "otherwise", "kept"
# Adding lets each part of a sum be complete at a time of its own; all else needs its operands together.
ADDS = frozenset({"add", "add_any", "sub", "neg", "concatenate", "stack", "row"})
# Operations that multiply entries, or let one say what becomes of another.
PRODUCTS = frozenset({"mul", "div", "select_n", "dot_general"})
# What makes the same number everywhere of operands that are.
UNIFORM = frozenset(KEEPS) - {"pad", "stack"} | {"dot_general", "reduce_sum"}
STRAIGHT = (frozenset(KEEPS) - ELEMENTWISE - {f"reduce_{name}" for name in ("max", "min", "prod", "and", "or")} - {"argmax", "argmin"}) | {
    *("add", "add_any", "sub", "neg", "convert_element_type", "copy", "reduce_precision", "name", "stop_gradient"),
    *("reduce_sum", "cumsum", "concatenate", "gather", "scatter-add"),
}
Place = tuple[int, ...]
# What stands for an array, and how often loops make it anew.
Origin = tuple[Place, int]


class Use(NamedTuple):
    """What an equation does with weights on some axes.

    Attributes:
        use: how it uses them.
        left: on which axes of the result what is left of them still is; None where nobody knows.
        over: what was summed over.
    """

    use: str
    left: Axes | None
    over: set[str]


class Run(NamedTuple):
    """One forward use of a weight.

    Attributes:
        at: which one: unique in the program.
        weight: the name of the weight.
        operands: what stands for the very operands, so that the same use written twice counts once.
        work: how many products were summed for each postsynaptic unit.
        times: how often the loops turn that it stands in.
        chained: whether the operand itself was computed through this weight: then the run goes on, and is no new one.
        active: whether the operand is activity, and not a constant.
        signalled: whether the operand carries the signal.
    """

    at: Place
    weight: str
    operands: tuple[Any, ...]
    work: float
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
    return [whole(flow) for flow in Reader().read(program, [flow for _, flow in sources])], list(program.closed_over)


class Reader:
    """Carries flows through programs, and notes what it meets on the way.

    Args:
        plastic: whether the program is one of g, which does not run the network: there a weight that runs forwards on activity is
            a weight that is read, and only what carries the signal along is a synapse in use.
        answering: the weights of the projections into the output.
        influence: sources that hold how activity depends on weights: what is multiplied with them stays held.
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
        self.asked = {question: "signal.error" if probed else need for question, need in ASKED.items()}
        self.runs: dict[Any, Run] = {}
        self.questions: dict[Any, Question] = {}
        self.contacts: dict[Any, Contact] = {}
        self.slots: dict[int, Known] = {}
        self._at: list[int] = []
        self._parts: list[int] = []
        self._everything = NOTHING

    def read(self, program: Program, flows: Sequence[Known], found: Mapping[int, Flow] | None = None) -> list[Known]:
        """The flows of the results of a program.

        Args:
            program: the program.
            flows: of its arguments.
            found: by slot, what is known of it besides.
        """
        self._everything = union(flows)
        origins: dict[int, Origin] = {slot: ((slot,), 1) for slot in (*program.ins, *program.constants)}
        return self._run(program, flows, origins, found or {})

    def _run(self, program: Program, flows: Sequence[Known], origins: dict[int, Origin], found: Mapping[int, Flow]) -> list[Known]:
        known: dict[int, Known] = {slot: _constant(value) for slot, value in program.constants.items()}
        known.update(zip(program.ins, flows, strict=True))
        for number, equation in enumerate(program.equations):
            self._at.append(number)
            before, after = (tuple(program.shapes[s] for s in slots) for slots in (equation.ins, equation.outs))
            site = Site(equation, program, tuple(origins[s] for s in equation.ins), before, after[0])
            outs = self._equation(site, [known[s] for s in equation.ins])
            for k, (slot, out) in enumerate(zip(equation.outs, outs, strict=True)):
                known[slot] = _besides(out, found[slot]) if slot in found else out
                origins[slot] = ((*self._at, k), site.times)
            self._at.pop()
        if not self._at:
            self.slots = known
        return [known[s] for s in program.outs]

    def _equation(self, site: Site, flows: list[Known]) -> list[Known]:
        if site.name in CONTROL:
            return CONTROL[site.name](self, site, [whole(flow) for flow in flows])
        made = _unknown(self._everything) if site.equation.opaque else self._in_parts(site, flows)
        return [made] * len(site.equation.outs)

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
            before = tuple(resized(shape, at, size) if j == i else shape for j, shape in enumerate(site.before))
            return self._in_parts(dataclasses.replace(site, before=before), flows)
        sizes = _cuts([flow.sizes for j, at in found.cut.items() if isinstance(flow := flows[j], Parts) and flow.axis == at])
        made, start = [], 0
        for k, size in enumerate(sizes):
            cut = found.cut
            some = [part(flow, cut[j], start, size) if j in cut else flow for j, flow in enumerate(flows)]
            before = tuple(resized(shape, cut[j], size) if j in cut else shape for j, shape in enumerate(site.before))
            after = site.after if found.out is None else resized(site.after, found.out, size * found.scale)
            self._parts.append(k)
            made.append(self._in_parts(dataclasses.replace(site, before=before, after=after), some))
            self._parts.pop()
            start += size
        if found.out is None:
            return dataclasses.replace(flow := union(made), done=(flow.done[1], flow.done[1]))
        sizes = [int(size * found.scale) for size in sizes]
        return parts(found.out, sizes[::-1] if found.turned else sizes, made[::-1] if found.turned else made)

    def _combine(self, site: Site, flows: list[Flow]) -> Flow:
        if site.name in ASKS:
            return self._asked(site, flows)
        if all(flow.constant for flow in flows) and site.name in UNIFORM and site.name != "name":
            return CONSTANT
        reads = frozenset().union(*(flow.reads for flow in flows))
        crossed, answers = (frozenset().union(*(getattr(flow, of) for flow in flows)) for of in ("crossed", "answers"))
        if site.name == "name":  # of names only that of slopes is written down
            reads |= {"slope"}
        bent = _bends(site, flows) or any(flow.bent for flow in flows)
        out = Flow(reads, {}, crossed, answers, *_when(site.name, flows), bent=bent)
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
            # What a sum of products leaves is known by the other factor; a plain sum has taken it up before.
            data = dataclasses.replace(flow, constant=False) if site.name == "reduce_sum" else others
            shape, seen = site.before[i], dict[Axes | None, Use]()
            spread = _spread(flow, shape, site.after, range(len(shape))) if site.name in ELEMENTWISE else ()
            for name, some in flow.held.items():
                # What a current became is still a thing of the same units, where nothing taught came in.
                gone = name.startswith(RAN) and not (site.name in KEEPS and all(name in one.held for one in signalled))
                if name == FLAT or gone:
                    continue
                if some not in seen:
                    seen[some] = _used(site, i, some, flows, others)
                key, left = name, seen[some].left
                if name.startswith("net."):
                    key, left = self._weight(site, i, name, some, seen[some], data, others, flows, answered)
                elif not name.startswith(RAN) and seen[some].over and not data.stored:
                    crossed |= self._crossed(name, seen[some].over, data)
                    continue
                if left is not None and SAME in labels(spread):
                    left = evened(left, spread)
                if key:
                    held[key] = joined(held[key], left) if key in held else left
        settle = {some: settled(some) for some in set(held.values())}
        held = {name: settle[some] for name, some in held.items()}
        if (flat := _flat(site, flows)) is not None:
            held[FLAT] = flat
        return dataclasses.replace(out, held=held, crossed=frozenset(crossed), answers=frozenset(answered) or out.answers)

    def _weight(
        self,
        site: Site,
        i: int,
        name: str,
        some: Axes | None,
        used: Use,
        data: Flow,
        others: Flow,
        flows: list[Flow],
        answered: set[Place],
    ) -> tuple[str, Axes | None]:
        """What the result holds of a weight in operand i, and on which axes: itself, the current that it caused, or nothing ("")."""
        use, left = used.use, used.left
        if left is not None and any(_scales(site, name, left, one, j) for j, one in enumerate(flows) if j != i):
            return "", None
        if left is not None and site.name in PRODUCTS and BOTH in labels(left) and others.active:
            # One weight a unit is the same both ways, and knows the way by what it meets.
            use, left = (OTHERWISE, None) if others.taught else (FORWARDS, left)
        if use == FORWARDS and not data.stored:
            at = self._ran(site, name, some, data)
            if name in self.answering:
                answered.add(at)
            if self.influence.isdisjoint(data.reads) and (data.signalled or not self.plastic):
                return ("", None) if left is None else (RAN + name, _current(left, site.after))
            left = None
        # One number of a weight has no direction.
        return name, () if left is None and not site.after else left

    def _crossed(self, name: str, over: set[str], data: Flow) -> set[tuple[str, str]]:
        for label in over:
            self.contacts[(*self._at, *self._parts, name, label)] = Contact(name, label, data.signalled, data.reads)
        return {(name, label) for label in over} if data.signalled else set()

    def _ran(self, site: Site, name: str, some: Axes | None, data: Flow) -> Place:
        factors = [factor for one in some or () for factor in one]
        synapses = math.prod(n for n, label in factors if label in (PRE, FED))
        units = math.prod(n for n, label in factors if label in (POST, BOTH))
        at, work = (*self._at, *self._parts), math.prod(site.after) * synapses / units * site.times
        operands = (name, *self._parts, *(origin for origin, _ in site.origins))
        self.runs[(*at, name)] = Run(at, name, operands, work, site.times, name in data.reads, data.active, data.signalled)
        return at

    def _asked(self, site: Site, flows: list[Flow]) -> Flow:
        """A question to the signal reads the output that it is about, and of the target no more than it says."""
        output, target, *_ = flows
        need = self.asked[site.name]
        reads = (output.reads - {"record.output"}) | (target.reads - {"signal.target"}) | {need}
        kept = {name: some for name, some in output.held.items() if name != FLAT and not name.startswith(RAN)}
        if site.name != ASKS[0]:
            kept = dict.fromkeys(kept)
        held = {name: some if some and plain(some[-1]) else None for name, some in kept.items()}
        at = (*self._at, *self._parts)
        origin, times = site.origins[0]
        self.questions[at] = Question(need, (*origin, *self._parts), math.prod(site.after) * times, output.answers)
        bent = (not output.active and not site.program.goes_on(site.equation.ins[0])) or union(flows).bent
        return Flow(frozenset(reads), held, union(flows).crossed, output.answers, *_when(site.name, flows), bent=bent)

    def _loop(self, turn: Callable[[list[Flow]], list[Flow]], carry: list[Flow]) -> list[Flow]:
        """What a loop carries after any number of turns.

        What it reads comes first. An activity that starts from a constant and takes up data on the way is data: by its first
        turn alone, where a constant is summed against the weights, all that follows would hold them as weights.
        """
        final = _grown(turn, carry)
        return _grown(turn, [dataclasses.replace(a, reads=b.reads, constant=False) for a, b in zip(carry, final, strict=True)])

    def _inner(self, program: Program, flows: Sequence[Known], origins: Sequence[Origin]) -> list[Flow]:
        table = dict(zip(program.ins, origins, strict=True)) | {slot: ((*self._at, slot), 1) for slot in program.constants}
        return [whole(flow) for flow in self._run(program, flows, table, {})]

    def _scan(self, site: Site, flows: list[Flow]) -> list[Known]:
        (body,), length = site.equation.inner, site.params["length"]
        consts, carries = site.params["num_consts"], site.params["num_carry"]
        fixed, carry = flows[:consts], flows[consts : consts + carries]
        xs = [row(flow, None) for flow in flows[consts + carries :]]
        fresh = [((*self._at, -1 - k), length * site.times) for k in range(len(flows) - consts)]

        def turn(carry: list[Flow]) -> list[Flow]:
            return self._inner(body, [*fixed, *carry, *xs], [*site.origins[:consts], *fresh])

        carry = self._loop(lambda carry: turn(carry)[:carries], carry)
        made = [dataclasses.replace(flow, constant=False) for flow in turn(carry)[carries:]]
        return [*carry, *(with_axis(flow, 0, length) for flow in made)]

    def _while(self, site: Site, flows: list[Flow]) -> list[Known]:
        condition, body = site.equation.inner
        n_cond, n_body = site.params["cond_nconsts"], site.params["body_nconsts"]
        fixed, carry = flows[: n_cond + n_body], flows[n_cond + n_body :]
        # Nobody knows how often it turns: twice at least.
        fresh = [((*self._at, -1 - k), 2 * site.times) for k in range(len(carry))]

        def turn(carry: list[Flow]) -> list[Flow]:
            (go_on,) = self._inner(condition, [*fixed[:n_cond], *carry], [*site.origins[:n_cond], *fresh])
            outs = self._inner(body, [*fixed[n_cond:], *carry], [*site.origins[n_cond : n_cond + n_body], *fresh])
            return [_chosen(go_on, a | b) for a, b in zip(carry, outs, strict=True)]

        return [*self._loop(turn, carry)]

    def _cond(self, site: Site, flows: list[Flow]) -> list[Known]:
        outs = []
        for k, branch in enumerate(site.equation.inner):
            self._at.append(k)
            outs.append(self._inner(branch, flows[1:], site.origins[1:]))
            self._at.pop()
        return [_chosen(flows[0], union(each)) for each in zip(*outs, strict=True)]


CONTROL: dict[str, Callable[[Reader, Site, list[Flow]], list[Known]]] = {
    "scan": Reader._scan,
    "while": Reader._while,
    "cond": Reader._cond,
}


def _used(site: Site, i: int, some: Axes | None, flows: list[Flow], others: Flow) -> Use:
    """How an equation uses what operand i holds on these axes."""
    use = _use(site, i, some, flows) if some is not None else Use(KEPT, None, set())
    if use.left is not None and site.name in PRODUCTS and not (others.stored or others.constant):
        return use._replace(left=fed(use.left, _varies(site, flows, i)))
    return use


def _use(site: Site, i: int, some: Axes, flows: list[Flow]) -> Use:
    if site.name == "dot_general":
        return _dot(site, i, some)
    if site.name == "conv_general_dilated":
        return _convolution(site, i, some)
    if site.name == "reduce_sum":
        gone = {int(k) for k in site.params["axes"]}
        left = tuple(one for k, one in enumerate(some) if k not in gone)
        return _summed(labels(tuple(some[k] for k in gone)), left, {FED})
    if site.name.startswith("scatter") and i == 2:
        if not flows[0].reads and not flows[1].active and (laid_out := _laid_out(site, some)) is not None:
            return Use(KEPT, laid_out, set())
        # Through a wiring table: what each synapse carries, summed where it ends.
        return _summed(labels(some) - {POST}, None, {FED})
    return Use(KEPT, KEEPS[site.name](site.params, some, site.before[i], site.after) if site.name in KEEPS else None, set())


def _summed(over: set[str], left: Axes | None, wanted: set[str]) -> Use:
    """What a sum over axes of these labels is, if it is forwards where they are all that is presynaptic, and are as wanted."""
    over = over - {NEITHER, SAME}
    if over & {POST, BOTH}:
        return Use(OTHERWISE, None, over)
    forwards = bool(over) and over <= wanted and (left is None or not {PRE, FED} & labels(left))
    return Use(FORWARDS if forwards else KEPT, left, over)


def _dot(site: Site, i: int, some: Axes) -> Use:
    summed, batch = site.params["dimension_numbers"]
    over = labels(tuple(some[k] for k in summed[i]))
    mine = tuple(one for k, one in enumerate(some) if k not in summed[i] and k not in batch[i])
    # The other operand's axes take the place of those that were summed over: C W is a weight from other units.
    place = PRE if {PRE, FED} & over else NEITHER
    theirs = tuple(axis(n, place) for k, n in enumerate(site.before[1 - i]) if k not in summed[1 - i] and k not in batch[1 - i])
    shared = tuple(some[k] for k in batch[i])
    use, _, over = _summed(over, shared + mine, {PRE, FED})
    return Use(use, None if use == OTHERWISE else shared + (mine + theirs if i == 0 else theirs + mine), over)


def _convolution(site: Site, i: int, some: Axes) -> Use:
    """A kernel runs forwards where its channels do; its places are at both ends of it, and say nothing."""
    numbers, after = site.params["dimension_numbers"], site.after
    out, into, *places = numbers.rhs_spec
    over = labels(tuple(some[k] for k in (into, *places))) - {NEITHER, SAME}
    if i == 0 or labels((some[out],)) != {POST} or BOTH in over or not over & {PRE, FED} or POST in labels((some[into],)):
        return Use(OTHERWISE, None, over if i else labels(some) - {NEITHER, SAME})
    place = {numbers.out_spec[0]: axis(after[numbers.out_spec[0]], PRE), numbers.out_spec[1]: some[out]}
    return Use(FORWARDS, tuple(place.get(k, axis(n)) for k, n in enumerate(after)), over - {POST})


def _laid_out(site: Site, some: Axes) -> Axes | None:
    """The axes of a matrix into which weights are written entry by entry; None where it cannot be told.

    Each of its axes is one along which the places count up with an axis of the weights, or the one for which a wiring table has them.
    """
    numbers, table = site.params["dimension_numbers"], site.program.maker(site.equation.ins[1])
    if numbers.update_window_dims or numbers.operand_batching_dims or table is None or table.name != "concatenate":
        return None
    places = [site.program.constants.get(slot) for slot in table.ins]
    along = [None if place is None else _counting(place[..., 0]) for place in places]
    others = [k for k in range(len(some)) if k not in along]
    unknown = [k for k, found in enumerate(along) if found is None]
    if any(places[k] is not None for k in unknown) or len(unknown) != len(others) or len(others) > 1 or len(along) != len(site.after):
        return None
    found = {target: some[others[0] if k is None else k] for target, k in zip(numbers.scatter_dims_to_operand_dims, along, strict=True)}
    return tuple(one if plain(one) else axis(site.after[k], one[0][1]) for k, one in sorted(found.items()))


def _counting(place: np.ndarray) -> int | None:
    """The axis along which entries count up from zero while they are the same along all others."""
    for k, n in enumerate(place.shape):
        if np.array_equal(place, np.broadcast_to(np.arange(n).reshape([-1 if j == k else 1 for j in range(place.ndim)]), place.shape)):
            return k
    return None


def _current(left: Axes, shape: Shape) -> Axes:
    return tuple(one if {POST, BOTH} & labels((one,)) else axis(n) for one, n in zip(left, shape, strict=True))


def _bends(site: Site, flows: list[Flow]) -> bool:
    """Whether a result is out of proportion to the answers of the signal that it was computed from."""
    taught = [i for i, flow in enumerate(flows) if flow.taught]
    if not taught:
        return False
    if site.name in ("mul", "dot_general", "conv_general_dilated"):
        return len(taught) > 1
    if site.name in ("div", "select_n"):
        return (0 in taught) != (site.name == "div") or (site.name == "div" and len(taught) > 1)
    if site.name in ("add", "add_any", "sub"):
        return any(flow.active and not flow.taught for flow in flows)
    return site.name not in STRAIGHT


def _scales(site: Site, name: str, left: Axes, flow: Flow, j: int) -> bool:
    """Whether operand j is the current that a weight caused, and what is left of the weight is a number a unit of that: its norm."""
    current = flow.held.get(RAN + name)
    if current is None or site.name not in ELEMENTWISE or {PRE, FED} & labels(left):
        return False
    moved = KEEPS[site.name](site.params, current, site.before[j], site.after)
    return POST in labels(left) and moved is not None and [plain(one) for one in left] == [plain(one) for one in moved]


def _flat(site: Site, flows: list[Flow]) -> Axes | None:
    """The axes along which a result is the same everywhere; None where there are none, or where nobody knows."""
    after = site.after
    if site.name == "broadcast_in_dim":
        place = {int(k): n for n, k in enumerate(site.params["broadcast_dimensions"])}
        found = _spread(flows[0], site.before[0], after, [place.get(k) for k in range(len(after))])
    elif site.name in ELEMENTWISE:
        each = [
            _spread(f, shape, after, range(len(shape))) for f, shape in zip(flows, site.before, strict=True) if shape and not f.constant
        ]
        found = tuple(
            axis(n, SAME if n > 1 and each and all(labels((one[k],)) == {SAME} for one in each) else NEITHER) for k, n in enumerate(after)
        )
    elif site.name in KEEPS and (old := flows[0].held.get(FLAT)) is not None:
        found = KEEPS[site.name](site.params, old, site.before[0], after) or ()
    else:
        return None
    return found if SAME in labels(found) else None


def _spread(flow: Flow, before: Shape, after: Shape, place: Sequence[int | None]) -> Axes:
    """The axes along which an operand is the same everywhere once it has the shape of the result."""
    old = flow.held.get(FLAT) or tuple(axis(n) for n in before)
    where = place if before else [None] * len(after)
    return tuple(() if n == 1 else axis(n, SAME) if at is None or before[at] != n else old[at] for n, at in zip(after, where, strict=True))


def _varies(site: Site, flows: list[Flow], i: int) -> set[int]:
    """The axes of a product, entry by entry, along which the other factors are not known to be the same everywhere."""
    after = site.after
    if site.name == "dot_general":
        return set(range(len(site.params["dimension_numbers"][1][0])))
    others = [
        _spread(flow, shape, after, range(len(after)))
        for j, (flow, shape) in enumerate(zip(flows, site.before, strict=True))
        if j != i and shape and not flow.constant and not flow.stored
    ]
    return {k for k in range(len(after)) if any(labels((one[k],)) != {SAME} for one in others)}


def _when(name: str, flows: list[Flow]) -> tuple[tuple[int, int], int]:
    """When a result can be known, and how long something had to be kept for it."""
    timed = [flow.done for flow in flows if flow.done[1] >= 0]
    wait = max((flow.wait for flow in flows), default=0)
    if not timed:
        return (-1, -1), wait
    last = max(high for _, high in timed)
    first = last if name.startswith(("reduce_", "dot_general", "arg")) else max(low for low, _ in timed)
    if name not in ADDS and len(timed) > 1:
        wait = max(wait, *(high - low for j, (_, high) in enumerate(timed) for k, (low, _) in enumerate(timed) if j != k))
    return (first, last), wait


def _cuts(each: list[tuple[int, ...]]) -> list[int]:
    """The sizes of the parts when all cuts are made."""
    edges = sorted({sum(sizes[: k + 1]) for sizes in each for k in range(len(sizes))})
    return [high - low for low, high in zip([0, *edges], edges, strict=False)]


def _chosen(choice: Flow, flow: Flow) -> Flow:
    """A choice is read, and one made by the signal meets the weights that it chooses among. It has axes of its own."""
    held = {name: None for name in choice.held if name != FLAT and not name.startswith(RAN)}
    return dataclasses.replace(flow | dataclasses.replace(choice, held=held), constant=False)


def _besides(known: Known, found: Flow) -> Known:
    """An array of which something was found: what is the target is no answer about an output."""
    if isinstance(known, Parts):
        return known._replace(flows=tuple(_besides(flow, found) for flow in known.flows))
    reads = known.reads - {*ASKED.values()} if "signal.target" in found.reads else known.reads
    return dataclasses.replace(known, reads=reads | found.reads, held={**known.held, **found.held}, constant=False)


def _constant(value: Any) -> Flow:
    """The flow of a value that is known before the program runs."""
    if getattr(value, "size", 1) <= 1:
        return CONSTANT
    known = getattr(value, "dtype", None)
    even = known is not None and known.kind in "biuf" and bool(np.all(np.asarray(value) == np.asarray(value).flat[0]))
    return CONSTANT if even else NOTHING


def _grown(turn: Callable[[list[Flow]], list[Flow]], carry: list[Flow]) -> list[Flow]:
    while (grown := [a | b for a, b in zip(carry, turn(carry), strict=True)]) != carry:
        carry = grown
    return carry


def _unknown(everything: Flow) -> Flow:
    held = {*everything.held, *(name for name in everything.reads if name.endswith(".weight"))} - {FLAT}
    return dataclasses.replace(everything, reads=everything.reads | {"unknown program"}, held=dict.fromkeys(held), constant=False)
