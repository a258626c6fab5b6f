"""`byway reach`: how far back rules assign credit, and what that costs in memory."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from byway.cli.table import print_table, terminal
from byway.core.errors import ConfigError, RunError
from byway.experiment.reach import default_network, reach
from byway.report.table import size
from byway.training.progress import bar
from byway.training.reach import Reach

RULES = ("bptt", "tbptt", "rtrl", "snap", "eprop", "esn")


@dataclasses.dataclass(frozen=True)
class Asked:
    """Measure how far back in time rules assign credit, and what that costs in memory.

    An error comes at the last step of a sequence. Credit is what steps further back add to the
    update of the hidden layers, per step, in units of what the last step adds: rtrl shows all that
    there is, a truncated rule a cliff, a reservoir nothing. Memory is what one compiled update
    needs on sequences of several lengths, for activity and traces; nothing is run for it. Drift is
    by how much a rule that goes back instead of storing misses the states that were.

    Attributes:
        rules: the rules to look at; they must run in time.
        kind: of network: rnn, lru for linear recurrent units, or coupled for halves that can be
            gone back through.
        activation: of its hidden layers, an activation or a cell; 'byway list' names them. leaky by
            default, integrator where layers are coupled.
        hidden: sizes of its hidden layers.
        steps: how long the sequence is in which credit is looked for.
        lengths: of the sequences for which memory and drift are asked [steps].
        plot: a file for the picture: .svg, .png or .pdf; needs matplotlib.
        json: print JSON instead of tables.
    """

    rules: Annotated[tuple[str, ...], tyro.conf.Positional] = RULES
    kind: str = "rnn"
    activation: str | None = None
    hidden: tuple[int, ...] = (32,)
    steps: int = 64
    lengths: tuple[int, ...] = (64, 256, 1024, 4096)
    plot: Path | None = None
    json: bool = False


def run(argv: Sequence[str]) -> None:
    """Run the verb with its flags."""
    asked = tyro.cli(Asked, args=list(argv), prog="byway reach")
    if asked.plot is not None and asked.plot.suffix not in (".svg", ".png", ".pdf"):
        raise ConfigError(
            f"plot = {asked.plot}", "a file that ends in .svg, .png or .pdf", "call it so"
        )
    net = default_network(*asked.hidden, activation=asked.activation, kind=asked.kind)
    parts = []
    with bar("reach", len(asked.rules), False if asked.json else None) as advance:
        for done, rule in enumerate(asked.rules):
            advance(done, rule)
            parts.append(reach([rule], net, steps=asked.steps, lengths=asked.lengths))
    found = dataclasses.replace(
        parts[0],
        credit={rule: a for part in parts for rule, a in part.credit.items()},
        memory={rule: a for part in parts for rule, a in part.memory.items()},
        drift={rule: a for part in parts for rule, a in part.drift.items()},
    )
    if asked.json:
        print(json.dumps(found.to_json(), indent=1))
    else:
        _print(found)
    if asked.plot is not None:
        left = found.plot()[0]
        try:
            left.figure.savefig(asked.plot)
        except OSError as error:
            raise RunError(
                f"{asked.plot}, which cannot be written ({error.strerror})",
                "a place for the picture",
                "name another file",
            ) from None


def _print(found: Reach) -> None:
    console = terminal()
    rows = [
        [rule, *(f"{share:.2g}" for share in credit), str(found.furthest(rule))]
        for rule, credit in found.credit.items()
    ]
    console.print("Credit by steps before the error, of that of the last step")
    titles = ["rule", *(f"{lag:,}" for lag in found.lags), "1 % at [steps]"]
    print_table(console, titles, rows, {0})
    console.print("\nMemory of one update by the length of a sequence [steps]", markup=False)
    rows = [[rule, *(size(int(held)) for held in memory)] for rule, memory in found.memory.items()]
    titles = ["rule", *(f"{length:,}" for length in found.lengths)]
    print_table(console, titles, rows, {0})
    if found.drift:
        said = "\nDrift of states on the way back, of their own size, by the length of a sequence"
        console.print(f"{said} [steps]", markup=False)
        rows = [[rule, *(f"{a:.2g}" for a in missed)] for rule, missed in found.drift.items()]
        print_table(console, titles, rows, {0})
