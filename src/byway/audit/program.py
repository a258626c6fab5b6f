"""Traced programs made flat: all of Byway's contact with JAX's program representation is in this
file.

A function is traced and written out as one list of equations between numbered slots. Calls are
entered, short loops are unrolled, an equation that occurs twice on the same operands is taken once,
and whole numbers that follow from constants (the counter of an unrolled loop) are worked out. What
is left of control flow, long loops and branches, keeps programs inside.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

# A function jitted under one of these names is not entered: it is a question to the signal (see
# `watch`).
ASKS = ERROR, LOSS, REWARD = ("byway.error", "byway.loss", "byway.reward")
# What is tagged so is a derivative of a cell.
SLOPE = "byway.slope"
# What goes into an activation is tagged so, with the name of the population after it.
POTENTIAL = "byway.potential."
# Scans of at most so many turns are written out.
UNROLLED = 8

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
# Primitives whose program only says how two numbers are made one.
COMBINERS = ("scatter", "reduce", "select_and_", "argmin", "argmax")
# What can be worked out of whole numbers, by primitive: from its parameters and numpy arrays.
# Indices come about so.
WHOLE: dict[str, Callable[..., Any]] = {
    "add": lambda params, a, b: a + b,
    "sub": lambda params, a, b: a - b,
    "mul": lambda params, a, b: a * b,
    "neg": lambda params, a: -a,
    "max": lambda params, a, b: np.maximum(a, b),
    "min": lambda params, a, b: np.minimum(a, b),
    "rem": lambda params, a, b: np.fmod(a, b),
    "lt": lambda params, a, b: a < b,
    "le": lambda params, a, b: a <= b,
    "gt": lambda params, a, b: a > b,
    "ge": lambda params, a, b: a >= b,
    "eq": lambda params, a, b: a == b,
    "ne": lambda params, a, b: a != b,
    "and": lambda params, a, b: a & b,
    "or": lambda params, a, b: a | b,
    "select_n": lambda params, which, *cases: np.choose(np.asarray(which, int), cases),
    "convert_element_type": lambda params, a: a,
    "iota": lambda params: np.broadcast_to(
        np.arange(params["shape"][params["dimension"]]).reshape(_alone(params)), params["shape"]
    ),
    "broadcast_in_dim": lambda params, a: np.broadcast_to(
        a.reshape(_kept(params, a)), params["shape"]
    ),
    "reshape": lambda params, a: a.reshape(params["new_sizes"]),
    "squeeze": lambda params, a: a.squeeze(tuple(params["dimensions"])),
    "concatenate": lambda params, *a: np.concatenate(a, params["dimension"]),
}
# Of arrays no larger than this.
WORKED_OUT = 2**20


def _alone(params: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(n if k == params["dimension"] else 1 for k, n in enumerate(params["shape"]))


def _kept(params: Mapping[str, Any], a: np.ndarray) -> tuple[int, ...]:
    place = dict(zip(params["broadcast_dimensions"], a.shape, strict=True))
    return tuple(place.get(k, 1) for k in range(len(params["shape"])))


@dataclasses.dataclass(frozen=True, eq=False)
class Equation:
    """One equation.

    Attributes:
        name: of the primitive; "row" and "stack" are what an unrolled loop takes from its inputs
            and makes of its outputs.
        params: those of the primitive.
        ins: slots of its operands.
        outs: slots of its results.
        call: computes the results from operands; None for a question.
        inner: the programs inside, for loops, branches and questions.
        opaque: whether it holds a program that we do not know how to enter.
    """

    name: str
    params: Mapping[str, Any]
    ins: tuple[int, ...]
    outs: tuple[int, ...]
    call: Callable[..., Sequence[Any]] | None
    inner: tuple["Program", ...] = ()
    opaque: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class Program:
    """A flat program.

    Attributes:
        ins: slots of the arguments.
        outs: slots of the results.
        equations: in order.
        shapes: by slot.
        dtypes: by slot.
        constants: by slot, what is known before the program runs: literals, arrays closed over,
            whole numbers that follow.
        potentials: slots that go into an activation, with the names of the populations.
        closed_over: the arrays that the traced function closed over.
    """

    ins: tuple[int, ...]
    outs: tuple[int, ...]
    equations: tuple[Equation, ...]
    shapes: Mapping[int, tuple[int, ...]]
    dtypes: Mapping[int, Any]
    constants: Mapping[int, Any]
    potentials: Mapping[int, str]
    closed_over: tuple[Any, ...]

    def maker(self, slot: int) -> "Equation | None":
        """The equation that a slot's value comes from; None for what comes from outside."""
        return self._makers.get(slot)

    @functools.cached_property
    def _makers(self) -> dict[int, "Equation"]:
        return {slot: equation for equation in self.equations for slot in equation.outs}

    def goes_on(self, slot: int) -> bool:
        """Whether what is asked about here is on its way to something else that is asked about:
        units at rest that begin to settle.
        """
        reached = {slot}
        for equation in self.equations:
            if not reached.isdisjoint(equation.ins):
                if equation.name in ASKS and equation.ins[0] != slot and equation.ins[0] in reached:
                    return True
                reached |= set(equation.outs)
        return False


def trace(function: Callable[..., Any], arguments: Sequence[Any]) -> Program:
    """The program of a function of arrays (or their shapes) that returns a flat list of arrays."""
    return _program(jax.make_jaxpr(function)(*arguments))


def _program(closed: Any) -> Program:
    writer, jaxpr = _Writer(), getattr(closed, "jaxpr", closed)
    ins = tuple(writer.slot(v.aval) for v in jaxpr.invars)
    outs = writer.enter(closed, ins)
    known = writer.shapes, writer.dtypes, writer.constants, writer.potentials
    return Program(ins, tuple(outs), tuple(writer.equations), *known, tuple(_constants_of(closed)))


def _constants_of(closed: Any) -> Sequence[Any]:
    return getattr(closed, "consts", ())


class _Writer:
    """Writes equations down, one slot after another."""

    def __init__(self):
        self.equations: list[Equation] = []
        self.shapes: dict[int, tuple[int, ...]] = {}
        self.dtypes: dict[int, Any] = {}
        self.constants: dict[int, Any] = {}
        self.potentials: dict[int, str] = {}
        self.written: dict[Any, tuple[int, ...]] = {}

    def slot(self, aval: Any) -> int:
        number = len(self.shapes)
        self.shapes[number], self.dtypes[number] = tuple(aval.shape), aval.dtype
        return number

    def constant(self, value: Any, aval: Any) -> int:
        """Where a value stands that is known beforehand; one number is written down once."""
        key = (
            ("constant", str(aval), np.asarray(value).item())
            if not aval.shape and jnp.issubdtype(aval.dtype, np.number)
            else None
        )
        if key is not None and key in self.written:
            return self.written[key][0]
        number = self.slot(aval)
        self.constants[number] = value
        if key is not None:
            self.written[key] = (number,)
        return number

    def enter(self, closed: Any, ins: Sequence[int]) -> list[int]:
        """Write the equations of a program whose arguments stand in these slots; where its results
        stand.
        """
        jaxpr = getattr(closed, "jaxpr", closed)
        known: dict[Any, int] = dict(zip(jaxpr.invars, ins, strict=True))
        known |= {
            v: self.constant(c, v.aval)
            for v, c in zip(jaxpr.constvars, _constants_of(closed), strict=True)
        }

        def look(atom: Any) -> int:
            return (
                self.constant(atom.val, atom.aval)
                if isinstance(atom, core.Literal)
                else known[atom]
            )

        for equation in jaxpr.eqns:
            outs = self.equation(equation, [look(a) for a in equation.invars])
            known.update(zip(equation.outvars, outs, strict=True))
        return [look(a) for a in jaxpr.outvars]

    def equation(self, equation: Any, ins: list[int]) -> Sequence[int]:
        name, params = equation.primitive.name, equation.params
        if name == "name" and params["name"] != SLOPE:
            if params["name"].startswith(POTENTIAL):
                self.potentials[ins[0]] = params["name"].removeprefix(POTENTIAL)
            return ins
        if name in CALLS and params.get(CALLS[name]) is not None:
            if params.get("name") in ASKS:
                return self.add(
                    params["name"], {}, ins, equation, None, (_program(params["jaxpr"]),)
                )
            return self.enter(params[CALLS[name]], ins)
        if name == "scan" and params["length"] <= UNROLLED:
            return self.unroll(params, ins)
        bind, several = (
            functools.partial(equation.primitive.bind, **params),
            equation.primitive.multiple_results,
        )
        call = bind if several else lambda *operands: (bind(*operands),)
        inside = tuple(_program(p) for p in self.inside(name, params))
        opaque = (
            not inside
            and not name.startswith(COMBINERS)
            and any(_holds_program(p) for p in params.values())
        )
        return self.add(name, params, ins, equation, call, inside, opaque)

    def inside(self, name: str, params: Mapping[str, Any]) -> tuple[Any, ...]:
        if name == "scan":
            return (params["jaxpr"],)
        if name == "while":
            return (params["cond_jaxpr"], params["body_jaxpr"])
        return tuple(params["branches"]) if name == "cond" else ()

    def add(
        self,
        name: str,
        params: Mapping[str, Any],
        ins: Sequence[int],
        equation: Any,
        call: Any,
        inside=(),
        opaque=False,
    ):
        key = (
            None
            if equation.effects or (inside and name not in ASKS) or opaque
            else self.key(name, params, ins)
        )
        if key in self.written and key is not None:
            return self.written[key]
        outs = tuple(self.slot(v.aval) for v in equation.outvars)
        self.equations.append(Equation(name, params, tuple(ins), outs, call, inside, opaque))
        if name in WHOLE:
            self.work_out(name, params, ins, outs[0])
        if key is not None:
            self.written[key] = outs
        return outs

    def work_out(self, name: str, params: Mapping[str, Any], ins: Sequence[int], out: int) -> None:
        """Note the result where it is a few whole numbers, or a yes or no, that follow from known
        ones.
        """
        whole = jnp.issubdtype(self.dtypes[out], jnp.integer) or jnp.issubdtype(
            self.dtypes[out], jnp.bool_
        )
        if (
            whole
            and math.prod(self.shapes[out]) <= WORKED_OUT
            and all(s in self.constants for s in ins)
        ):
            found = WHOLE[name](params, *(np.asarray(self.constants[s]) for s in ins))
            self.constants[out] = np.asarray(found).astype(self.dtypes[out])

    def key(self, name: str, params: Mapping[str, Any], ins: Sequence[int]) -> Any:
        """What tells equations apart; None where that cannot be said."""
        key = (name, tuple(sorted(params.items())), tuple(ins))
        return key if _hashable(key) else None

    def unroll(self, params: Mapping[str, Any], ins: Sequence[int]) -> list[int]:
        consts, carried = scanned(params)
        fixed, carry, xs = (
            ins[:consts],
            list(ins[consts : consts + carried]),
            ins[consts + carried :],
        )
        turns = range(params["length"])
        made: list[list[int]] = [[] for _ in params["jaxpr"].out_avals[carried:]]
        for t in reversed(turns) if params["reverse"] else turns:
            outs = self.enter(params["jaxpr"], [*fixed, *carry, *(self.row(x, t) for x in xs)])
            carry = outs[:carried]
            for kept, out in zip(made, outs[carried:], strict=True):
                kept.append(out)
        if params["reverse"]:
            made = [kept[::-1] for kept in made]
        return [
            *carry,
            *(
                self.stack(kept, aval)
                for kept, aval in zip(made, params["jaxpr"].out_avals[carried:], strict=True)
            ),
        ]

    def row(self, x: int, t: int) -> int:
        aval = jax.ShapeDtypeStruct(self.shapes[x][1:], self.dtypes[x])
        return self.made("row", {"at": t}, (x,), aval, lambda a: (a[t],))

    def stack(self, rows: list[int], aval: Any) -> int:
        if not rows:
            return self.constant(
                np.zeros((0, *aval.shape), aval.dtype),
                jax.ShapeDtypeStruct((0, *aval.shape), aval.dtype),
            )
        return self.made(
            "stack",
            {"axis": 0},
            rows,
            jax.ShapeDtypeStruct((len(rows), *aval.shape), aval.dtype),
            lambda *a: (jnp.stack(a),),
        )

    def made(
        self, name: str, params: Mapping[str, Any], ins: Sequence[int], aval: Any, call: Any
    ) -> int:
        key = self.key(name, params, ins)
        if key not in self.written:
            self.written[key] = (self.slot(aval),)
            self.equations.append(Equation(name, params, tuple(ins), self.written[key], call))
        return self.written[key][0]


def scanned(params: Mapping[str, Any]) -> tuple[int, int]:
    """How many of the operands of a scan stay as they are, and how many are carried."""
    if "num_consts" in params:
        return params["num_consts"], params["num_carry"]
    fixed, carried, _ = params["ft_in"].unpack()  # from JAX 0.12 on
    return len(fixed), len(carried)


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _holds_program(param: Any) -> bool:
    if isinstance(param, tuple | list):
        return any(_holds_program(p) for p in param)
    return isinstance(param, core.Jaxpr | core.ClosedJaxpr)
