"""`byway demo`: the main job on embedded data."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import tyro

from byway.cli import compare


@dataclasses.dataclass(frozen=True)
class Demo:
    """Train five rules on embedded digits, eight seeds each, and report what each costs and buys.

    It takes about two minutes on two cores: 'byway compare' with its defaults.

    Attributes:
        out: the run folder; a run that lies there is replaced.
    """

    out: Path = Path("runs/demo")


def run(argv: Sequence[str]) -> None:
    """Run the verb with its flags."""
    asked = tyro.cli(Demo, args=list(argv), prog="byway demo")
    compare.run(["--out", str(asked.out), "--overwrite"])
