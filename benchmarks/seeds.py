"""Many seeds: one program for all of them beside the program for one, run as often."""

from benchmarks.job import SMALL, Job
from benchmarks.race import CHECK_ENV, CHECK_TOLERANCE, Race
from benchmarks.report import Table, Target
from benchmarks.worker import PLATFORM, Worker

SEEDS = 8
# A card has room for more.
MANY = 64
CHECKED = 20  # updates
TOGETHER, ALONE = "Byway, together", "Byway, one after another"
JOBS = {
    "784-500-500-10, batch 64, 100 updates": (Job("bp", steps=100), 1.0),
    "64-128-10, batch 32, 1,000 updates": (SMALL, 1.6),
}


def measure(repeats: int) -> list[Table]:
    """A table for each net, and on an accelerator for more seeds as well."""
    counts = (SEEDS,) if PLATFORM == "cpu" else (SEEDS, MANY)
    return [
        _race(f"{seeds} seeds of {title}", job, seeds, limit, repeats)
        for title, (job, limit) in JOBS.items()
        for seeds in counts
    ]


def _race(title: str, job: Job, seeds: int, limit: float, repeats: int) -> Table:
    # On a CPU the bits are the same. An accelerator adds up in another order side by side, under
    # `vmap`: there, in double precision, the difference is rounding.
    env, apart = ({}, 0.0) if PLATFORM == "cpu" else (CHECK_ENV, CHECK_TOLERANCE)
    with Worker(**env) as worker:
        distance = worker.ask(
            "check:distance_between_seeds", seeds=seeds, **job.args(steps=CHECKED)
        )
    if distance > apart:
        raise SystemExit(
            f"{job}: seeds trained together end {distance:g} from the same ones trained alone; "
            f"wanted: at most {apart:g}"
        )
    with Race(title, repeats) as race:
        race.enter(ALONE, "byway", "contestants:one_by_one", seeds=seeds, **job.args())
        race.enter(TOGETHER, "byway", "contestants:together", seeds=seeds, **job.args())
        race.run()
        gain = "time one after another over time together"
        return race.table([Target(gain, race.ratio(ALONE, TOGETHER), limit, True)])
