"""What a run is to be, beside its network, rule and data, checked before any work is done."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from byway.core.errors import (
    ConfigError,
    DataError,
    RuleError,
    ShapeError,
    look_up,
    unknown_name,
)
from byway.core.given import (
    LARGEST_COUNT,
    LARGEST_SEED,
    is_number,
    is_whole,
    require,
    require_none,
    require_several,
    require_whole,
    shown,
)
from byway.core.hyper import hypers, unknown_to_python
from byway.core.score import Score
from byway.core.signal import Signal
from byway.core.task import Split, Task
from byway.learning.growth import policies
from byway.learning.learner import Learner
from byway.learning.rule import Rule
from byway.network.network import Network
from byway.system.process import warn
from byway.system.together import alone
from byway.training.optimisers import optimiser as optimiser_called
from byway.training.optimisers import stepped
from byway.training.options import Options, filled
from byway.training.programs import in_precision
from byway.training.stages import waits_of
from byway.training.step import Optimisers, learn, new_learner
from byway.training.width import width_scales

# Validation samples under the microscope; how often it looks, unless told; and how many training
# samples are to lie between two looks for each sample of a look.
PROBE, FEWEST_LOOKS, MOST_LOOKS, SPACING = 64, 8, 20, 50
DEFAULTS = {"probe": PROBE, "save_every": 60.0, "keep": 1}
PARTS = ("train", "validation", "test")
# Learners in one program: more are a mistake, and would fit no machine.
MOST_SEEDS = 100_000


class Plan:
    """The options of one training, each with its value; all of it is checked before any work.

    Args:
        task: what is learned, which suggests a budget.
        given: options, as they are given.

    Raises:
        UnknownNameError: an option that there is not.
        ConfigError: one that has no effect beside the rest.
    """

    def __init__(self, task: Task, given: Mapping[str, Any]):
        options = filled(Options, given)
        if _no_looks(options["looks"], options["look_at"]):
            require_none(
                "probe", options["probe"], "where the microscope never looks", "let it look"
            )
        defaults = DEFAULTS | {"epochs": task.suggests.epochs, "batch": task.suggests.batch}
        for name, default in defaults.items():
            options[name] = default if options[name] is None else options[name]
        options["growth"] = policies(options["growth"])
        self.options = options
        # How many devices share the layers; `prepare` finds out.
        self.stages = 1

    def __getattr__(self, name: str) -> Any:
        options = self.__dict__.get("options", {})
        if name not in options:
            raise AttributeError(f"a plan has no {name}")
        return options[name]

    @property
    def all_seeds(self) -> list[int]:
        """The seeds themselves."""
        return [self.first_seed + i for i in range(self.seeds)]

    def rests(self, data: dict[str, Split]) -> list[int]:
        """For each growth policy, the update after which it does nothing more."""
        updates = self.epochs * (data["train"].size // self.batch)
        return [int(policy.until * updates) for policy in self.growth]

    def decisive(self, moments: list[int]) -> dict[str, Any]:
        """Those that decide what is learned and seen, with the updates after which the microscope
        looks.
        """
        rest = (
            "epochs",
            "batch",
            "optimiser",
            "lr",
            "lr_gamma",
            "schedule",
            "probe",
            "every",
            "clip",
            "decay",
            "warmup",
            "base_width",
            "patience",
            "best",
            "parallel",
        )
        return {name: getattr(self, name) for name in rest} | {
            "seeds": self.all_seeds,
            # As they were given: one by itself, none as None.
            "growth": (self.growth or (None,))[0] if len(self.growth) < 2 else self.growth,
            "scales": sorted((self.scales or {}).items()),
            "looks": moments,
        }

    def prepare(
        self, net: Network, rule: Rule, task: Task, data: dict[str, Split]
    ) -> tuple[Optimisers, list[int]]:
        """The optimisers, and the updates after which the microscope looks; raises whatever `fit`
        would raise of its arguments.
        """
        require(
            Network,
            "net",
            net,
            "a network",
            "build one, for example by byway.mlp(task.input_shape, 128, task.outputs)",
        )
        require(Rule, "rule", rule, "a rule", "for example byway.rule('dfa')")
        require_whole("seeds", self.seeds, 1, MOST_SEEDS)
        require_whole("first_seed", self.first_seed, 0, LARGEST_SEED + 1 - self.seeds)
        require_whole("probe", self.probe)
        size = data["train"].size
        if not is_whole(self.batch) or not 0 < self.batch <= size:
            raise ConfigError(
                f"a batch of {shown(self.batch)}",
                f"1 to {size:,}, the training samples there are",
                "choose another batch",
            )
        require_whole("epochs", self.epochs, 1, LARGEST_COUNT // (size // self.batch))
        require_whole("keep", self.keep, 0)
        if not is_number(self.save_every) or self.save_every < 0:
            raise ConfigError(
                f"save_every = {shown(self.save_every)}", "seconds, from 0", "leave it out for 60"
            )
        self._check_numbers(net, task)
        if self.every is not None:
            require_whole("every", self.every, fix="leave every out for one update a batch")
        if not net.takes(task.input_shape) or task.outputs != net[net.output].size:
            raise ShapeError(
                f"a network with {net[net.input].size} inputs and {net[net.output].size} outputs "
                f"on the task {task.id}, its input of shape "
                f"{net[net.input].shape}",
                f"{math.prod(task.input_shape)} inputs, as {task.input_shape}, and {task.outputs} "
                "outputs",
                "build the network from task.input_shape and task.outputs",
            )
        x = _handed_out(task, data, self.batch)[0]
        updates = _updates_a_batch(rule, net, task, x, self.every)
        # What a task can spare is looked for in all its samples.
        if (classes := rule.overwritten(net)) and classes > (spare := task.spare):
            raise RuleError(
                f"{rule.id} writes the label over the first {classes} inputs, and the task "
                f"{task.id} can spare {spare}",
                f"{classes} inputs that hold nothing else",
                f"put them in front, with byway.Data(..., room={classes}) or --data.room "
                f"{classes}; a task of your own says what it can "
                "spare (Task.spare); or use a rule that writes nothing, such as bp or dfa",
            )
        some = data["train"].first(self.batch)
        _check_scores(task, some, self.batch)
        taught = _check_needs(rule, task, some, self.batch)
        _check_order(task, size)
        batches = self.epochs * (size // self.batch)
        moments = _moments(
            self.looks, self.look_at, batches, self.batch, min(self.probe, data["validation"].size)
        )
        rule.accepts(net)
        _check_turns(rule)
        for policy in self.growth:
            policy.accepts(net)
        optimisers = self._optimisers(net, rule, task, batches * updates)
        if self.lr_gamma is not None and not gamma_learns(rule, net, task, data, self.batch):
            require_none(
                "lr_gamma",
                self.lr_gamma,
                f"for {rule.id}, which has no parameters that learn",
                "choose another rule",
            )
        if self.parallel is not None:
            self.stages = self._shared(net, rule, task, data, optimisers)
        # A black box has no gradient to compare with, and may not like to be asked once more.
        if not net.differentiable:
            if not _no_looks(self.looks, self.look_at):
                for name in ("looks", "look_at"):
                    require_none(
                        name,
                        getattr(self, name),
                        "where black boxes leave no true gradient",
                        "choose other units",
                    )
            moments = []
        # Without a loss there is no gradient to compare with either.
        return optimisers, moments if taught else []

    def _check_numbers(self, net: Network, task: Task) -> None:
        for name in ("clip", "decay"):
            value = getattr(self, name)
            if value is not None and not (is_number(value) and value > 0):
                raise ConfigError(f"{name} = {shown(value)}", "a number above 0", "leave it out")
        for name in ("warmup", "patience"):
            if getattr(self, name) is not None:
                require_whole(name, getattr(self, name), fix=f"leave {name} out for none")
        if not isinstance(self.best, bool):
            raise ConfigError(f"best = {shown(self.best)}", "True or False", "leave it out")
        for name in ("patience", "best"):
            if getattr(self, name) and not task.scores:
                raise ConfigError(
                    f"{name} = {getattr(self, name)} on the task {task.id}, which scores nothing",
                    "a score to judge epochs by",
                    f"leave {name} out",
                )
        if self.scales is None:
            return
        require(Mapping, "scales", self.scales, "numbers by projection", "leave it out")
        names = [p.name for p in net.projections]
        for name, scale in self.scales.items():
            if name not in names:
                raise unknown_name("projection", name, names)
            if not is_number(scale) or scale < 0:
                given = f"scales = {{{name!r}: {shown(scale)}}}"
                raise ConfigError(given, "a number from 0", "1 leaves the rate as it is")

    def _optimisers(self, net: Network, rule: Rule, task: Task, updates: int) -> Optimisers:
        chosen, schedule = (
            (rule.optimiser if self.optimiser is None else self.optimiser),
            rule.schedule if self.schedule is None else self.schedule,
        )
        if isinstance(chosen, str):
            lr = rule.learning_rate if self.lr is None else self.lr
            more = {"clip": self.clip, "warmup": self.warmup or 0}
            own = more | {"decay": self.decay, "scales": self._scales(net, chosen)}
            make = partial(optimiser_called, chosen, schedule=schedule, steps=updates)
            of_weights = make(rate=lr, **own)  # which says if the rate is none
            own_lr = lr * rule.gamma_rate if self.lr_gamma is None else self.lr_gamma
            return Optimisers(of_weights, make(rate=own_lr, **more))
        if not all(callable(getattr(chosen, part, None)) for part in ("init", "update")):
            raise ConfigError(
                f"optimiser = {shown(chosen)}",
                "a name, or an optax transformation",
                "for example 'adam'",
            )
        shaping = ("clip", "decay", "warmup", "scales", "base_width")
        for name in ("lr", "lr_gamma", "schedule", *shaping):
            require_none(
                name,
                getattr(self, name),
                "beside an optax transformation",
                "make that with the rate you want",
            )
        _check_steps(chosen, net, task)
        return Optimisers(chosen, chosen)

    def _scales(self, net: Network, optimiser: str) -> tuple[tuple[str, str, float], ...]:
        """What each rate is multiplied by, by projection and part, where it is not 1."""
        own, base = self.scales or {}, self.base_width
        by_width = {} if base is None else width_scales(net, base, optimiser)
        made = [
            (one.name, part, own.get(one.name, 1.0) * by_width.get(one.name, {}).get(part, 1.0))
            for one in net.projections
            for part in one.theta
        ]
        return tuple(each for each in made if each[-1] != 1.0)

    def _shared(
        self,
        net: Network,
        rule: Rule,
        task: Task,
        data: dict[str, Split],
        optimisers: Optimisers,
    ) -> int:
        """How many devices share the layers; raises unless they can."""
        look_up("kind of parallel training", self.parallel, {"layers": True})
        given, fix = f"parallel = {self.parallel!r}", "leave parallel out"
        for name, why in (
            ("growth", "which looks at all layers at once"),
            ("clip", "whose norm of all updates no stage knows before the last has run"),
        ):
            if getattr(self, name) not in (None, ()):
                raise ConfigError(
                    f"{given} beside {name}", "one of the two", f"{fix}; or {name}, {why}"
                )
        if task.in_time:
            raise RuleError(
                f"{given} for {rule.id} on {task.id}, whose samples are sequences",
                "independent samples: what runs in time passes all layers at every step",
                fix,
            )
        if not net.differentiable:
            raise RuleError(
                f"{given} on a network with black boxes, which Python answers one at a time",
                "units whose activation JAX computes",
                fix,
            )
        if not alone():
            raise ConfigError(
                f"{given} in {jax.process_count()} processes of jax.distributed",
                "one process with several devices",
                f"{fix}: there seeds are dealt to the devices of all",
            )
        if (devices := jax.local_device_count()) < 2:
            raise ConfigError(
                f"{given} on one device",
                "two or more",
                "on a CPU with several cores call byway.use_all_cores() at the top of the program, "
                "or use the command line; with one core or one GPU, leave parallel out",
            )

        def update(learner: Learner, x: Array, signal: Signal) -> tuple[Learner, dict[str, Array]]:
            return learn(rule, optimisers, learner, x, signal, task.score, self.every)

        def batch(x: Array, signal: Signal) -> tuple[Array, Signal]:
            return in_precision((x, signal), net.dtype)

        x, signal = eqx.filter_eval_shape(batch, *_handed_out(task, data, self.batch))
        make = lambda x, signal: new_learner(rule, net, optimisers, x, signal, jax.random.key(0))
        learner = eqx.filter_eval_shape(make, x, signal)
        with unknown_to_python(rule):
            waits = waits_of(update, learner, x, signal)
        stages = waits.shared(rule.id, devices)
        if stages < devices:
            warn(
                f"{given} for {rule.id}: of {devices} devices {devices - stages} do nothing, as "
                f"only {stages} parts of the network need not wait for each other. To use more, "
                "build a deeper one"
            )
        return stages

    def rate(self, rule: Rule) -> float | None:
        """The learning rate of the weights; None where the optimiser was not given by name."""
        if not (self.optimiser is None or isinstance(self.optimiser, str)):
            return None
        return rule.learning_rate if self.lr is None else self.lr

    def rate_gamma(self, rule: Rule) -> float | None:
        """That of the rule's own parameters; None in the same case."""
        lr = self.rate(rule)
        return (
            lr if lr is None else lr * rule.gamma_rate if self.lr_gamma is None else self.lr_gamma
        )

    def settings(self, rule: Rule) -> dict[str, Any]:
        """Every resolved setting of a rule's training that decides what is learned, in plain
        values.
        """
        made = (
            {}
            if self.rate(rule) is None
            else {
                "optimiser": rule.optimiser if self.optimiser is None else self.optimiser,
                "lr": self.rate(rule),
                "lr_gamma": self.rate_gamma(rule),
                "schedule": rule.schedule if self.schedule is None else self.schedule,
            }
        )
        shaped = ("clip", "decay", "warmup", "scales", "base_width", "patience", "best")
        budget = {name: self.options[name] for name in ("epochs", "batch", "every", *shaped)}
        grown = {"growth": ", ".join(map(str, self.growth))} if self.growth else {}
        own = {field.name: getattr(rule, field.name) for field in hypers(type(rule))}
        return budget | made | grown | {"rule": own}


def checked(task: Task, data: dict[str, Split]) -> dict[str, Split]:
    """The splits that somebody else made or changed, as arrays of JAX; raises unless a run can
    use all of them.

    Raises:
        DataError: a split that is missing, empty, of unequal length, not finite, or not of the kind
            that the task hands out.
    """
    advice = "start from task.load()"
    if not isinstance(data, Mapping) or any(
        not isinstance(data.get(part), Split) for part in (*PARTS, *data)
    ):
        raise DataError(f"data = {shown(data)}", f"a dict of the splits {', '.join(PARTS)}", advice)
    splits = {}
    for part, split in data.items():
        # What is fetched is not read.
        held = [
            np.empty(split.x.shape[:1]) if split.fetched else np.asarray(split.x),
            np.asarray(split.y),
        ]
        for name, a in zip("xy", held, strict=True):
            if a.dtype.kind not in "biuf" or a.ndim == 0:
                raise DataError(
                    f"{part} {name} of type {a.dtype} and shape {a.shape}",
                    "an array of real numbers",
                    advice,
                )
            if a.dtype.kind == "f" and not np.all(np.isfinite(a)):
                raise DataError(
                    f"{part} {name} with {np.sum(~np.isfinite(a)):,} numbers that are not finite",
                    "finite ones",
                    advice,
                )
        if not 0 < len(held[0]) == len(held[1]):
            raise DataError(
                f"{part} with {len(held[0]):,} x and {len(held[1]):,} y",
                "as many of each, and some",
                advice,
            )
        task.check(part, split)
        splits[part] = split if split.fetched else Split(*(jnp.asarray(a) for a in split))
    return splits


def _check_steps(chosen: Any, net: Network, task: Task) -> None:
    """Raise `ConfigError` unless an optax transformation can make a step from an update alone, and
    the loss where there is one.
    """
    more = {"value": jnp.zeros(())} if any(score.name == "loss" for score in task.scores) else {}
    once = lambda theta: stepped(chosen, theta, chosen.init(theta), theta, **more)
    try:
        with jax.numpy_dtype_promotion("standard"):
            jax.eval_shape(once, net.theta)
    except (TypeError, ValueError, AttributeError, KeyError, NotImplementedError) as problem:
        raise ConfigError(
            "an optax transformation that cannot make a step: "
            f"{str(problem).partition(chr(10))[0]}",
            "one that asks for updates, weights and at most the loss (value=)",
            "take for example optax.adam; line searches ask for the loss at other weights, and "
            "there is no place for wrapped weights",
        ) from problem


def _check_turns(rule: Rule) -> None:
    for _, times in rule.turns:
        if not is_whole(times) or times < 1:
            raise RuleError(
                f"{rule.id} has a turn to be taken {shown(times)} times",
                "a whole number from 1",
                "mend its `turns`",
            )
    if all(pair is not rule for pair, _ in rule.turns):
        raise RuleError(
            f"{rule.id} has no turn of its own among its turns",
            "one of them, whose scores count",
            "put `self` into `turns`",
        )


def default_looks(updates: int, batch: int, probe: int) -> int:
    """As many looks, up to 20, as cost less than a tenth of the training, but 8 in runs so short
    that compiling outweighs both.

    A look at a sample costs 2 to 4 times what learning from one does: the update, the prediction,
    and back through it.
    """
    return max(FEWEST_LOOKS, min(MOST_LOOKS, updates * batch // (SPACING * probe)))


def _no_looks(looks: int | None, look_at: Sequence[int] | None) -> bool:
    return (is_whole(looks) and looks == 0) or (isinstance(look_at, Sequence) and not look_at)


def _moments(
    looks: int | None, look_at: Sequence[int] | None, updates: int, batch: int, probe: int
) -> list[int]:
    """After which of the `updates` of a run the microscope looks: evenly in the root of time, as
    alignment changes early.
    """
    if look_at is not None:
        require_several("look_at", look_at, "a list of updates", "leave it out for even looks")
        chosen = sorted(set(look_at))
        if looks is not None:
            raise ConfigError(f"looks = {looks} and look_at", "one of the two", "leave one out")
        if chosen and not 0 <= chosen[0] <= chosen[-1] <= updates:
            raise ConfigError(
                f"look_at = {chosen}",
                f"updates from 0, the start, to {updates:,}, the last",
                "choose others",
            )
        return chosen
    looks = default_looks(updates, batch, probe) if looks is None else looks
    if not is_whole(looks) or looks < 0 or looks == 1 or looks > max(MOST_LOOKS, updates + 1):
        wanted = f"2 (the start and the end count) to {updates + 1:,}, or 0 for none"
        raise ConfigError(f"looks = {shown(looks)}", wanted, "leave looks out for its default")
    return sorted({round(updates * (i / (looks - 1)) ** 2) for i in range(looks)})


def _check_needs(rule: Rule, task: Task, split: Split, batch: int) -> bool:
    """Raise `RuleError` unless the task hands out what the rule says that it learns from; whether
    it has a loss.
    """
    signal = eqx.filter_eval_shape(
        lambda: task.batch(split, jnp.arange(batch), jax.random.key(0))[1]
    )
    needs = sorted(rule.claims.signal - {"reward"})
    if needs and not signal.taught:
        raise RuleError(
            f"{rule.id}, which learns from the {' and the '.join(needs)}, on the task {task.id}, "
            "which has no targets",
            "targets, or a rule that needs none",
            "give the samples labels or numbers as y; or use a rule whose claims name no part of "
            "the signal",
        )
    if "reward" in rule.claims.signal and signal.payoff is None:
        raise RuleError(
            f"{rule.id}, which learns from a reward, on the task {task.id}, which hands out none",
            "a task whose signal has a payoff, such as digits",
            "give the signal of a task of your own one, as in Signal(target, criterion, "
            "payoff=Right()); or use another rule",
        )
    return signal.taught


def _check_order(task: Task, size: int) -> None:
    """Raise `ConfigError` unless a task's own order names samples that there are."""
    if type(task).order is Task.order:
        return
    order = np.asarray(task.order(jax.random.key(0), size))
    if (
        order.shape != (size,)
        or order.dtype.kind not in "iu"
        or order.min() < 0
        or order.max() >= size
    ):
        span = (
            f", from {order.min()} to {order.max()}"
            if order.size and order.dtype.kind in "iu"
            else ""
        )
        given = f"the task {task.id}, whose order is {order.dtype} of shape {order.shape}{span}"
        raise ConfigError(
            given,
            f"({size:,},) whole numbers from 0 to {size - 1:,}",
            "for example jnp.arange(size), for a stream",
        )


def _check_scores(task: Task, split: Split, batch: int) -> None:
    """Raise `ConfigError` unless the task declares scores and measures all of them, a number or an
    array of parts for each sample.
    """
    if not all(isinstance(score, Score) for score in task.scores) or len(
        {score.name for score in task.scores}
    ) < len(task.scores):
        given = f"the task {task.id}, whose scores are {shown(task.scores)}"
        raise ConfigError(
            given,
            "a tuple of byway.Score, each name once",
            "for example scores = (byway.Score('f1', best=1.0),)",
        )

    def measure():
        x, signal = task.batch(split, jnp.arange(batch), jax.random.key(0))
        return task.score(
            jnp.zeros((*x.shape[: 1 + task.in_time], task.outputs), x.dtype), signal
        ), x.shape[: 1 + task.in_time]

    scores, samples = eqx.filter_eval_shape(measure)
    declared = [score.name for score in task.scores]
    for name in declared:
        given = f"the task {task.id}, which declares the score {name}"
        if not isinstance(scores, Mapping) or name not in scores:
            there = (
                ", ".join(map(str, scores)) or "nothing"
                if isinstance(scores, Mapping)
                else shown(scores)
            )
            raise ConfigError(
                f"{given} and measures {there}",
                f"{name} in what `score` gives",
                "measure it, or declare what is measured",
            )
    for name, value in scores.items():
        given = f"the task {task.id}, whose score {name} is"
        if not isinstance(value, jax.ShapeDtypeStruct) or value.dtype.kind not in "biuf":
            raise ConfigError(
                f"{given} {shown(value)}",
                f"numbers, {samples} of them",
                "give an array with a number for each sample",
            )
        if value.shape[: len(samples)] != samples or (
            len(value.shape) > len(samples) and name not in declared
        ):
            raise ConfigError(
                f"{given} of shape {value.shape} for a batch of {samples}",
                f"a shape that begins with {samples}" if name in declared else f"{samples}",
                "give a number for each sample, in time for each step: Byway takes the mean; only "
                "declared scores have parts",
            )


def gamma_learns(rule: Rule, net: Network, task: Task, data: dict[str, Split], batch: int) -> bool:
    """Whether a rule's own parameters learn; nothing is computed."""
    x, signal = _handed_out(task, data, batch)
    still = Optimisers(optax.identity(), optax.identity())
    make = lambda x, signal: new_learner(rule, net, still, x, signal, jax.random.key(0)).moments
    return any(own is not None for _, own in eqx.filter_eval_shape(make, x, signal))


def _handed_out(
    task: Task, data: dict[str, Split], batch: int
) -> tuple[jax.ShapeDtypeStruct, Signal]:
    """The shapes of a batch as the task hands it out; raises unless they are those that it
    promises, where others would be broadcast.
    """
    x, signal = eqx.filter_eval_shape(
        lambda split: task.batch(split, jnp.arange(batch), jax.random.key(0)),
        data["train"].first(batch),
    )
    lead = (*x.shape[:1], *(x.shape[1:2] if task.in_time else ()))
    axes = "samples and time steps" if task.in_time else "samples"
    wanted = {
        "inputs": (x.shape, (batch, *lead[1:], *task.input_shape)),
        "targets": (signal.target.shape, (batch, *lead[1:], task.outputs)),
        "weights": (
            None if signal.weight is None else signal.weight.shape,
            (batch, *lead[1:]) if task.in_time else None,
        ),
    }
    for what, (found, right) in wanted.items():
        if found != right and (what != "targets" or signal.taught):
            raise ShapeError(
                f"{task.id} hands out {what} of shape {found}",
                f"{right}, {axes} first",
                "reshape them in the task",
            )
    return x, signal


def _updates_a_batch(
    rule: Rule, net: Network, task: Task, x: jax.ShapeDtypeStruct, every: int | None
) -> int:
    """How many updates a batch makes; raises unless what the task hands out, in time or not, is
    what the rule sees.
    """
    rule.require_time(net, task.id, task.in_time)
    if every is not None and not task.in_time:
        raise ConfigError(
            f"every = {every} on the task {task.id}", "a task in time", "leave every out"
        )
    steps = x.shape[1] if task.in_time else None
    if steps is not None and steps < 1:
        raise ConfigError(
            f"{task.id} hands out sequences of length {steps}",
            "at least one time step",
            "give it a length",
        )
    return rule.updates(steps, every)
