"""Predictive coding: beside its floor, and beside what others offer for the same work, each in an
environment of its own.

The hidden values settle for 20 steps, whoever does it. FabricPC has its values behind the
nonlinearity; everybody else takes the same derivatives, to rounding.
"""

from benchmarks.job import PC
from benchmarks.race import BARE, FLOOR, PEERS, Race
from benchmarks.report import Table, Target

PYTORCH = {"PyTorch by hand": ("pc", {}), "PyTorch by hand, torch.compile": ("pc_compiled", {})}


def measure(repeats: int) -> list[Table]:
    """One table."""
    with Race("MNIST epoch, 784-256-64-10, batch 200, 20 settling steps, pc", repeats) as race:
        race.enter_jax(PC)
        race.enter_pytorch(PC, PYTORCH)
        race.enter_peers(PC)
        race.run()
        targets = [Target("Byway's time over the scan's", race.ratio(BARE, FLOOR), 1.15)]
        targets += [
            Target(f"{name}: its time over Byway's", race.ratio(name, BARE), 1.3, True)
            for name in (*PEERS, *PYTORCH)
        ]
        return [race.table(targets)]
