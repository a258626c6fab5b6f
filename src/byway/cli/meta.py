"""`byway meta`: learn a rule, try it on what it never saw, and keep it."""

import dataclasses
import time
from collections.abc import Sequence

import numpy as np
import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from byway.core.errors import ConfigError
from byway.core.given import require_whole
from byway.meta.learn import Episode, meta_learn
from byway.meta.trial import in_words, trial
from byway.network.builders import mlp
from byway.rules import RULES
from byway.rules._learned import check_name, save
from byway.rules.meta.taylor import Taylor
from byway.tasks import TASKS
from byway.tasks._classes import SomeClasses
from byway.tasks._images import ImageTask
from byway.training.plan import MOST_SEEDS

# Rates that the controls may choose from, on the validation split.
RATES = (0.03, 0.1, 0.3, 1.0)


@dataclasses.dataclass(frozen=True)
class Meta:
    """Learn the coefficients of a local rule by gradient through the training of fresh networks.

    From small random coefficients, each meta-step trains some networks from scratch and asks how
    good they became. The rule that comes out is tried on classes that it never saw, on networks of
    another width, beside its own start, frozen (the control) and bp; then it is kept, and has a
    name like any other rule: 'byway list', 'compare', 'audit', 'train'.

    Attributes:
        name: what to call the rule that is found.
        task: an image task; 'byway list' names them.
        classes: the classes to learn it on; it is tried on all the others.
        hidden: sizes of the hidden layers it is learned on.
        trial_hidden: sizes of the hidden layers it is tried on.
        activation: of the hidden layers.
        meta_steps: updates of the coefficients.
        episodes: fresh networks in each of them.
        steps: training steps of each network.
        batch: samples in a training step.
        lr: rate of the plain gradient descent that the networks train by.
        meta_lr: rate at which the coefficients move.
        sparsity: weight of the sum of absolute coefficients, which keeps the rule short.
        seeds: networks of each rule in the trial.
        seed: of everything that is drawn.
        overwrite: replace a learned rule of the same name.
    """

    name: str = "found"
    task: str = "digits"
    classes: tuple[int, ...] = (0, 1, 2, 3, 4)
    hidden: tuple[int, ...] = (10,)
    trial_hidden: tuple[int, ...] = (24,)
    activation: str = "tanh"
    meta_steps: int = 200
    episodes: int = 8
    steps: int = 100
    batch: int = 32
    lr: float = 0.2
    meta_lr: float = 0.006
    sparsity: float = 0.01
    seeds: int = 8
    seed: int = 0
    overwrite: bool = False


def run(argv: Sequence[str]) -> None:
    """Run the verb with its flags."""
    asked = tyro.cli(Meta, args=list(argv), prog="byway meta")
    check_name(asked.name, RULES.ids(), asked.overwrite)
    whole = TASKS.get(asked.task)()
    if not isinstance(whole, ImageTask):
        raise ConfigError(
            f"the task {asked.task}",
            "an image task, whose classes can be parted",
            "use digits or mnist",
        )
    seen = SomeClasses(whole, asked.classes)
    unseen = SomeClasses(whole, tuple(c for c in range(whole.outputs) if c not in asked.classes))
    require_whole("seeds", asked.seeds, 1, MOST_SEEDS)
    fresh = mlp(
        unseen.input_shape, *asked.trial_hidden, unseen.outputs, activation=asked.activation
    )
    net = mlp(seen.input_shape, *asked.hidden, seen.outputs, activation=asked.activation)
    found = meta_learn(
        Taylor(),
        net,
        seen,
        meta_steps=asked.meta_steps,
        episodes=asked.episodes,
        episode=Episode(asked.steps, asked.batch, asked.lr),
        lr=asked.meta_lr,
        sparsity=asked.sparsity,
        seed=asked.seed,
        on_step=lambda i, loss: (
            print(f"meta-step {i:4d}: loss {loss:.3f}", flush=True)
            if i in (1, asked.meta_steps) or i % 20 == 0
            else None
        ),
    )
    for role, table in found.theta.items():
        print(
            f"weights into the output: {in_words(table)}"
            if role == "output"
            else f"hidden weights: {in_words(table)}"
        )
    how = {k: v for k, v in dataclasses.asdict(asked).items() if k not in ("name", "overwrite")}
    made = how | {
        "loss": float(found.losses[-1]),
        "skipped_episodes": found.skipped,
        "when": time.strftime("%Y-%m-%d"),
    }
    path = save(asked.name, found.theta, made, RULES.ids(), asked.overwrite)
    print(f"kept as {asked.name}: {path}")
    start = type("Start", (Taylor,), {"theta": found.start, "id": "start"})
    rules = {
        asked.name: (RULES.get(asked.name)(), (asked.lr,)),
        "its start": (start(), (asked.lr,)),
        "frozen": (RULES.get("frozen")(), RATES),
        "bp": (RULES.get("bp")(), RATES),
    }
    size = unseen.load()["train"].size
    table = Table(
        title=(
            f"on classes {', '.join(map(str, unseen.classes))}, hidden {asked.trial_hidden}, "
            f"{asked.seeds} fresh networks"
        ),
        header_style="bold",
    )
    table.add_column("rule")
    lengths = sorted({max(1, round(asked.steps * times * asked.batch / size)) for times in (1, 4)})
    trials = [
        trial(rules, fresh, unseen, epochs=e, batch=asked.batch, seeds=asked.seeds) for e in lengths
    ]
    for epochs in lengths:
        table.add_column(
            escape(f"{epochs * (size // asked.batch)} steps: test {unseen.scores[0].heading}"),
            justify="right",
        )
    for name in rules:
        table.add_row(name, *(_cell(*results[name]) for results in trials))
    Console(width=120).print(table)
    print(
        f"compare it like any other: byway compare --rules bp,frozen,{asked.name} --optimiser sgd "
        f"--lr {asked.lr:g} --schedule constant"
    )


def _cell(rate: float, result) -> str:
    main = result.task.scores[0]
    scores = main.scale * result.main
    good = scores[np.isfinite(scores)]
    lost = f", {len(scores) - len(good)} lost" if len(good) < len(scores) else ""
    digits = max(main.digits(good) - 1, 0)
    spread = good.std(ddof=1) if len(good) > 1 else 0.0
    return (
        f"{good.mean():.{digits}f} ± {spread:.{digits}f} at rate {rate:g}{lost}"
        if good.size
        else "all lost"
    )
