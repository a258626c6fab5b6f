"""Finds rules and tasks: by listing a package's folder, and by entry points for other people's
packages.
"""

import functools
import importlib
import pkgutil
import re
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType

from byway.core.errors import unknown_name


class Registry:
    """The members of one kind, found without importing any of them.

    A member is one file of `package` or one entry point of the group `package.__name__`, such as
    `byway.rules`. No members are files whose names start with an underscore, which are machinery,
    or end in `_checks`, which test the member beside them.
    """

    def __init__(self, package: ModuleType, base: type):
        self.package, self.base = package, base
        self.kind = package.__name__.rpartition(".")[2].rstrip("s")

    def ids(self) -> list[str]:
        """Every name, our own first, then those of other packages."""
        return self._own + sorted(self._foreign.keys() - set(self._own))

    def get(self, name: str) -> type:
        """The class called `name`; an unknown name raises, with the nearest ones."""
        if name not in self.ids():
            raise unknown_name(self.kind, name, self.ids())
        if name not in self._own:
            return self._foreign[name].load()
        module = importlib.import_module(f"{self.package.__name__}.{name}")
        members = [
            c
            for c in vars(module).values()
            if isinstance(c, type) and issubclass(c, self.base) and c.__module__ == module.__name__
        ]
        if len(members) != 1:
            found = ", ".join(c.__name__ for c in members) or "none"
            raise ImportError(
                f"{module.__name__} must define exactly one {self.base.__name__}; found {found}"
            )
        return members[0]

    @functools.cached_property  # it reads a file of every package that is installed
    def _foreign(self) -> dict[str, EntryPoint]:
        return {p.name: p for p in entry_points(group=self.package.__name__)}

    @functools.cached_property
    def _own(self) -> list[str]:
        return sorted(
            m.name
            for m in pkgutil.iter_modules(self.package.__path__)
            if not m.name.startswith("_") and not m.name.endswith("_checks")
        )


def snake_case(name: str) -> str:
    """`NodePerturbation` -> `node_perturbation`, `DFA` -> `dfa`, `FashionMNIST` -> `fashion_mnist`,
    `CIFAR10Subset` -> `cifar10_subset`.
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z0-9])(?=[A-Z][a-z])", "_", name).lower()
