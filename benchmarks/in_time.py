"""Learning in time: updates of a vanilla recurrent network on whole sequences, beside hand-written
ones.

Backprop through time on 128 units and 200 steps; real-time recurrent learning, whose work grows
with the fourth power of the units, on 32 units and 50 steps; eligibility propagation beside our own
backprop through time, on the same spiking units.
"""

import dataclasses

from benchmarks.job import BPTT, EPROP, RTRL
from benchmarks.race import BARE, FLOOR, Race, agree
from benchmarks.report import Table, Target

JOBS = {
    f"{job.steps} updates of {job.rule}, {job.sizes[1]} units, {job.length} steps, "
    f"batch {job.batch}": job
    for job in (BPTT, RTRL)
}


def measure(repeats: int) -> list[Table]:
    """A table for each rule."""
    tables = []
    for title, job in JOBS.items():
        agree(job, "recurrent_from_floor", 5)
        with Race(title, repeats) as race:
            race.enter(FLOOR, "floor", "recurrent:hand_written", **job.args())
            race.enter(BARE, "byway", "recurrent:bare", **job.args())
            race.run()
            tables.append(
                race.table([Target("Byway's time over the scan's", race.ratio(BARE, FLOOR), 1.15)])
            )
    with Race(
        f"{EPROP.steps} updates, {EPROP.sizes[1]} lif units, {EPROP.length} steps, batch "
        f"{EPROP.batch}",
        repeats,
    ) as race:
        race.enter(
            "bptt", "byway", "recurrent:bare", **dataclasses.replace(EPROP, rule="bptt").args()
        )
        race.enter("eprop", "byway", "recurrent:bare", **EPROP.args())
        race.run()
        tables.append(
            race.table(
                [Target("the time of eprop over that of bptt", race.ratio("eprop", "bptt"), 1.0)]
            )
        )
    return tables
