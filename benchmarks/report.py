"""Results as Markdown for people and JSON for programs."""

import dataclasses
import json
import os
import platform
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("byway", "jax", "jaxlib", "equinox", "optax", "numpy", "torch")


@dataclasses.dataclass(frozen=True)
class Target:
    """A figure that must lie on the right side of a limit."""

    what: str
    figure: float | None
    limit: float
    at_least: bool = False

    @property
    def verdict(self) -> str:
        """ "met", "not met", or why there is nothing to judge."""
        if self.figure is None:
            return "not measured: not installed"
        return (
            "met"
            if (self.figure >= self.limit if self.at_least else self.figure <= self.limit)
            else "not met"
        )

    def row(self) -> list[str]:
        """What it looks like in a table."""
        sign = "≥" if self.at_least else "≤"
        return [
            self.what,
            "" if self.figure is None else f"{self.figure:.2f}",
            f"{sign} {self.limit:g}",
            self.verdict,
        ]


@dataclasses.dataclass(frozen=True)
class Table:
    """One table of a benchmark, and the targets that are read from it.

    Attributes:
        title: what was measured.
        rows: by column name, what to print; each row has the same columns.
        targets: what must hold.
        raw: every single figure, for the JSON file.
    """

    title: str
    rows: list[dict[str, str]]
    targets: list[Target]
    raw: dict

    def __str__(self) -> str:
        text = f"### {self.title}\n\n" + _markdown(
            list(self.rows[0]), (row.values() for row in self.rows)
        )
        if self.targets:
            text += "\n" + _markdown(
                ["target", "figure", "limit", "verdict"], (t.row() for t in self.targets)
            )
        return text


def write(name: str, repeats: int, host: dict, tables: list[Table]) -> Path:
    """Keep a benchmark's figures with what they were measured on (see `machine`); the file's
    path.
    """
    RESULTS.mkdir(exist_ok=True)
    content = {
        "benchmark": name,
        "repeats": repeats,
        "machine": host,
        "versions": versions(),
        "tables": [
            dataclasses.asdict(t) | {"verdicts": [target.verdict for target in t.targets]}
            for t in tables
        ],
    }
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def machine() -> dict:
    """The processor, its cores, and how many processes want one (the mean of the last minute)."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        cpu = next(
            (
                line.split(":")[1].strip()
                for line in info.read_text(encoding="utf-8").splitlines()
                if line.startswith("model name")
            ),
            cpu,
        )
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "system": platform.system(),
        "load": os.getloadavg()[0],
    }


def versions() -> dict[str, str | None]:
    """Python and the packages that were measured; None for one that is missing."""
    return {"python": platform.python_version()} | {
        package: version(package) for package in PACKAGES
    }


def version(package: str) -> str | None:
    """The installed version of a package, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _markdown(columns: list[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
