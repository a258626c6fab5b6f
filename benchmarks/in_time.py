"""Learning in time: updates of a vanilla recurrent network on whole sequences, beside hand-written ones.

Backprop through time on 128 units and 200 steps; real-time recurrent learning, whose work grows with the fourth power of the units, on 32
units and 50 steps.
"""

from benchmarks.job import BPTT, RTRL
from benchmarks.race import BARE, FLOOR, Race, agree
from benchmarks.report import Table, Target

JOBS = {f"{job.steps} updates of {job.rule}, {job.sizes[1]} units, {job.length} steps, batch {job.batch}": job for job in (BPTT, RTRL)}


def measure(repeats: int) -> list[Table]:
    """A table for each rule."""
    tables = []
    for title, job in JOBS.items():
        agree(job, "recurrent_from_floor", 5)
        with Race(title, repeats) as race:
            race.enter(FLOOR, "floor", "recurrent:hand_written", **job.args())
            race.enter(BARE, "byway", "recurrent:bare", **job.args())
            race.run()
            tables.append(race.table([Target("Byway's time over the scan's", race.ratio(BARE, FLOOR), 1.15)]))
    return tables
