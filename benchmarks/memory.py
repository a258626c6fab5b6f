"""Memory: of one compiled update, and of a whole process that trains for one MNIST epoch."""

from benchmarks.job import FF, MNIST, Job
from benchmarks.report import Table
from benchmarks.worker import Worker

JOBS = {
    **{rule: MNIST[rule, 64] for rule in ("bp", "fa", "dfa")},
    "frozen": Job("frozen"),
    "ff": FF,
}


def measure(repeats: int) -> list[Table]:
    """One table; `repeats` changes nothing, as memory is not noisy."""
    raw = {}
    for name, job in JOBS.items():
        with Worker() as worker:
            raw[name] = worker.ask("fitting:memory", **job.args())
    rows = [
        {
            "rule": name,
            "net": "-".join(map(str, JOBS[name].sizes)),
            "one update [MB]": f"{used['step_bytes'] / 1e6:.1f}",
            "process, data loaded [MB]": f"{used['before'] / 1e6:.0f}",
            "process, peak [MB]": f"{used['peak'] / 1e6:.0f}",
        }
        | ({"accelerator, peak [MB]": f"{used['device'] / 1e6:.0f}"} if "device" in used else {})
        for name, used in raw.items()
    ]
    return [Table("Memory, batch 64, one epoch of `byway.fit` on MNIST", rows, [], raw)]
