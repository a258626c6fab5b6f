"""What one equation does to what its operands hold: how it uses weights, on which axes they are
left, when its result is known.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

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
    fed,
    labels,
    plain,
)
from byway.audit.flow import FLAT, RAN, Flow
from byway.audit.ways import Site

# How an operation uses a weight: sums it, against activity, over its presynaptic axes alone; sums
# it otherwise; or not at all.
FORWARDS, OTHERWISE, KEPT = "forwards", "otherwise", "kept"
# Adding lets each part of a sum be complete at a time of its own; all else needs its operands
# together.
ADDS = frozenset({"add", "add_any", "sub", "neg", "concatenate", "stack", "row"})
# Operations that multiply entries, or let one say what becomes of another.
PRODUCTS = frozenset({"mul", "div", "select_n", "dot_general"})
# What leaves numbers in proportion to what they were.
STRAIGHT = (
    frozenset(KEEPS)
    - ELEMENTWISE
    - {f"reduce_{name}" for name in ("max", "min", "prod", "and", "or")}
    - {"argmax", "argmin"}
) | {
    *(
        "add",
        "add_any",
        "sub",
        "neg",
        "convert_element_type",
        "copy",
        "reduce_precision",
        "name",
        "stop_gradient",
    ),
    *("reduce_sum", "cumsum", "concatenate", "gather", "scatter-add"),
}


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


def used(site: Site, i: int, some: Axes | None, flows: list[Flow], others: Flow) -> Use:
    """How an equation uses what operand i holds on these axes."""
    use = _use(site, i, some, flows) if some is not None else Use(KEPT, None, set())
    if use.left is None:
        return use._replace(left=None if site.after else ())  # one number has no direction
    if site.name not in PRODUCTS:
        return use
    if BOTH in labels(use.left) and others.active:
        # One weight a unit is the same both ways, and knows the way by what it meets.
        use = Use(OTHERWISE, None, use.over) if others.taught else use._replace(use=FORWARDS)
    if use.left is None or others.stored or others.constant:
        return use
    return use._replace(left=fed(use.left, _varies(site, flows, i)))


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
        if (
            not flows[0].reads
            and not flows[1].active
            and (laid_out := _laid_out(site, some)) is not None
        ):
            return Use(KEPT, laid_out, set())
        # Through a wiring table: what each synapse carries, summed where it ends.
        return _summed(labels(some) - {POST}, None, {FED})
    return Use(
        KEPT,
        KEEPS[site.name](site.params, some, site.before[i], site.after)
        if site.name in KEEPS
        else None,
        set(),
    )


def _summed(over: set[str], left: Axes | None, wanted: set[str]) -> Use:
    """What a sum over axes of these labels is, if it is forwards where they are all that is
    presynaptic, and are as wanted.
    """
    over = over - {NEITHER, SAME}
    if over & {POST, BOTH}:
        return Use(OTHERWISE, None, over)
    forwards = bool(over) and over <= wanted and (left is None or not {PRE, FED} & labels(left))
    return Use(FORWARDS if forwards else KEPT, left, over)


def _dot(site: Site, i: int, some: Axes) -> Use:
    summed, batch = site.params["dimension_numbers"]
    over = labels(tuple(some[k] for k in summed[i]))
    mine = tuple(one for k, one in enumerate(some) if k not in summed[i] and k not in batch[i])
    # The other operand's axes take the place of those that were summed over: C W is a weight from
    # other units.
    place = PRE if {PRE, FED} & over else NEITHER
    theirs = tuple(
        axis(n, place)
        for k, n in enumerate(site.before[1 - i])
        if k not in summed[1 - i] and k not in batch[1 - i]
    )
    shared = tuple(some[k] for k in batch[i])
    use, _, over = _summed(over, shared + mine, {PRE, FED})
    return Use(
        use,
        None if use == OTHERWISE else shared + (mine + theirs if i == 0 else theirs + mine),
        over,
    )


def _convolution(site: Site, i: int, some: Axes) -> Use:
    """A kernel runs forwards where its channels do; its places are at both ends of it, and say
    nothing.
    """
    numbers, after = site.params["dimension_numbers"], site.after
    out, into, *places = numbers.rhs_spec
    over = labels(tuple(some[k] for k in (into, *places))) - {NEITHER, SAME}
    if (
        i == 0
        or labels((some[out],)) != {POST}
        or BOTH in over
        or not over & {PRE, FED}
        or POST in labels((some[into],))
    ):
        return Use(OTHERWISE, None, over if i else labels(some) - {NEITHER, SAME})
    place = {
        numbers.out_spec[0]: axis(after[numbers.out_spec[0]], PRE),
        numbers.out_spec[1]: some[out],
    }
    return Use(FORWARDS, tuple(place.get(k, axis(n)) for k, n in enumerate(after)), over - {POST})


def products(site: Site, i: int) -> int:
    """How many products an equation takes, or adds up, of the entries of operand i."""
    if site.name == "dot_general":
        summed, _ = site.params["dimension_numbers"]
        return math.prod((*site.after, *(site.before[i][k] for k in summed[i])))
    if site.name == "conv_general_dilated":
        _, *field = site.params["dimension_numbers"].rhs_spec
        return math.prod((*site.after, *(site.before[1][k] for k in field)))
    return math.prod(site.after if site.name in ELEMENTWISE else site.before[i])


def _laid_out(site: Site, some: Axes) -> Axes | None:
    """The axes of a matrix into which weights are written entry by entry; None where it cannot be
    told.

    Each of its axes is one along which the places count up with an axis of the weights, or the one
    for which a wiring table has them.
    """
    numbers, table = site.params["dimension_numbers"], site.program.maker(site.ins[1])
    if (
        numbers.update_window_dims
        or numbers.operand_batching_dims
        or table is None
        or table.name != "concatenate"
    ):
        return None
    places = [site.program.constants.get(slot) for slot in table.ins]
    along = [None if place is None else _counting(place[..., 0]) for place in places]
    others = [k for k in range(len(some)) if k not in along]
    unknown = [k for k, found in enumerate(along) if found is None]
    if (
        any(places[k] is not None for k in unknown)
        or len(unknown) != len(others)
        or len(others) > 1
        or len(along) != len(site.after)
    ):
        return None
    found = {
        target: some[others[0] if k is None else k]
        for target, k in zip(numbers.scatter_dims_to_operand_dims, along, strict=True)
    }
    return tuple(
        one if plain(one) else axis(site.after[k], one[0][1]) for k, one in sorted(found.items())
    )


def _counting(place: np.ndarray) -> int | None:
    """The axis along which entries count up from zero while they are the same along all others."""
    for k, n in enumerate(place.shape):
        if np.array_equal(
            place,
            np.broadcast_to(
                np.arange(n).reshape([-1 if j == k else 1 for j in range(place.ndim)]), place.shape
            ),
        ):
            return k
    return None


def current(left: Axes, shape: Shape) -> Axes:
    """The axes of the current that a weight with these axes caused, in a result of this shape:
    those of the units that got it.
    """
    return tuple(
        one if {POST, BOTH} & labels((one,)) else axis(n)
        for one, n in zip(left, shape, strict=True)
    )


def bends(site: Site, flows: list[Flow]) -> bool:
    """Whether a result is out of proportion to the answers of the signal that it was computed
    from.
    """
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


def scales(site: Site, name: str, left: Axes, flow: Flow, j: int) -> bool:
    """Whether operand j is the current that a weight caused, and what is left of the weight is a
    number a unit of that: its norm.
    """
    current = flow.held.get(RAN + name)
    if current is None or site.name not in ELEMENTWISE or {PRE, FED} & labels(left):
        return False
    moved = KEEPS[site.name](site.params, current, site.before[j], site.after)
    return (
        POST in labels(left)
        and moved is not None
        and [plain(one) for one in left] == [plain(one) for one in moved]
    )


def flat_along(site: Site, flows: list[Flow]) -> Axes | None:
    """The axes along which a result is the same everywhere; None where there are none, or where
    nobody knows.
    """
    after = site.after
    if site.name == "broadcast_in_dim":
        place = {int(k): n for n, k in enumerate(site.params["broadcast_dimensions"])}
        found = spread_along(
            flows[0], site.before[0], after, [place.get(k) for k in range(len(after))]
        )
    elif site.name in ELEMENTWISE:
        uneven = [
            (flow, shape)
            for flow, shape in zip(flows, site.before, strict=True)
            if shape and not flow.constant
        ]
        if not uneven or any(shape == after and FLAT not in flow.held for flow, shape in uneven):
            return None
        each = [spread_along(flow, shape, after, range(len(shape))) for flow, shape in uneven]
        found = tuple(
            axis(n, SAME if n > 1 and all(labels((one[k],)) == {SAME} for one in each) else NEITHER)
            for k, n in enumerate(after)
        )
    elif site.name in KEEPS and (old := flows[0].held.get(FLAT)) is not None:
        found = KEEPS[site.name](site.params, old, site.before[0], after) or ()
    else:
        return None
    return found if SAME in labels(found) else None


def spread_along(flow: Flow, before: Shape, after: Shape, place: Sequence[int | None]) -> Axes:
    """The axes along which an operand is the same everywhere once it has the shape of the
    result.
    """
    old = flow.held.get(FLAT) or tuple(axis(n) for n in before)
    where = place if before else [None] * len(after)
    return tuple(
        () if n == 1 else axis(n, SAME) if at is None or before[at] != n else old[at]
        for n, at in zip(after, where, strict=True)
    )


def _varies(site: Site, flows: list[Flow], i: int) -> set[int]:
    """The axes of a product, entry by entry, along which the other factors are not known to be the
    same everywhere.
    """
    after = site.after
    if site.name == "dot_general":
        return set(range(len(site.params["dimension_numbers"][1][0])))
    others = [
        spread_along(flow, shape, after, range(len(after)))
        for j, (flow, shape) in enumerate(zip(flows, site.before, strict=True))
        if j != i and shape and not flow.constant and not flow.stored
    ]
    return {k for k in range(len(after)) if any(labels((one[k],)) != {SAME} for one in others)}


def when(name: str, flows: list[Flow]) -> tuple[tuple[int, int], int]:
    """When a result can be known, and how long something had to be kept for it."""
    timed = [flow.done for flow in flows if flow.done[1] >= 0]
    wait = max((flow.wait for flow in flows), default=0)
    if not timed:
        return (-1, -1), wait
    last = max(high for _, high in timed)
    first = (
        last if name.startswith(("reduce_", "dot_general", "arg")) else max(low for low, _ in timed)
    )
    if name not in ADDS and len(timed) > 1:
        wait = max(
            wait,
            *(
                high - low
                for j, (_, high) in enumerate(timed)
                for k, (low, _) in enumerate(timed)
                if j != k
            ),
        )
    return (first, last), wait
