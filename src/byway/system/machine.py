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
    return max(1, min(len(bound()) or os.cpu_count() or 1, _quota()))


def bound() -> list[int]:
    """The numbers of the cores that this process is bound to; nothing where the system does not
    say.
    """
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


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
