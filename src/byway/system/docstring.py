"""What a module or a class says of itself. Python forgets it under -OO, where it is read in the source again."""

import ast
import inspect
import sys
import textwrap
from types import ModuleType


def docstring(owner: type | ModuleType) -> str:
    """The docstring without its indentation; empty where there is none."""
    if sys.flags.optimize >= 2:
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(owner)))
            held = tree if isinstance(owner, ModuleType) else tree.body[0]
            return (ast.get_docstring(held) if isinstance(held, ast.Module | ast.ClassDef) else None) or ""
        except (OSError, TypeError, SyntaxError):  # made by a program: it has the text that it was given
            pass
    return inspect.cleandoc(owner.__doc__ or "")
