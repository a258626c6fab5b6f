"""What a process does that works on a job for another one: the same bits as there.

Work travels as a pickle from a process of ours to one that works for it, and back: through a pipe
to one that it started, or as Ray moves it. None is ever written to a file of ours, or read from
one.
"""

import dataclasses
import io
import os
import pickle
import sys
import traceback
from collections.abc import Callable
from typing import Any

import cloudpickle
import jax
import numpy as np
from typing_extensions import override

from byway.core.registry import loaded
from byway.experiment.jobs import Job
from byway.system.process import given_devices, jax_settings, use_jax_settings

# How a job ended: with its outcome, by what it raised, or because it was told to stop.
ENDED, RAISED, STOPPED = "ended", "raised", "stopped"
# What it says before.
TOLD, SAID = "told", "said"
Send = Callable[[str, Any], None]


@dataclasses.dataclass(frozen=True)
class Parcel:
    """A job on its way to another process.

    Attributes:
        path: where Python looks for modules, so that what is unpacked is found.
        settings: those of JAX.
        devices: how many devices of a CPU the job is to have.
        share: how many cores it may keep busy.
        work: what does it, as a pickle.
        job: which it is.
    """

    path: list[str]
    settings: dict[str, Any]
    devices: int
    share: int
    work: bytes
    job: Job


def packed(do: Any) -> bytes:
    """Work as bytes. What was written in a program or a notebook travels by value, an array that
    lies on disk by its place.
    """
    for module in loaded():
        cloudpickle.register_pickle_by_value(module)
    held = io.BytesIO()
    _Pickler(held).dump(do)
    return held.getvalue()


def parcel(work: bytes, job: Job, share: int) -> Parcel:
    """A job, ready to travel.

    Args:
        work: what `packed` gave.
        job: the job. One that was begun has as many devices as then. A new one has as many as its
            share of the cores and its seeds can use; but a seed that is alone as many as there are
            here, as the batch of a rule that settles is divided among them.
        share: how many cores it has.
    """
    fresh = jax.device_count() if len(job.seeds) == 1 else min(share, len(job.seeds))
    return Parcel(list(sys.path), jax_settings(), job.devices or fresh, share, work, job)


def carried_out(one: Parcel, send: Send) -> None:
    """Do a job, and send word of its progress and its end."""
    try:
        use_jax_settings(one.settings)
        given_devices(one.devices, one.share)
        do = cloudpickle.loads(one.work)
        told = lambda done, of, note: send(TOLD, (done, of, note))
        send(ENDED, do(one.job, told, lambda text: send(SAID, text)))
    except KeyboardInterrupt:
        send(STOPPED, None)
    except BaseException as problem:  # whatever it is, it is raised where somebody sees it
        send(RAISED, _portable(problem))


def unpacked(problem: bytes) -> BaseException:
    """What a job raised."""
    return cloudpickle.loads(problem)


def _portable(problem: BaseException) -> bytes:
    """An exception with where it was raised; by its words alone where it cannot travel."""
    where = "".join(traceback.format_exception(problem)).rstrip()
    problem.add_note(f"raised in a process of its own:\n{where}")
    try:
        made = cloudpickle.dumps(problem)
        cloudpickle.loads(made)  # which fails for those that cannot be made from their words
        return made
    except (pickle.PicklingError, TypeError, AttributeError, ValueError, ImportError):
        return cloudpickle.dumps(RuntimeError(where))


class _Pickler(cloudpickle.Pickler):
    @override
    def reducer_override(self, obj: Any) -> Any:
        own = isinstance(obj, np.memmap) and type(obj.base).__name__ == "mmap"
        if own and obj.filename is not None and obj.flags.c_contiguous:
            place = os.path.abspath(obj.filename)
            return np.memmap, (place, obj.dtype, "r", obj.offset, obj.shape)
        return super().reducer_override(obj)
