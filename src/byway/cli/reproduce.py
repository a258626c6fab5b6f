"""`byway reproduce`: published figures, measured again."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from byway.cli.report import READABLE
from byway.cli.table import terminal
from byway.core.errors import ConfigError
from byway.experiment.engines import engine
from byway.experiment.jobs import Engine
from byway.pages.reproduction import claimed, minutes, recorded
from byway.pages.words import card
from byway.reproductions import REPRODUCTIONS
from byway.reproductions._reproduce import Reproduced, measured_again
from byway.reproductions._reproduction import Comparison, Reproduction


@dataclasses.dataclass(frozen=True)
class Reproduce:
    """Measure a published figure again, and say in words whether it holds here.

    Without a name it lists all figures, with what is known of each and what it costs. With one it
    trains what the figure takes, on a GPU if JAX finds one, shows a progress bar, and compares the
    test split with the claim. Called again it resumes where it was stopped. --quick tries the same
    in a fraction of the time, and gives no verdict.

    For example: byway reproduce akrout_mnist --quick

    Attributes:
        name: the figure, by its name; or path/to/file.py:Class for one of your own.
        quick: cut the budget down: fewer epochs, seeds or draws, and no verdict.
        out: the run folder, resumed where it exists; runs/NAME or runs/NAME-quick by default.
        jobs: how many jobs run at once; see 'byway compare --help jobs'.
        on: ray, to run them on a cluster.
    """

    name: Annotated[str | None, tyro.conf.Positional] = None
    quick: bool = False
    out: Path | None = None
    jobs: int | None = None
    on: str | None = None


def run(argv: Sequence[str]) -> None:
    """Run the verb with its flags."""
    asked = tyro.cli(Reproduce, args=list(argv), prog="byway reproduce")
    if asked.name is not None:
        where = engine(asked.jobs, asked.on)
        _one(REPRODUCTIONS.get(asked.name)(), asked.quick, asked.out, where)
        return
    for flag, given in vars(asked).items():
        if given is not None and given is not False:
            fix = "name one, as in 'byway reproduce akrout_mnist'"
            raise ConfigError(f"--{flag} without a figure", "the name of a figure", fix)
    _list([REPRODUCTIONS.get(name)() for name in REPRODUCTIONS.ids()])


def _list(known: Sequence[Reproduction]) -> None:
    """Two lines for each: what it is would not fit beside its cost."""
    rows = []
    for one in known:
        words, time = one.cost()
        rows.append([one.id, one.status, f"{words}, {minutes(time)}"])
    titles = ["figure", "here", "estimated cost on two cores"]
    widths = [max(len(row[i]) for row in [titles, *rows]) for i in range(2)]
    for one, (name, status, cost) in zip([None, *known], [titles, *rows], strict=True):
        print(f"{name:{widths[0]}}  {status:{widths[1]}}  {cost}")
        if one is not None:
            print(f"  {card(type(one)).headline}")
    print("\n'byway reproduce NAME' measures one; 'byway reproduce --help' says how.")


def _one(chosen: Reproduction, quick: bool, out: Path | None, where: Engine) -> None:
    about, console = card(type(chosen)), terminal()
    trains = isinstance(chosen, Comparison)
    if trains and out is None:
        out = Path("runs") / f"{chosen.id}{'-quick' if quick else ''}"
    words, time = chosen.cost(quick)

    def say(text: str) -> None:
        console.print(text, width=min(console.width, READABLE), markup=False)

    say(about.headline)
    say(f"Claimed: {chosen.quantity.title}, {claimed(chosen)}.")
    for label in ("Source", "Verified"):
        if label in about.facts:
            say(f"{label}: {about.facts[label]}.")
    say(f"This takes {words}; estimated on two cores: {minutes(time)}.")
    told = lambda text: print(text, flush=True)
    found = measured_again(chosen, quick, out, say=told, where=where)
    print()
    say(str(found))
    if chosen.measured is not None:
        say(f"On record: {recorded(chosen)}.")
    _why(found, about.facts)
    if found.run is not None and out is not None:
        console.print(f"report: {found.run.report()}", soft_wrap=True, markup=False)


def _why(found: Reproduced, facts: dict[str, str]) -> None:
    """What is known of a figure that does not hold."""
    for label in ("Miss", "Differs"):
        if found.holds is False and label in facts:
            said = "Known reason" if label == "Miss" else "What differs from the publication"
            terminal().print(f"{said}: {facts[label]}.", width=READABLE, markup=False)
