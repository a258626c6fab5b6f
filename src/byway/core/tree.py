"""The type of any nest of dicts, tuples, lists and modules with arrays at its leaves."""

from typing import Any, TypeAlias

# jaxtyping's own PyTree is unknown to a type checker, and would make unknown what it stands in.
PyTree: TypeAlias = Any
