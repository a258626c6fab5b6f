"""One MNIST epoch of 784-500-500-10: Byway beside its floor and, for backprop, PyTorch."""

from benchmarks.job import MNIST
from benchmarks.race import BARE, FLOOR, PYTORCH, Race
from benchmarks.report import Table, Target
from benchmarks.worker import PLATFORM

# A card is lent for minutes, and compiles for longer than it computes.
JOBS = MNIST if PLATFORM == "cpu" else {key: MNIST[key] for key in (("bp", 64), ("dfa", 64))}


def measure(repeats: int) -> list[Table]:
    """A table for each rule and batch."""
    tables = []
    for (rule, batch), job in JOBS.items():
        with Race(f"MNIST epoch, 784-500-500-10, batch {batch}, {rule}", repeats) as race:
            race.enter_jax(job)
            if rule == "bp":
                race.enter_pytorch(job)
            race.run()
            targets = [Target("Byway's time over the scan's", race.ratio(BARE, FLOOR), 1.15)]
            if rule == "bp":
                targets += [
                    Target(f"{name}'s time over Byway's", race.ratio(name, BARE), 1.2, True)
                    for name in PYTORCH
                ]
            tables.append(race.table(targets))
    return tables
