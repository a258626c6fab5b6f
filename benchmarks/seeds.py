"""Eight seeds: one program for all of them beside the program for one, run eight times."""

from benchmarks.job import SMALL, Job
from benchmarks.race import Race
from benchmarks.report import Table, Target
from benchmarks.worker import PLATFORM, Worker

SEEDS = 8
# Weights of seeds side by side under `vmap`, as accelerators run them, may be so far from those
# alone.
ROUNDING = 1e-3
TOGETHER, ALONE = "Byway, eight together", "Byway, one after another"
JOBS = {
    "784-500-500-10, batch 64, 100 updates": (Job("bp", steps=100), 1.0),
    "64-128-10, batch 32, 1,000 updates": (SMALL, 1.6),
}


def measure(repeats: int) -> list[Table]:
    """A table for each net."""
    tables = []
    for title, (job, limit) in JOBS.items():
        with Worker() as worker:
            distance = worker.ask("check:distance_between_seeds", seeds=SEEDS, **job.args(steps=20))
            if distance > (0.0 if PLATFORM == "cpu" else ROUNDING):
                raise SystemExit(
                    f"{job}: seeds trained together end {distance:g} from the same ones trained "
                    "alone; wanted: the same bits"
                )
        with Race(f"Eight seeds of {title}", repeats) as race:
            race.enter(ALONE, "byway", "contestants:one_by_one", seeds=SEEDS, **job.args())
            race.enter(TOGETHER, "byway", "contestants:together", seeds=SEEDS, **job.args())
            race.run()
            tables.append(
                race.table(
                    [
                        Target(
                            "time one after another over time together",
                            race.ratio(ALONE, TOGETHER),
                            limit,
                            True,
                        )
                    ]
                )
            )
    return tables
