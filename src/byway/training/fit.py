"""Train any rule on any network and task: `fit`."""

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
from typing_extensions import Unpack

from byway.core.errors import ConfigError
from byway.core.given import require, require_listener, require_none, shown
from byway.core.task import Split, Task
from byway.core.tree import PyTree
from byway.learning.growth import Growth
from byway.learning.learner import Learner
from byway.learning.rule import Rule
from byway.metrics.growing import GROWING, grows
from byway.metrics.microscope import QUANTITIES
from byway.metrics.predictions import BALANCED
from byway.network.blackbox import hosts
from byway.network.describe import describe
from byway.network.network import Network
from byway.system.together import alone, leads, require_same
from byway.training.checkpoint import Checkpoints, Progress, ingredients, interrupts
from byway.training.course import Course, Watch, unwatched
from byway.training.fingerprint import fingerprint
from byway.training.history import History, Reading
from byway.training.loop import Loop
from byway.training.options import Options, taking
from byway.training.outcome import HIDDEN, OUTPUT, SAMPLES, STEPS
from byway.training.plan import PARTS, Plan, checked
from byway.training.progress import bar
from byway.training.result import Result
from byway.training.start import started


@taking(Options)
def fit(
    net: Network,
    rule: Rule,
    task: Task,
    *,
    start: Network | Learner | Result | None = None,
    progress: bool | Callable[[int, int, str], None] | None = None,
    on_epoch: Callable[[Reading], None] | None = None,
    on_look: Callable[[Reading], None] | None = None,
    watch: Watch | None = None,
    data: dict[str, Split] | None = None,
    checkpoint: Path | str | None = None,
    **options: Unpack[Options],
) -> Result:
    """Train `net` by `rule` on `task`, for several seeds in one compiled program.

    A program that has called `jax.distributed.initialize` makes the same call in all its processes:
    seeds are dealt to the devices of all, and each gets the whole result.

    Args:
        net: the network. Each seed draws its own weights for this topology, unless they were learnt
            (`result.learner().net`) or loaded (`byway.load(path).net`): then each begins with
            those.
        rule: the learning rule.
        task: what to learn.
        start: what to begin with instead: the weights of a network of the same shape; those of a
            learner, and its rule's parameters where they fit this rule; or those of a result, each
            seed its own. Moments begin anew.
        progress: whether to draw a progress bar; by default where a person is watching, on a
            terminal or in a notebook. Or a function, which is told how many updates are done, of
            how many, and a note.
        on_epoch: called with what was measured at the start and after each epoch; first with what a
            checkpoint holds. If it raises `byway.Stop`, training ends there as if it had been the
            last epoch; if it raises anything else, a checkpoint is saved first, where there are
            checkpoints.
        on_look: the same after each look through the microscope.
        watch: a `byway.Watcher`, which shows the first seed in a browser as it trains. What is
            learned does not depend on it.
        data: what `task.load()` gave, to train several rules on one copy.
        checkpoint: a folder for checkpoints. Where it holds one of the same training, that is
            resumed, and ends as if it had never stopped, to the bit. Ctrl-C saves one first.
        options: see `Options`.

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
    plan = Plan(task, options)
    if checkpoint is None:
        for name in ("save_every", "keep"):
            fix = "name their folder with checkpoint="
            require_none(name, options.get(name), "without checkpoints", fix)
    else:
        fix = "leave it out for no checkpoints"
        require((str, os.PathLike), "checkpoint", checkpoint, "a folder", fix)
    for name, listener in (("on_epoch", on_epoch), ("on_look", on_look)):
        require_listener(name, listener)
    if watch is not None:
        if not callable(watch):
            raise ConfigError(f"watch = {shown(watch)}", "a byway.Watcher", "leave it out")
        if not alone():
            raise ConfigError(
                f"watch beside {jax.process_count()} processes of jax.distributed",
                "one process, whose stretches of training nobody else waits for",
                "leave watch out",
            )
    optimisers, moments = plan.prepare(net, rule, task, data)
    given = start if start is not None else net if net.learnt else None
    starts = started(given, net, rule, plan.all_seeds)
    net = net.as_learnt(False)
    named = {"rule": rule, "task": task, "net": describe(net)} | plan.decisive(moments)
    if not alone():
        _require_same(net, data, named | {"checkpoint": checkpoint, "start": fingerprint(starts)})
    loop = Loop(
        rule,
        net,
        task,
        data,
        optimisers,
        plan.batch,
        plan.all_seeds,
        plan.probe,
        plan.every,
        plan.growth,
        plan.rests(data),
        starts,
        plan.stages,
    )
    with contextlib.ExitStack() as stack:
        store, asked = None, []
        if checkpoint is not None:
            made_of = ingredients(data, loop.fingerprint(), **named)
            store = Checkpoints(Path(checkpoint), made_of, plan.save_every, plan.keep)
            stack.enter_context(store)
            asked = stack.enter_context(interrupts())
        drawn = progress if leads() else False
        advance = stack.enter_context(bar(rule.id, plan.epochs * loop.steps, drawn))
        told = store, on_epoch, on_look, plan.patience, plan.best, watch or unwatched
        at = Course(loop, moments, *told).run(plan.epochs, asked, advance)
    return _result(loop, plan, data, at)


def _require_same(net: Network, data: dict[str, Split], named: dict[str, Any]) -> None:
    """Raise `ConfigError` unless all processes that compute together train the same, and can."""
    if boxes := hosts(net):
        raise ConfigError(
            f"the black box {boxes[0].name} in {jax.process_count()} processes",
            "one process, in which all seeds share it",
            "leave jax.distributed out",
        )
    require_same(ingredients(data, "", **named))


def announced(
    net: Network, rule: Rule, task: Task, data: dict[str, Split], plan: Plan
) -> dict[str, Any]:
    """What is known of an outcome before training begins, as arguments of `Outcome`."""
    joints = net.projections
    return {
        "label": rule.id,
        "rule_id": rule.id,
        "task_id": task.id,
        "seeds": plan.all_seeds,
        "scores": (*task.scores, *([BALANCED] if _balanced(task) else [])),
        "metrics": (*QUANTITIES, *(GROWING if grows(net, plan.growth) else ())),
        "network": describe(net),
        "projections": {p.name: OUTPUT if p.dst == net.output else HIDDEN for p in joints},
        "first": [p.name for p in joints if p.src == net.input],
        "input_shape": list(task.input_shape),
        "settings": plan.settings(rule),
        "test_size": data["test"].size,
        "labels": list(task.encoding.labels),
        "over_time": _over_time(task),
    }


def _result(loop: Loop, plan: Plan, data: dict[str, Split], at: Progress) -> Result:
    rule, task, history = loop.rule, loop.task, History(at.readings)
    last = history.last("train")
    learners = loop.real_learners()
    said = [rule.advice({k: float(v[i]) for k, v in last.items()}) for i in range(len(loop.seeds))]
    grew = [_grew(loop.growth, learners.seen, i) for i in range(len(loop.seeds))]
    advice = {
        seed: "; ".join(texts)
        for seed, text, more in zip(loop.seeds, said, grew, strict=True)
        if (texts := [one for one in (text, *more) if one is not None])
    }
    test, predictions = loop.answered("test")
    confusion = None
    if predictions is not None and predictions.labels:
        confusion = predictions.confusion()
        if _balanced(task):
            test[BALANCED.name] = confusion.balanced_accuracy
    return Result(
        **announced(loop.net, rule, task, data, plan),
        history=history,
        test=test,
        test_classes=[] if confusion is None else confusion.samples.tolist(),
        others={name: loop.score(name) for name in data if name not in PARTS},
        failures={
            seed: _explain(int(update), loop.steps, plan.rate(rule), text)
            for seed, update, text in zip(loop.seeds, loop.failed, said, strict=True)
            if update >= 0
        },
        advice=advice,
        stopped=at.stopped,
        seconds=at.seconds,
        compile_seconds=loop.compile_seconds,
        looks=at.looks,
        look_seconds=at.look_seconds,
        look_compile_seconds=loop.look_compile_seconds,
        step_bytes=loop.step_bytes,
        stages=loop.stages,
        speed_up=loop.speed_up(at.seconds / max(at.step, 1)),
        rule=rule,
        task=task,
        learners=learners,
        predictions=predictions,
    )


def _grew(growth: Sequence[Growth], seen: PyTree, index: int) -> list[str | None]:
    """What each policy has to say of the seed at `index`."""
    held = jax.tree.map(lambda a: a[index], seen)
    return [policy.advice(memory) for policy, memory in zip(growth, held, strict=True)]


def _over_time(task: Task) -> str:
    """Along what answers that are numbers follow each other in time."""
    encoding = task.encoding
    if encoding.labels or encoding.target_mean is None:
        return ""
    return SAMPLES if task.in_order else STEPS if task.in_time and not encoding.at_end else ""


def _balanced(task: Task) -> bool:
    """Whether answers are classes, and the task has no score of its own by that name."""
    return bool(task.encoding.labels) and all(one.name != BALANCED.name for one in task.scores)


def _explain(batch: int, steps: int, lr: float | None, advice: str | None) -> str:
    when = f"update {batch}, in epoch {max(batch - 1, 0) // steps + 1}"
    rate = "" if lr is None else f" (lr was {lr:g})"
    more = "" if advice is None else f". Or: {advice}"
    return f"a number stopped being finite at {when}; try a smaller learning rate{rate}{more}"
