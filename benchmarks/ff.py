"""Forward-forward, three hidden layers of 500: beside its own floor, beside what backprop's floor
takes, and beside PyTorch, as public programs train it.

A public implementation took 8.1 s an epoch where backprop's hand-written scan takes 1.24 s, 6.5
times as long; three times faster than that is 2.18 times as long.
"""

from benchmarks.job import FF, FF_PUBLIC, MNIST
from benchmarks.race import BARE, FLOOR, Race
from benchmarks.report import Table, Target

LIMIT = 2.18
BACKPROP = "bp, hand-written JAX scan"


AT_ONCE, FUSED = "PyTorch, layers at once", "PyTorch, layers at once, fused Adam"
IN_TURN = "PyTorch, a layer after the other"
PUBLIC = {
    AT_ONCE: ("at_once", {}),
    FUSED: ("at_once", {"fused": True}),
    IN_TURN: ("in_turn", {}),
}


def measure(repeats: int) -> list[Table]:
    """A table beside the floors, and one beside PyTorch."""
    return [beside_floors(repeats), beside_pytorch(repeats)]


def beside_pytorch(repeats: int) -> Table:
    """As many updates of batches of 100, which is what public programs take."""
    title = f"{FF_PUBLIC.steps} updates of the same, batch {FF_PUBLIC.batch}, ff"
    with Race(title, repeats) as race:
        race.enter_jax(FF_PUBLIC)
        race.enter_pytorch(FF_PUBLIC, PUBLIC, "pytorch_ff")
        race.run()
        times = "'s time over Byway's"
        targets = [Target(name + times, race.ratio(name, BARE), 5.0, True) for name in PUBLIC]
        return race.table(targets)


def beside_floors(repeats: int) -> Table:
    """An epoch."""
    with Race("MNIST epoch, 784-500-500-500 with its head, batch 64, ff", repeats) as race:
        race.enter(BACKPROP, "floor", "contestants:hand_written", **MNIST["bp", 64].args())
        race.enter_jax(FF, "ff, ")
        race.run()
        return race.table(
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
