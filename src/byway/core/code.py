"""What Python code hangs on, so that a program compiled from it is not used once it has become
another.

A compiled program does not see that a function or a number has changed since, which happens in a
notebook at every turn. So programs are kept by the code that they were made from, and by what that
code finds in its module.
"""

import dataclasses
import dis
import functools
import sys
import sysconfig
import types
import weakref
from collections.abc import Hashable, Iterator
from typing import Any

from typing_extensions import override

# Where code lies that stays as it is while Python runs; the standard library and Byway do too.
INSTALLED = tuple(sysconfig.get_paths()[name] for name in ("purelib", "platlib"))
FIXED = {*sys.stdlib_module_names, "byway"}
PLAIN = int | float | complex | str | bytes | None
STORES = {"STORE_GLOBAL", "STORE_DEREF", "STORE_ATTR"}


def behind(*things: Any) -> tuple[Hashable, ...]:
    """The code of functions and classes and what it reads beside its arguments: where two are
    equal, they do the same.

    Followed are functions, classes, and the names of their module that they use, but not into
    installed packages. What is neither code nor a plain value counts as unchanged while it is the
    same object; what the code itself writes to is no part of it.
    """
    seen: set[int] = set()
    return tuple(part for thing in things for part in _parts(thing, seen))


class Itself:
    """A thing as a key: equal to itself alone, and not kept alive by it where that can be
    helped.
    """

    def __init__(self, thing: Any):
        self._hash = id(thing)
        try:
            self.get = weakref.ref(thing)
        except TypeError:
            self.get = lambda: thing

    @override
    def __hash__(self) -> int:
        return self._hash

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Itself) and self.get() is other.get() is not None


def written_by(cls: type) -> frozenset[str]:
    """The names that the methods of a class write to once an object of it is made: its state."""
    members = {
        name: member
        for kind in cls.__mro__
        for name, member in vars(kind).items()
        if isinstance(member, types.FunctionType)
    }
    return frozenset().union(
        *(_names(member.__code__)[1] for name, member in members.items() if name != "__init__")
    )


def _parts(thing: Any, seen: set[int]) -> Iterator[Hashable]:
    if isinstance(thing, PLAIN):
        yield type(thing), thing
        return
    if id(thing) in seen:
        return
    seen.add(id(thing))
    match thing:
        case tuple():
            yield len(thing)
            for part in thing:
                yield from _parts(part, seen)
        case property():
            yield from _parts((thing.fget, thing.fset), seen)
        case staticmethod() | classmethod() | types.MethodType():
            yield from _parts(thing.__func__, seen)
        case types.FunctionType() if not _fixed(thing):
            yield from _of_function(thing, seen)
        case type():
            yield Itself(thing)
            for cls in thing.__mro__:
                if not _fixed(cls):
                    yield from _of_class(cls, seen)
        case _ if dataclasses.is_dataclass(thing) and _fixed(type(thing)):  # such as an activation
            yield from _parts((type(thing), *vars(thing).values()), seen)
        case _:
            yield Itself(thing)


def _of_class(cls: type, seen: set[int]) -> Iterator[Hashable]:
    members = {name: member for name, member in vars(cls).items() if not name.startswith("__")}
    written = {
        name
        for member in members.values()
        if isinstance(member, types.FunctionType)
        for name in _names(member.__code__)[1]
    }
    for name in sorted(members.keys() - written):
        yield name
        yield from _parts(members[name], seen)


def _of_function(function: types.FunctionType, seen: set[int]) -> Iterator[Hashable]:
    code, (read, written) = function.__code__, _names(function.__code__)
    yield code
    yield from _parts(
        (function.__defaults__, tuple((function.__kwdefaults__ or {}).values())), seen
    )
    cells = zip(code.co_freevars, function.__closure__ or (), strict=True)
    # An empty one is not bound yet.
    found = {name: cell.cell_contents for name, cell in cells if cell != types.CellType()}
    found |= {name: function.__globals__[name] for name in read & function.__globals__.keys()}
    for name in sorted(found.keys() - written):
        yield name
        yield from _parts(found[name], seen)


@functools.lru_cache
def _names(code: types.CodeType) -> tuple[frozenset[str], frozenset[str]]:
    """The names that a function, and those within it, look up; and those that they write to."""
    inner = [_names(const) for const in code.co_consts if isinstance(const, types.CodeType)]
    written = {step.argval for step in dis.get_instructions(code) if step.opname in STORES}
    return frozenset(code.co_names).union(*(read for read, _ in inner)), frozenset(written).union(
        *(those for _, those in inner)
    )


def _fixed(thing: Any) -> bool:
    name = thing.__module__ or ""
    return name.partition(".")[0] in FIXED or (
        getattr(sys.modules.get(name), "__file__", None) or ""
    ).startswith(INSTALLED)
