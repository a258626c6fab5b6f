"""Settings of a training: flags, a TOML file and defaults, in one dataclass made from the rules and tasks there are.

What a rule or a task declares with `hyper` becomes a flag, `--ff.peer 0.1`, and a key of its own table, `[ff] peer = 0.1`.
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

from byway.core.errors import ConfigError, unknown_name
from byway.core.hyper import hypers
from byway.growths import GROWTHS
from byway.rules import RULES
from byway.tasks import TASKS
from byway.training.options import PROBE

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class NetSettings:
    """The network that every rule trains.

    Attributes:
        kind: mlp, convnet or rnn; by default rnn where samples are sequences, mlp elsewhere.
        hidden: sizes of the dense hidden layers; the task's suggestion by default, none after convolutions.
        channels: output channels of each convolution, for a convnet.
        kernel: side of every kernel [pixel].
        pool: side of the mean-pooling window after each convolution [pixel].
        activation: relu, tanh, sigmoid, hard_sigmoid, softplus, identity or quantised, in the hidden layers; in time also leaky, lif,
            alif or gru; tanh in an rnn, else relu.
        fan_in: how many units of the layer before each hidden unit reads, in an mlp; all by default.
        norm: whether input and hidden layers send their activity divided by its root mean square; ff always does.
        bias: whether projections have a bias.
    """

    kind: str | None = None
    hidden: tuple[int, ...] | None = None
    channels: tuple[int, ...] = (16, 32)
    kernel: int = 3
    pool: int = 2
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
        optimiser: adam, adamw, sgd, momentum or rmsprop; each rule's own by default, adam for most.
        lr: learning rate of the weights; each rule's own by default.
        lr_gamma: learning rate of a rule's own parameters, where they learn; the same as lr by default.
        schedule: "cosine" takes the rate to zero over the run, "constant" leaves it; each rule's own by default, cosine for most.
        probe: validation samples under the microscope, which compares updates with the true gradient.
        looks: how often it looks, closer together early; 0 for never; by default up to 20 times, for less than a tenth of the time.
        look_at: the updates after which it looks instead, 0 for the start.
        every: time steps between updates, for a rule that learns at every step; a whole sequence by default.
        growth: what grows the network while it learns: set (of networks with net.fan-in), continual_backprop; nothing by default.
        save_every: seconds between two checkpoints, from which 'byway resume' goes on; ends of epochs count too.
        keep: how many of the latest checkpoints to keep, for 'byway branch'; 0 for all.
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
    probe: int = PROBE
    looks: int | None = None
    look_at: tuple[int, ...] | None = None
    every: int | None = None
    growth: str | None = None
    save_every: float = 60.0
    keep: int = 1
    track: tuple[str, ...] = ()
    out: Path | None = None
    overwrite: bool = False
    net: NetSettings = NetSettings()


def settings_class(name: str, first: list[tuple[str, Any, Any, str]], doc: str) -> type:
    """A dataclass of the verb's own settings, the common ones, and a table for each rule and task that has any.

    Args:
        name: the class's name.
        first: the verb's own fields: name, type, default, help.
        doc: what the verb does.
    """
    own = [(field, _flag(kind, text), dataclasses.field(default=value)) for field, kind, value, text in first]
    tables = []
    for registry in (RULES, TASKS, GROWTHS):
        for member in registry.ids():
            fields = hypers(registry.get(member))
            if fields:
                table = _table(member, fields)
                tables.append((member, table, dataclasses.field(default=table())))
    names = {field[0] for field in first}
    common = [field for field in _inherited() if field[0] not in names]
    made = dataclasses.make_dataclass(name, [*own, *common, *tables], frozen=True)
    made.__doc__ = doc
    return made


def _inherited() -> list[tuple[str, Any, Any]]:
    texts = _attribute_texts(Training)
    fields = []
    for field in dataclasses.fields(Training):
        kind = _flag(field.type, texts[field.name])
        fields.append((field.name, kind, dataclasses.field(default=field.default)))
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
    options = [o for o in typing.get_args(kind) if o is not type(None)] if isinstance(kind, types.UnionType) else []
    metavar = options[0].__name__.upper() if options and isinstance(options[0], type) else None
    return Annotated[kind, tyro.conf.arg(help=text, metavar=metavar)]


def _attribute_texts(owner: type) -> dict[str, str]:
    lines = [line.strip() for line in (owner.__doc__ or "").partition("Attributes:")[2].splitlines() if line.strip()]
    return dict(line.split(": ", 1) for line in lines)


def read(settings: type[T], argv: Sequence[str], prog: str) -> T:
    """Settings from defaults, then a TOML file (`--config FILE`), then flags.

    Raises:
        ConfigError: the file is missing or broken, or a value has the wrong type.
        UnknownNameError: a key that does not exist, with the nearest ones.
    """
    argv = list(argv)
    default = settings()
    if "--config" in argv:
        at = argv.index("--config")
        if at + 1 == len(argv):
            raise ConfigError("--config without a file", "--config FILE.toml", "name the file")
        default = _from_dict(settings, _read_toml(Path(argv[at + 1])), "")
        del argv[at : at + 2]
    return tyro.cli(settings, args=argv, default=default, prog=prog, description=settings.__doc__)


def to_toml(settings: Any, used: Collection[str]) -> str:
    """The settings as TOML, to run the same again elsewhere.

    Args:
        settings: what `settings_class` made.
        used: the rules and tasks whose tables matter. What is None is left out, and so is where the run was kept.
    """
    others = {*RULES.ids(), *TASKS.ids(), *GROWTHS.ids(), "out", "overwrite"} - set(used)
    return tomli_w.dumps(plain({k: v for k, v in dataclasses.asdict(settings).items() if k not in others}))


def plain(value: Any) -> Any:
    """Settings as plain values, without what is None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items() if v is not None}
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, Path) else value


def from_toml(kinds: Mapping[str, type], path: Path, changes: Mapping[str, Any]) -> tuple[Any, str]:
    """Settings of one of several kinds, from a file.

    Args:
        kinds: by the key that only a file of that kind has, the class of settings.
        path: the file.
        changes: what to change in it first, dots in the names for tables.

    Returns:
        The settings, and the key.
    """
    given = _read_toml(path)
    kind = next((key for key in kinds if key in given), None)
    if kind is None:
        raise ConfigError(f"{path} without {' or '.join(kinds)}", "the config.toml of a run", "restore it from a copy")
    for name, value in changes.items():
        *tables, last = name.split(".")
        inner = given
        for table in tables:
            inner = inner.setdefault(table, {})
            if not isinstance(inner, dict):
                raise ConfigError(f"{name}, where {table} = {inner!r}", "the name of a setting", "leave the part before the dot out")
        inner[last] = value
    return _from_dict(kinds[kind], given, ""), kind


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as problem:
        raise ConfigError(f"{path} cannot be read: {problem.strerror}", "a TOML file", "check the path") from problem
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise ConfigError(
            f"{path} is no TOML: {problem}", "lines such as 'seeds = 8'", "see the config.toml of any run folder"
        ) from problem


def _from_dict(settings: type[T], given: dict[str, Any], prefix: str) -> T:
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
        if typing.get_origin(option) is tuple and isinstance(value, list) and all(type(v) is typing.get_args(option)[0] for v in value):
            return tuple(value)
        if option is float and type(value) is int:
            return float(value)
        if option is Path and isinstance(value, str):
            return Path(value)
        if isinstance(option, type) and type(value) is option:
            return value
    wanted = " or ".join(getattr(o, "__name__", str(o)) for o in options if o is not type(None))
    raise ConfigError(f"{name} = {value!r}", wanted, f"write it as in {name} = 1 for a number, a list in [ ], a word in quotes")
