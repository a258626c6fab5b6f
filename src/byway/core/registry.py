"""Finds rules, tasks, cells and growth policies: in a package's folders, in other people's
packages, among the classes that a program registered, and in a file that is named.
"""

import functools
import importlib
import importlib.util
import pkgutil
import re
import sys
from collections.abc import Iterable, Iterator
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Generic, TypeVar

from byway.core.errors import ConfigError, unknown_name

T = TypeVar("T")

# A class of a file, path/to/file.py:Class.
IN_FILE = re.compile(r"(.*\.py)(?::(.*))?")

# Files that were run, each as it was at some time of change [ns].
_RUN: dict[tuple[Path, int], ModuleType] = {}


class Registry(Generic[T]):
    """The members of one kind, found without importing any of them.

    A member is one file of `package` or of a folder in it; one entry point of the group
    `package.__name__`, such as `byway.rules`; or a class that `add` was given. No members are
    files and folders whose names start with an underscore, which are machinery, and files whose
    names end in `_checks`, which test the member beside them.
    """

    def __init__(self, package: ModuleType, base: type[T]):
        self.package, self.base = package, base
        self.kind = package.__name__.rpartition(".")[2].rstrip("s")
        self._added: dict[str, type[T]] = {}

    def ids(self) -> list[str]:
        """Every name: our own first, then those of other packages, then those that were added."""
        own = self.own()
        others = sorted(self._foreign.keys() - set(own))
        return own + others + [name for name in self._added if name not in {*own, *others}]

    def own(self) -> list[str]:
        """The names of those that come with the package."""
        return sorted(self._own)

    def families(self) -> dict[str, list[str]]:
        """The names by the folder of the package that each is in; under "" those in none."""
        found: dict[str, list[str]] = {}
        for name in self.ids():
            inner = self._own.get(name, "").removeprefix(f"{self.package.__name__}.")
            found.setdefault(inner.rpartition(".")[0], []).append(name)
        return dict(sorted(found.items(), key=lambda item: (not item[0], item[0])))

    def get(self, name: str) -> type[T]:
        """The class called `name`, or the class of a file, `path/to/file.py:Class`.

        Raises:
            UnknownNameError: nothing has that name; the nearest ones are said.
            ConfigError: the file, or the class in it, is not there or of another kind.
        """
        if not isinstance(name, str):
            raise unknown_name(self.kind, name, self.ids())
        if in_file := IN_FILE.fullmatch(name):
            return self._from_file(Path(in_file[1]), in_file[2] or "")
        if name in self._own:
            return self._only(importlib.import_module(self._own[name]))
        if name in self._foreign:
            return self._foreign[name].load()
        if name in self._added:
            return self._added[name]
        raise unknown_name(self.kind, name, self.ids())

    def add(self, cls: type[T]) -> None:
        """Give a class its name, as if it were a file of the package. One that was added before,
        from the same place in the same module, is replaced, as when a cell of a notebook runs
        again.

        Raises:
            ConfigError: the name is another's.
        """
        name, before = snake_case(cls.__name__), self._added.get(snake_case(cls.__name__))
        again = before is not None and _place(before) == _place(cls)
        if name in self.ids() and not again:
            raise ConfigError(
                f"a {self.kind} called {name}",
                f"a name that is not taken: there is a {self.kind} {name}",
                f"rename the class {cls.__name__}",
            )
        self._added[name] = cls

    def _only(self, module: ModuleType) -> type[T]:
        members = self._members(module)
        if len(members) != 1:
            found = ", ".join(c.__name__ for c in members) or "none"
            raise ImportError(
                f"{module.__name__} must define exactly one {self.base.__name__}; found {found}"
            )
        return members[0]

    def _members(self, module: ModuleType) -> list[type[T]]:
        return [
            c
            for c in vars(module).values()
            if isinstance(c, type) and issubclass(c, self.base) and c.__module__ == module.__name__
        ]

    def _from_file(self, path: Path, name: str) -> type[T]:
        """A class of a file, which is added; the file is run where it was not, or has changed."""
        path = path.expanduser().resolve()
        if not path.is_file():
            raise ConfigError(
                f"no file {path}", f"a Python file with a {self.kind}", "correct the path"
            )
        module = _run(path)
        found = vars(module).get(name)
        if not (isinstance(found, type) and issubclass(found, self.base)):
            base = self.base.__name__
            there = [c.__name__ for c in self._members(module)]
            raise ConfigError(
                f"{path.name} and no class of it"
                if not name
                else f"{path.name}, which has no {name}"
                if found is None
                else f"{name} of {path.name}, which is no {base}",
                f"a {base} in it: {', '.join(there) or 'there is none'}",
                f"name it as {path.name}:{there[0]}" if there else f"write a class of byway.{base}",
            )
        self.add(found)
        return found

    @functools.cached_property  # it reads a file of every package that is installed
    def _foreign(self) -> dict[str, EntryPoint]:
        return {p.name: p for p in entry_points(group=self.package.__name__)}

    @functools.cached_property
    def _own(self) -> dict[str, str]:
        """The module of each member that comes with the package, by its name."""
        found = _walked(list(self.package.__path__), f"{self.package.__name__}.")
        return {module.rpartition(".")[2]: module for module in found}


def _walked(folders: Iterable[str], prefix: str) -> Iterator[str]:
    """The modules of members in the folders of a package and in those below them."""
    for found in pkgutil.iter_modules(folders, prefix):
        name = found.name.rpartition(".")[2]
        if found.ispkg and not name.startswith("_"):
            yield from _walked([str(Path(folder) / name) for folder in folders], f"{found.name}.")
        elif not name.startswith("_") and not name.endswith("_checks"):
            yield found.name


def _run(path: Path) -> ModuleType:
    """A file as a module with a name of its own; it is run again where it has changed."""
    version = path, path.stat().st_mtime_ns
    if version not in _RUN:
        name = f"{re.sub(r'[^a-zA-Z0-9]', '_', path.stem)}_file{len(_RUN)}"
        loader = SourceFileLoader(name, str(path))
        module = importlib.util.module_from_spec(ModuleSpec(name, loader, origin=str(path)))
        module.__file__, sys.modules[name] = str(path), module
        loader.exec_module(module)
        _RUN[version] = module
    return _RUN[version]


def loaded() -> list[ModuleType]:
    """The modules of files that were named: no other process finds them by their names."""
    return list(_RUN.values())


def _place(cls: type) -> tuple[str, str]:
    """Where a class was written: its file, or its module where there is none, as in a notebook."""
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    return file or cls.__module__, cls.__qualname__


def called(name: str) -> str:
    """What goes by a name or by a path, by its name: "my_rule" for "my_rule" and "x.py:MyRule"."""
    in_file = IN_FILE.fullmatch(name)
    return snake_case(in_file[2] or "") if in_file else name


def snake_case(name: str) -> str:
    """`NodePerturbation` -> `node_perturbation`, `DFA` -> `dfa`, `FashionMNIST` -> `fashion_mnist`,
    `CIFAR10Subset` -> `cifar10_subset`.
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z0-9])(?=[A-Z][a-z])", "_", name).lower()
