"""Flags, from what declares the settings behind them: options, networks, rules, tasks."""

import dataclasses
import re
from typing import Any, NamedTuple

from byway.core.hyper import hypers
from byway.experiment.networks import NetSettings
from byway.experiment.options import StudyOptions
from byway.learning.rule import Rule
from byway.system.docstring import docstring
from byway.training.options import declared


class Flag(NamedTuple):
    """A setting on the command line and in a TOML file.

    Attributes:
        name: of the setting.
        kind: its type.
        default: its value unless told.
        text: what it means.
        topic: under which topic of `--help` it stands; "" for the first screen.
    """

    name: str
    kind: Any
    default: Any
    text: str
    topic: str = ""


TASK = Flag("task", str, "digits", "what to learn; 'byway list' names them")
# Of each rule, beside what it declares.
RATE = Flag("lr", float | None, None, "learning rate of the weights, of this rule alone")
# These have no flag: the rates of single rules are settings of those, and scales are for Python.
WITHOUT = ("rates", "scales", "resume")


def common() -> list[Flag]:
    """What every verb that trains can be told."""
    options = declared(StudyOptions).items()
    made = [
        Flag(name, about.flag or kind, about.default, about.doc, about.topic)
        for name, (kind, about) in options
    ]
    return [TASK, *(flag for flag in made if flag.name not in WITHOUT)]


def net_flags() -> list[Flag]:
    """The settings of the network."""
    # A text may go on in a second line.
    described = re.sub(r"\n {8,}", " ", docstring(NetSettings).partition("Attributes:")[2])
    texts = dict(line.strip().split(": ", 1) for line in described.splitlines() if line.strip())
    fields = dataclasses.fields(NetSettings)
    return [Flag(f.name, f.type, f.default, texts[f.name].rstrip(".")) for f in fields]


def member_flags(member: type) -> list[Flag]:
    """The settings of a rule, a task or what grows."""
    made = []
    for field in hypers(member):
        unit = f" [{field.metadata['unit']}]" if field.metadata["unit"] else ""
        made.append(Flag(field.name, field.type, field.default, field.metadata["doc"] + unit))
    own = any(flag.name == RATE.name for flag in made)
    return made + ([RATE] if issubclass(member, Rule) and not own else [])
