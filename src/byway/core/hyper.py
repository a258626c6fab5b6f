"""Hyper-parameters: fields that become flags, config keys and rows in the docs.

A rule's floats are live: leaves of its pytree, which a compiled program is given with its other
arguments, so that another value needs no other program. All else is static, as it decides shapes
and branches: integers, strings, bools, a float on which Python branches; and so are the numbers
of tasks and cells.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jax.core import Tracer

from byway.core.errors import ConfigError, RuleError
from byway.core.given import is_number, is_whole, shown

# By the type of a hyper-parameter, whether a value is of that kind, and what it should be in words.
KINDS: dict[Any, tuple[Callable[[Any], bool], str]] = {
    int: (is_whole, "a whole number"),
    float: (is_number, "a finite number"),
    str: (lambda value: isinstance(value, str), "a word"),
    bool: (lambda value: isinstance(value, bool), "True or False"),
}


def hyper(
    default: Any,
    doc: str,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    search: tuple[float, float] | None = None,
    live: bool | None = None,
) -> Any:
    """Declare a hyper-parameter of a rule or a task: a field with all that a user should know of
    it.

    Args:
        default: its value when nobody says otherwise.
        doc: one line on what it does.
        unit: its unit, empty if dimensionless.
        low: the smallest value allowed.
        high: the largest value allowed.
        search: where tuning looks for a better value; it leaves a field without a range as it is.
        live: whether, in a rule, its value may change without compiling anew; by default that of
            every float. False for a float on which Python branches: inside a compiled program it
            would be no number yet.
    """
    live = isinstance(default, float) if live is None else live
    about = {"doc": doc, "unit": unit, "low": low, "high": high, "search": search, "live": live}
    return eqx.field(
        static=True,
        default=default,
        metadata=about,
        converter=_plain if isinstance(default, float) else None,
    )


def make_live(cls: type, package: str) -> None:
    """Make leaves of the live hyper-parameters of a class that is being made: its fields are still
    to be read.

    Args:
        cls: the class.
        package: where its bases are from whose names are taken.

    Raises:
        RuleError: a hyper-parameter has the name of something else in such a base.
    """
    for name, field in list(vars(cls).items()):
        if not isinstance(field, dataclasses.Field) or "doc" not in field.metadata:
            continue
        for base in cls.__mro__[1:]:
            if base.__module__.startswith(f"{package}.") and name in vars(base):
                raise RuleError(
                    f"{cls.__name__} has a hyper-parameter called {name!r}",
                    f"a name that {base.__name__} does not use",
                    "call it something else",
                )
        if field.metadata["live"]:
            about = {key: value for key, value in field.metadata.items() if key != "static"}
            setattr(cls, name, dataclasses.field(default=field.default, metadata=about))


@dataclasses.dataclass(frozen=True)
class Mould:
    """All of a tree but its numbers: given these, it makes the tree again.

    Attributes:
        fixed: its leaves, `...` in place of each number.
        shape: its structure.
    """

    fixed: tuple[Any, ...]
    shape: Any

    def __call__(self, numbers: Sequence[Any]) -> Any:
        """The tree with these numbers."""
        left = iter(numbers)
        return jax.tree.unflatten(
            self.shape, [next(left) if leaf is ... else leaf for leaf in self.fixed]
        )


def numbers_of(tree: Any) -> tuple[list[Any], Mould]:
    """The numbers that a compiled program is given, and all that it is made for.

    Numbers are arrays and Python's floats, which JAX types weakly so that they take the precision
    of what they meet.
    """
    leaves, shape = jax.tree.flatten(tree)
    live = [isinstance(leaf, float | np.ndarray | jax.Array) for leaf in leaves]
    fixed = tuple(... if number else leaf for leaf, number in zip(leaves, live, strict=True))
    return [leaf for leaf, number in zip(leaves, live, strict=True) if number], Mould(fixed, shape)


@contextlib.contextmanager
def unknown_to_python(rule: Any) -> Iterator[None]:
    """Within this a rule's program is traced: where Python asks for a value that only running it
    will tell, say what to do.
    """
    try:
        yield
    except jax.errors.JAXTypeError as problem:
        raise RuleError(
            f"{rule.id} asks Python for a value that is not known before its program runs: "
            f"{str(problem).partition(chr(10))[0]}",
            "jnp.where, jax.lax.cond and functions of jax.numpy in place of if, min and math",
            "see above where it asks; for a hyper-parameter that decides between programs, "
            "declare it with hyper(..., live=False)",
        ) from problem


def _plain(value: Any) -> Any:
    """A number as a float of Python, whoever made it. Inside a compiled program it is none yet, and
    what is no number is told later.
    """
    if isinstance(value, Tracer):
        return value
    if isinstance(value, np.ndarray | jax.Array) and value.ndim == 0:
        value = value.item()
    return float(value) if is_number(value) else value


def check_ranges(owner: Any) -> None:
    """Raise `ConfigError` where a hyper-parameter of `owner` is of the wrong kind or outside its
    range; one that is traced is let be.
    """
    for field in hypers(type(owner)):
        low, high, doc = (field.metadata[part] for part in ("low", "high", "doc"))
        value, name = getattr(owner, field.name), f"{type(owner).__name__}.{field.name}"
        if isinstance(value, Tracer):
            continue
        fix = f"choose another; {field.name} means: {doc}"
        wanted = (
            f"at least {low}"
            if high is None
            else f"at most {high}"
            if low is None
            else f"from {low} to {high}"
        )
        limits = "" if low is None and high is None else f", {wanted}"
        good, kind = KINDS.get(field.type, (lambda value: True, ""))
        if not good(value):
            raise ConfigError(f"{name} = {shown(value)}", f"{kind}{limits}", fix)
        if (low is not None and not value >= low) or (high is not None and not value <= high):
            raise ConfigError(f"{name} = {value}", wanted, fix)


def hypers(kind: type) -> list[dataclasses.Field]:
    """The fields of a rule or a task that are hyper-parameters."""
    return [field for field in dataclasses.fields(kind) if "doc" in field.metadata]
