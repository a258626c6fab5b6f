"""What each axis of an array is to the weights that it holds, and where an operation takes it.

An axis is written as its factors, the longest run outside: a weight "pre post" that was flattened
has one axis of two factors, so a reshape only draws the lines between axes anew, and undoes itself.
"""

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

# What a factor of an axis is: presynaptic; that, and multiplied by what arrives there;
# postsynaptic; both, where each unit has one weight of its own; neither; or one along which an
# array is known to be the same everywhere.
PRE, FED, POST, BOTH, NEITHER, SAME = "pre", "fed", "post", "both", "", "same"
Shape = tuple[int, ...]
Axis = tuple[tuple[int, str], ...]
Axes = tuple[Axis, ...]


def axis(size: int, label: str = NEITHER) -> Axis:
    """An axis of one factor; of none where there is nothing to say of it."""
    return ((size, label),) if size != 1 or label else ()


def axes(shape: Shape, labels: tuple[str, ...]) -> Axes:
    """The axes of an array of this shape, each with a label."""
    return tuple(axis(n, label) for n, label in zip(shape, labels, strict=True))


def labels(some: Axes) -> set[str]:
    """What the factors of these axes are."""
    return {label for one in some for _, label in one}


def fed(some: Axes, where: Collection[int]) -> Axes:
    """The same axes once the weights were multiplied, along some of them, by what is not the same
    for all presynaptic units.
    """
    return tuple(
        tuple((n, FED if k in where and label == PRE else label) for n, label in one)
        for k, one in enumerate(some)
    )


def plain(one: Axis) -> bool:
    """Whether an axis stands for no units of a weight."""
    return all(label == NEITHER for _, label in one)


def joined(one: Axes | None, other: Axes | None) -> Axes | None:
    """The axes of an array made of two, entry by entry: where one of the two is the same all along
    an axis, what the other is there.
    """
    if one is None or other is None or len(one) != len(other):
        return None
    found = []
    for a, b in zip(one, other, strict=True):
        if a != b and not (_even(a) or _even(b)):
            return None
        found.append(b if _even(a) else a)
    return tuple(found)


def _even(one: Axis) -> bool:
    return all(label == SAME for _, label in one)


def evened(some: Axes, where: Axes) -> Axes:
    """The same axes, marked where the array stands for no units and is the same all along."""
    return tuple(b if plain(a) and _even(b) else a for a, b in zip(some, where, strict=True))


def settled(some: Axes | None) -> Axes | None:
    """The same axes without such marks."""
    return some and tuple(
        tuple((n, NEITHER if label == SAME else label) for n, label in one) for one in some
    )


def narrowed(some: Axes | None, at: int, size: int) -> Axes | None:
    """After a part of an axis was taken. A part of the postsynaptic units could be put elsewhere,
    index by index: that transposes.
    """
    if some is None or math.prod(n for n, _ in some[at]) == size:
        return some
    if {POST, BOTH} & labels((some[at],)) or len(some[at]) > 1:
        return None
    return (*some[:at], axis(size, some[at][0][1] if some[at] else NEITHER), *some[at + 1 :])


def _elementwise(params, some: Axes, before: Shape, after: Shape) -> Axes:
    """An operand may be a scalar, or have axes of one where the others have more."""
    if not before:
        return tuple(axis(n) for n in after)
    return tuple(one if n == m else axis(m) for one, n, m in zip(some, before, after, strict=True))


def _transposed(params, some, before, after):
    return tuple(some[k] for k in params["permutation"])


def _broadcast(params, some, before, after):
    place = {
        k: one
        for k, one, n in zip(params["broadcast_dimensions"], some, before, strict=True)
        if n == after[k]
    }
    return tuple(place.get(k, axis(n)) for k, n in enumerate(after))


def _squeezed(params, some, before, after):
    return tuple(one for k, one in enumerate(some) if k not in params["dimensions"])


def _reversed(params, some, before, after):
    return None if {POST, BOTH} & labels(tuple(some[k] for k in params["dimensions"])) else some


def _sliced(params, some, before, after):
    for k, size in enumerate(after):
        some = narrowed(some, k, size)
    return some


def _padded(params, some, before, after):
    if any(n != m and not plain(one) for n, m, one in zip(before, after, some, strict=True)):
        return None
    return tuple(one if n == m else axis(m) for n, m, one in zip(before, after, some, strict=True))


def _windows(params, some, before, after):
    if any(
        n != m and POST in labels((one,)) for n, m, one in zip(before, after, some, strict=True)
    ):
        return None
    return tuple(one if n == m else axis(m) for n, m, one in zip(before, after, some, strict=True))


def _reshaped(params, some, before, after):
    """The same factors, in the same order, shared out among other axes; one that is too long for
    its axis is cut in two.
    """
    if params["dimensions"] is not None or 0 in before:
        return None
    factors = [factor for one in some for factor in one]
    found: list[list[tuple[int, str]]] = []
    for left in after:
        made: list[tuple[int, str]] = []
        size = left
        while factors and (factors[0][0] == 1 or size > 1):
            n, label = factors[0]
            if n == 1 and size == 1 and made:
                break
            if size % n and n % size:
                return None
            taken = min(n, size)
            made.append((taken, label))
            size //= taken
            factors[:1] = [(n // taken, label)] if taken < n else []
        found.append(made)
    if factors:
        found[-1] += factors
    return tuple(_merged(one) for one in found)


def _merged(one: list[tuple[int, str]]) -> Axis:
    """Neighbouring factors of one label are one factor."""
    found: list[tuple[int, str]] = []
    for n, label in one:
        if found and found[-1][1] == label:
            found[-1] = (found[-1][0] * n, label)
        else:
            found.append((n, label))
    return tuple(found)


def _indexed(params, some, before, after):
    return tuple(some[1:]) if plain(some[0]) else None


def _stacked(params, some, before, after):
    at = params["axis"]
    return (*some[:at], axis(after[at]), *some[at:])


def _reduced(params, some, before, after):
    gone = tuple(int(k) for k in params["axes"])
    return (
        None
        if {POST, BOTH} & labels(tuple(some[k] for k in gone))
        else tuple(one for k, one in enumerate(some) if k not in gone)
    )


ELEMENTWISE = frozenset(
    (
        *(
            "abs",
            "acos",
            "acosh",
            "add",
            "add_any",
            "and",
            "asin",
            "asinh",
            "atan",
            "atan2",
            "atanh",
            "cbrt",
            "ceil",
            "clamp",
            "complex",
        ),
        *(
            "conj",
            "convert_element_type",
            "copy",
            "copy_p",
            "cos",
            "cosh",
            "digamma",
            "div",
            "eq",
            "erf",
            "erf_inv",
            "erfc",
            "exp",
            "exp2",
        ),
        *(
            "expm1",
            "floor",
            "ge",
            "gt",
            "imag",
            "integer_pow",
            "is_finite",
            "le",
            "lgamma",
            "log",
            "log1p",
            "logistic",
            "lt",
            "max",
            "min",
        ),
        *(
            "mul",
            "name",
            "ne",
            "neg",
            "nextafter",
            "not",
            "or",
            "population_count",
            "pow",
            "real",
        ),
        *(
            "reduce_precision",
            "rem",
            "round",
            "rsqrt",
            "select_n",
            "shift_left",
            "shift_right_arithmetic",
            "shift_right_logical",
            "sign",
        ),
        *("sin", "sinh", "sqrt", "square", "stop_gradient", "sub", "tan", "tanh", "xor"),
    )
)
# Operations known to keep track of axes: from their parameters, the axes of an operand, its shape
# and that of the result.
KEEPS: Mapping[str, Callable[[Mapping[str, Any], Axes, Shape, Shape], Axes | None]] = {
    "transpose": _transposed,
    "broadcast_in_dim": _broadcast,
    "squeeze": _squeezed,
    "reshape": _reshaped,
    "rev": _reversed,
    "slice": _sliced,
    "dynamic_slice": _sliced,
    "pad": _padded,
    "reduce_window_sum": _windows,
    "row": _indexed,
    "stack": _stacked,
    **dict.fromkeys(
        ("reduce_max", "reduce_min", "reduce_prod", "reduce_and", "reduce_or", "argmax", "argmin"),
        _reduced,
    ),
    **dict.fromkeys(ELEMENTWISE, _elementwise),
}
