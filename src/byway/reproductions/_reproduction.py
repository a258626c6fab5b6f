"""What a file of this folder declares: a published figure, and how it is measured here."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from typing_extensions import override

from byway.core.errors import ConfigError, RunError
from byway.core.given import require_none
from byway.core.hyper import hypers
from byway.core.registry import snake_case
from byway.core.task import Task
from byway.experiment.compare import Builder, builder_of, rules_of
from byway.experiment.experiment import Experiment
from byway.experiment.jobs import Engine
from byway.experiment.networks import NetSettings
from byway.experiment.run import Run
from byway.learning.rule import Rule
from byway.network.network import Network
from byway.report.words import join
from byway.reproductions._claims import Claim, Measured, Quantity, Values, Verdict
from byway.runs.folder import RunFolder, read
from byway.system.together import told
from byway.training.outcome import Outcome

Say = Callable[[str], None]


@dataclass(frozen=True)
class Budget:
    """How much is trained.

    Attributes:
        epochs: passes over the training split.
        seeds: how many networks by each rule.
        minutes: about how long that takes on two cores; None where nobody has tried.
    """

    epochs: int
    seeds: int
    minutes: float | None = None

    @override
    def __str__(self) -> str:
        """For example "10 epochs, 3 seeds"."""
        return f"{_counted(self.epochs, 'epoch')}, {_counted(self.seeds, 'seed')}"


class Reproduction(ABC):
    """Abstract: one published figure, in one file.

    The docstring of the file says what it is: a headline, what is worth knowing of it, and under
    labels its Source with the number of the figure or table, how far the number is Verified, by
    what our settings Differ, and why it is a Miss where it is one.

    Attributes:
        quantity: what the figure is of.
        claims: what is claimed.
        measured: what we measured, with the whole budget; None where nobody has yet.
    """

    quantity: ClassVar[Quantity]
    claims: ClassVar[tuple[Claim, ...]]
    measured: ClassVar[Measured | None] = None

    @property
    def id(self) -> str:
        """Its name, that of its file."""
        return snake_case(type(self).__name__)

    @abstractmethod
    def cost(self, quick: bool = False) -> tuple[str, float | None]:
        """The budget in words, and about how many minutes that takes on two cores; None where
        nobody has tried.
        """

    @abstractmethod
    def settings(self) -> dict[str, str]:
        """All settings by name, in words."""

    @abstractmethod
    def measure(
        self, quick: bool, out: Path | None, progress: bool | None, say: Say, where: Engine
    ) -> tuple[Run | None, Values]:
        """Measure it.

        Args:
            quick: whether with the cut-down budget.
            out: the run folder, resumed where it exists; None to write nothing.
            progress: whether to draw a progress bar.
            say: told of each rule that has finished.
            where: where its jobs run.

        Returns:
            The run, where something was trained; and what was measured.
        """

    def judge(self, values: Values) -> Verdict:
        """The claims beside what was measured.

        Raises:
            ConfigError: a claim is about what is not measured.
        """
        named = dict.fromkeys(name for claim in self.claims for name in claim.names)
        if missing := [name for name in named if name not in values]:
            given = f"claims of {self.id} about {join(missing)}"
            raise ConfigError(given, f"what is measured: {join(list(values))}", "correct them")
        return Verdict(tuple(claim.judge(values, self.quantity) for claim in self.claims))

    @property
    def status(self) -> str:
        """What is known of it: "holds", "does not hold", or "not measured yet"."""
        held = self.measured
        return "not measured yet" if held is None else self.judge(held.values).word


class Comparison(Reproduction):
    """Abstract: a figure that `byway.compare` measures, on the test split after the last epoch.

    Attributes:
        budget: how much is trained.
        quick: the cut-down budget, which says nothing of the claims.
    """

    budget: ClassVar[Budget]
    quick: ClassVar[Budget]

    @abstractmethod
    def task(self) -> Task:
        """The task."""

    @abstractmethod
    def rules(self) -> Sequence[str] | Mapping[str, Rule]:
        """The rules, as `compare` takes them."""

    @abstractmethod
    def net(self) -> Network | Builder | None:
        """The network, as `compare` takes it."""

    def options(self, epochs: int) -> dict[str, Any]:
        """Options of training besides epochs and seeds, as `compare` takes them; some depend on
        the epochs.
        """
        return {}

    @override
    def cost(self, quick=False):
        budget = self.quick if quick else self.budget
        return str(budget), budget.minutes

    @override
    def settings(self):
        task, net, rules = self.task(), self.net(), rules_of(self.rules())
        changed = [f for f in hypers(type(task)) if getattr(task, f.name) != f.default]
        own = [f"{f.name} {getattr(task, f.name)}" for f in changed]
        network = str(net) if isinstance(net, Network) else _plain(net)
        said = {"task": ", ".join([task.id, *own]), "network": network, "rules": ", ".join(rules)}
        options = self.options(self.budget.epochs)
        plain = {name: v for name, v in options.items() if isinstance(v, str | int | float)}
        said |= {name: str(value) for name, value in plain.items()}
        return said | {"epochs": str(self.budget.epochs), "seeds": str(self.budget.seeds)}

    @override
    def measure(self, quick, out, progress, say, where):
        budget = self.quick if quick else self.budget
        options = self.options(budget.epochs)
        options |= {"epochs": budget.epochs, "seeds": budget.seeds}
        made = Experiment(rules_of(self.rules()), builder_of(self.net()), self.task(), options)
        folder = None if out is None else self._folder(made, out, quick)
        run = made.run(folder, progress=progress, say=say, engine=where)
        return run, {label: self.values(one) for label, one in run.items()}

    def values(self, outcome: Outcome) -> list[float]:
        """What the figure is of, of each seed: NaN of one that was lost."""
        if outcome.score is None:
            return [np.nan] * len(outcome.seeds)
        printed = outcome.score.scale * outcome.main
        return (100 - printed if self.quantity.complement else printed).tolist()

    def _folder(self, made: Experiment, out: Path, quick: bool) -> RunFolder:
        """The run folder: a new one, or the one of the same reproduction, to be resumed."""
        mine = {"reproduction": self.id, "quick": quick}
        if not told(out.exists):
            return made.begin(out, verb="reproduce", **mine)
        about = read(out).about
        if {name: about.get(name) for name in mine} != mine:
            wanted = f"a {'quick ' if quick else ''}run of {self.id}, to be resumed"
            raise RunError(f"{out} holds another run", wanted, "choose another with --out")
        return RunFolder.again(out)


class Law(Reproduction):
    """Abstract: a figure that follows from an equation, and that takes no training to measure.

    Attributes:
        repeats: how often it is measured, each time from other random numbers.
        draws: how many random draws are averaged each time.
        quick_draws: how many with the cut-down budget.
        minutes: about how long all of it takes on two cores; None where nobody has tried.
    """

    repeats: ClassVar[int]
    draws: ClassVar[int]
    quick_draws: ClassVar[int]
    minutes: ClassVar[float | None] = None

    @abstractmethod
    def law(self, draws: int, seed: int) -> Mapping[str, float]:
        """What so many draws make of each name of the claims."""

    @override
    def cost(self, quick=False):
        draws, repeats = (self.quick_draws, 1) if quick else (self.draws, self.repeats)
        share = draws * repeats / (self.draws * self.repeats)
        minutes = None if self.minutes is None else self.minutes * share
        times = "" if repeats == 1 else f", {repeats} times"
        return f"{draws:,} draws{times}", minutes

    @override
    def measure(self, quick, out, progress, say, where):
        why, fix = f"of {self.id}, which trains nothing", "leave it out"
        require_none("out", out, why, fix)
        if where.away:
            raise ConfigError(f"jobs {why}", "none", "leave jobs and on out")
        draws, repeats = (self.quick_draws, 1) if quick else (self.draws, self.repeats)
        found = [self.law(draws, seed) for seed in range(repeats)]
        return None, {name: [one[name] for one in found] for name in found[0]}


def _plain(net: Builder | None) -> str:
    """A network that is yet to be built, in words: a function says it in its docstring."""
    if net is None:
        return "as the task suggests"
    if not isinstance(net, NetSettings):
        return inspect.cleandoc(net.__doc__ or "").rstrip(".")
    given = {name: v for name, v in vars(net).items() if v != getattr(NetSettings, name)}
    return ", ".join(f"{name} {_sizes(value)}" for name, value in given.items())


def _sizes(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
