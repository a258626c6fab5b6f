"""An experiment: rules on one task, all of it checked before any trains."""

import contextlib
import dataclasses
import inspect
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax

from byway.audit.verdict import audit
from byway.core.errors import (
    BlackBoxError,
    ConfigError,
    RuleError,
    RunError,
    unknown_name,
)
from byway.core.task import Split, Task
from byway.experiment.controls import Entry, controlled
from byway.experiment.engines import HERE
from byway.experiment.jobs import Engine, Job, Say, Tell, dealt
from byway.experiment.places import DATA, noted, require_same_data
from byway.experiment.processes import Processes
from byway.experiment.run import Run
from byway.learning.rule import Rule
from byway.learning.time import SequenceRule, StepRule
from byway.network.network import Network
from byway.runs.folder import JobFolder, RunFolder, read
from byway.runs.outcomes import CONTROL
from byway.runs.provenance import provenance
from byway.system.docstring import headline
from byway.system.together import alone, leads, told
from byway.training.checkpoint import locked
from byway.training.course import Watch
from byway.training.fit import announced, fit
from byway.training.history import Reading
from byway.training.options import Options, declared
from byway.training.outcome import Outcome
from byway.training.plan import Plan, checked, gamma_learns
from byway.training.result import Result
from byway.training.track import tracker, tracking

Listener = Callable[[str, Reading], None]
# Makes what looks on while a job trains, of its folder and its label.
Door = Callable[[Path, str], contextlib.AbstractContextManager[Watch]]
# The options of which None is a value.
FREE = [name for name, (_, about) in declared(Options).items() if about.default is None]


class Experiment:
    """Every rule on the same task with the same seeds, order of data and budget.

    Everything that can be wrong is found here, before the first rule trains. Where a rule trains a
    network of its own (forward-forward's is normalised), or at a higher rate, and `frozen` is among
    the rules, frozen layers in that very network are trained too, at that rate, and the rule is
    held against those. `frozen` does not settle: where a network has to, the rule itself is trained
    once more, its readout alone.

    Args:
        rules: by label.
        build: the network of a rule, from the task and the rule.
        task: what to learn.
        options: options of `fit`; None for a default.
        rates: learning rates of single rules, by label.
        data: what `task.load()` gave; it is loaded by default.
        track: trackers, by name.

    Attributes:
        entries: what is trained, in its order.
        data: the splits.
        apart: by label, why the layers of a rule are on one device, where those of others are
            shared among several.

    Raises:
        BywayError: whatever `fit` would raise of its arguments.
    """

    def __init__(
        self,
        rules: Mapping[str, Rule],
        build: Callable[[Task, Rule], Network],
        task: Task,
        options: Mapping[str, Any],
        rates: Mapping[str, float] | None = None,
        data: dict[str, Split] | None = None,
        track: Sequence[str] = (),
    ):
        if not rules:
            raise ConfigError("no rules", "one or more", "for example bp,frozen,fa")
        self.task, self.track, rates = task, track, rates or {}
        for label in rates:
            if label not in rules:
                raise unknown_name("rule with a rate of its own", label, list(rules))
        self.data = task.load() if data is None else checked(task, data)
        nets = {label: build(task, rule) for label, rule in rules.items()}
        self.options = dict(options)
        given = {label: self._given(rule, rules.values()) for label, rule in rules.items()}
        for label, rate in rates.items():
            given[label]["lr"] = rate
        self._with_gamma(rules, nets, given)
        self.apart = self._with_layers(rules, nets, given)
        made = [Entry(label, rule, nets[label], given[label]) for label, rule in rules.items()]
        self.entries = controlled(task, made)
        for entry in self.entries:
            self.plan(entry).prepare(entry.net, entry.rule, task, self.data)
        for name in track:
            tracker(name)

    def entry(self, job: Job) -> Entry:
        """The entry that a job is of."""
        return next(entry for entry in self.entries if entry.label == job.label)

    def plan(self, entry: Entry) -> Plan:
        """The options of an entry, with their values."""
        return Plan(self.task, entry.options)

    @property
    def steps(self) -> int:
        """How many updates each rule makes."""
        plan = self.plan(self.entries[0])
        return plan.epochs * (self.data["train"].size // plan.batch)

    @property
    def seeds(self) -> list[int]:
        """The seeds."""
        return self.plan(self.entries[0]).all_seeds

    def begin(
        self,
        path: Path,
        config: str = "",
        overwrite: bool = False,
        unique: bool = False,
        **about: Any,
    ) -> RunFolder:
        """The run folder, with what is to be trained.

        Args:
            path: where.
            config: the settings, as TOML.
            overwrite: whether a run that lies there may be replaced.
            unique: whether to change the name if it is taken.
            about: what else to note of it.
        """
        said = self.about(path, **about)
        made = told(lambda: str(RunFolder.begin(path, said, config, overwrite, unique).path))
        return RunFolder(Path(made))

    def about(self, path: Path, **more: Any) -> dict[str, Any]:
        """What a run folder there notes of it, and more."""
        asked = [entry.label for entry in self.entries]
        data = {DATA: noted(self.task, self.data, path)}
        return {**provenance(), "task": self.task.id, "asked": asked, **data, **more}

    def run(
        self,
        folder: RunFolder | None = None,
        on_epoch: Listener | None = None,
        on_look: Listener | None = None,
        progress: bool | None = None,
        say: Say = lambda text: None,
        engine: Engine = HERE,
        door: Door | None = None,
    ) -> Run:
        """Train every rule that has not finished, each from its last checkpoint if it has one.

        Args:
            folder: where to write; in memory alone by default.
            on_epoch: told of a rule and what was measured at its start and after each epoch; in
                this process alone.
            on_look: told of a rule and of each look through the microscope; in this process alone.
            progress: whether to draw progress bars; by default where a person is watching.
            say: told in words of each rule that has finished.
            engine: where the jobs run; one after another in this process by default.
            door: makes what looks on while a job trains in a folder; nobody does by default.
        """
        train = partial(self.train, on_epoch=on_epoch, on_look=on_look, door=door)
        if folder is None:
            about = provenance()
            jobs = [Job(entry.label, tuple(self.seeds)) for entry in self.entries]
            done = engine.run(train, jobs, progress, say)
            return Run({job.label: outcome for job, outcome in done}, about)
        kept = f"'byway resume {folder.path}' continues from there"
        with contextlib.ExitStack() as stack, telling_where(kept), _telling_of(folder.path):
            told(lambda: stack.enter_context(locked(folder.path)))
            begun = told(lambda: self._begun(folder, engine.workers))
            left = [Job(label, tuple(seeds), devices) for label, seeds, devices in begun]
            others = [job for job in left if job.devices not in (None, jax.device_count())]
            if others and not alone():
                raise RunError(
                    f"{others[0]} in {folder.path}, begun with {others[0].devices} devices",
                    f"as many as all processes have here: {jax.device_count()}",
                    "resume it with as many",
                )
            if others and engine is HERE:
                engine = Processes(1)
            train = partial(train, folder=folder)
            do = partial(_trained_away, self, folder, door) if engine.away else train
            found = {job.label: outcome for job, outcome in engine.run(do, left, progress, say)}
        held = Run.of(read(folder.path))
        mine = {
            label: found[label]
            for label, one in held.items()
            if isinstance(found.get(label), Outcome) and found[label].seeds == one.seeds
        }
        return dataclasses.replace(held, outcomes={k: mine.get(k, v) for k, v in held.items()})

    def _begun(self, folder: RunFolder, workers: int) -> list[tuple[Any, ...]]:
        """The jobs of a run that have not finished, as plain values; of all, it is written what
        they are.

        A rule is one job, unless more jobs can run at once than there are rules: then its seeds are
        dealt to as many as keep all busy. What was dealt before stays so.
        """
        self._require_same_data(folder)
        left = []
        for entry in self.entries:
            parts = folder.parts(entry.label) or dealt(self.seeds, *self._parts(entry, workers))
            if [seed for part in parts for seed in part] != self.seeds:
                raise RunError(
                    f"{folder.path} holds {entry.label} of seeds "
                    f"{', '.join(f'{one[0]} to {one[-1]}' for one in parts)}",
                    f"seeds {self.seeds[0]} to {self.seeds[-1]}",
                    "call it with the arguments that it was made with, or choose another folder",
                )
            for seeds in parts:
                job, held = Job(entry.label, seeds), folder.job(entry.label, seeds)
                if held.finished:
                    self._require_same(entry, job, held)
                    continue
                if not held.begun:
                    held.begin(Outcome(**self._announced(entry, job), finished=False))
                left.append((job.label, job.seeds, held.devices))
        return left

    def _parts(self, entry: Entry, workers: int) -> tuple[int, int]:
        """How many jobs the seeds of a rule make, and how many seeds each has at least.

        Where their mean decides when to stop, and where they share a black box, seeds stay
        together. The batch of a rule that settles may be divided where a seed is alone.
        """
        if self.plan(entry).patience is not None or not entry.net.differentiable:
            return 1, 1
        return -(-workers // len(self.entries)), 2 if entry.rule.settles else 1

    def _require_same_data(self, folder: RunFolder) -> None:
        """Raise `RunError` unless a run is of these data; take note of where they lie now."""
        about = folder.about
        require_same_data(about, self.data, folder.path)
        if about.get(DATA) != (now := noted(self.task, self.data, folder.path)):
            folder.note(**{DATA: now})

    def _require_same(self, entry: Entry, job: Job, held: JobFolder) -> None:
        """Raise `RunError` unless a job that has finished is the one that would be trained."""
        if (other := held.differs(Outcome(**self._announced(entry, job)))) is not None:
            raise RunError(
                f"{held.path} holds {entry.label} trained otherwise: {other}",
                "the run that is to be resumed",
                "call it with the arguments that it was made with, or choose another folder",
            )

    def train(
        self,
        job: Job,
        progress: bool | Tell | None = None,
        say: Say = lambda text: None,
        folder: RunFolder | None = None,
        on_epoch: Listener | None = None,
        on_look: Listener | None = None,
        door: Door | None = None,
    ) -> Result:
        """Do a job, from its last checkpoint if it has one.

        Args:
            job: which.
            progress: whether to draw a progress bar, or what is told instead.
            say: told in words how it ended.
            folder: where to write; in memory alone by default.
            on_epoch: as in `run`.
            on_look: as in `run`.
            door: as in `run`.
        """
        entry = self.entry(job)
        options: dict[str, Any] = entry.options | _seeds_of(job)
        plan = Plan(self.task, options)
        expected: dict[str, Any] = self._announced(entry, job) | {"audit": _audited(entry)}
        with contextlib.ExitStack() as stack:
            epoch, look = _listeners(on_epoch, entry), _listeners(on_look, entry)
            watch = None
            held = None if folder is None else folder.job(job.label, job.seeds)
            if held is not None and folder is not None and leads():
                held.begin(Outcome(**expected, finished=False), jax.device_count())
                sent = tracking(self.track, folder.path, entry.label, job.seeds, plan.options)
                pages = stack.enter_context(sent)
                kept = partial(held.add, job.seeds)
                epoch, look = [kept, pages.tell, *epoch], [kept, pages.tell, *look]
                if door is not None and alone():
                    watch = stack.enter_context(door(held.path, entry.label))
            result = fit(
                entry.net,
                entry.rule,
                self.task,
                data=self.data,
                progress=progress,
                on_epoch=partial(_tell, epoch),
                on_look=partial(_tell, look),
                watch=watch,
                checkpoint=None if held is None else held.checkpoints,
                **options,
            )
        own = {name: expected[name] for name in ("label", "control", "audit", "rule_id")}
        result = dataclasses.replace(result, **own)
        if held is not None:
            told(lambda: _kept(held, result))
        if job.label in self.apart:
            say(f"{entry.label} was on one device: {self.apart[job.label]}")
        for seed, why in (result.advice | result.failures).items():
            say(f"{entry.label}, seed {seed}: {why}")
        say(str(result))
        return result

    def _announced(self, entry: Entry, job: Job) -> dict[str, Any]:
        """What is known of an outcome before training begins, as arguments of `Outcome`."""
        plan = Plan(self.task, entry.options | _seeds_of(job))
        made = announced(entry.net, entry.rule, self.task, self.data, plan)
        return made | {
            "label": entry.label,
            "control": entry.control,
            "rule_id": CONTROL if entry.added else entry.rule.id,
        }

    def _given(self, rule: Rule, rules: Any) -> dict[str, Any]:
        """The options of one rule, without those that are meant for others beside it, on which they
        have an effect.
        """
        left_out = lambda name: name in FREE and self.options[name] is None
        options = {name: v for name, v in self.options.items() if not left_out(name)}
        stepwise = any(isinstance(other, StepRule) for other in rules)
        if isinstance(rule, SequenceRule) and stepwise:
            options.pop("every", None)
        return options

    def _with_gamma(
        self,
        rules: Mapping[str, Rule],
        nets: Mapping[str, Network],
        given: Mapping[str, dict[str, Any]],
    ) -> None:
        """Leave the rate of a rule's own parameters to those that have such; where no rule has, it
        is refused.
        """
        if self.options.get("lr_gamma") is None:
            return
        for label, rule in rules.items():  # a fault elsewhere is found first
            rest = {name: value for name, value in given[label].items() if name != "lr_gamma"}
            Plan(self.task, rest).prepare(nets[label], rule, self.task, self.data)
        learns = {
            label: gamma_learns(
                rule, nets[label], self.task, self.data, Plan(self.task, given[label]).batch
            )
            for label, rule in rules.items()
        }
        if any(learns.values()):
            for label in rules:
                if not learns[label]:
                    del given[label]["lr_gamma"]

    def _with_layers(
        self,
        rules: Mapping[str, Rule],
        nets: Mapping[str, Network],
        given: Mapping[str, dict[str, Any]],
    ) -> dict[str, str]:
        """Share the layers of those rules that they can be shared of, and say why the others are on
        one device; where there are none that can, it is refused.
        """
        apart: dict[str, str] = {}
        if self.options.get("parallel") is None:
            return apart
        for label, rule in rules.items():  # a fault elsewhere is found first
            rest = {name: value for name, value in given[label].items() if name != "parallel"}
            Plan(self.task, rest).prepare(nets[label], rule, self.task, self.data)
        for label, rule in rules.items():
            try:
                Plan(self.task, given[label]).prepare(nets[label], rule, self.task, self.data)
            except RuleError as why:
                apart[label] = why.given
        if len(apart) < len(rules):
            for label in apart:
                del given[label]["parallel"]
            return apart
        return {}


def labelled(rules: Sequence[Rule]) -> dict[str, Rule]:
    """Rules by their names.

    Raises:
        ConfigError: one is there twice.
    """
    found: dict[str, Rule] = {}
    for rule in rules:
        if rule.id in found:
            raise ConfigError(
                f"the rules {', '.join(one.id for one in rules)}",
                "each once",
                "give rules of one kind names of their own, as in {'a': rule, 'b': other}",
            )
        found[rule.id] = rule
    return found


def _audited(entry: Entry) -> dict[str, Any]:
    """What each update reads, and what the rule says of itself."""
    owner = inspect.getmodule(type(entry.rule))
    learned = hasattr(type(entry.rule), "found")  # it has no file of its own
    about = headline(type(entry.rule) if learned or owner is None else owner)
    return {"about": about, **audit(entry.rule, entry.net).to_json()}


def _listeners(listener: Listener | None, entry: Entry) -> list[Callable[[Reading], None]]:
    return [] if listener is None else [partial(listener, entry.label)]


def _tell(listeners: Sequence[Callable[[Reading], None]], reading: Reading) -> None:
    for listener in listeners:
        listener(reading)


def _kept(held: JobFolder, result: Result) -> None:
    """Write what a job left."""
    result.save(held.weights)
    if result.predictions is not None:
        held.keep(result.predictions)
    held.finish(result)


def _seeds_of(job: Job) -> dict[str, int]:
    """The options that say which seeds a job has."""
    return {"seeds": len(job.seeds), "first_seed": job.seeds[0]}


def _trained_away(
    experiment: Experiment,
    folder: RunFolder,
    door: Door | None,
    job: Job,
    progress: bool | Tell | None,
    say: Say,
) -> None:
    """Do a job in another process: what comes of it is in the run folder.

    Raises:
        RunError: the folder is not to be seen from there.
    """
    if not folder.job(job.label, job.seeds).begun:
        raise RunError(
            f"{folder.path} is not on {platform.node()}, where {job} is to be trained",
            "a run folder that all machines see, under the same path",
            "choose a folder on a shared disk with --out",
        )
    experiment.train(job, progress, say, folder, door=door)


@contextlib.contextmanager
def telling_where(kept: str) -> Iterator[None]:
    """Add to what stops training by hand how to resume.

    Args:
        kept: in words.
    """
    try:
        yield
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(f"; {kept}") from stop


@contextlib.contextmanager
def _telling_of(folder: Path) -> Iterator[None]:
    """Add to what a black box raised where the results of other rules are."""
    try:
        yield
    except BlackBoxError as error:
        kept = (
            f"all that was measured is in {folder}, and 'byway report {folder}' draws every rule "
            "that finished"
        )
        raise BlackBoxError(error.given, error.wanted, f"{error.fix}; {kept}") from error
