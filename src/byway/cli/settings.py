"""Settings of a training: flags, a TOML file and defaults, in one dataclass made for what is
trained.

What a rule or a task declares with `hyper` becomes a flag, `--ff.peer 0.1`, and a key of its own
table, `[ff] peer = 0.1`, where that rule or task is named. A setting of any other would have no
effect, so there is none.
"""

import dataclasses
import re
import tomllib
import types
import typing
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tomli_w
import tyro

from byway.core.errors import ConfigError, unknown_name
from byway.core.hyper import hypers
from byway.core.registry import called
from byway.growths import GROWTHS
from byway.rules import RULES
from byway.system.docstring import docstring
from byway.tasks import TASKS

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class NetSettings:
    """The network that every rule trains.

    Attributes:
        kind: mlp, convnet or rnn; by default rnn where samples are sequences, mlp elsewhere.
        hidden: sizes of the dense hidden layers; the task's suggestion by default, none after
            convolutions.
        channels: output channels of each convolution, for a convnet; 16 32 by default.
        kernel: side of every kernel of a convnet [pixel]; 3 by default.
        pool: side of the mean-pooling window after each convolution [pixel]; 2 by default.
        activation: of hidden layers: relu, long_relu, tanh, sigmoid, hard_sigmoid, softplus,
            identity, quantised; in time also leaky, lif, alif, gru.
        fan_in: how many units of the layer before each hidden unit reads, in an mlp; all by
            default.
        norm: whether input and hidden layers send their activity divided by its root mean square;
            ff always does.
        bias: whether projections have a bias.
    """

    kind: str | None = None
    hidden: tuple[int, ...] | None = None
    channels: tuple[int, ...] | None = None
    kernel: int | None = None
    pool: int | None = None
    activation: str | None = None
    fan_in: int | None = None
    norm: bool = False
    bias: bool = True


@dataclasses.dataclass(frozen=True)
class Training:
    """What every training needs to know.

    Attributes:
        task: what to learn; 'byway list' names them.
        seeds: how many networks to train, each from its own random start.
        first_seed: the first of the seeds.
        epochs: passes over the training split; the task's suggestion by default.
        batch: samples in an update; the task's suggestion by default.
        optimiser: adam, adamw, sgd, momentum, rmsprop or adam_each; each rule's own by default,
            adam for most.
        lr: learning rate of the weights; each rule's own by default.
        lr_gamma: learning rate of a rule's own parameters, where they learn; the same as lr by
            default.
        schedule: "cosine" takes the rate to zero over the run, "constant" leaves it; each rule's
            own by default, cosine for most.
        probe: validation samples under the microscope, which compares updates with the true
            gradient; 64 by default.
        looks: how often it looks, closer together early; 0 for never; by default up to 20 times,
            for less than a tenth of the time.
        look_at: the updates after which it looks instead, 0 for the start.
        every: time steps between updates, for a rule that learns at every step; a whole sequence by
            default.
        growth: what grows the network while it learns: set (of networks with net.fan-in),
            continual_backprop; nothing by default.
        save_every: seconds between two checkpoints, from which 'byway resume' goes on, 60 by
            default; ends of epochs count too.
        keep: how many of the latest checkpoints to keep, for 'byway branch'; 0 for all; 1 by
            default.
        track: where to send what is measured besides: tensorboard, wandb or mlflow.
        out: the run folder; runs/VERB-TASK-TIME by default.
        overwrite: replace the run that lies in the folder.
        net: the network.
    """

    task: str = "digits"
    seeds: int = 1
    first_seed: int = 0
    epochs: int | None = None
    batch: int | None = None
    optimiser: str | None = None
    lr: float | None = None
    lr_gamma: float | None = None
    schedule: str | None = None
    probe: int | None = None
    looks: int | None = None
    look_at: tuple[int, ...] | None = None
    every: int | None = None
    growth: str | None = None
    save_every: float | None = None
    keep: int | None = None
    track: tuple[str, ...] = ()
    out: Path | None = None
    overwrite: bool = False
    net: NetSettings = NetSettings()


@dataclasses.dataclass(frozen=True)
class Verb:
    """A verb that trains, with the settings that it takes: its own, the common ones, and a table
    for each rule and task that is named.

    Attributes:
        name: of the verb.
        doc: what it does.
        own: its own settings: name, type, default and help of each. That called "rule" names one
            rule, "rules" several.
        without: the common settings that have no effect in it.
    """

    name: str
    doc: str
    own: Sequence[tuple[str, Any, Any, str]]
    without: Collection[str] = ()

    def read(self, argv: Sequence[str]) -> Any:
        """Settings from defaults, then a TOML file (`--config FILE`), then flags.

        Raises:
            ConfigError: the file is missing or broken, a value has the wrong type, or a setting is
                of what is not trained.
            UnknownNameError: a rule, a task or a key that does not exist, with the nearest ones.
        """
        argv, given = list(argv), {}
        if "--config" in argv:
            at = argv.index("--config")
            if at + 1 == len(argv):
                raise ConfigError("--config without a file", "--config FILE.toml", "name the file")
            given = read_toml(Path(argv[at + 1]))
            del argv[at : at + 2]
        members = self._members(given | _said(argv, ("rule", "rules", "task", "growth")))
        for flag in argv:
            if flag.startswith("--") and "." in flag:
                self._require_named(flag, flag[2:].partition(".")[0].replace("-", "_"), members)
        teach = (
            "A rule or a task has settings of its own, which are listed where it is named: "
            "'--rule{} pc --help', or 'byway list pc'."
        )
        default = self._from_dict(given, members)
        return tyro.cli(
            type(default),
            args=argv,
            default=default,
            prog=f"byway {self.name}",
            description=f"{self.doc}\n\n{teach.format('s' if self._several else '')}",
        )

    def from_dict(self, given: Mapping[str, Any]) -> Any:
        """Settings from those of a TOML file alone; raises as `read` does."""
        return self._from_dict(given, self._members(given))

    def names(self, settings: Any) -> list[str]:
        """The rules that settings name."""
        return self._split(settings.rules if self._several else settings.rule)

    @property
    def _several(self) -> bool:
        return any(name == "rules" for name, *_ in self.own)

    def _split(self, text: str) -> list[str]:
        return (
            [name.strip() for name in text.split(",") if name.strip()] if self._several else [text]
        )

    def _members(self, given: Mapping[str, Any]) -> dict[str, type]:
        """The rules and the task that are trained, and what grows, by their names."""
        defaults = {name: value for name, _, value, _ in self.own} | {"task": Training.task}
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
        members |= {called(task): TASKS.get(task)} if isinstance(task, str) else {}
        growth = given.get("growth")
        return members | ({called(growth): GROWTHS.get(growth)} if isinstance(growth, str) else {})

    def _settings(self, members: Mapping[str, type]) -> type:
        own = [
            (name, _flag(kind, text), dataclasses.field(default=value))
            for name, kind, value, text in self.own
        ]
        left_out = {*self.without, *(name for name, *_ in self.own)}
        common = [field for field in _fields(Training) if field[0] not in left_out]
        tables = []
        for name, member in members.items():
            if fields := hypers(member):
                table = _table(name, fields)
                tables.append((name, table, dataclasses.field(default=table())))
        return dataclasses.make_dataclass(
            self.name.capitalize(), [*own, *common, *tables], frozen=True
        )

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
                and not any(name == field.name for field in dataclasses.fields(Training))
            ):
                raise ConfigError(
                    f"{given}, a setting of {name}, which is not used",
                    f"settings of {', '.join(members)}",
                    f"name {name} with --{flag}, or leave its settings out",
                )


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


def _fields(owner: type) -> list[tuple[str, Any, Any]]:
    """The fields of a dataclass with what its docstring says of each as its help."""
    # A text may go on in a second line.
    described = re.sub(r"\n {8,}", " ", docstring(owner).partition("Attributes:")[2])
    texts = dict(line.strip().split(": ", 1) for line in described.splitlines() if line.strip())
    fields = []
    for field in dataclasses.fields(owner):
        kind, default = field.type, field.default
        if isinstance(kind, type) and dataclasses.is_dataclass(kind):
            kind = dataclasses.make_dataclass(
                kind.__name__, _fields(kind), bases=(kind,), frozen=True
            )
            default = kind()
        fields.append(
            (field.name, _flag(kind, texts[field.name]), dataclasses.field(default=default))
        )
    return fields


def _table(name: str, fields) -> type:
    made = []
    for field in fields:
        unit = f" [{field.metadata['unit']}]" if field.metadata["unit"] else ""
        kind = _flag(field.type, field.metadata["doc"] + unit)
        made.append((field.name, kind, dataclasses.field(default=field.default)))
    table = dataclasses.make_dataclass(name, made, frozen=True)
    table.__doc__ = f"Settings of {name}."
    return table


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
    where the run was kept.
    """
    return tomli_w.dumps(
        plain(
            {k: v for k, v in dataclasses.asdict(settings).items() if k not in ("out", "overwrite")}
        )
    )


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
    wanted = " or ".join(getattr(o, "__name__", str(o)) for o in options if o is not type(None))
    raise ConfigError(
        f"{name} = {value!r}",
        wanted,
        f"write it as in {name} = 1 for a number, a list in [ ], a word in quotes",
    )
