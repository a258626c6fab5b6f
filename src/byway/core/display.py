"""How things show themselves in a notebook: `_repr_html_` asks here, and what draws them, which
stands above them, is registered here and imported when something is first shown.
"""

import functools
import importlib

_DRAWERS: list[str] = []


@functools.singledispatch
def drawn(thing: object) -> str:
    """The thing as HTML. A drawer registers a function for its type: `@drawn.register`."""
    raise NotImplementedError(f"nothing draws {type(thing).__name__}")


def drawn_by(module: str) -> None:
    """Name a module that registers with `drawn`; it is imported when it is first needed."""
    _DRAWERS.append(module)


def html(thing: object) -> str:
    """The thing as HTML, for `_repr_html_`."""
    for module in _DRAWERS:
        importlib.import_module(module)
    return drawn(thing)
