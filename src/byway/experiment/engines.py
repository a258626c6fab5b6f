"""The engines by what is asked for."""

import jax

from byway.core.errors import ConfigError, unknown_name
from byway.core.given import require_whole
from byway.experiment.cluster import OnRay
from byway.experiment.jobs import Engine, Here
from byway.experiment.processes import Processes
from byway.system.together import alone

HERE = Here()
# More than one machine, by the name of what is there to run on.
CLUSTERS = {"ray": OnRay}


def engine(jobs: int | None = None, on: str | None = None, parallel: str | None = None) -> Engine:
    """Where jobs run.

    Args:
        jobs: how many at once; by default one on this machine, and one for each core of a cluster.
        on: the cluster; this machine by default.
        parallel: what devices share within a job, if anything.

    Raises:
        ConfigError: `jobs` is no number of jobs, or what is asked for is not installed, or cannot
            be here.
        UnknownNameError: a cluster that there is not.
    """
    if jobs is not None:
        require_whole("jobs", jobs)
    if (on is not None or jobs not in (None, 1)) and parallel is not None:
        raise ConfigError(
            f"parallel = {parallel!r} beside {'on' if on is not None else 'jobs'}",
            "one of the two: jobs that run at once keep all cores busy as they are",
            "leave one of the two out",
        )
    if (on is not None or jobs not in (None, 1)) and not alone():
        raise ConfigError(
            f"jobs beside {jax.process_count()} processes of jax.distributed",
            "one of the two",
            "leave jobs and on out: seeds are dealt to the devices of all processes",
        )
    if on is None:
        return HERE if jobs in (None, 1) else Processes(jobs)
    if not isinstance(on, str) or on not in CLUSTERS:
        raise unknown_name("cluster", str(on), CLUSTERS)
    return CLUSTERS[on](jobs)
