"""Train any rule on any network and task: `fit`."""

import contextlib
import dataclasses
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax

from byway.core.errors import ConfigError, DataError, RuleError, ShapeError
from byway.core.folders import cache_folder
from byway.core.given import LARGEST_COUNT, LARGEST_SEED, is_number, is_whole, require, require_several, require_whole, shown
from byway.core.learner import Learner
from byway.core.rule import Rule
from byway.core.task import Split, Task
from byway.network.describe import describe
from byway.network.network import Network
from byway.training.checkpoint import Checkpoints, Progress, ingredients, interrupts
from byway.training.loop import Loop
from byway.training.optimisers import optimiser as optimiser_called
from byway.training.progress import bar
from byway.training.rows import Look, Row, Scores
from byway.training.step import Optimisers

T = TypeVar("T")

# Validation samples under the microscope; how often it looks, unless told; and how many training samples are to lie between
# two looks for each sample of a look.
PROBE, FEWEST_LOOKS, MOST_LOOKS, SPACING = 64, 8, 20, 50
PARTS = ("train", "validation", "test")
# Learners in one program: more are a mistake, and would fit no machine.
MOST_SEEDS = 100_000
# How long a person, or a signal, waits for the compiled program to come back [s].
STRETCH = 1.0


@dataclasses.dataclass(frozen=True, repr=False)
class Result:
    """A finished training: curves, test scores and the learners themselves.

    Attributes:
        rule: the rule that trained.
        task: the task it trained on.
        seeds: the seeds, in the order of every array.
        rows: one for the start and one for each epoch.
        looks: what the microscope saw on the way; none of a network with black boxes.
        test: scores on the test split after the last epoch; NaN for a seed that failed.
        failures: by seed, why it stopped early.
        advice: what the rule has to say of its last epoch, by seed: settling that did not converge, for example.
        learners: the trained learners, arrays with a leading axis of seeds.
        seconds: training time of all seeds together [s].
        compile_seconds: time to compile the training program [s].
        look_compile_seconds: time to compile the microscope [s].
        step_bytes: memory of one compiled update of one learner [B].
    """

    rule: Rule
    task: Task
    seeds: list[int]
    rows: list[Row]
    looks: list[Look]
    test: Scores
    failures: dict[int, str]
    advice: dict[int, str]
    learners: Learner
    seconds: float
    compile_seconds: float
    look_compile_seconds: float
    step_bytes: int

    def learner(self, index: int = 0) -> Learner:
        """The learner of the seed at `index`."""
        return jax.tree.map(lambda a: a[index], self.learners)

    @property
    def look_seconds(self) -> float:
        """Time that the microscope took, for all seeds together, without compiling [s]; no part of `seconds`."""
        return sum(look.seconds for look in self.looks)

    @property
    def accuracy(self) -> np.ndarray:
        """Test accuracy of each seed, from 0 to 1."""
        return self.test["accuracy"]

    def __repr__(self) -> str:
        return f"<Result: {self}>"

    def _repr_html_(self) -> str:
        from byway.notebook import result_html

        return result_html(self)

    def __str__(self) -> str:
        good = self.accuracy[np.isfinite(self.accuracy)]
        mean = f"{100 * good.mean():.2f} %" if good.size else "no seed survived"
        spread = f" ± {100 * good.std(ddof=1):.2f}" if good.size > 1 else ""
        lost = f", {len(self.failures)} failed" if self.failures else ""
        return f"{self.rule.id} on {self.task.id}: test accuracy {mean}{spread}, {len(self.seeds)} seeds in {self.seconds:.1f} s{lost}"


def fit(
    net: Network,
    rule: Rule,
    task: Task,
    *,
    epochs: int = 10,
    batch: int = 128,
    seeds: int = 1,
    first_seed: int = 0,
    optimiser: str | optax.GradientTransformation = "adam",
    lr: float | None = None,
    lr_gamma: float | None = None,
    schedule: str = "cosine",
    probe: int = PROBE,
    looks: int | None = None,
    look_at: Sequence[int] | None = None,
    every: int | None = None,
    progress: bool | None = None,
    on_row: Callable[[Row], None] | None = None,
    on_look: Callable[[Look], None] | None = None,
    data: dict[str, Split] | None = None,
    checkpoint: Path | str | None = None,
    save_every: float = 60.0,
    keep: int = 1,
) -> Result:
    """Train `net` by `rule` on `task`, for several seeds in one compiled program.

    Args:
        net: the network; each seed draws its own weights for this topology.
        rule: the learning rule.
        task: what to learn.
        epochs: passes over the training split.
        batch: samples in an update.
        seeds: how many learners, seeded first_seed, first_seed + 1, ...
        first_seed: the first of them.
        optimiser: a name (see `OPTIMISERS`) or any optax transformation, used as it is for theta and gamma.
        lr: learning rate of the weights; the rule's own by default.
        lr_gamma: learning rate of the rule's parameters, where they learn; `lr` by default.
        schedule: "cosine" (to zero over the run) or "constant"; for an optimiser given by name.
        probe: validation samples under the microscope.
        looks: how often the microscope looks, from the start to the last update; by default as often as `default_looks` allows.
        look_at: the updates after which it looks, if you want to choose them; 0 is the start.
        every: time steps between updates, for a rule that learns at every step; a whole sequence by default.
        progress: whether to draw a progress bar; by default where a person is watching, on a terminal or in a notebook.
        on_row: called after each epoch, with what was measured; first with what a checkpoint holds.
        on_look: called after each look through the microscope, with what was seen; first with what a checkpoint holds.
        data: what `task.load()` gave, to train several rules on one copy.
        checkpoint: a folder for checkpoints. Where it holds one of the same training that training goes on, and ends as if it had
            never stopped, to the bit. Ctrl-C saves one first.
        save_every: seconds between two checkpoints [s]; ends of epochs count too.
        keep: how many of the latest to keep; 0 for all.

    Returns:
        Curves, test scores of the last epoch's weights, and the learners. Nothing is selected on the test split.

    Raises:
        RuleError: the rule cannot train this network.
        ShapeError: the network does not fit the task.
        ConfigError: a setting outside its range.
        DataError: splits that no training can use.
        RunError: the folder of checkpoints cannot be used, or holds those of another training.
        KeyboardInterrupt: Ctrl-C or SIGTERM.
    """
    use_compilation_cache()
    require(Task, "task", task, "a task", "for example byway.task('digits')")
    data = task.load() if data is None else checked(task, data)
    optimisers = prepare(
        net,
        rule,
        task,
        data,
        epochs=epochs,
        batch=batch,
        seeds=seeds,
        first_seed=first_seed,
        optimiser=optimiser,
        lr=lr,
        lr_gamma=lr_gamma,
        schedule=schedule,
        probe=probe,
        looks=looks,
        look_at=look_at,
        every=every,
        save_every=save_every,
        keep=keep,
    )
    for name, listener in (("on_row", on_row), ("on_look", on_look)):
        if listener is not None and not callable(listener):
            raise ConfigError(f"{name} = {shown(listener)}", "a function, which is told what was measured", f"leave {name} out")
    if checkpoint is not None:
        require((str, os.PathLike), "checkpoint", checkpoint, "a folder", "leave it out for no checkpoints")
    loop = Loop(rule, net, task, data, optimisers, batch, [first_seed + i for i in range(seeds)], probe, every)
    # A black box has no gradient to compare with, and may not like to be asked once more.
    moments = _moments(looks, look_at, epochs * loop.steps, batch, loop.probe) if net.differentiable else []
    with contextlib.ExitStack() as stack:
        store, asked = None, []
        if checkpoint is not None:
            made_of = ingredients(
                data, rule=rule, task=task, net=describe(net), epochs=epochs, batch=batch, seeds=loop.seeds, optimiser=optimiser, lr=lr,
                lr_gamma=lr_gamma, schedule=schedule, probe=probe, looks=moments, every=every,
            )  # fmt: skip
            store = stack.enter_context(Checkpoints(Path(checkpoint), made_of, save_every, keep))
            asked = stack.enter_context(interrupts())
        advance = stack.enter_context(bar(rule.id, epochs * loop.steps, progress))
        at = _train(loop, epochs, moments, store, asked, advance, on_row, on_look)
    rows, seen = at.rows, at.looks
    test = loop.score("test")
    learners = loop.real_learners()
    said = [rule.advice({k: float(v[i]) for k, v in rows[-1].train.items()}) for i in range(seeds)]
    advice = {seed: text for seed, text in zip(loop.seeds, said, strict=True) if text is not None}
    rate = None if not isinstance(optimiser, str) else rule.learning_rate if lr is None else lr
    failures = {
        seed: _explain(int(at), loop.steps, rate, advice.get(seed)) for seed, at in zip(loop.seeds, loop.failed, strict=True) if at >= 0
    }
    return Result(
        rule, task, loop.seeds, rows, seen, test, failures, advice, learners,
        rows[-1].seconds, loop.compile_seconds, loop.look_compile_seconds, loop.step_bytes,
    )  # fmt: skip


def _train(
    loop: Loop,
    epochs: int,
    moments: list[int],
    store: Checkpoints | None,
    asked: list[int],
    advance: Callable[[int, str], None],
    on_row: Callable[[Row], None] | None,
    on_look: Callable[[Look], None] | None,
) -> Progress:
    """Train to the end, from the start or from a checkpoint: in stretches that stop wherever somebody waits for something.

    Args:
        loop: what trains; its learners are replaced.
        epochs: how many.
        moments: updates after which the microscope looks.
        store: where checkpoints are kept, if they are.
        asked: not empty as soon as training is to stop.
        advance: told how many updates are done, with a note.
        on_row: told of each epoch.
        on_look: told of each look.
    """
    at, found = Progress(), None if store is None else store.restore(loop.learners)
    if found is not None:
        learners, at = found
        loop.learners = loop.layout.place(learners)

    def measure(train: Scores) -> None:
        at.rows.append(Row(at.step // loop.steps, at.step, at.seconds, train, loop.score("validation")))
        _tell(on_row, at.rows[-1])

    def look() -> None:
        if at.step in moments and not (at.looks and at.looks[-1].step == at.step):
            seen, seconds = loop.look()
            at.looks.append(Look(at.step, at.step / loop.steps, seconds, seen))
            _tell(on_look, at.looks[-1])

    for row in at.rows:
        _tell(on_row, row)
    for one in at.looks:
        _tell(on_look, one)
    if not at.rows:
        measure({})
        look()
    stretch = 1
    while at.step < epochs * loop.steps:
        first = at.step % loop.steps
        last = min([first + stretch, loop.steps, *(first + m - at.step for m in moments if m > at.step)])
        scores, seconds = loop.train(first, last)
        stretch = max(1, int((last - first) * STRETCH / max(seconds, 1e-6)))
        at.step, at.seconds = at.step + last - first, at.seconds + seconds
        at.scores = {k: np.concatenate([at.scores[k], v], 1) if k in at.scores else v for k, v in scores.items()}
        look()
        ended = last == loop.steps
        if ended:
            measure(loop.sound({k: v.mean(1, dtype=float) for k, v in at.scores.items()}))
            at.scores = {}
        advance(at.step, f"epoch {-(-at.step // loop.steps)} of {epochs}{_note(at.rows[-1])}")
        if store is not None and (asked or at.step == epochs * loop.steps or store.due(ended)):
            store.save(loop.real_learners(), at)
        if asked:
            raise KeyboardInterrupt
    return at


def use_compilation_cache() -> None:
    """Keep compiled programs on disk between processes, unless the user has chosen where (or set it to "")."""
    if jax.config.jax_compilation_cache_dir is None:  # pyright: ignore[reportAttributeAccessIssue]
        jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "xla"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


def prepare(
    net: Network,
    rule: Rule,
    task: Task,
    data: dict[str, Split],
    *,
    epochs: int,
    batch: int,
    seeds: int,
    first_seed: int,
    optimiser: str | optax.GradientTransformation,
    lr: float | None,
    lr_gamma: float | None,
    schedule: str,
    probe: int,
    looks: int | None,
    look_at: Sequence[int] | None,
    every: int | None,
    save_every: float,
    keep: int,
) -> Optimisers:
    """Raise whatever `fit` would raise of these arguments, before any work is done; return its optimisers."""
    require(Network, "net", net, "a network", "build one, for example by byway.mlp(task.input_shape, 128, task.outputs)")
    require(Rule, "rule", rule, "a rule", "for example byway.rule('dfa')")
    require_whole("seeds", seeds, 1, MOST_SEEDS)
    require_whole("first_seed", first_seed, 0, LARGEST_SEED + 1 - seeds)
    require_whole("probe", probe)
    size = data["train"].size
    if not is_whole(batch) or not 0 < batch <= size:
        raise ConfigError(f"a batch of {shown(batch)}", f"1 to {size:,}, the training samples there are", "choose another batch")
    require_whole("epochs", epochs, 1, LARGEST_COUNT // (size // batch))
    require_whole("keep", keep, 0)
    if not is_number(save_every) or save_every < 0:
        raise ConfigError(f"save_every = {shown(save_every)}", "seconds, from 0", "leave it out for 60")
    if every is not None:
        require_whole("every", every, fix="leave every out for one update a batch")
    if not net.takes(task.input_shape) or task.outputs != net[net.output].size:
        raise ShapeError(
            f"a network with inputs {net[net.input].shape} and {net[net.output].size} outputs on the task {task.id}",
            f"{math.prod(task.input_shape)} inputs, as {task.input_shape}, and {task.outputs} outputs",
            "build the network from task.input_shape and task.outputs",
        )
    updates = _updates_a_batch(rule, net, task, data, batch, every)
    _moments(looks, look_at, epochs * (size // batch), batch, probe)
    rule.accepts(net)
    if not isinstance(optimiser, str):
        if not all(callable(getattr(optimiser, part, None)) for part in ("init", "update")):
            raise ConfigError(f"optimiser = {shown(optimiser)}", "a name, or an optax transformation", "for example 'adam'")
        return Optimisers(optimiser, optimiser)
    lr = rule.learning_rate if lr is None else lr
    rates = (lr, lr if lr_gamma is None else lr_gamma)
    return Optimisers(*(optimiser_called(optimiser, rate, schedule, epochs * (size // batch) * updates) for rate in rates))


def checked(task: Task, data: dict[str, Split]) -> dict[str, Split]:
    """The splits that somebody else made or changed, as arrays of JAX; raises unless a training can use all of them.

    Raises:
        DataError: a split that is missing, empty, of unequal length, not finite, or not of the kind that the task hands out.
    """
    advice = "start from task.load()"
    if not isinstance(data, Mapping) or any(not isinstance(data.get(part), Split) for part in PARTS):
        raise DataError(f"data = {shown(data)}", f"a dict of the splits {', '.join(PARTS)}", advice)
    splits = {}
    for part in PARTS:
        held = [np.asarray(a) for a in data[part]]
        for name, a in zip("xy", held, strict=True):
            if a.dtype.kind not in "biuf" or a.ndim == 0:
                raise DataError(f"{part} {name} of type {a.dtype} and shape {a.shape}", "an array of real numbers", advice)
            if a.dtype.kind == "f" and not np.all(np.isfinite(a)):
                raise DataError(f"{part} {name} with {np.sum(~np.isfinite(a)):,} numbers that are not finite", "finite ones", advice)
        if not 0 < len(held[0]) == len(held[1]):
            raise DataError(f"{part} with {len(held[0]):,} x and {len(held[1]):,} y", "as many of each, and some", advice)
        task.check(part, data[part])
        splits[part] = Split(*(jnp.asarray(a) for a in data[part]))
    return splits


def _note(row: Row) -> str:
    scores = row.validation.get("accuracy", np.array([]))
    good = scores[np.isfinite(scores)]
    return f", validation {100 * good.mean():.1f} %" if good.size else ""


def _tell(listener: Callable[[T], None] | None, news: T) -> None:
    if listener is not None:
        listener(news)


def default_looks(updates: int, batch: int, probe: int) -> int:
    """As many looks, up to 20, as cost less than a tenth of the training, but 8 in runs so short that compiling outweighs both.

    A look at a sample costs 2 to 4 times what learning from one does: the update, the prediction, and back through it.
    """
    return max(FEWEST_LOOKS, min(MOST_LOOKS, updates * batch // (SPACING * probe)))


def _moments(looks: int | None, look_at: Sequence[int] | None, updates: int, batch: int, probe: int) -> list[int]:
    """After which of the `updates` of a run the microscope looks: evenly in the root of time, as alignment changes early."""
    if look_at is not None:
        require_several("look_at", look_at, "a list of updates", "leave it out for even looks")
        chosen = sorted(set(look_at))
        if looks is not None:
            raise ConfigError(f"looks = {looks} and look_at", "one of the two", "leave one out")
        if chosen and not 0 <= chosen[0] <= chosen[-1] <= updates:
            raise ConfigError(f"look_at = {chosen}", f"updates from 0, the start, to {updates:,}, the last", "choose others")
        return chosen
    looks = default_looks(updates, batch, probe) if looks is None else looks
    if not is_whole(looks) or looks < 0 or looks == 1 or looks > max(MOST_LOOKS, updates + 1):
        wanted = f"2 (the start and the end count) to {updates + 1:,}, or 0 for none"
        raise ConfigError(f"looks = {shown(looks)}", wanted, "leave looks out for its default")
    return sorted({round(updates * (i / (looks - 1)) ** 2) for i in range(looks)})


def _updates_a_batch(rule: Rule, net: Network, task: Task, data: dict[str, Split], batch: int, every: int | None) -> int:
    """How many updates a batch makes; raises unless what the task hands out, in time or not, is what the rule sees."""
    if not task.in_time:
        if rule.sees == "sequence":
            raise RuleError(
                f"{rule.id} on the task {task.id}", "a task in time: it goes back through a sequence", "use bp, or another task"
            )
        if rule.sees == "step" and net.cyclic:
            raise RuleError(
                f"{rule.id} was given a network with a cycle, on the task {task.id}, whose samples are independent",
                "a task in time, where the cycle carries the step before; or a network without cycles",
                "use a rule that settles, such as pc",
            )
        if every is not None:
            raise ConfigError(f"every = {every} on the task {task.id}", "a task in time", "leave every out")
        return 1
    if rule.sees == "sample":
        raise RuleError(
            f"{rule.id} on the task {task.id}, whose samples are sequences",
            "a rule that sees time",
            "use bptt (the baseline), rtrl, or frozen (the control)",
        )
    steps = jax.eval_shape(lambda: task.batch(data["train"], jnp.arange(batch), jax.random.key(0))[0]).shape[1]
    if steps < 1:
        raise ConfigError(f"{task.id} hands out sequences of length {steps}", "at least one time step", "give it a length")
    if every is not None and (rule.sees != "step" or not 1 <= every <= steps or steps % every):
        wanted = f"a divisor of {steps}, the length of a sequence" if rule.sees == "step" else f"nothing: {rule.id} sees whole sequences"
        raise ConfigError(f"every = {every}", wanted, "leave every out for one update a batch")
    return 1 if every is None else steps // every


def _explain(batch: int, steps: int, lr: float | None, advice: str | None) -> str:
    when = f"update {batch}, in epoch {max(batch - 1, 0) // steps + 1}"
    rate = "" if lr is None else f" (lr was {lr:g})"
    more = "" if advice is None else f". Or: {advice}"
    return f"a number stopped being finite at {when}; try a smaller learning rate{rate}{more}"
