"""Rules that move all weights at random: the time of an update beside the same written by hand,
and the memory of a step.
"""

from benchmarks.job import PERTURBED
from benchmarks.race import BARE, FLOOR, Race
from benchmarks.report import Table, Target
from benchmarks.worker import Worker

BATCH = 16
SIZES = (
    *((784, n, n, 10) for n in (256, 512, 1024, 2048)),
    *((784, *[512] * depth, 10) for depth in (4, 8)),
)


def measure(repeats: int) -> list[Table]:
    """A table of times for each rule, and one of memory."""
    tables = []
    for rule, job in PERTURBED.items():
        title = f"{job.steps} updates of 784-500-500-10, batch {job.batch}, {rule}, four draws"
        with Race(title, repeats) as race:
            race.enter_jax(job)
            race.run()
            target = Target("Byway's time over the scan's", race.ratio(BARE, FLOOR), 1.15)
            tables.append(race.table([target]))
    return [*tables, memory()]


def memory() -> Table:
    """Memory is not noisy: it is read off the compiled programs."""
    with Worker() as worker:
        raw = {
            "-".join(map(str, sizes)): worker.ask("room:needed", sizes=list(sizes), batch=BATCH)
            for sizes in SIZES
        }
    rows = [
        {"network": name} | {f"{what} [MB]": f"{size / 1e6:.2f}" for what, size in used.items()}
        for name, used in raw.items()
    ]
    title = f"Memory besides the arguments of a step of training in place, batch {BATCH}"
    return Table(title, rows, [], raw)
