"""Run a reproduction, and say whether what was published holds here: `byway.reproduce`."""

import dataclasses
from datetime import UTC, datetime
from pathlib import Path

import jax
from typing_extensions import override

from byway.core.given import require, require_folder, require_none
from byway.experiment.engines import HERE, engine
from byway.experiment.jobs import Engine
from byway.experiment.run import Run
from byway.reproductions import REPRODUCTIONS
from byway.reproductions._claims import Finding, Measured, Verdict
from byway.reproductions._reproduction import Reproduction, Say
from byway.system.machine import cores


@dataclasses.dataclass(frozen=True, repr=False)
class Reproduced:
    """What a reproduction measured, beside what was published.

    Attributes:
        reproduction: the published figure.
        run: what was trained; None of a law, which trains nothing.
        measured: the numbers, with the machine.
        quick: whether the budget was cut down.
    """

    reproduction: Reproduction
    run: Run | None
    measured: Measured
    quick: bool = False

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Each claim beside what was measured, whatever the budget."""
        return self.reproduction.judge(self.measured.values).findings

    @property
    def verdict(self) -> Verdict | None:
        """Whether the claims hold; None where the budget was cut down, which says nothing."""
        return None if self.quick else Verdict(self.findings)

    @property
    def holds(self) -> bool | None:
        """Whether every claim holds; None where that cannot be told, as with a budget that was cut
        down.
        """
        return None if self.verdict is None else self.verdict.holds

    @property
    def text(self) -> str:
        """The verdict in words."""
        if self.verdict is not None:
            return str(self.verdict)
        asked, whole = (self.reproduction.cost(quick)[0] for quick in (True, False))
        return f"No verdict: a quick run ({asked}) says nothing of a claim that takes {whole}."

    @override
    def __str__(self) -> str:
        """Each claim with what was measured, then the verdict in words."""
        quantity = self.reproduction.quantity
        unit = f" [{quantity.unit}]" if quantity.unit else ""
        head = f"{self.reproduction.id}: {quantity.title}{unit}"
        lines = [f"  {one.claimed}: measured {one.measured}" for one in self.findings]
        return "\n".join([head, *lines, self.text])

    @override
    def __repr__(self) -> str:
        return f"<Reproduced: {self}>"


def reproduce(
    name: str | Reproduction,
    *,
    quick: bool = False,
    out: Path | str | None = None,
    progress: bool | None = None,
    jobs: int | None = None,
    on: str | None = None,
) -> Reproduced:
    """Measure a published figure again, and say whether it holds here.

    It runs on a GPU if JAX finds one.

    Args:
        name: which, by its name; or a reproduction.
        quick: whether to try it with a budget that is cut down; then there is no verdict.
        out: the run folder; one that exists is resumed. Nothing is written by default.
        progress: whether to draw a progress bar; by default where a person is watching.
        jobs: how many jobs run at once, as in `compare`; with `out` alone.
        on: "ray", to run them on a cluster, as in `compare`; with `out` alone.

    Returns:
        What was measured and whether the claims hold: `found.holds`, `found.run["fa"]`.

    Raises:
        UnknownNameError: a name that there is not; the nearest ones are said.
        RunError: the folder holds another run.
        BywayError: what `compare` raises, such as data that cannot be found.
    """
    made = REPRODUCTIONS.get(name)() if isinstance(name, str) else name
    wanted, fix = "a name or a reproduction", "byway.reproduce('akrout_mnist')"
    require(Reproduction, "name", made, wanted, f"for example {fix}")
    require(bool, "quick", quick, "True or False", "leave it out")
    if out is None:
        for option, given in (("jobs", jobs), ("on", on)):
            require_none(option, given, "without a run folder", "name a run folder with out=")
    else:
        require_folder("out", out)
    folder = None if out is None else Path(out)
    return measured_again(made, quick, folder, progress, where=engine(jobs, on))


def measured_again(
    made: Reproduction,
    quick: bool,
    out: Path | None,
    progress: bool | None = None,
    say: Say = lambda text: None,
    where: Engine = HERE,
) -> Reproduced:
    """What `reproduce` does, for callers whose arguments are checked.

    Args:
        made: the published figure.
        quick: whether with the cut-down budget.
        out: the run folder, resumed where it exists; None to write nothing.
        progress: whether to draw a progress bar.
        say: told in words of each rule that has finished.
        where: where its jobs run.
    """
    try:
        run, found = made.measure(quick, out, progress, say, where)
    except KeyboardInterrupt as stop:
        if out is None:
            raise
        again = f"{made.id}{' --quick' if quick else ''} --out {out}"
        raise KeyboardInterrupt(f"; 'byway reproduce {again}' continues from there") from stop
    digits = made.quantity.digits + 3  # more than anybody prints
    values = {name: [round(value, digits) for value in each] for name, each in found.items()}
    seconds = None if run is None else sum(one.seconds for one in run.values())
    minutes = None if seconds is None else round(seconds / 60, 1)
    when = f"{datetime.now(UTC):%Y-%m}"
    return Reproduced(made, run, Measured(values, _machine(run), when, minutes), quick)


def _machine(run: Run | None) -> str:
    """What it ran on: the accelerator, or how many cores."""
    about = {} if run is None else run.about
    device = str(about.get("device", jax.devices()[0].device_kind))
    return f"{about.get('cores', cores())} cores" if device == "cpu" else device
