"""Train any rule on any network and task: `fit`."""

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import optax

from byway.core.errors import ConfigError
from byway.core.given import require, require_none, shown
from byway.core.task import Split, Task
from byway.learning.growth import Growth
from byway.learning.learner import Learner
from byway.learning.rule import Rule
from byway.network.describe import describe
from byway.network.network import Network
from byway.training.checkpoint import Checkpoints, Progress, ingredients, interrupts
from byway.training.loop import Loop
from byway.training.options import PARTS, Options, checked
from byway.training.progress import bar
from byway.training.result import Result
from byway.training.rows import Look, Row, Scores
from byway.training.start import started

T = TypeVar("T")

# How long a person, or a signal, waits for the compiled program to come back [s].
STRETCH = 1.0


def fit(
    net: Network,
    rule: Rule,
    task: Task,
    *,
    epochs: int = 10,
    batch: int = 128,
    seeds: int = 1,
    first_seed: int = 0,
    optimiser: str | optax.GradientTransformation | None = None,
    lr: float | None = None,
    lr_gamma: float | None = None,
    schedule: str | None = None,
    probe: int | None = None,
    looks: int | None = None,
    look_at: Sequence[int] | None = None,
    every: int | None = None,
    growth: Growth | None = None,
    start: Network | Learner | Result | None = None,
    progress: bool | None = None,
    on_row: Callable[[Row], None] | None = None,
    on_look: Callable[[Look], None] | None = None,
    data: dict[str, Split] | None = None,
    checkpoint: Path | str | None = None,
    save_every: float | None = None,
    keep: int | None = None,
) -> Result:
    """Train `net` by `rule` on `task`, for several seeds in one compiled program.

    Args:
        net: the network. Each seed draws its own weights for this topology, unless they were learnt
            (`result.learner().net`) or loaded (`byway.load`): then each begins with those.
        rule: the learning rule.
        task: what to learn.
        epochs: passes over the training split.
        batch: samples in an update.
        seeds: how many learners, seeded first_seed, first_seed + 1, ...
        first_seed: the first of them.
        optimiser: a name (see `OPTIMISERS`) or any optax transformation, used as it is for theta
            and gamma; the rule's own by default, which is "adam" for most.
        lr: learning rate of the weights; the rule's own by default.
        lr_gamma: learning rate of the rule's parameters, where they learn; `lr` by default.
        schedule: "cosine" (to zero over the run) or "constant"; for an optimiser given by name; the
            rule's own by default.
        probe: validation samples under the microscope; 64 by default.
        looks: how often the microscope looks, from the start to the last update; by default as
            often as `default_looks` allows.
        look_at: the updates after which it looks, if you want to choose them; 0 is the start.
        every: time steps between updates, for a rule that learns at every step; a whole sequence by
            default.
        growth: what grows the network while it learns, for example `byway.growth("set")`.
        start: what to begin with instead: the weights of a network of the same shape; those of a
            learner, and its rule's parameters where they fit this rule; or those of a result, each
            seed its own. Moments begin anew.
        progress: whether to draw a progress bar; by default where a person is watching, on a
            terminal or in a notebook.
        on_row: called after each epoch, with what was measured; first with what a checkpoint holds.
        on_look: called after each look through the microscope, with what was seen; first with what
            a checkpoint holds.
        data: what `task.load()` gave, to train several rules on one copy.
        checkpoint: a folder for checkpoints. Where it holds one of the same training that training
            goes on, and ends as if it had never stopped, to the bit. Ctrl-C saves one first.
        save_every: seconds between two checkpoints [s], 60 by default; ends of epochs count too.
        keep: how many of the latest to keep, 1 by default; 0 for all.

    Returns:
        Curves, test scores of the last epoch's weights, and the learners. Nothing is selected on
        the test split.

    Raises:
        RuleError: the rule cannot train this network.
        ShapeError: the network does not fit the task.
        ConfigError: a setting outside its range, or one that has no effect.
        DataError: splits that no training can use.
        RunError: the folder of checkpoints cannot be used, or holds those of another training.
        KeyboardInterrupt: Ctrl-C or SIGTERM.
    """
    require(Task, "task", task, "a task", "for example byway.task('digits')")
    data = task.load() if data is None else checked(task, data)
    options = Options.given(
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
        growth=growth,
        save_every=save_every,
        keep=keep,
    )
    if checkpoint is None:
        require_none(
            "save_every", save_every, "without checkpoints", "name their folder with checkpoint="
        )
        require_none("keep", keep, "without checkpoints", "name their folder with checkpoint=")
    optimisers, moments = options.plan(net, rule, task, data)
    starts = started(
        start if start is not None else net if net.learnt else None, net, rule, options.all_seeds
    )
    net = net.as_learnt(False)
    for name, listener in (("on_row", on_row), ("on_look", on_look)):
        if listener is not None and not callable(listener):
            raise ConfigError(
                f"{name} = {shown(listener)}",
                "a function, which is told what was measured",
                f"leave {name} out",
            )
    if checkpoint is not None:
        require(
            (str, os.PathLike),
            "checkpoint",
            checkpoint,
            "a folder",
            "leave it out for no checkpoints",
        )
    loop = Loop(
        rule,
        net,
        task,
        data,
        optimisers,
        batch,
        options.all_seeds,
        options.probe,
        every,
        growth,
        options.rests(data),
        starts,
    )
    with contextlib.ExitStack() as stack:
        store, asked = None, []
        if checkpoint is not None:
            made_of = ingredients(
                data,
                loop.fingerprint(),
                rule=rule,
                task=task,
                net=describe(net),
                **options.decisive(moments),
            )
            store = stack.enter_context(
                Checkpoints(Path(checkpoint), made_of, options.save_every, options.keep)
            )
            asked = stack.enter_context(interrupts())
        advance = stack.enter_context(bar(rule.id, epochs * loop.steps, progress))
        at = train(loop, epochs, moments, store, asked, advance, on_row, on_look)
    test = loop.score("test")
    others = {name: loop.score(name) for name in data if name not in PARTS}
    learners = loop.real_learners()
    said = [
        rule.advice({k: float(v[i]) for k, v in at.rows[-1].train.items()}) for i in range(seeds)
    ]
    advice = {seed: text for seed, text in zip(loop.seeds, said, strict=True) if text is not None}
    rate = options.rate(rule) if optimiser is None or isinstance(optimiser, str) else None
    failures = {
        seed: _explain(int(update), loop.steps, rate, advice.get(seed))
        for seed, update in zip(loop.seeds, loop.failed, strict=True)
        if update >= 0
    }
    return Result(
        rule,
        task,
        loop.seeds,
        at.rows,
        at.looks,
        test,
        failures,
        advice,
        learners,
        at.rows[-1].seconds,
        loop.compile_seconds,
        loop.look_compile_seconds,
        loop.step_bytes,
        others,
    )


def train(
    loop: Loop,
    epochs: int,
    moments: Sequence[int] = (),
    store: Checkpoints | None = None,
    asked: Sequence[int] = (),
    advance: Callable[[int, str], None] = lambda done, note: None,
    on_row: Callable[[Row], None] | None = None,
    on_look: Callable[[Look], None] | None = None,
) -> Progress:
    """Train to the end, from the start or from a checkpoint: in stretches that stop wherever
    somebody waits for something.

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
        at.rows.append(
            Row(
                at.step // loop.steps,
                at.step,
                at.seconds,
                train,
                loop.score("validation", strict=not at.rows),
            )
        )
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
        last = min(
            [first + stretch, loop.steps, *(first + m - at.step for m in moments if m > at.step)]
        )
        scores, seconds = loop.train(first, last)
        stretch = max(1, int((last - first) * STRETCH / max(seconds, 1e-6)))
        at.step, at.seconds = at.step + last - first, at.seconds + seconds
        at.scores = {
            k: np.concatenate([at.scores[k], v], 1) if k in at.scores else v
            for k, v in scores.items()
        }
        look()
        ended = last == loop.steps
        if ended:
            measure(loop.finished({k: v.mean(1, dtype=float) for k, v in at.scores.items()}))
            at.scores = {}
        advance(
            at.step, f"epoch {-(-at.step // loop.steps)} of {epochs}{_note(loop.task, at.rows[-1])}"
        )
        if store is not None and (asked or at.step == epochs * loop.steps or store.due(ended)):
            store.save(loop.real_learners(), at)
        if asked:
            raise KeyboardInterrupt
    return at


def _note(task: Task, row: Row) -> str:
    """The main score on validation, on average over the seeds that are left."""
    if not task.scores or not np.isfinite(scores := row.validation[task.scores[0].name]).any():
        return ""
    return f", validation {task.scores[0].said(float(np.nanmean(scores)))}"


def _tell(listener: Callable[[T], None] | None, news: T) -> None:
    if listener is not None:
        listener(news)


def _explain(batch: int, steps: int, lr: float | None, advice: str | None) -> str:
    when = f"update {batch}, in epoch {max(batch - 1, 0) // steps + 1}"
    rate = "" if lr is None else f" (lr was {lr:g})"
    more = "" if advice is None else f". Or: {advice}"
    return f"a number stopped being finite at {when}; try a smaller learning rate{rate}{more}"
