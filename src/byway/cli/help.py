"""`--help`: a screen for a verb, and one for each topic that it names."""

import importlib
import sys
import textwrap
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from byway.cli.flags import Flag, member_flags, net_flags
from byway.cli.table import terminal
from byway.core.errors import unknown_name
from byway.core.registry import Registry
from byway.growths import GROWTHS
from byway.rules import RULES
from byway.system.docstring import docstring, headline
from byway.tasks import TASKS

LISTS = {"rules": RULES, "tasks": TASKS, "growth": GROWTHS}
# The family of what is in no folder of ours.
OTHERS = "others"
WIDTH = 100


def print_help(
    verb: str, doc: str, flags: Sequence[Flag], topic: str, members: Mapping[str, type]
) -> None:
    """Print the help of a verb.

    Args:
        verb: its name.
        doc: what it does.
        flags: its settings.
        topic: what to explain: "" for the verb itself, a topic of its flags, "net", "rules",
            "tasks", "growth", a family of rules, or a rule, a task or a growth policy by its name.
        members: the rules and the task that would be trained.

    Raises:
        UnknownNameError: a topic that there is not.
    """
    console, topics = terminal(), dict.fromkeys(flag.topic for flag in flags if flag.topic)
    if topic in topics:
        print(f"Flags of 'byway {verb}': {topic}.\n")
        console.print(_table([_row(flag) for flag in flags if flag.topic == topic]))
    elif topic in LISTS and len(families := LISTS[topic].families()) > 1:
        print(f"{topic} by family; 'byway {verb} --help FAMILY' tells them apart\n")
        console.print(_table([_family(LISTS[topic], *one) for one in families.items()]))
    elif names := _listed(topic):
        print(f"{topic}; 'byway {verb} --help NAME' explains one and its settings\n")
        console.print(_table([(name, _about(member)) for name, member in names.items()]))
    elif topic == "net":
        print("The network that every rule trains.\n")
        console.print(_table([_row(flag, "net.") for flag in net_flags()]))
    elif topic:
        _print_member(topic, topics)
    else:
        print(f"usage: byway {verb} [flags]\n")
        print(_wrapped(doc))
        print()
        console.print(_table([_row(flag) for flag in flags if not flag.topic]))
        print()
        more = " | ".join([*topics, "net", *LISTS, "NAME"])
        print(
            _wrapped(
                f"More: byway {verb} --help {more}. Rules and tasks have settings of their own, "
                f"such as --{_example(members)}; --config FILE.toml reads settings from a file."
            )
        )


def _family(registry: Registry[Any], family: str, names: Sequence[str]) -> tuple[str, str]:
    """A row: what a family of a registry has in common, and its members."""
    about = importlib.import_module(f"{registry.package.__name__}.{family}") if family else None
    doc = " ".join(docstring(about).split()) if about else "Of other packages, learned, or yours."
    return family or OTHERS, f"{doc}\n{', '.join(names)}"


def _listed(topic: str) -> dict[str, type]:
    """The members of a list, or of one family of it; none where a topic is neither."""
    if topic in LISTS:
        return {name: LISTS[topic].get(name) for name in LISTS[topic].ids()}
    found = {
        family or OTHERS: (registry, names)
        for registry in LISTS.values()
        if len(families := registry.families()) > 1
        for family, names in families.items()
    }
    registry, names = found.get(topic, (RULES, []))
    return {name: registry.get(name) for name in names}


def _print_member(name: str, topics: Iterable[str]) -> None:
    registry = next((one for one in LISTS.values() if name in one.ids()), None)
    if registry is None:
        known = [*topics, "net", *LISTS, *filter(None, RULES.families())]
        known += [name for one in LISTS.values() for name in one.ids()]
        raise unknown_name("topic of --help", name, known)
    member = registry.get(name)
    print(f"{_wrapped(_about(member))}\n")
    rows = [_row(flag, f"{name}.") for flag in member_flags(member)]
    if rows:
        terminal().print(_table(rows))
    else:
        print(f"{name} has no settings.")


def _example(members: Mapping[str, type]) -> str:
    flags = [(name, flag) for name, member in members.items() for flag in member_flags(member)]
    name, flag = flags[0] if flags else ("dfa", Flag("lr", float, None, ""))
    return f"{name}.{flag.name}".replace("_", "-")


def _about(member: type) -> str:
    learned = hasattr(member, "found")  # it has no file of its own
    return headline(member if learned else sys.modules[member.__module__])


def _row(flag: Flag, prefix: str = "") -> tuple[str, str]:
    name = f"--{prefix}{flag.name}".replace("_", "-")
    default = flag.default
    if default is True:  # what is on can only be turned off
        name = f"--{prefix}no-{flag.name}".replace("_", "-")
    said = "" if default in (None, (), "", False) else f" (default {_plain(default)})"
    return f"{name} {_kind(flag.kind)}".rstrip(), flag.text + said


def _plain(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _kind(kind: Any) -> str:
    """What stands for a value of a type."""
    if isinstance(kind, types.UnionType):
        kind = next(one for one in typing.get_args(kind) if one is not type(None))
    if kind is bool:
        return ""
    if typing.get_origin(kind) is tuple:
        return f"{_kind(typing.get_args(kind)[0])} ..."
    return getattr(kind, "__name__", str(kind)).upper()


def _table(rows: Sequence[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column()
    for name, text in rows:
        table.add_row(escape(name), escape(text))
    return table


def _wrapped(text: str) -> str:
    paragraphs = text.split("\n\n")
    return "\n\n".join(textwrap.fill(" ".join(one.split()), WIDTH) for one in paragraphs)
