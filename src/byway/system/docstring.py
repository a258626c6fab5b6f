"""What a module or a class says of itself. Python forgets it under -OO, where it is read in the
source again.
"""

import ast
import contextlib
import inspect
import sys
import textwrap
from types import ModuleType


def docstring(owner: type | ModuleType) -> str:
    """The docstring without its indentation; empty where there is none."""
    if sys.flags.optimize >= 2:
        # What a program made has no source, and keeps the text that it was given.
        with contextlib.suppress(OSError, TypeError, SyntaxError):
            tree = ast.parse(textwrap.dedent(inspect.getsource(owner)))
            held = tree if isinstance(owner, ModuleType) else tree.body[0]
            named = isinstance(held, ast.Module | ast.ClassDef)
            return (ast.get_docstring(held) if named else None) or ""
    return inspect.cleandoc(owner.__doc__ or "")


def headline(owner: type | ModuleType) -> str:
    """The first paragraph of a docstring, as one line."""
    return " ".join(docstring(owner).partition("\n\n")[0].split())
