"""What a run computes, in a few letters: where these are equal, equal arrays come out.

What is computed stands in the lowered programs, whatever it is called and wherever it was said: the
stride of a convolution, the levels of a quantiser, the slope of an activation, a line of a user's
own rule, a rate inside an optimiser, a constant of a module. What is not computed does not: names,
addresses, comments. What Python answers on the host is in no program; it is known by its code and
by what that reads.
"""

import functools
import hashlib
import re
import types
from collections.abc import Hashable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr

from byway.core.code import Itself, behind, written_by
from byway.network.blackbox import Host

# What a function is called in a lowered program.
SYMBOL = r'@(?:[\w.$-]+|"[^"]*")'


def fingerprint(*parts: Any) -> str:
    """A digest, the same in every process.

    Args:
        parts: programs, as `jax.jit(...).trace(...)` gives them, and trees of arrays.
    """
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        for piece in (
            _of_program(part)
            if isinstance(part, jax.stages.Traced)
            else map(_of_array, jax.tree.leaves(part))
        ):
            digest.update(len(piece).to_bytes(8, "little") + piece)
    return digest.hexdigest()


def _of_program(traced: jax.stages.Traced) -> Iterator[bytes]:
    yield _nameless(traced.lower().as_text()).encode()
    yield from map(_of_array, traced.jaxpr.consts)
    for function in _called_on_the_host(traced.jaxpr.jaxpr):
        yield from map(_of_code, _behind(function))


def _nameless(lowered: str) -> str:
    """The program of `main`, where a digest stands for the name of each function that it calls.

    How functions are called, and whether two calls share one, depends on what else the process has
    traced before.
    """
    functions = {
        found["name"]: found["rest"]
        for found in re.finditer(
            rf"^  func\.func \w+ (?P<name>{SYMBOL})(?P<rest>.*?^  }})$", lowered, re.M | re.S
        )
    }

    @functools.cache
    def named(name: str) -> str:
        if name not in functions:
            return name
        return hashlib.blake2b(said(name).encode(), digest_size=8).hexdigest()

    def said(name: str) -> str:
        return re.sub(SYMBOL, lambda found: named(found[0]), functions[name])

    return lowered.partition("  func.func ")[0] + said("@main")


def _of_array(a: Any) -> bytes:
    if isinstance(a, jax.Array) and jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
        a = jax.random.key_data(a)
    held = np.asarray(a)
    return f"{held.dtype} {held.shape} ".encode() + held.tobytes()


def _called_on_the_host(jaxpr: Jaxpr) -> Iterator[Any]:
    """The Python functions that a program calls while it runs, in the order in which they stand in
    it.
    """
    for equation in jaxpr.eqns:
        for value in jax.tree.leaves(
            list(equation.params.values()), is_leaf=lambda v: isinstance(v, Jaxpr | ClosedJaxpr)
        ):
            if isinstance(value, Jaxpr | ClosedJaxpr):
                yield from _called_on_the_host(
                    value.jaxpr if isinstance(value, ClosedJaxpr) else value
                )
            elif isinstance(value, Host):
                yield value.function
            elif "callback" in equation.primitive.name and callable(value):
                yield getattr(value, "callback_func", value)


def _behind(function: Any) -> tuple[Hashable, ...]:
    """What a function hangs on; of an object that can be called, its class and what it was made
    with.
    """
    if isinstance(function, functools.partial):
        return (
            *_behind(function.func),
            *behind(*function.args, *function.keywords, *function.keywords.values()),
        )
    if isinstance(function, types.FunctionType | types.BuiltinFunctionType):
        return behind(function)
    owner = function.__self__ if isinstance(function, types.MethodType) else function
    method = function if isinstance(function, types.MethodType) else type(owner).__call__
    made_with = {
        name: value
        for name, value in getattr(owner, "__dict__", {}).items()
        if name not in written_by(type(owner))
    }
    return behind(owner, method, type(owner), *made_with, *made_with.values())


def _of_code(part: Hashable) -> bytes:
    """One part of what `behind` finds, in bytes that do not depend on where in which file it
    stands, nor on the process.
    """
    several = lambda parts: [_of_code(one).hex() for one in parts]
    # Known by its name, or, where it has none, by its kind.
    match part.get() if isinstance(part, Itself) else part:
        case types.CodeType() as code:
            said: Any = (
                code.co_code.hex(),
                several(code.co_consts),
                code.co_names,
                code.co_varnames,
                code.co_freevars,
            )
        case frozenset() as those:
            said = sorted(several(those))
        case tuple() as those:
            said = several(those)
        case np.ndarray() | np.generic() | jax.Array() as a:
            return _of_array(a)
        case thing if isinstance(part, type | Itself):
            named: Any = thing if hasattr(thing, "__name__") else type(thing)
            said = getattr(named, "__module__", ""), named.__name__
        case plain:
            said = plain
    return repr(said).encode()
