"""Settings of a run: flags, a TOML file and defaults, in one dataclass made for what is
trained.

What a rule or a task declares with `hyper` becomes a flag, `--ff.peer 0.1`, and a key of its own
table, `[ff] peer = 0.1`, where that rule or task is named. A setting of any other would have no
effect, so there is none.
"""

import dataclasses
import tomllib
import types
import typing
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tomli_w
import tyro

from byway.cli.flags import TASK, Flag, common, member_flags, net_flags
from byway.cli.help import print_help
from byway.core.errors import ConfigError, unknown_name
from byway.core.given import require_none
from byway.core.registry import IN_FILE, called
from byway.core.task import FOLD, require_pool
from byway.experiment.compare import fold_names, require_several_tasks
from byway.experiment.networks import NetSettings
from byway.growths import GROWTHS
from byway.rules import RULES
from byway.tasks import TASKS
from byway.tasks._parts import called_like

T = TypeVar("T")
# The task of data of one's own.
DATA = "data"


@dataclasses.dataclass(frozen=True)
class Verb:
    """A verb that trains, with the settings that it takes: its own, the common ones, and a table
    for each rule and task that is named.

    Attributes:
        name: of the verb.
        doc: what it does.
        own: its own settings. That called "rule" names one rule, "rules" several.
        without: the common settings that have no effect in it.
    """

    name: str
    doc: str
    own: Sequence[Flag]
    without: Collection[str] = ()

    def read(self, argv: Sequence[str]) -> Any:
        """Settings from defaults, then a TOML file (`--config FILE`), then flags.

        Raises:
            ConfigError: the file is missing or broken, a value has the wrong type, or a setting is
                of what is not trained.
            UnknownNameError: a rule, a task or a key that does not exist, with the nearest ones.
        """
        argv, given = _joined(argv, ("rules", "tasks", "growth")), {}
        if "--config" in argv:
            at = argv.index("--config")
            if at + 1 == len(argv):
                raise ConfigError("--config without a file", "--config FILE.toml", "name the file")
            given = read_toml(Path(argv[at + 1]))
            del argv[at : at + 2]
        topic = _topic(argv)
        members = self._members(given | _said(argv, ("rule", "rules", "task", "tasks", "growth")))
        if topic is not None:
            print_help(self.name, self.doc, self.flags(), topic, members)
            raise SystemExit(0)
        for flag in argv:
            if flag.startswith("--") and "." in flag:
                self._require_named(flag, flag[2:].partition(".")[0].replace("-", "_"), members)
        default = self._from_dict(given, members)
        return tyro.cli(type(default), args=argv, default=default, prog=f"byway {self.name}")

    def from_dict(self, given: Mapping[str, Any]) -> Any:
        """Settings from those of a TOML file alone; raises as `read` does."""
        return self._from_dict(given, self._members(given))

    def names(self, settings: Any) -> list[str]:
        """The rules that settings name."""
        return self._split(settings.rules if self._several else settings.rule)

    def folds(self, settings: Any) -> dict[str, Any]:
        """Settings of the runs of a cross-validation, by their names.

        Raises:
            ConfigError: there are no such folds, or the task has none.
        """
        names, task = fold_names(settings.folds, settings.tuned), called(settings.task)
        table: Any = getattr(settings, task, None)
        require_pool(TASKS.get(settings.task), task, getattr(table, FOLD, ""))
        return {
            name: dataclasses.replace(
                settings, folds=None, **{task: dataclasses.replace(table, **{FOLD: fold})}
            )
            for name, fold in names.items()
        }

    def tasks(self, settings: Any) -> dict[str, Any]:
        """Settings of the runs of several tasks, by their names.

        Raises:
            ConfigError: they are not several, each once.
        """
        require_none("folds", settings.folds, "beside tasks", "leave tasks out")
        named = tasks_in(settings.tasks)
        require_several_tasks([name for name, *_ in named], settings.task)
        tables = {called(task) for _, task, _ in named}
        given = plain(settings)
        if any(path is not None for *_, path in named):
            for setting in ("path", "name"):
                held = given[DATA].get(setting) or None
                why = "beside tasks that are files"
                require_none(f"{DATA}.{setting}", held, why, "name the data by --task alone")
        kept = {name: v for name, v in given.items() if name not in {"tasks", *tables}}
        found = {}
        for name, task, path in named:
            table = given.get(called(task), {}) | ({} if path is None else {"path": path})
            found[name] = self.from_dict(kept | {"task": task, called(task): table})
        return found

    @property
    def _several(self) -> bool:
        return any(flag.name == "rules" for flag in self.own)

    def _split(self, text: str) -> list[str]:
        return split(text) if self._several else [text]

    def _members(self, given: Mapping[str, Any]) -> dict[str, type]:
        """The rules and the task that are trained, and what grows, by their names."""
        defaults = {flag.name: flag.default for flag in self.own} | {"task": TASK.default}
        rules, task = (
            given.get(name, defaults[name])
            for name in ("rules" if self._several else "rule", "task")
        )
        members = (
            {called(name): RULES.get(name) for name in self._split(rules)}
            if isinstance(rules, str)
            else {}
        )
        # Of another kind they are refused with the rest.
        several = given.get("tasks")
        named = [one for _, one, _ in tasks_in(several)] if isinstance(several, str) else []
        tasks = named or ([task] if isinstance(task, str) else [])
        members |= {called(one): TASKS.get(one) for one in tasks}
        growth = given.get("growth")
        growing = policies_in(growth) if isinstance(growth, str) else []
        return members | {called(one): GROWTHS.get(one) for one in growing}

    def flags(self) -> list[Flag]:
        """Its own settings, then the common ones."""
        left_out = {*self.without, *(flag.name for flag in self.own)}
        return [*self.own, *(one for one in common() if one.name not in left_out)]

    def _settings(self, members: Mapping[str, type]) -> type:
        tables = [("net", NetSettings, net_flags())]
        tables += [(name, None, member_flags(member)) for name, member in members.items()]
        fields = [_field(flag) for flag in self.flags()]
        for name, base, flags in tables:
            if flags:
                bases = () if base is None else (base,)
                made = [_field(flag) for flag in flags]
                table = dataclasses.make_dataclass(name, made, bases=bases, frozen=True)
                table.__doc__ = f"Settings of {name}."
                fields.append((name, table, dataclasses.field(default=table())))
        return dataclasses.make_dataclass(self.name.capitalize(), fields, frozen=True)

    def _from_dict(self, given: Mapping[str, Any], members: Mapping[str, type]) -> Any:
        for name in given:
            self._require_named(f"[{name}]", name, members)
        return _from_dict(self._settings(members), given, "")

    def _require_named(self, given: str, name: str, members: Mapping[str, type]) -> None:
        for registry, flag in (
            (RULES, "rules" if self._several else "rule"),
            (TASKS, "task"),
            (GROWTHS, "growth"),
        ):
            if (
                name in registry.ids()
                and name not in members
                and not any(name == flag.name for flag in self.flags())
            ):
                raise ConfigError(
                    f"{given}, a setting of {name}, which is not used",
                    f"settings of {', '.join(members)}",
                    f"name {name} with --{flag}, or leave its settings out",
                )


def split(text: str) -> list[str]:
    """What stands between commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def policies_in(text: str) -> list[str]:
    """The growth policies of a list such as "set,migration"; no policy where it says "none"."""
    named = split(text)
    return [] if named == ["none"] else named


def tasks_in(text: str) -> list[tuple[str, str, str | None]]:
    """The tasks of a list such as "digits,wine.csv": what the run of each is called, the task, and
    the file or folder that its data are in, where they are one's own.
    """
    found = []
    for one in split(text):
        own = one not in TASKS.ids() and not IN_FILE.fullmatch(one) and Path(one).exists()
        found.append((called_like(Path(one)), DATA, one) if own else (called(one), one, None))
    return found


def _joined(argv: Sequence[str], names: Collection[str]) -> list[str]:
    """The arguments, with a list that is written with spaces as it is with commas: "--rules bp dfa"
    as "--rules bp,dfa".
    """
    made: list[str] = []
    named = joining = False
    for word in argv:
        if word.startswith("-"):
            name, equals, _ = word.removeprefix("--").partition("=")
            named = name in names
            joining = named and bool(equals)
            made.append(word)
        elif joining:
            made[-1] = f"{made[-1].rstrip(',')},{word}"
        else:
            made.append(word)
            joining = named
    return made


def _said(argv: Sequence[str], names: Collection[str]) -> dict[str, str]:
    """What flags of these names are given, before any flag is known: the last of each, as where
    they are read.
    """
    said = {}
    for i, flag in enumerate(argv):
        name, equals, value = flag.removeprefix("--").partition("=")
        if flag.startswith("--") and name in names:
            said[name] = value if equals else "".join(argv[i + 1 : i + 2])
    return said


def _topic(argv: list[str]) -> str | None:
    """What help is asked for: "" for the verb itself; None if for nothing."""
    at = next((i for i, flag in enumerate(argv) if flag in ("-h", "--help")), None)
    if at is None:
        return None
    words = argv[at + 1 : at + 2]
    return words[0] if words and not words[0].startswith("-") else ""


def _field(flag: Flag) -> tuple[str, Any, Any]:
    return flag.name, _flag(flag.kind, flag.text), dataclasses.field(default=flag.default)


def _flag(kind: Any, text: str) -> Any:
    """A field's type with its help; a type that may be None shows only what else it may be."""
    options = (
        [o for o in typing.get_args(kind) if o is not type(None)]
        if isinstance(kind, types.UnionType)
        else []
    )
    metavar = options[0].__name__.upper() if options and isinstance(options[0], type) else None
    return Annotated[kind, tyro.conf.arg(help=text, metavar=metavar)]


def to_toml(settings: Any) -> str:
    """The settings as TOML, to run the same again elsewhere. What is None is left out, and so is
    where the run was made and kept.
    """
    held, where = dataclasses.asdict(settings).items(), ("out", "overwrite", "jobs", "on")
    return tomli_w.dumps(plain({k: v for k, v in held if k not in where}))


def plain(value: Any) -> Any:
    """Settings as plain values, without what is None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items() if v is not None}
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, Path) else value


def from_toml(
    verbs: Mapping[str, Verb], path: Path, changes: Mapping[str, Any]
) -> tuple[list[str], Any]:
    """Settings of one of several verbs, from a file.

    Args:
        verbs: by the key that only a file of that verb has.
        path: the file.
        changes: what to change in it first, dots in the names for tables.

    Returns:
        The rules that they name, and the settings.
    """
    given = read_toml(path)
    verb = next((verbs[key] for key in verbs if key in given), None)
    if verb is None:
        raise ConfigError(
            f"{path} without {' or '.join(verbs)}",
            "the config.toml of a run",
            "restore it from a copy",
        )
    for name, value in changes.items():
        *tables, last = name.split(".")
        inner = given
        for table in tables:
            inner = inner.setdefault(table, {})
            if not isinstance(inner, dict):
                raise ConfigError(
                    f"{name}, where {table} = {inner!r}",
                    "the name of a setting",
                    "leave the part before the dot out",
                )
        inner[last] = value
    settings = verb.from_dict(given)
    return verb.names(settings), settings


def read_toml(path: Path) -> dict[str, Any]:
    """What a TOML file holds; raise `ConfigError` where it is missing, or none."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise ConfigError(
            f"{path} cannot be read: {problem.strerror}", "a TOML file", "check the path"
        ) from problem
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise ConfigError(
            f"{path} is no TOML: {problem}",
            "lines such as 'seeds = 8'",
            "see the config.toml of any run folder",
        ) from problem


def _from_dict(settings: type[T], given: Mapping[str, Any], prefix: str) -> T:
    hints = typing.get_type_hints(settings)
    known = {f.name: f for f in dataclasses.fields(settings)}  # pyright: ignore[reportArgumentType]
    values = {}
    for key, value in given.items():
        if key not in known:
            raise unknown_name("setting", prefix + key, [prefix + name for name in known])
        values[key] = _convert(hints[key], value, prefix + key)
    return settings(**values)


def _convert(kind: Any, value: Any, name: str) -> Any:
    options = typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    for option in options:
        if dataclasses.is_dataclass(option) and isinstance(value, dict):
            return _from_dict(option, value, name + ".")  # pyright: ignore[reportArgumentType]
        if (
            typing.get_origin(option) is tuple
            and isinstance(value, list)
            and all(type(v) is typing.get_args(option)[0] for v in value)
        ):
            return tuple(value)
        if option is float and type(value) is int:
            return float(value)
        if option is Path and isinstance(value, str):
            return Path(value)
        if isinstance(option, type) and type(value) is option:
            return value
    wanted = [_in_words(option) for option in options if option is not type(None)]
    raise ConfigError(
        f"{name} = {value!r}",
        " or ".join(wanted),
        f"write it as in {name} = 1 for a number, a list in [ ], a word in quotes, a table as "
        f"{name}.NAME = 1",
    )


def _in_words(kind: Any) -> str:
    return "a table" if dataclasses.is_dataclass(kind) else getattr(kind, "__name__", str(kind))
