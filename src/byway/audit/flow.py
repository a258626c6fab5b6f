"""Label sets carried through a jaxpr. All of Byway's contact with JAX's program representation is in this file.

Every array of a traced program gets a `Flow`: which sources it was computed from, which weights it still holds as such,
and which weights it met after it already carried the teaching signal. The analysis is per array and errs on the side
of too much: control flow joins its branches, loops run to a fixed point, and a primitive that holds a program we do not
know how to enter is taken to read everything.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
from jax.extend import core

from byway.core.tag import ERROR, LOSS, SLOPE

# Primitives that sum products: an operand's entries are no longer there to be read afterwards.
CONTRACTIONS = {"dot_general", "conv_general_dilated", "ragged_dot_general"}
# Primitives that run one program on their operands, and the parameter that holds it.
CALLS = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "checkpoint": "jaxpr",
    "remat2": "jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr",
    "shard_map": "jaxpr",
}


@dataclasses.dataclass(frozen=True)
class Flow:
    """What the audit knows of one array.

    Attributes:
        reads: names of the sources it was computed from.
        raw: weights that it still holds as weights: copied, scaled, added to, but not yet summed against data.
        met: weights that its value met after it carried the signal.
    """

    reads: frozenset[str] = frozenset()
    raw: frozenset[str] = frozenset()
    met: frozenset[str] = frozenset()

    def __or__(self, other: "Flow") -> "Flow":
        return Flow(self.reads | other.reads, self.raw | other.raw, self.met | other.met)

    @property
    def signalled(self) -> bool:
        """Whether it carries any part of the teaching signal."""
        return any(name.startswith("signal.") for name in self.reads)

    @property
    def stored(self) -> bool:
        """Whether it was computed from what the learner stores, and from no data of this sample."""
        return all(name.startswith(("net.", "gamma.")) for name in self.reads)


NOTHING = Flow()


def trace(function: Callable, sources: Sequence[tuple[Any, Flow]]) -> tuple[list[Flow], list[Any]]:
    """Trace `function` and carry the flows of its arguments to its results.

    Args:
        function: takes as many arrays as there are sources and returns a flat list of arrays.
        sources: the arrays (or their shapes), each with the flow it starts with.

    Returns:
        The flow of each result, and the constants that the program closes over.
    """
    closed = jax.make_jaxpr(function)(*(array for array, _ in sources))
    everything = union(flow for _, flow in sources)
    return _run(closed.jaxpr, [flow for _, flow in sources], everything), list(closed.consts)


def union(flows: Iterable[Flow]) -> Flow:
    """All that any of the flows hold."""
    return functools.reduce(Flow.__or__, flows, NOTHING)


def _run(jaxpr: core.Jaxpr, inputs: Sequence[Flow], everything: Flow) -> list[Flow]:
    known: dict[Any, Flow] = dict(zip(jaxpr.invars, inputs, strict=True))

    def look(atom) -> Flow:
        return NOTHING if isinstance(atom, core.Literal) else known.get(atom, NOTHING)

    for equation in jaxpr.eqns:
        outputs = _equation(equation, [look(a) for a in equation.invars], everything)
        known.update(zip(equation.outvars, outputs, strict=True))
    return [look(a) for a in jaxpr.outvars]


def _equation(equation, inputs: list[Flow], everything: Flow) -> list[Flow]:
    name, params = equation.primitive.name, equation.params
    if name in CONTROL:
        return CONTROL[name](params, inputs, everything)
    if name in CALLS and (inner := params.get(CALLS[name])) is not None:
        return _run(getattr(inner, "jaxpr", inner), inputs, everything)
    if any(_holds_program(p) for p in params.values()):
        out = _unknown(everything)
    elif name == "name":
        out = _tagged(params["name"], inputs[0])
    else:
        out = _combine(inputs, name in CONTRACTIONS)
    return [out] * len(equation.outvars)


def _combine(inputs: list[Flow], contraction: bool) -> Flow:
    out = union(inputs)
    for i, one in enumerate(inputs):
        others = union(inputs[:i] + inputs[i + 1 :])
        if others.signalled:
            out |= Flow(met=one.raw)
    if contraction:
        kept = [one.raw for i, one in enumerate(inputs) if union(inputs[:i] + inputs[i + 1 :]).stored]
        out = dataclasses.replace(out, raw=frozenset().union(*kept))
    return out


def _tagged(tag: str, flow: Flow) -> Flow:
    """A tag stands for what it names, but hides nothing else: weights under it stay visible."""
    if tag == SLOPE:
        return flow | Flow(reads=frozenset({"slope"}))
    part = {ERROR: "signal.error", LOSS: "signal.loss"}.get(tag)
    if part is None:
        return flow
    return dataclasses.replace(flow, reads=flow.reads - {"signal.target", "record.output"} | {part})


def _cond(params, inputs: list[Flow], everything: Flow) -> list[Flow]:
    choice, operands = inputs[0], inputs[1:]
    branches = [_run(b.jaxpr, operands, everything) for b in params["branches"]]
    return [union([choice, *outs]) for outs in zip(*branches, strict=True)]


def _scan(params, inputs: list[Flow], everything: Flow) -> list[Flow]:
    consts, carries = params["num_consts"], params["num_carry"]
    fixed, carry, xs = inputs[:consts], inputs[consts : consts + carries], inputs[consts + carries :]
    while True:
        outs = _run(params["jaxpr"].jaxpr, [*fixed, *carry, *xs], everything)
        grown = [a | b for a, b in zip(carry, outs[:carries], strict=True)]
        if grown == carry:
            return [*grown, *outs[carries:]]
        carry = grown


def _while(params, inputs: list[Flow], everything: Flow) -> list[Flow]:
    n_cond, n_body = params["cond_nconsts"], params["body_nconsts"]
    cond_fixed, body_fixed, carry = inputs[:n_cond], inputs[n_cond : n_cond + n_body], inputs[n_cond + n_body :]
    while True:
        (go_on,) = _run(params["cond_jaxpr"].jaxpr, [*cond_fixed, *carry], everything)
        outs = _run(params["body_jaxpr"].jaxpr, [*body_fixed, *carry], everything)
        grown = [union([a, b, go_on]) for a, b in zip(carry, outs, strict=True)]
        if grown == carry:
            return grown
        carry = grown


CONTROL = {"scan": _scan, "while": _while, "cond": _cond}


def _holds_program(param: Any) -> bool:
    if isinstance(param, tuple | list):
        return any(_holds_program(p) for p in param)
    return isinstance(param, core.Jaxpr | core.ClosedJaxpr)


def _unknown(everything: Flow) -> Flow:
    weights = frozenset(name for name in everything.reads if name.endswith(".weight"))
    return Flow(everything.reads | {"unknown program"}, everything.raw | weights, everything.met | weights)
