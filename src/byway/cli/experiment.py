"""From settings to a finished run folder: what `train`, `compare`, `resume` and `branch` share."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from byway import named
from byway.audit.verdict import audit
from byway.cli.list import about as said
from byway.cli.settings import NetSettings, plain, to_toml
from byway.core.errors import BlackBoxError, ConfigError, RunError, look_up
from byway.core.given import require_none, require_whole
from byway.core.task import Task
from byway.learning.rule import Rule
from byway.learning.time import SequenceRule, StepRule
from byway.network.builders import convnet, mlp, rnn
from byway.network.network import Network
from byway.rules import RULES
from byway.training.checkpoint import locked
from byway.training.fit import fit
from byway.training.options import Options, gamma_learns
from byway.training.run import Run
from byway.training.track import tracker, tracking
from byway.training.tune import RATE, TUNED, with_values

# Of each convolution, unless told; and the kind of network that alone has a setting.
CHANNELS = (16, 32)
ONLY = {"channels": "convnet", "kernel": "convnet", "pool": "convnet", "fan_in": "mlp"}
NETWORKS: dict[str, Callable[..., Network]] = {
    "mlp": lambda task, hidden, options: mlp(task.input_shape, *hidden, task.outputs, **options),
    "rnn": lambda task, hidden, options: rnn(task.input_shape, *hidden, task.outputs, **options),
    "convnet": lambda task, hidden, options: convnet(
        task.input_shape, options.pop("channels", CHANNELS), task.outputs, hidden=hidden, **options
    ),
}


class Experiment:
    """Every rule on the same task with the same seeds, order of data and budget; made from
    settings, not begun yet.

    Everything that can be wrong with the settings is found before the first rule trains.

    Args:
        names: the rules.
        settings: what a `Verb` read.
    """

    def __init__(self, names: list[str], settings: Any):
        if not names or len(set(names)) < len(names):
            raise ConfigError(
                f"the rules {', '.join(names) or '(none)'}",
                "one or more, each once",
                "for example bp,frozen,fa",
            )
        self.settings, self.tuned = (
            settings,
            {} if getattr(settings, "tuned", None) is None else read_tuned(settings.tuned, names),
        )
        if self.tuned:
            require_none(
                "lr",
                settings.lr,
                "beside what was tuned, which has a rate for each rule",
                "leave --tuned out",
            )
        self.rules = [
            with_values(_member(named.rule, name, settings), self.tuned.get(name, {}))
            for name in names
        ]
        self.task: Task = _member(named.task, settings.task, settings)
        self.nets = [build(settings.net, self.task, rule) for rule in self.rules]
        self.data = self.task.load()
        self.options: dict[str, Any] = {
            name: getattr(settings, name, None) for name in Options.__dataclass_fields__
        }
        if (growth := self.options["growth"]) is not None:
            self.options["growth"] = _member(named.growth, growth, settings)
        for name in ("epochs", "batch"):
            self.options[name] = (
                getattr(self.task.suggests, name)
                if self.options[name] is None
                else self.options[name]
            )
        self._with_gamma: set[str] = set()
        self._plan()
        if settings.lr_gamma is not None:
            pairs = zip(self.rules, self.nets, strict=True)
            found = {
                rule.id
                for rule, net in pairs
                if gamma_learns(rule, net, self.task, self.data, self.options["batch"])
            }
            # Where it is of no use to any rule, it is refused.
            self._with_gamma = found or set(names)
            self._plan()
        for name in getattr(settings, "track", ()):
            tracker(name)

    def options_of(self, rule: Rule) -> dict[str, Any]:
        """Options of `fit` for one rule; without those that are meant for others beside it, on
        which they have an effect.
        """
        left_out = {}
        if isinstance(rule, SequenceRule) and any(
            isinstance(other, StepRule) for other in self.rules
        ):
            left_out["every"] = None
        if rule.id not in self._with_gamma:
            left_out["lr_gamma"] = None
        tuned = {"lr": self.tuned[rule.id][RATE]} if rule.id in self.tuned else {}
        return self.options | left_out | tuned

    def _plan(self) -> None:
        """Raise whatever `fit` would raise of its arguments."""
        for rule, net in zip(self.rules, self.nets, strict=True):
            Options.given(**self.options_of(rule)).plan(net, rule, self.task, self.data)

    @property
    def steps(self) -> int:
        """How many batches each rule learns from."""
        return self.options["epochs"] * (self.data["train"].size // self.options["batch"])

    def begin(self, verb: str, **about: Any) -> Run:
        """The run folder, with its settings.

        Args:
            verb: "train", "compare" or "branch"; names the folder where the settings do not.
            about: what else to note of the run.
        """
        given = self.settings.out
        out = (
            Path("runs") / f"{verb}-{self.task.id}-{time.strftime('%Y%m%d-%H%M%S')}"
            if given is None
            else given
        )
        run = Run.begin(
            out,
            self.task,
            to_toml(self.settings),
            self.settings.overwrite,
            unique=given is None,
            **about,
        )
        if self.tuned:  # a copy, so that the run can be gone on with when the search is no more
            run.write_json(TUNED, {name: {"values": values} for name, values in self.tuned.items()})
        return run

    def train(self, run: Run) -> None:
        """Train every rule that has not finished, each from its last checkpoint if it has one."""
        seeds = [self.settings.first_seed + i for i in range(self.settings.seeds)]
        with locked(run.folder):
            if not (run.folder / "audit.json").exists():
                kind = net_kind(self.settings.net, self.task)
                found = {
                    rule.id: audit(rule, net).to_json()
                    for rule, net in zip(self.rules, self.nets, strict=True)
                }
                about = {name: {"network": kind, "about": said(RULES, name)} for name in found}
                run.write_json("audit.json", {name: about[name] | found[name] for name in found})
            for rule, net in zip(self.rules, self.nets, strict=True):
                if rule.id in run.finished:
                    continue
                run.begin_rule(rule.id)
                on_row, on_look = (
                    partial(run.add_row, rule.id, seeds),
                    partial(run.add_look, rule.id, seeds),
                )
                settings = plain(self.settings)
                with (
                    tracking(self.settings.track, run.folder, rule.id, seeds, settings) as pages,
                    _telling_how_to_go_on(run.folder),
                ):
                    on_row, on_look = _both(on_row, pages.row), _both(on_look, pages.look)
                    result = fit(
                        net,
                        rule,
                        self.task,
                        data=self.data,
                        on_row=on_row,
                        on_look=on_look,
                        checkpoint=run.checkpoints(rule.id),
                        **self.options_of(rule),
                    )
                run.add_result(result, net)
                for seed, why in (result.advice | result.failures).items():
                    print(f"{rule.id}, seed {seed}: {why}", flush=True)
                print(result, flush=True)


def _both(one: Callable[[Any], None], other: Callable[[Any], None]) -> Callable[[Any], None]:
    def tell(news: Any) -> None:
        one(news)
        other(news)

    return tell


@contextlib.contextmanager
def _telling_how_to_go_on(folder: Path) -> Iterator[None]:
    """Add to what stops a training where its results are, and how to go on."""
    try:
        yield
    except BlackBoxError as error:
        kept = (
            f"all that was measured is in {folder}, and 'byway report {folder}' draws every rule "
            "that finished"
        )
        raise BlackBoxError(error.given, error.wanted, f"{error.fix}; {kept}") from error
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(f"; 'byway resume {folder}' goes on from there") from stop


def read_tuned(path: Path, names: list[str]) -> dict[str, dict[str, float]]:
    """What `byway tune` found for each of the rules, from its folder or its file.

    Raises:
        RunError: there is none, it is none, or a rule is not in it.
    """
    path = path / TUNED if path.is_dir() else path
    try:
        held = {
            name: dict(one["values"])
            for name, one in json.loads(path.read_text(encoding="utf-8")).items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
        raise RunError(
            f"{path} is no result of a search: {problem}",
            "what 'byway tune' wrote",
            "name its folder",
        ) from problem
    if missing := [name for name in names if name not in held]:
        raise RunError(
            f"{path} without {', '.join(missing)}",
            "every rule that is compared",
            "tune it too, with the same command and more rules",
        )
    return {name: held[name] for name in names}


def build(net: NetSettings, task: Task, rule: Rule) -> Network:
    """The network of the settings, with the options that the rule cannot do without."""
    kind = net_kind(net, task)
    builder = look_up("network kind", kind, NETWORKS)
    suggested = () if kind == "convnet" else task.suggests.hidden
    hidden = suggested if net.hidden is None else net.hidden
    options = {
        name: value
        for name, value in vars(net).items()
        if value is not None and name not in ("kind", "hidden")
    }
    for name, value in options.items():
        if (only := ONLY.get(name, kind)) != kind:
            given = f"net.{name} = {value} for a network of the kind {kind}"
            raise ConfigError(
                given, f"one of the kind {only}", f"leave net.{name} out, or add --net.kind {only}"
            )
        if name in ("kernel", "pool"):
            require_whole(f"net.{name}", value)
        # What is off may be off by default.
        if rule.network_options.get(name, value) != value and value is not False:
            wanted = f"{rule.network_options[name]}, which {rule.id} cannot do without"
            raise ConfigError(
                f"net.{name} = {value} for {rule.id}", wanted, f"leave net.{name} out, or {rule.id}"
            )
    return builder(task, hidden, {**options, **rule.network_options})


def net_kind(net: NetSettings, task: Task) -> str:
    """The kind of network asked for; by default what fits the task."""
    return ("rnn" if task.in_time else "mlp") if net.kind is None else net.kind


def _member(make: Callable[..., Any], name: str, settings: Any) -> Any:
    table = getattr(settings, name, None)
    return make(name, **(vars(table) if table is not None else {}))
