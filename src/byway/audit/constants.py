"""Arrays that are the same number everywhere, known before a program runs: a network at rest sends
such, and by any other array that is known a weight could be read out.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from byway.audit.axes import KEEPS
from byway.audit.flow import CONSTANT, NOTHING, Flow
from byway.audit.numbers import NUMPY
from byway.audit.ways import Site

# What makes the same number everywhere of operands that are.
UNIFORM = frozenset(KEEPS) - {"pad", "stack"} | {"dot_general", "reduce_sum"}
# What does so of operands that all are that number: what else it makes of constants is a pattern.
JOINS = frozenset({"pad", "stack", "concatenate"})
# What leaves a number what it is; what makes another of it, the same on every machine; and what
# leaves only zero what it is.
LEAVES = frozenset(
    {
        *("transpose", "broadcast_in_dim", "squeeze", "reshape", "rev", "slice", "row"),
        *("convert_element_type", *JOINS),
    }
)
EXACT = frozenset({"abs", "add", "add_any", "clamp", "max", "min", "mul", "neg", "sign", "sub"})
ODD = frozenset({"dot_general", "reduce_sum", "reduce_window_sum", "erf", "sin", "tanh"})
# Beyond it, whole numbers may be the same as floats and not be the same.
LARGEST = 2.0**24


def constant(value: Any) -> Flow:
    """The flow of a value that is known before the program runs."""
    known = getattr(value, "dtype", None)
    if known is None or known.kind not in "biuf":
        return CONSTANT if np.size(value) <= 1 else NOTHING
    entries = np.asarray(value).reshape(-1)
    if len(entries) > 1 and np.any(entries != entries[0]):
        return NOTHING
    number = float(entries[0]) if len(entries) and abs(float(entries[0])) <= LARGEST else None
    return dataclasses.replace(CONSTANT, number=number)


def made_of_constants(site: Site, flows: Sequence[Flow]) -> Flow | None:
    """The flow of what an equation makes of constants alone; None where that is none."""
    if not flows or not all(flow.constant for flow in flows) or site.name == "name":
        return None
    same = flows[0].number is not None and len({flow.number for flow in flows}) == 1
    if site.name not in UNIFORM and not (site.name in JOINS and same):
        return None
    return dataclasses.replace(CONSTANT, number=_number(site, flows))


def _number(site: Site, flows: Sequence[Flow]) -> float | None:
    """The number that an equation makes of constants; None where it was not worked out."""
    known = [flow.number for flow in flows]
    whole = site.name == "convert_element_type" and np.dtype(site.params["new_dtype"]).kind != "f"
    if site.name in LEAVES and not whole:
        return known[0]
    if site.name in ODD:
        return 0.0 if 0.0 in known else None
    if site.name not in EXACT or None in known:
        return None
    kinds = [np.dtype(site.program.dtypes[slot]) for slot in site.ins]
    if any(kind.kind != "f" for kind in kinds):
        return None
    operands = (kind.type(number) for kind, number in zip(kinds, known, strict=True))
    with np.errstate(over="ignore", invalid="ignore"):
        made = NUMPY[site.name](site.params, *operands)
    return float(made) if np.isfinite(made) else None
