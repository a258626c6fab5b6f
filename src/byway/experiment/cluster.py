"""Jobs on a cluster of Ray: as many machines as it has.

Of Ray its core is used, which `pip install ray` brings: no dashboard, no other of its libraries.
"""

import contextlib
import dataclasses
import inspect
import os
import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import cloudpickle
from typing_extensions import override

from byway.core.errors import RunError, not_installed
from byway.experiment.jobs import AGAIN, Engine, Job, gave_up
from byway.experiment.worker import (
    ENDED,
    RAISED,
    SAID,
    STOPPED,
    TOLD,
    Send,
    carried_out,
    packed,
    parcel,
    unpacked,
)
from byway.system.machine import cores
from byway.training.checkpoint import interrupts
from byway.training.progress import bars

# How long jobs may take to stop at a checkpoint [s]; how long to wait for word of them [s].
GRACE, PAUSE = 60.0, 0.2


class OnRay(Engine):
    """Jobs as tasks of Ray, on the cluster that RAY_ADDRESS names or the program is connected to;
    else on one that is begun on this machine, and ended with the run.

    Every machine needs Byway, and sees the run folder under the same path.

    Args:
        workers: how many jobs run at once; by default one for each core of the cluster.

    Raises:
        ConfigError: Ray is not installed.
        RunError: the cluster does not answer.
    """

    def __init__(self, workers: int | None = None):
        try:
            import ray  # pyright: ignore[reportMissingImports]
        except ImportError:
            raise not_installed("ray", "cluster") from None
        self._ray: Any = ray
        if workers is None:
            workers = cores()
            if self._elsewhere:
                with self._joined():
                    workers = self._cores
        self.workers = workers

    @override
    def run(self, do, jobs, progress, say):
        ray, work = self._ray, packed(do)
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._joined())
            shown = stack.enter_context(bars(progress))
            asked = stack.enter_context(interrupts())
            share, letters, held = max(1, self._cores // self.workers), _mailbox(), ray.put(work)
            gpus = min(1, int(ray.cluster_resources().get("GPU", 0)))
            # A process of its own for each, as on one machine.
            means = {"num_cpus": share, "num_gpus": gpus, "max_retries": AGAIN, "max_calls": 1}
            task = ray.remote(**means)(_task())
            waiting, running = deque(jobs), dict[Any, Job]()
            stack.callback(self._stopped, running)
            while waiting or running:
                shown.tell("jobs", len(jobs) - len(waiting) - len(running), len(jobs), "finished")
                while waiting and len(running) < self.workers and not asked:
                    job = waiting.popleft()
                    one = cloudpickle.dumps(parcel(b"", job, share))
                    running[task.remote(list(sys.path), str(job), one, held, letters)] = job
                ready, _ = ray.wait(list(running), timeout=PAUSE)
                for title, kind, value in letters.get_nowait_batch(letters.qsize()):
                    if kind == TOLD:
                        shown.tell(title, *value)
                    elif kind == SAID:
                        say(value)
                for ref in ready:
                    job = running.pop(ref)
                    shown.end(str(job))
                    kind, value = self._end(ref, job)
                    if kind == ENDED:
                        yield job, value
                    elif kind == RAISED:
                        raise unpacked(value)
                    else:
                        raise KeyboardInterrupt
                if asked:
                    raise KeyboardInterrupt
            shown.tell("jobs", len(jobs), len(jobs), "finished")

    @property
    def _elsewhere(self) -> bool:
        """Whether there is a cluster already."""
        return self._ray.is_initialized() or bool(os.environ.get("RAY_ADDRESS"))

    @property
    def _cores(self) -> int:
        """How many cores the cluster has, to which this process is connected."""
        return max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def _end(self, ref: Any, job: Job) -> tuple[str, Any]:
        """How a task ended."""
        ray = self._ray
        try:
            return ray.get(ref)
        except (ray.exceptions.TaskCancelledError, KeyboardInterrupt):
            return STOPPED, None
        except ray.exceptions.RayError as problem:
            raise gave_up(job, str(problem).strip().splitlines()[-1]) from problem

    def _stopped(self, running: dict[Any, Job]) -> None:
        """Stop tasks at a checkpoint."""
        ray, left = self._ray, list(running)
        for ref in left:
            ray.cancel(ref, force=False)
        with contextlib.suppress(KeyboardInterrupt):
            _, left = ray.wait(left, num_returns=len(left), timeout=GRACE) if left else ([], [])
        for ref in left:
            ray.cancel(ref, force=True)

    @contextlib.contextmanager
    def _joined(self) -> Iterator[None]:
        """Connected to a cluster; one that is begun here ends here."""
        ray = self._ray
        if ray.is_initialized():
            yield
            return
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report to its makers
        new = {"address": "local", "include_dashboard": False, "num_cpus": cores()}
        try:
            with warnings.catch_warnings():
                # JAX warns of the fork with which Ray starts its other programs: nothing but that
                # is done in it.
                warnings.filterwarnings("ignore", r"os\.fork\(\)", RuntimeWarning)
                told = {} if self._elsewhere else new
                ray.init(log_to_driver=False, logging_level="ERROR", **told)
        except (ConnectionError, RuntimeError, ValueError, OSError) as problem:
            raise RunError(
                f"the cluster of Ray does not answer: {problem}",
                "a cluster that is up",
                "see 'ray status'; RAY_ADDRESS says where it is",
            ) from problem
        try:
            yield
        finally:
            ray.shutdown()


def done(one: bytes, work: bytes, send: Send) -> tuple[str, Any]:
    """Do a job; how it ended. Word of its progress is sent.

    Args:
        one: its parcel, as a pickle, without its work.
        work: that.
        send: sends word.
    """
    ends: list[tuple[str, Any]] = []

    def tell(kind: str, value: Any) -> None:
        if kind in (TOLD, SAID):
            send(kind, value)
        else:
            ends.append((kind, value))

    carried_out(dataclasses.replace(cloudpickle.loads(one), work=work), tell)
    return ends[0]


def _task() -> Callable[..., Any]:
    """What a machine of the cluster is sent: a function by value, as Byway may not be found there
    before it has run.
    """

    def task(path: list[str], title: str, one: bytes, work: bytes, letters: Any) -> Any:
        import sys

        sys.path += [place for place in path if place not in sys.path]
        from byway.experiment.cluster import done

        return done(one, work, lambda kind, value: letters.put((title, kind, value)))

    # As it was written: whatever checks its arguments here is not there.
    return inspect.unwrap(task)


def _mailbox() -> Any:
    """Where jobs leave word of how they get on."""
    from ray.util.queue import Queue  # pyright: ignore[reportMissingImports]

    return Queue(actor_options={"num_cpus": 0})
