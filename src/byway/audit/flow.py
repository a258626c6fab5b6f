"""What the audit knows of an array: which sources it was computed from, and which weights can still
be read from it.

A weight is used *forwards* where it is summed over all its presynaptic axes, against activity, and
its postsynaptic axes stay: that is what a network does, and what it leaves is activity. After any
other use the weight is still *held*. An array that holds a weight and carries the teaching signal
has met that weight *backwards*.

An array that was put together of several (all layers in one, all time steps) is known part by part
(`Parts`).
"""

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from byway.audit.axes import BOTH, NEITHER, POST, PRE, Axes, Shape, axis, labels, narrowed, plain
from byway.audit.axes import axes as axes_of
from byway.audit.program import ASKS

# What is held under these names is no weight: the axes along which an array is the same everywhere;
# and, before the name of a weight, that this is the current which it caused.
FLAT, RAN = "flat", "ran "
# An array is followed in so many parts at most.
PARTS = 64
# What is asked of the signal, by the name of the question.
ASKED: Mapping[str, str] = dict(
    zip(ASKS, ("signal.error", "signal.loss", "signal.reward"), strict=True)
)


@dataclasses.dataclass(frozen=True, slots=True)
class Flow:
    """What the audit knows of one array.

    Attributes:
        reads: names of the sources it was computed from.
        held: weights, and other parameters, that it still holds: copied, scaled, mixed, but not yet
            used forwards. By name, what each of its axes is to them; None where the audit lost
            track.
        crossed: parameters of the rule that the signal met, each with the axis of its own that was
            summed over.
        answers: the runs of the network whose output it was computed from, as `Run.at`.
        done: the earliest and latest time step at which its entries can be known; -1 where there is
            no time.
        wait: how many time steps something it was computed from had to be kept until all else was
            there.
        constant: whether it is one and the same number everywhere, known before the program runs.
        number: that number, where it could be worked out.
        bent: whether it is out of proportion to the answers of the signal that it was computed
            from, or those are about nothing.
    """

    reads: frozenset[str] = frozenset()
    held: Mapping[str, Axes | None] = dataclasses.field(default_factory=dict)
    crossed: frozenset[tuple[str, str]] = frozenset()
    answers: frozenset[tuple[int, ...]] = frozenset()
    done: tuple[int, int] = (-1, -1)
    wait: int = 0
    constant: bool = False
    bent: bool = False
    number: float | None = None

    def __or__(self, other: "Flow") -> "Flow":
        held = dict(self.held)
        for name, some in other.held.items():
            held[name] = some if held.get(name, some) == some else None
        if self.held.get(FLAT) != other.held.get(FLAT):
            held.pop(FLAT, None)
        return Flow(
            self.reads | other.reads,
            held,
            self.crossed | other.crossed,
            self.answers | other.answers,
            _span(self.done, other.done),
            max(self.wait, other.wait),
            self.constant and other.constant,
            self.bent or other.bent,
            self.number if self.number == other.number else None,
        )

    @property
    def raw(self) -> frozenset[str]:
        """The weights of the network that it holds."""
        return frozenset(name for name in self.held if name.startswith("net."))

    @property
    def axes(self) -> tuple[str, ...] | None:
        """What each of its axes is to the weights that it holds, if it is one thing to all of
        them.
        """
        known = [self.held[name] for name in self.raw]
        first = known[0] if known else None
        if (
            first is None
            or any(one != first for one in known)
            or any(len(labels((a,))) > 1 for a in first)
        ):
            return None
        return tuple(a[0][1] if a else NEITHER for a in first)

    @property
    def backwards(self) -> frozenset[str]:
        """The weights that the signal met otherwise than forwards."""
        return self.raw if self.signalled else frozenset()

    @property
    def signalled(self) -> bool:
        """Whether it carries any part of the teaching signal."""
        return any(name.startswith("signal.") for name in self.reads)

    @property
    def taught(self) -> bool:
        """Whether it carries what the signal answered about an output, in this step."""
        return not self.reads.isdisjoint(ASKED.values())

    @property
    def active(self) -> bool:
        """Whether it was computed from data of this sample, or from what earlier ones left."""
        return not all(name.startswith(("net.", "gamma.")) for name in self.reads)

    @property
    def stored(self) -> bool:
        """Whether it is a pattern: a constant, or weights and parameters as such. What a network at
        rest does is activity.
        """
        pattern = not self.reads or any(
            name != FLAT and not name.startswith(RAN) for name in self.held
        )
        return pattern and not self.constant and not self.active


NOTHING = Flow()
CONSTANT = Flow(constant=True)


class Parts(NamedTuple):
    """An array in parts along an axis, each with a flow of its own, or in parts along another
    axis.
    """

    axis: int
    sizes: tuple[int, ...]
    flows: tuple[Any, ...]


Known = Flow | Parts


def weight(name: str, shape: Shape, axes: tuple[str, ...] | None = None) -> Flow:
    """The flow of a weight; by default the last of its axes is the postsynaptic one, and all others
    are presynaptic.
    """
    said = axes or (PRE,) * (len(shape) - 1) + (POST,)
    return Flow(
        frozenset({name}),
        {
            name: axes_of(
                shape, said if PRE in said else tuple(BOTH if one == POST else one for one in said)
            )
        },
    )


def parameter(name: str, shape: Shape) -> Flow:
    """The flow of a parameter of the rule, each of whose axes goes by its number."""
    own = tuple(str(k) for k in range(len(shape)))
    return Flow(frozenset({name}), {name: axes_of(shape, own)} if len(shape) > 1 else {})


def in_time(flow: Flow, at: int, steps: int) -> Parts:
    """The flow of an array with an axis of so many time steps."""
    return Parts(
        at, (1,) * steps, tuple(dataclasses.replace(flow, done=(t, t)) for t in range(steps))
    )


def union(flows: Iterable[Known]) -> Flow:
    """All that any of the flows hold."""
    each = [whole(flow) for flow in flows]
    return functools.reduce(Flow.__or__, each) if each else CONSTANT


def parts(at: int, sizes: Sequence[int], flows: Sequence[Known]) -> Known:
    """An array in parts; in one, where all are alike and hold nothing, or where there are too
    many.
    """
    if len(flows) == 1:
        return flows[0]
    made = Parts(at, tuple(sizes), tuple(flows))
    alike = all(
        isinstance(flow, Flow) and flow == flows[0] and set(flow.held) <= {FLAT} for flow in flows
    )
    first = flows[0]
    if alike and isinstance(first, Flow) and first.constant and first.number is not None:
        return first
    return whole(made) if alike or len(flows) > PARTS else made


def whole(known: Known) -> Flow:
    """What is known of an array in all its parts together."""
    if isinstance(known, Flow):
        return known
    at, total, found, seen = known.axis, sum(known.sizes), [], set()
    for flow in map(whole, known.flows):
        held = {
            name: _widened(some, at, total, name in seen)
            for name, some in flow.held.items()
            if name != FLAT
        }
        seen |= set(held)
        found.append(dataclasses.replace(flow, held=held, constant=False))
    return functools.reduce(Flow.__or__, found)


def _widened(some: Axes | None, at: int, size: int, again: bool) -> Axes | None:
    """Along an axis of parts; where several hold one weight, and nothing says of which units, they
    may stand in any order.
    """
    if some is None or not plain(some[at]) or (again and not labels(some) - {NEITHER}):
        return None
    return (*some[:at], axis(size), *some[at + 1 :])


def part(known: Known, at: int, start: int, size: int) -> Known:
    """A part of an array along an axis."""
    if isinstance(known, Flow):
        held = {name: _narrowed(name, some, at, size) for name, some in known.held.items()}
        return dataclasses.replace(known, held=held) if held else known
    if known.axis != at:
        return known._replace(flows=tuple(part(flow, at, start, size) for flow in known.flows))
    sizes, flows, begin = [], [], 0
    for flow, n in zip(known.flows, known.sizes, strict=True):
        low, high = max(start, begin), min(start + size, begin + n)
        if low < high:
            sizes.append(high - low)
            flows.append(part(flow, at, low - begin, high - low))
        begin += n
    return parts(at, sizes, flows)


def _narrowed(name: str, some: Axes | None, at: int, size: int) -> Axes | None:
    if name.startswith("net.") or some is None:
        return narrowed(some, at, size)
    return (
        *some[:at],
        axis(size, some[at][0][1]) if len(some[at]) == 1 else axis(size),
        *some[at + 1 :],
    )


def row(known: Known, t: int | None) -> Known:
    """One entry along the first axis: the one at t, or any."""
    one = whole(known) if t is None else part(known, 0, t, 1) if isinstance(known, Parts) else known
    if isinstance(one, Parts):
        return (
            Parts(one.axis - 1, one.sizes, tuple(row(flow, 0) for flow in one.flows))
            if one.axis
            else row(one, None)
        )
    held = {
        name: some[1:] if some and (plain(some[0]) or name == FLAT) else None
        for name, some in one.held.items()
    }
    return dataclasses.replace(one, held=held)


def with_axis(known: Known, at: int, size: int = 1) -> Known:
    """The same array with one more axis, all along which it is the same kind of thing."""
    if isinstance(known, Parts):
        return Parts(
            known.axis + (known.axis >= at),
            known.sizes,
            tuple(with_axis(flow, at, size) for flow in known.flows),
        )
    held = {
        name: None if some is None else (*some[:at], axis(size), *some[at:])
        for name, some in known.held.items()
    }
    if size > 1:  # numbers of a weight, one of each turn of a loop, may stand in any order
        held = {
            name: some if some and labels(some) - {NEITHER} else None
            for name, some in held.items()
            if name != FLAT
        }
    return dataclasses.replace(known, held=held)


def _span(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    if one[1] < 0 or other[1] < 0:
        return max(one, other)
    return min(one[0], other[0]), max(one[1], other[1])
