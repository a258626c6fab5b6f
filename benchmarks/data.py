"""The data of a job, the same for every contestant."""

import numpy as np

import byway
from benchmarks.job import Job
from byway.core.errors import DataError
from byway.core.task import Split, Task

byway.use_all_cores()


def task_and_splits(job: Job) -> tuple[Task, dict[str, Split]]:
    """The task, and its splits with a training split of `job.steps` batches."""
    task = byway.task(job.task, **({"loss": job.loss} if job.loss else {}))
    splits = task.load()
    if job.steps:
        index = np.arange(job.steps * job.batch) % splits["train"].size
        splits["train"] = Split(*(a[index] for a in splits["train"]))
    return task, splits


def missing() -> str | None:
    """Why MNIST cannot be read, or None if it can."""
    try:
        byway.task("mnist").load()
    except DataError as error:
        return str(error)
    return None


def save(job: dict, path: str) -> None:
    """Write inputs in [0, 1], flat, and labels as an .npz file, for processes without JAX."""
    task, splits = task_and_splits(Job(**job))
    arrays = {}
    for name in ("train", "test"):
        x, y = (np.asarray(a) for a in splits[name])
        arrays |= {
            f"{name}_x": (x.reshape(len(x), -1) / task.white).astype(np.float32),
            f"{name}_y": y.astype(np.int64),
        }
    np.savez(path, **arrays)
