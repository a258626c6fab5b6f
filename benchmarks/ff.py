"""Forward-forward, three hidden layers of 500: beside its own floor, and beside what backprop's
floor takes.

A public implementation took 8.1 s an epoch where backprop's hand-written scan takes 1.24 s, 6.5
times as long; three times faster than that is 2.18 times as long.
"""

from benchmarks.job import FF, MNIST
from benchmarks.race import BARE, FLOOR, Race
from benchmarks.report import Table, Target

LIMIT = 2.18
BACKPROP = "bp, hand-written JAX scan"


def measure(repeats: int) -> list[Table]:
    """One table."""
    with Race("MNIST epoch, 784-500-500-500 with its head, batch 64, ff", repeats) as race:
        race.enter(BACKPROP, "floor", "contestants:hand_written", **MNIST["bp", 64].args())
        race.enter_jax(FF, "ff, ")
        race.run()
        return [
            race.table(
                [
                    Target(
                        "Byway's time over the scan's",
                        race.ratio(f"ff, {BARE}", f"ff, {FLOOR}"),
                        1.15,
                    ),
                    Target(
                        "Byway's time over that of bp's scan",
                        race.ratio(f"ff, {BARE}", BACKPROP),
                        LIMIT,
                    ),
                ]
            )
        ]
