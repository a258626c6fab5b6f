"""Rules, tasks, cells and growth policies, made by their names."""

from typing import Any, TypeVar

from byway.core.errors import ConfigError, unknown_name
from byway.core.given import shown
from byway.core.hyper import hypers
from byway.core.registry import Registry
from byway.core.task import Task
from byway.growths import GROWTHS
from byway.learning.growth import Growth
from byway.learning.rule import Rule
from byway.network.cell import Cell
from byway.network.cells import CELLS
from byway.network.cells import cell as found
from byway.rules import RULES
from byway.tasks import TASKS

T = TypeVar("T")
REGISTRIES: tuple[Registry[Any], ...] = (RULES, TASKS, GROWTHS, CELLS)


def rule(name: str, /, **hyper: Any) -> Rule:
    """The rule called `name`, with its hyper-parameters."""
    return _made(RULES.get(name), name, hyper)


def task(name: str, /, **hyper: Any) -> Task:
    """The task called `name`, with its settings."""
    return _made(TASKS.get(name), name, hyper)


def cell(name: str, /, **hyper: Any) -> Cell:
    """The cell or activation called `name`, with its numbers."""
    return found(name) if name not in CELLS.ids() else _made(CELLS.get(name), name, hyper)


def growth(name: str, /, **hyper: Any) -> Growth:
    """The growth policy called `name`, with its numbers."""
    return _made(GROWTHS.get(name), name, hyper)


def register(member: type[T]) -> type[T]:
    """Give a rule, a task, a cell or a growth policy of your own a name, that of its class in snake
    case: from then on `byway.rule("my_rule")`, `compare` and all else that takes a name know it.

    It is a decorator, too. A class that is written again, as in a notebook, takes the place of the
    one before.

    Args:
        member: the class.

    Returns:
        The class itself.

    Raises:
        ConfigError: the name is taken, or the class is none of these.
    """
    for registry in REGISTRIES:
        if isinstance(member, type) and issubclass(member, registry.base):
            registry.add(member)
            return member
    raise ConfigError(
        f"register({shown(member)})",
        "a class of byway.Rule, byway.Task, byway.Growth or StatefulCell",
        "write @byway.register above such a class",
    )


def _made(kind: type[T], name: str, settings: dict[str, Any]) -> T:
    """An instance with these settings; an unknown one raises, with the nearest ones."""
    known = [field.name for field in hypers(kind)]
    for setting in settings:
        if setting not in known:
            if not known:
                raise ConfigError(
                    f"{name} with {setting}", f"nothing: {name} has no settings", "leave it out"
                )
            raise unknown_name(f"setting of {name}", setting, known)
    return kind(**settings)
