"""`byway list`: every name that a flag may take."""

import dataclasses
import inspect
from collections.abc import Sequence

import tyro

from byway.audit.networks import KINDS
from byway.core.registry import Registry
from byway.growths import GROWTHS
from byway.network.activations import ACTIVATIONS
from byway.network.cells import CELLS
from byway.rules import RULES
from byway.tasks import TASKS
from byway.training.optimisers import OPTIMISERS, SCHEDULES


@dataclasses.dataclass(frozen=True)
class List:
    """Name every rule, task, growth policy, network kind, activation, cell, optimiser and schedule."""


def run(argv: Sequence[str]) -> None:
    """Run the verb with its flags."""
    tyro.cli(List, args=list(argv), prog="byway list")
    for title, registry in (("rules", RULES), ("tasks", TASKS), ("cells", CELLS), ("growth", GROWTHS)):
        print(title)
        for name in registry.ids():
            print(f"  {name:18} {headline(registry, name)}")
    for title, names in (("networks", KINDS), ("activations", ACTIVATIONS), ("optimisers", OPTIMISERS), ("schedules", SCHEDULES)):
        print(f"{title}\n  {', '.join(names)}")


def headline(registry: Registry, name: str) -> str:
    """What a rule or a task says of itself in its first line."""
    member = registry.get(name)
    owner = member if hasattr(member, "found") else inspect.getmodule(member)  # a learned rule has no file of its own
    return (inspect.getdoc(owner) or "").partition("\n")[0]
