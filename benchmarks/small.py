"""A net too small to fill a core, 64-128-10: what each update costs besides its arithmetic."""

from benchmarks.job import SMALL
from benchmarks.race import BARE, FLOOR, PYTORCH, Race
from benchmarks.report import Table, Target


def measure(repeats: int) -> list[Table]:
    """One table."""
    with Race("1,000 updates of 64-128-10, batch 32, bp, digits", repeats) as race:
        race.enter_jax(SMALL)
        race.enter_pytorch(SMALL)
        race.run()
        targets = [Target("Byway's time over the scan's", race.ratio(BARE, FLOOR), 1.3)]
        targets += [
            Target(f"{name}'s time over Byway's", race.ratio(name, BARE), 3, True)
            for name in PYTORCH
        ]
        return [race.table(targets)]
