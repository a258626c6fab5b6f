"""`byway list`: every name that a flag may take."""

import dataclasses
import sys
from collections.abc import Sequence
from typing import Annotated

import tyro

from byway.core.errors import look_up
from byway.core.hyper import hypers
from byway.core.registry import Registry
from byway.experiment.networks import NETWORKS
from byway.growths import GROWTHS
from byway.network.activations import ACTIVATIONS
from byway.network.cells import CELLS
from byway.rules import RULES
from byway.system.docstring import headline
from byway.tasks import TASKS
from byway.training.optimisers import OPTIMISERS, SCHEDULES


@dataclasses.dataclass(frozen=True)
class List:
    """Name every rule, task, growth policy, network kind, activation, cell, optimiser and schedule;
    or the settings of some.

    Attributes:
        names: rules, tasks, cells and growth policies whose settings to list, with their defaults.
    """

    names: Annotated[tuple[str, ...], tyro.conf.Positional] = ()


def run(argv: Sequence[str]) -> None:
    """Run the verb with its flags."""
    asked = tyro.cli(List, args=list(argv), prog="byway list")
    for name in asked.names:
        _one(name)
    if asked.names:
        return
    for title, registry in (
        ("rules", RULES),
        ("tasks", TASKS),
        ("cells", CELLS),
        ("growth", GROWTHS),
    ):
        print(title)
        for name in registry.ids():
            print(f"  {name:18} {about(registry, name)}")
    for title, names in (
        ("networks", NETWORKS),
        ("activations", ACTIVATIONS),
        ("optimisers", OPTIMISERS),
        ("schedules", SCHEDULES),
    ):
        print(f"{title}\n  {', '.join(names)}")


def _one(name: str) -> None:
    registry = look_up(
        "rule, task, cell or growth policy",
        name,
        {known: one for one in (RULES, TASKS, CELLS, GROWTHS) for known in one.ids()},
    )
    print(f"{name}: {about(registry, name)}")
    for field in hypers(registry.get(name)):
        unit = f" [{field.metadata['unit']}]" if field.metadata["unit"] else ""
        flag = field.name if registry is CELLS else f"--{name}.{field.name}".replace("_", "-")
        print(f"  {flag:28} {field.metadata['doc']}{unit}; {field.default!r} by default")


def about(registry: Registry, name: str) -> str:
    """What a rule or a task says of itself, in a line."""
    member = registry.get(name)
    # A learned rule has no file of its own.
    return headline(member if hasattr(member, "found") else sys.modules[member.__module__])
