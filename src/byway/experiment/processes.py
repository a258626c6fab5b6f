"""Jobs in several processes on this machine."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter, deque
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Any

import jax
from typing_extensions import override

from byway.core.errors import ConfigError
from byway.experiment.jobs import AGAIN, Engine, Job, gave_up
from byway.experiment.worker import (
    ENDED,
    RAISED,
    SAID,
    STOPPED,
    TOLD,
    Parcel,
    carried_out,
    packed,
    parcel,
    unpacked,
)
from byway.system.machine import bound, cores
from byway.training.checkpoint import interrupts
from byway.training.progress import bars

# What a process does first: it binds itself to its cores, and finds modules as this one does.
BEGIN = """import json, os, sys
told = json.loads(sys.argv[1])
if told["cores"]:
    os.sched_setaffinity(0, told["cores"])
sys.path[:] = told["path"]
from byway.experiment.processes import work
work(told["pipe"])
"""
READY, STOP = "ready", "stop"
FORCED = re.compile(r"--xla_force_host_platform_device_count=\S+")


class Processes(Engine):
    """Each job in a process of its own, some of them at once; each has its share of the cores.

    A process is started anew and not forked, as JAX requires. It ends when this one does, however
    that comes about, and saves a checkpoint first.

    Args:
        workers: how many jobs run at once.

    Raises:
        ConfigError: JAX computes on an accelerator, which one process fills.
    """

    def __init__(self, workers: int):
        if jax.default_backend() != "cpu":
            raise ConfigError(
                f"jobs = {workers} on a {jax.default_backend()}, which one process fills",
                "jobs = 1 there, or a CPU",
                "leave jobs out: seeds train together on one accelerator",
            )
        self.workers = workers

    @override
    def run(self, do, jobs, progress, say):
        work, share = packed(do), max(1, cores() // self.workers)
        waiting, killed = deque(jobs), Counter[Job]()
        free, running = list(range(self.workers)), dict[Connection, _Process]()
        with contextlib.ExitStack() as stack:
            shown = stack.enter_context(bars(progress))
            asked = stack.enter_context(interrupts())
            stack.callback(_stopped, running)
            while waiting or running:
                shown.tell("jobs", len(jobs) - len(waiting) - len(running), len(jobs), "finished")
                while waiting and free and not asked:
                    job = waiting.popleft()
                    one = _Process(parcel(work, job, share), free.pop(0), share)
                    running[one.pipe] = one
                for pipe in wait(list(running), timeout=0.2):
                    one = running[pipe]  # pyright: ignore[reportArgumentType]
                    kind, value = one.heard()
                    if kind == TOLD:
                        shown.tell(str(one.job), *value)
                    elif kind == SAID:
                        say(value)
                    elif kind != READY:
                        del running[one.pipe]
                        free.append(one.place)
                        shown.end(str(one.job))
                        if kind == ENDED:
                            one.close()
                            yield one.job, value
                        elif kind == RAISED:
                            one.close()
                            raise unpacked(value)
                        elif kind == STOPPED:
                            one.close()
                            raise KeyboardInterrupt
                        else:
                            killed[one.job] += 1
                            say(_again(one, killed[one.job]))
                            waiting.appendleft(one.job)
                if asked:
                    raise KeyboardInterrupt
            shown.tell("jobs", len(jobs), len(jobs), "finished")


class _Process:
    """A process that works on a job.

    Args:
        one: the job.
        place: which of those that run at once it is.
        share: how many cores it has.
    """

    def __init__(self, one: Parcel, place: int, share: int):
        self.job, self.place, self._parcel = one.job, place, one
        self.pipe, theirs = Pipe()
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  `close` closes it
        mine = bound()
        some = [mine[(place * share + i) % len(mine)] for i in range(share)] if mine else []
        told = {"cores": some, "path": one.path, "pipe": theirs.fileno()}
        flags = FORCED.sub("", os.environ.get("XLA_FLAGS", ""))
        self._child = subprocess.Popen(  # noqa: S603  Python itself, with words of ours
            [sys.executable, "-c", BEGIN, json.dumps(told)],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            env=os.environ | {"XLA_FLAGS": flags},
            pass_fds=[theirs.fileno()],
            start_new_session=True,  # Ctrl-C is for this process, which passes it on once
        )
        theirs.close()

    def heard(self) -> tuple[str | None, Any]:
        """What the process says next; None once it is gone."""
        try:
            kind, value = self.pipe.recv()
            if kind == READY:
                self.pipe.send(self._parcel)
            return kind, value
        except (EOFError, OSError):
            return None, None

    def stop(self) -> None:
        """Tell it to save a checkpoint and end."""
        with contextlib.suppress(OSError):
            self.pipe.send(STOP)

    def kill(self) -> None:
        """End it at once."""
        self._child.kill()

    def close(self) -> str:
        """Wait for its end, and pass on what it printed; how it ended, in words."""
        self.pipe.close()
        status = self._child.wait()
        self._output.seek(0)
        if printed := self._output.read().decode(errors="replace").strip():
            print(printed, file=sys.stderr)
        self._output.close()
        if status >= 0:
            return f"with status {status}"
        with contextlib.suppress(ValueError):
            return f"by {signal.Signals(-status).name}"
        return f"by signal {-status}"


def work(pipe: int) -> None:
    """Do what the process at the other end of a pipe asks for."""
    own, over = Connection(pipe), threading.Event()

    def send(kind: str, value: Any) -> None:
        if kind in (ENDED, RAISED, STOPPED):
            over.set()
        # The other end may be gone, of which `_listen` takes care.
        with contextlib.suppress(OSError):
            own.send((kind, value))

    try:
        send(READY, None)
        one = own.recv()
        threading.Thread(target=_listen, args=(own, over), daemon=True).start()
        carried_out(one, send)
    except (KeyboardInterrupt, EOFError, OSError):
        send(STOPPED, None)


def _listen(pipe: Connection, over: threading.Event) -> None:
    """Wait until this process is told to stop, or the one that started it is gone: that is Ctrl-C,
    which saves a checkpoint.
    """
    with contextlib.suppress(EOFError, OSError):
        pipe.recv()
    if not over.is_set():
        os.kill(os.getpid(), signal.SIGINT)


def _stopped(running: dict[Connection, _Process]) -> None:
    """Stop processes at a checkpoint; at once if this is interrupted."""
    for one in running.values():
        one.stop()
    try:
        for one in running.values():
            while one.heard()[0] not in (ENDED, RAISED, STOPPED, None):
                pass
    except KeyboardInterrupt:
        for one in running.values():
            one.kill()
    for one in running.values():
        one.close()


def _again(one: _Process, times: int) -> str:
    """Clear a process away that was killed.

    Raises:
        RunError: it was the last time.
    """
    how = one.close()
    if times <= AGAIN:
        return f"{one.job}: its process was ended {how}; it is resumed from its last checkpoint"
    raise gave_up(one.job, f"it was ended {times} times, {how}")
