"""Where the parts of an array go: which axis of a result an axis of an operand becomes, and what
lays parts out anew.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from byway.audit.axes import ELEMENTWISE, Shape
from byway.audit.flow import Known, Parts, part, parts, row, union, with_axis
from byway.audit.program import ASKS, Program


class Site(NamedTuple):
    """An equation where it stands.

    Attributes:
        name: of its primitive.
        params: of its primitive.
        ins: the slots of its operands.
        program: the program around it.
        origins: of each operand, what stands for that very array, and how often loops make it anew.
        times: how often loops run it on something new.
        before: the shapes of the operands, or of the parts of them that are looked at.
        after: the shape of the result, or of that part of it.
    """

    name: str
    params: Mapping[str, Any]
    ins: tuple[int, ...]
    program: Program
    origins: tuple[tuple[tuple[int, ...], int], ...]
    times: int
    before: tuple[Shape, ...]
    after: Shape


@dataclasses.dataclass(frozen=True, slots=True)
class Way:
    """Where an axis along which an operand is cut comes out.

    Attributes:
        out: which axis of the result it is; None where it is summed over.
        cut: which axis of each operand is cut with it.
        scale: how many times longer the axis of the result is.
        start: where a part of the axis begins that is all that is taken.
        turned: whether the parts come out in reverse.
    """

    out: int | None
    cut: dict[int, int]
    scale: float = 1
    start: int | None = None
    turned: bool = False


def way(site: Site, i: int, at: int) -> Way | None:
    """The way of axis `at` of operand i; None where it cannot be followed."""
    if site.name in ELEMENTWISE:
        cut = {
            j: at for j, shape in enumerate(site.before) if shape and shape[at] == site.after[at]
        }
        return Way(at, cut) if i in cut else None
    return FOLLOWS[site.name](site, i, at) if site.name in FOLLOWS else None


def resized(shape: Shape, at: int, size: float) -> Shape:
    """A shape with another size on one axis."""
    return (*shape[:at], int(size), *shape[at + 1 :])


def _dot(site: Site, i: int, at: int) -> Way:
    summed, batch = site.params["dimension_numbers"]
    if at in batch[i]:
        k = list(batch[i]).index(at)
        return Way(k, {0: batch[0][k], 1: batch[1][k]})
    if at in summed[i]:
        k = list(summed[i]).index(at)
        return Way(None, {0: summed[0][k], 1: summed[1][k]})
    free = [k for k in range(len(site.before[i])) if k not in summed[i] and k not in batch[i]]
    ahead = len(batch[0]) + (0 if i == 0 else len(site.before[0]) - len(summed[0]) - len(batch[0]))
    return Way(ahead + free.index(at), {i: at})


def _convolution(site: Site, i: int, at: int) -> Way | None:
    numbers = site.params["dimension_numbers"]
    if (site.params["feature_group_count"], site.params["batch_group_count"]) != (1, 1):
        return None
    batch, pre = numbers.lhs_spec[:2]
    post, into = numbers.rhs_spec[:2]
    if (i, at) in ((0, pre), (1, into)):
        return Way(None, {0: pre, 1: into})
    ways = {
        (0, batch): Way(numbers.out_spec[0], {0: batch}),
        (1, post): Way(numbers.out_spec[1], {1: post}),
    }
    return ways.get((i, at))


def _reshape(site: Site, i: int, at: int) -> Way | None:
    before, after = site.before[0], site.after
    ahead, behind = math.prod(before[:at]), math.prod(before[at + 1 :])
    for k in range(len(after)):
        if site.params["dimensions"] is None and math.prod(after[:k]) == ahead and after[k] > 1:
            return Way(k, {0: at}, behind / math.prod(after[k + 1 :]))
    return None


def _slice(site: Site, i: int, at: int) -> Way | None:
    if i > 0:
        return None
    whole, size = site.before[0][at], site.after[at]
    if whole == size:
        return Way(at, {0: at})
    if site.name == "dynamic_slice":
        known = site.program.constants.get(site.ins[1 + at])
        start = None if known is None else min(max(int(known), 0), whole - size)
    else:
        strides = site.params["strides"]
        start = site.params["start_indices"][at] if strides is None or strides[at] == 1 else None
    return None if start is None else Way(at, {0: at}, start=start)


def _broadcast(site: Site, i: int, at: int) -> Way:
    return Way(int(site.params["broadcast_dimensions"][at]), {0: at})


def _transpose(site: Site, i: int, at: int) -> Way:
    return Way(list(site.params["permutation"]).index(at), {0: at})


def _squeeze(site: Site, i: int, at: int) -> Way | None:
    gone = site.params["dimensions"]
    return None if at in gone else Way(at - sum(k < at for k in gone), {0: at})


def _reduction(site: Site, i: int, at: int) -> Way:
    gone = [int(k) for k in site.params["axes"]]
    return Way(None, {0: at}) if at in gone else Way(at - sum(k < at for k in gone), {0: at})


def _rev(site: Site, i: int, at: int) -> Way:
    return Way(at, {0: at}, turned=at in site.params["dimensions"])


def _ask(site: Site, i: int, at: int) -> Way | None:
    first = site.before[0]
    if at == len(first) - 1:
        return None
    return Way(
        at,
        {
            j: at
            for j, shape in enumerate(site.before)
            if at < len(shape) and shape[at] == first[at]
        },
    )


def _pad(site: Site, i: int, at: int) -> Way | None:
    return (
        Way(at, {0: at})
        if i == 0 and tuple(site.params["padding_config"][at]) == (0, 0, 0)
        else None
    )


def _windows(site: Site, i: int, at: int) -> Way | None:
    return (
        Way(at, {0: at})
        if site.params["window_dimensions"][at] == 1 and site.before[0][at] == site.after[at]
        else None
    )


def _beside(site: Site, i: int, at: int) -> Way | None:
    own = site.params.get("axis", site.params.get("dimension"))
    return None if at == own else Way(at, dict.fromkeys(range(len(site.before)), at))


FOLLOWS: dict[str, Callable[[Site, int, int], Way | None]] = {
    "dot_general": _dot,
    "conv_general_dilated": _convolution,
    "reshape": _reshape,
    "slice": _slice,
    "dynamic_slice": _slice,
    "broadcast_in_dim": _broadcast,
    "transpose": _transpose,
    "squeeze": _squeeze,
    "rev": _rev,
    "pad": _pad,
    **dict.fromkeys(
        ("reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "reduce_and", "reduce_or"),
        _reduction,
    ),
    **dict.fromkeys(("reduce_window_sum", "reduce_window_max", "reduce_window_min"), _windows),
    **dict.fromkeys(("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp", "sort"), _beside),
    **dict.fromkeys(ASKS, _ask),
}


def arranged(site: Site, flows: list[Known]) -> Known | None:
    """The result of an operation that lays out parts anew; None where it is none, or cannot be
    told.
    """
    return ARRANGES[site.name](site, flows) if site.name in ARRANGES else None


def _one_after_another(at: int, pieces: list[tuple[int, Known]]) -> Known:
    sizes, found = [], []
    for size, flow in pieces:
        inside = (
            flow if isinstance(flow, Parts) and flow.axis == at else Parts(at, (size,), (flow,))
        )
        sizes += inside.sizes
        found += inside.flows
    return parts(at, sizes, found)


def _concatenated(site: Site, flows: list[Known]) -> Known:
    at = site.params["dimension"]
    return _one_after_another(
        at, [(shape[at], flow) for shape, flow in zip(site.before, flows, strict=True)]
    )


def _piled(site: Site, flows: list[Known]) -> Known:
    at = site.params["axis"]
    return parts(at, [1] * len(flows), [with_axis(flow, at) for flow in flows])


def _picked(site: Site, flows: list[Known]) -> Known:
    return row(flows[0], site.params["at"])


def _strided(site: Site, flows: list[Known]) -> Known | None:
    (known,), strides = flows, site.params["strides"]
    if (
        not isinstance(known, Parts)
        or strides is None
        or strides[known.axis] == 1
        or set(known.sizes) != {1}
    ):
        return None
    at = known.axis
    if resized(site.before[0], at, 0) != resized(site.after, at, 0):
        return None
    chosen = range(site.params["start_indices"][at], site.params["limit_indices"][at], strides[at])
    return parts(at, [1] * len(chosen), [known.flows[k] for k in chosen])


def _spaced(site: Site, flows: list[Known]) -> Known | None:
    """Parts with constants before, between and after them."""
    known, filling = flows[0], union(flows[1:])
    if not isinstance(known, Parts):
        return None
    low, high, between = site.params["padding_config"][known.axis]
    others = [tuple(one) for k, one in enumerate(site.params["padding_config"]) if k != known.axis]
    if min(low, high) < 0 or set(others) - {(0, 0, 0)} or (between and set(known.sizes) != {1}):
        return None
    pieces: list[tuple[int, Known]] = [(low, filling)] if low else []
    for k, (n, flow) in enumerate(zip(known.sizes, known.flows, strict=True)):
        pieces += [(between, filling)] if between and k else []
        pieces.append((n, flow))
    return _one_after_another(known.axis, [*pieces, *([(high, filling)] if high else [])])


def _accumulated(site: Site, flows: list[Known]) -> Known | None:
    """Running sums: each part has taken up all before it, and is done when the last of them is."""
    (known,), back = flows, site.params["reverse"]
    if not isinstance(known, Parts) or known.axis != site.params["axis"]:
        return None
    each = known.flows[::-1] if back else known.flows
    made = [union(each[: k + 1]) for k in range(len(each))]
    made = [dataclasses.replace(flow, done=(flow.done[1], flow.done[1])) for flow in made]
    return parts(known.axis, known.sizes, made[::-1] if back else made)


def _overwritten(site: Site, flows: list[Known]) -> Known | None:
    """An array with a block along one axis replaced, at a place that is known beforehand."""
    place = _block(site)
    if place is None:
        return None
    at, start, size, new = place
    old, update = flows[0], flows[1 if site.name == "dynamic_update_slice" else 2]
    end = site.after[at] - start - size
    pieces = [(start, 0), (size, None), (end, start + size)]
    block = with_axis(update, at) if new else update
    return _one_after_another(
        at, [(n, block if begin is None else part(old, at, begin, n)) for n, begin in pieces if n]
    )


def _block(site: Site) -> tuple[int, int, int, bool] | None:
    """Where a block is written: on which axis, from where, how long, and whether it lacks that axis
    itself.
    """
    constants, ins, all_of_it = site.program.constants, site.ins, site.before[0]
    if site.name == "dynamic_update_slice":
        starts, sizes, new = [constants.get(s) for s in ins[2:]], site.before[1], ()
    else:
        numbers, index = site.params["dimension_numbers"], constants.get(ins[1])
        new = tuple(numbers.inserted_window_dims)
        if (
            index is None
            or index.ndim != 1
            or numbers.operand_batching_dims
            or len(site.before[2]) + len(new) != len(all_of_it)
        ):
            return None
        window = iter(site.before[2])
        sizes = [1 if k in new else next(window) for k in range(len(all_of_it))]
        known = dict(zip(numbers.scatter_dims_to_operand_dims, index.tolist(), strict=True))
        starts = [known.get(k, 0) for k in range(len(all_of_it))]
    cut = [k for k, (n, m) in enumerate(zip(all_of_it, sizes, strict=True)) if n != m]
    if len(cut) != 1 or (new and new != (cut[0],)) or (at := starts[cut[0]]) is None:
        return None
    return cut[0], min(max(int(at), 0), all_of_it[cut[0]] - sizes[cut[0]]), sizes[cut[0]], bool(new)


ARRANGES: dict[str, Callable[[Site, list[Known]], Known | None]] = {
    "concatenate": _concatenated,
    "stack": _piled,
    "row": _picked,
    "slice": _strided,
    "pad": _spaced,
    "cumsum": _accumulated,
    "dynamic_update_slice": _overwritten,
    "scatter": _overwritten,
}
