"""What of this machine is ours to use."""

import math
import os
import sys
from pathlib import Path

# Where Linux says what share of the processors a container may use: "microseconds period", or "max
# period".
QUOTA = Path("/sys/fs/cgroup/cpu.max")


def cores() -> int:
    """How many cores this process may keep busy: those it is bound to (taskset, SLURM, cpusets),
    and no more than its quota pays for.
    """
    bound = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return max(1, min(bound, _quota()))


def _quota() -> int:
    try:
        share, period = QUOTA.read_text(encoding="ascii").split()
        return sys.maxsize if share == "max" else math.ceil(int(share) / int(period))
    except (
        OSError,
        ValueError,
        ZeroDivisionError,
    ):
        # Another system, or another form: nothing is said.
        return sys.maxsize
