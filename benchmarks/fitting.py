"""One whole `byway.fit`, in a process of its own."""

import resource
import sys
from pathlib import Path

import jax

import byway
from benchmarks.job import Job

byway.use_all_cores()


def memory(job: dict) -> dict[str, int]:
    """Bytes of one compiled update, of this process when the data are loaded, of this process at
    its peak, and of the accelerator, where there is one, at its peak.
    """
    work = Job(**job)
    rule, task = byway.rule(work.rule), byway.task(work.task)
    net = byway.mlp(*work.sizes, readout_from=work.readout_from, **rule.network_options)
    task.load()
    before = peak()
    result = byway.fit(net, rule, task, epochs=1, batch=work.batch, progress=False)
    used = {"step_bytes": result.step_bytes, "before": before, "peak": peak()}
    statistics = jax.devices()[0].memory_stats()  # None on a CPU
    return used | ({"device": statistics["peak_bytes_in_use"]} if statistics else {})


def peak() -> int:
    """The most memory that this process has held [B]. What getrusage says begins, on Linux, with
    that of the process which started it.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(
            line
            for line in status.read_text(encoding="utf-8").splitlines()
            if line.startswith("VmHWM")
        )
        return int(line.split()[1]) * 1024
    kilo = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kilo
