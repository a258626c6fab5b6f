"""Spiking units in time: updates of a recurrent layer of leaky integrate-and-fire units on whole
sequences, beside hand-written ones and beside other libraries.

Surrogate gradients, beside Spyx and snnTorch; eligibility propagation, beside the online rules of
BrainTrace. Peers take shapes, batch and steps of ours, and units of their own kind; their inputs
are random numbers, as a step takes as long on any.
"""

import dataclasses

from benchmarks.job import EPROP, Job
from benchmarks.race import BARE, FLOOR, Race, agree
from benchmarks.report import Table, Target

BPTT = dataclasses.replace(EPROP, rule="bptt")
SPYX, SNNTORCH = "Spyx", "snnTorch"
TRACED = {
    "BrainTrace EProp": "EProp",
    "BrainTrace D_RTRL": "D_RTRL",
    "BrainTrace pp_prop": "pp_prop",
}


def measure(repeats: int) -> list[Table]:
    """A table for each rule."""
    tables = []
    for job, contestants in (
        (
            BPTT,
            {
                SPYX: ("spyx", "peer_spyx:bptt", {}),
                SNNTORCH: ("snntorch", "peer_snntorch:bptt", {}),
            },
        ),
        (
            EPROP,
            {
                name: ("braintrace", "peer_braintrace:online", {"algorithm": algorithm})
                for name, algorithm in TRACED.items()
            },
        ),
    ):
        agree(job, "spiking_from_floor", 5)
        with Race(_title(job), repeats) as race:
            race.enter(FLOOR, "floor", "recurrent:hand_written", **job.args())
            race.enter(BARE, "byway", "recurrent:bare", **job.args())
            for name, (home, target, args) in contestants.items():
                race.enter_peer(name, home, target, **job.args(), **args)
            race.run()
            targets = [Target("Byway's time over the scan's", race.ratio(BARE, FLOOR), 1.15)]
            targets += [
                Target(f"Byway's time over that of {name}", race.ratio(BARE, name), most)
                for name, most in {
                    SPYX: 1 / 1.3,
                    SNNTORCH: 1 / 4,
                    "BrainTrace EProp": 1 / 2,
                    "BrainTrace D_RTRL": 1 / 2,
                    "BrainTrace pp_prop": 1.0,
                }.items()
                if name in contestants
            ]
            tables.append(race.table(targets))
    return tables


def _title(job: Job) -> str:
    work = f"{job.sizes[1]} lif units, {job.length} steps, batch {job.batch}"
    return f"{job.steps} updates of {job.rule}, {work}"
