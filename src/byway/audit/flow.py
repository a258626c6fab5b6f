"""Label sets carried through a jaxpr. All of Byway's contact with JAX's program representation is in this file.

Every array of a traced program gets a `Flow`: which sources it was computed from, which weights it still holds as such,
on which axes, and which weights it met backwards after it already carried the teaching signal. A weight is met *forwards*
where it is summed over all its presynaptic axes and its postsynaptic axis stays: that is what a network does. Everything
else is *backwards*. The analysis is per array and errs on the side of too much: control flow joins its branches, loops run
to a fixed point, an operation that is not known to keep the axes of a weight loses them, and then they count as met
backwards; and a primitive that holds a program we do not know how to enter is taken to read everything.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
from jax.extend import core

from byway.core.tag import ERROR, LOSS, REWARD, SLOPE

# What an axis of an array is to the weights that the array holds. None, in place of all axes, where that is not known.
PRE, POST, NEITHER = "pre", "post", ""
Axes = tuple[str, ...]
# How an operation uses a weight: sums it over its presynaptic axes; over others; or not at all, so that it is still there.
FORWARDS, BACKWARDS, KEPT = "forwards", "backwards", "kept"

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
        axes: what each of its axes is to those weights: PRE, POST (exactly one, whose every index is one postsynaptic unit
            or channel, in order) or NEITHER; None where it holds no weights or where the audit lost track.
        backwards: weights that its value met backwards, after it carried the signal.
    """

    reads: frozenset[str] = frozenset()
    raw: frozenset[str] = frozenset()
    axes: Axes | None = None
    backwards: frozenset[str] = frozenset()

    def __or__(self, other: "Flow") -> "Flow":
        agree = self.axes == other.axes or not (self.raw and other.raw)
        axes = (self.axes or other.axes) if agree else None
        return Flow(self.reads | other.reads, self.raw | other.raw, axes, self.backwards | other.backwards)

    @property
    def signalled(self) -> bool:
        """Whether it carries any part of the teaching signal."""
        return any(name.startswith("signal.") for name in self.reads)

    @property
    def stored(self) -> bool:
        """Whether it was computed from what the learner stores, and from no data of this sample."""
        return all(name.startswith(("net.", "gamma.")) for name in self.reads)


NOTHING = Flow()


def weight(name: str, rank: int) -> Flow:
    """The flow of a projection's weight: the last of its axes is the postsynaptic one."""
    return Flow(frozenset({name}), frozenset({name}), (PRE,) * (rank - 1) + (POST,))


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
        out = _combine(equation, inputs)
    return [out] * len(equation.outvars)


def _combine(equation, inputs: list[Flow]) -> Flow:
    out = dataclasses.replace(union(inputs), raw=frozenset(), axes=None)
    for i, one in enumerate(inputs):
        if one.raw:
            others = union(inputs[:i] + inputs[i + 1 :])
            use, axes = _use(equation, i, one.axes)
            if others.signalled and use != FORWARDS:
                out |= Flow(backwards=one.raw)
            # Summed against nothing but what is stored, it is a mixture of weights, and can still be read.
            if use == KEPT or others.stored:
                out |= Flow(raw=one.raw, axes=axes)
    return out


def _use(equation, i: int, axes: Axes | None) -> tuple[str, Axes | None]:
    """How an equation uses the weights on these axes of operand i, and on which axes its result holds what is left of them."""
    name = equation.primitive.name
    if name in SUMS_OF_PRODUCTS:
        return (BACKWARDS, None) if axes is None else SUMS_OF_PRODUCTS[name](equation, i, axes)
    if axes is None or name not in KEEPS:
        return KEPT, None
    return KEPT, KEEPS[name](equation.params, axes, equation.invars[i].aval.shape, equation.outvars[0].aval.shape)


def _dot(equation, i: int, axes: Axes) -> tuple[str, Axes | None]:
    summed, batch = equation.params["dimension_numbers"]
    over = {axes[k] for k in summed[i]}
    if POST in over:
        return BACKWARDS, None
    mine = tuple(axis for k, axis in enumerate(axes) if k not in (*summed[i], *batch[i]))
    others = equation.invars[1 - i].aval.ndim - len(summed[1 - i]) - len(batch[1 - i])
    # The other operand's axes take the place of those that were summed over: C W is a weight from other units.
    theirs = (PRE if PRE in over else NEITHER,) * others
    shared = tuple(axes[k] for k in batch[i])
    use = FORWARDS if PRE in over and PRE not in mine + shared else KEPT
    return use, shared + (mine + theirs if i == 0 else theirs + mine)


def _convolution(equation, i: int, axes: Axes) -> tuple[str, Axes | None]:
    numbers = equation.params["dimension_numbers"]
    post, pre = numbers.rhs_spec[:2]
    if i == 0 or axes[post] != POST or axes[pre] != PRE:
        return BACKWARDS, None
    place = {numbers.out_spec[0]: PRE, numbers.out_spec[1]: POST}
    return FORWARDS, tuple(place.get(k, NEITHER) for k in range(len(axes)))


# Primitives that sum products: an operand's entries are no longer there to be read afterwards.
SUMS_OF_PRODUCTS = {"dot_general": _dot, "conv_general_dilated": _convolution, "ragged_dot_general": lambda *_: (BACKWARDS, None)}


def _elementwise(params, axes: Axes, before: tuple[int, ...], after: tuple[int, ...]) -> Axes | None:
    return axes if before == after else None


def _transposed(params, axes, before, after):
    return tuple(axes[k] for k in params["permutation"])


def _broadcast(params, axes, before, after):
    place = dict(zip(params["broadcast_dimensions"], axes, strict=True))
    return tuple(place.get(k, NEITHER) for k in range(len(after)))


def _squeezed(params, axes, before, after):
    gone = params["dimensions"]
    return None if any(axes[k] for k in gone) else tuple(axis for k, axis in enumerate(axes) if k not in gone)


def _reversed(params, axes, before, after):
    return None if axes.index(POST) in params["dimensions"] else axes


def _sliced(params, axes, before, after):
    # A part of the postsynaptic units could be put elsewhere afterwards, index by index: that transposes.
    post = axes.index(POST)
    return axes if before[post] == after[post] else None


def _windows(params, axes, before, after):
    post = axes.index(POST)
    alone = params["window_dimensions"][post] == 1 and tuple(params["padding"][post]) == (0, 0) and before[post] == after[post]
    return axes if alone else None


def _reshaped(params, axes, before, after):
    """The postsynaptic axis must stay whole; what lies on either side of it may merge and split."""
    post = axes.index(POST)
    units, ahead = before[post], math.prod(before[:post])
    found = [k for k, n in enumerate(after) if n == units and math.prod(after[:k]) == ahead]
    if params["dimensions"] is not None or len(found) != 1:
        return None
    (at,) = found
    return (
        *_regrouped(axes[:post], before[:post], after[:at]),
        POST,
        *_regrouped(axes[post + 1 :], before[post + 1 :], after[at + 1 :]),
    )


def _regrouped(axes: Axes, before: tuple[int, ...], after: tuple[int, ...]) -> Axes:
    return axes if before == after else tuple(PRE if PRE in axes and n > 1 else NEITHER for n in after)


ELEMENTWISE = (
    *("add", "add_any", "sub", "mul", "div", "neg", "abs", "sign", "max", "min", "tanh", "eq", "ne", "lt", "le", "gt", "ge", "select_n"),
    *("convert_element_type", "reduce_precision", "copy", "stop_gradient"),
)
# Primitives known to keep track of the axes: from their parameters, the axes of an operand, its shape and that of the result.
KEEPS: dict[str, Callable[..., Axes | None]] = {
    "transpose": _transposed,
    "broadcast_in_dim": _broadcast,
    "squeeze": _squeezed,
    "reshape": _reshaped,
    "rev": _reversed,
    "slice": _sliced,
    "dynamic_slice": _sliced,
    "reduce_window_sum": _windows,
    **dict.fromkeys(ELEMENTWISE, _elementwise),
}


def _tagged(tag: str, flow: Flow) -> Flow:
    """A tag stands for what it names, but hides nothing else: weights under it stay visible."""
    if tag == SLOPE:
        return flow | Flow(reads=frozenset({"slope"}))
    part = {ERROR: "signal.error", LOSS: "signal.loss", REWARD: "signal.reward"}.get(tag)
    if part is None:
        return flow
    return dataclasses.replace(flow, reads=flow.reads - {"signal.target", "record.output"} | {part})


def _cond(params, inputs: list[Flow], everything: Flow) -> list[Flow]:
    choice, operands = inputs[0], inputs[1:]
    branches = [_run(b.jaxpr, operands, everything) for b in params["branches"]]
    return [_chosen(choice, union(outs)) for outs in zip(*branches, strict=True)]


def _chosen(choice: Flow, flow: Flow) -> Flow:
    """A choice is read, and one made by the signal meets the weights that it chooses among."""
    met = flow.raw if choice.signalled else frozenset()
    return flow | choice | Flow(backwards=met)


def _scan(params, inputs: list[Flow], everything: Flow) -> list[Flow]:
    consts, carries = params["num_consts"], params["num_carry"]
    fixed, carry, xs = inputs[:consts], inputs[consts : consts + carries], [_row(flow) for flow in inputs[consts + carries :]]

    def turn(carry):
        return _run(params["jaxpr"].jaxpr, [*fixed, *carry, *xs], everything)

    carry = _loop(lambda carry: turn(carry)[:carries], carry)
    return [*carry, *(_stack(flow) for flow in turn(carry)[carries:])]


def _row(flow: Flow) -> Flow:
    """One entry along the first axis, which a scan runs through."""
    axes = flow.axes[1:] if flow.axes and flow.axes[0] == NEITHER else None
    return dataclasses.replace(flow, axes=axes)


def _stack(flow: Flow) -> Flow:
    """What every turn of a scan gave, along a new first axis."""
    return dataclasses.replace(flow, axes=flow.axes and (NEITHER, *flow.axes))


def _while(params, inputs: list[Flow], everything: Flow) -> list[Flow]:
    n_cond, n_body = params["cond_nconsts"], params["body_nconsts"]
    cond_fixed, body_fixed, carry = inputs[:n_cond], inputs[n_cond : n_cond + n_body], inputs[n_cond + n_body :]

    def turn(carry):
        (go_on,) = _run(params["cond_jaxpr"].jaxpr, [*cond_fixed, *carry], everything)
        outs = _run(params["body_jaxpr"].jaxpr, [*body_fixed, *carry], everything)
        return [_chosen(go_on, a | b) for a, b in zip(carry, outs, strict=True)]

    return _loop(turn, carry)


def _loop(turn: Callable[[list[Flow]], list[Flow]], carry: list[Flow]) -> list[Flow]:
    """What a loop carries after any number of turns.

    What it reads comes first. An activity that starts from a constant and takes up data on the way is data: by its first turn
    alone, where a constant is summed against the weights, all that follows would hold them as weights.
    """
    final = _grown(turn, carry)
    return _grown(turn, [dataclasses.replace(flow, reads=end.reads) for flow, end in zip(carry, final, strict=True)])


def _grown(turn: Callable[[list[Flow]], list[Flow]], carry: list[Flow]) -> list[Flow]:
    while (grown := [a | b for a, b in zip(carry, turn(carry), strict=True)]) != carry:
        carry = grown
    return carry


CONTROL = {"scan": _scan, "while": _while, "cond": _cond}


def _holds_program(param: Any) -> bool:
    if isinstance(param, tuple | list):
        return any(_holds_program(p) for p in param)
    return isinstance(param, core.Jaxpr | core.ClosedJaxpr)


def _unknown(everything: Flow) -> Flow:
    weights = frozenset(name for name in everything.reads if name.endswith(".weight"))
    return Flow(everything.reads | {"unknown program"}, everything.raw | weights, None, everything.backwards | weights)
