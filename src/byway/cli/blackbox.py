"""`byway blackbox`: which rules still train a network when a layer in its middle is unknown."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Annotated

import tyro

from byway.cli.table import print_table, terminal
from byway.experiment.blackbox import BOXES, Boxed, Trial, blackbox, candidates
from byway.named import task as task_called
from byway.training.progress import bar


@dataclasses.dataclass(frozen=True)
class Asked:
    """Try which rules still train a network when nobody knows what a layer in its middle does.

    Each rule trains a small network four times: as it is, with units of 3 bits in the middle, with
    a Python function there, and with a device that is noisy and drifts. It trains if it is ahead of
    frozen hidden layers in the very same network on every seed, and by more than three standard
    errors. What was tried is held against what the audit says of slopes.

    Attributes:
        rules: the rules to try; by default all that learn from independent samples.
        boxes: what to put into the middle: known, quantised, host, device.
        task: what to learn.
        hidden: sizes of the hidden layers; the one in the middle is the box.
        sigma: noise of rules that try some; less than half a step of a quantiser changes nothing.
        lr: learning rate of all of them; each rule's own by default.
        epochs: passes over the training split.
        batch: samples in an update.
        seeds: networks that each rule trains.
        json: print JSON instead of a table.
    """

    rules: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    boxes: tuple[str, ...] = tuple(BOXES)
    task: str = "digits"
    hidden: tuple[int, ...] = (32, 32, 32)
    sigma: float = 0.3
    lr: float | None = None
    epochs: int = 30
    batch: int = 32
    seeds: int = 3
    json: bool = False


def run(argv: Sequence[str]) -> None:
    """Run the verb with its flags."""
    asked = tyro.cli(Asked, args=list(argv), prog="byway blackbox")
    rules, found = asked.rules or candidates(), {}
    tried = blackbox(
        rules,
        task_called(asked.task),
        asked.boxes,
        hidden=asked.hidden,
        sigma=asked.sigma,
        lr=asked.lr,
        epochs=asked.epochs,
        batch=asked.batch,
        seeds=asked.seeds,
    )
    with bar("blackbox", len(rules), False if asked.json else None) as advance:
        for done, (name, boxed) in enumerate(tried, 1):
            found[name] = boxed
            advance(done, name)
    if asked.json:
        print(json.dumps({name: boxed.to_json() for name, boxed in found.items()}, indent=1))
    else:
        _print(found, asked.boxes)


def _print(found: dict[str, Boxed], boxes: Sequence[str]) -> None:
    console = terminal()
    rows = [
        [name, boxed.derivative, *(_say(boxed.trials[box]) for box in boxes), _agrees(boxed)]
        for name, boxed in found.items()
    ]
    titles = ["rule", "reads slopes", *boxes, "as audited"]
    print_table(console, titles, rows, range(len(titles)))
    console.print(
        "\nIn brackets: how far ahead of frozen hidden layers in the same network. trains: on each "
        "seed, and by more than three standard errors",
        markup=False,
    )


def _say(trial: Trial) -> str:
    if trial.reached is None or trial.gain is None:
        return "refused"
    trains = "trains" if trial.trains else "no"
    return f"{trial.reached.mean():.3f} ({trial.gain.mean():+.3f}) {trains}"


def _agrees(boxed: Boxed) -> str:
    return "yes" if boxed.agrees else "no"
