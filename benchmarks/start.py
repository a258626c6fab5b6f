"""What there is to wait for before training starts: imports, and compiling an epoch without and
with its program on disk.
"""

import statistics
import subprocess
import sys
import tempfile

from benchmarks.job import FF, MNIST, SMALL
from benchmarks.report import Table, Target
from benchmarks.worker import Worker

IMPORTS = {
    "import jax": "import jax",
    "import byway": "import byway",
    "from byway import fit, mlp": "from byway import fit, mlp",
}
JOBS = {
    **{f"{rule}, 784-500-500-10, batch 64": MNIST[rule, 64] for rule in ("bp", "fa", "dfa")},
    "ff": FF,
    "bp, 64-128-10": SMALL,
}


def measure(repeats: int) -> list[Table]:
    """A table of imports and one of compile times."""
    return [_imports(repeats), _compiling(repeats)]


def _imports(repeats: int) -> Table:
    seconds = {name: [] for name in IMPORTS}
    for lap in range(repeats + 1):
        for name, statement in IMPORTS.items():
            code = (
                f"import time; started = time.perf_counter(); {statement}; "
                "print(time.perf_counter() - started)"
            )
            taken = float(
                subprocess.run(
                    [sys.executable, "-c", code], capture_output=True, text=True, check=True
                ).stdout
            )
            if lap:  # the first one reads the files from the disk
                seconds[name].append(taken)
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    rows = [
        {"statement": name, "median [s]": f"{medians[name]:.3f}", "min [s]": f"{min(taken):.3f}"}
        for name, taken in seconds.items()
    ]
    beyond = Target(
        "seconds of import byway beyond import jax",
        medians["import byway"] - medians["import jax"],
        1.0,
    )
    return Table("Imports, each in a fresh process", rows, [beyond], seconds)


def _compiling(repeats: int) -> Table:
    seconds = {name: {"cold": [], "warm": []} for name in JOBS}
    for _ in range(repeats):
        for name, job in JOBS.items():
            with tempfile.TemporaryDirectory() as folder:
                for state in ("cold", "warm"):
                    with Worker(BYWAY_CACHE=folder) as worker:
                        seconds[name][state].append(
                            worker.ask("contestants:compile_seconds", **job.args())
                        )
    rows = [
        {"epoch of": name}
        | {
            f"{state}, median [s]": f"{statistics.median(taken):.2f}"
            for state, taken in states.items()
        }
        for name, states in seconds.items()
    ]
    return Table("Compiling an epoch, without and with its program on disk", rows, [], seconds)
