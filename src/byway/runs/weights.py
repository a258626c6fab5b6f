"""The trained weights of a run, in memory or on disk."""

from pathlib import Path

import jax
import numpy as np
from safetensors import SafetensorError, safe_open

from byway.runs.folder import JOBS, WEIGHTS, as_written
from byway.runs.outcomes import Outcomes
from byway.training.result import Result


def weights_of(run: Outcomes, label: str, name: str, seed: int) -> np.ndarray | None:
    """One array of one learner; None where there is none.

    Args:
        run: the run.
        label: which rule.
        name: PROJECTION.PART, such as "input-hidden1.weight".
        seed: which learner.

    Raises:
        RunError: the file of weights is broken.
    """
    outcome = run[label]
    if isinstance(outcome, Result):
        projection, _, part = name.rpartition(".")
        held = outcome.learners.net.theta.get(projection, {})
        if part not in held or seed not in outcome.seeds:
            return None
        return np.asarray(jax.device_get(held[part][outcome.seeds.index(seed)]))
    path = weights_file(run, label, seed)
    if path is None:
        return None
    with as_written(path):
        return _in_file(path, name, seed - int(path.parent.name.partition("-")[0]))


def weights_file(run: Outcomes, label: str, seed: int) -> Path | None:
    """The file with the weights of a learner; None where there is none."""
    if run.folder is None:
        return None
    for path in sorted((run.folder / JOBS / label).glob(f"*/{WEIGHTS}")):
        first, _, last = path.parent.name.partition("-")
        with as_written(path):
            if int(first) <= seed <= int(last):
                return path
    return None


def _in_file(path, name: str, index: int) -> np.ndarray | None:
    try:
        with safe_open(path, framework="numpy") as file:
            return file.get_slice(name)[index] if name in file.keys() else None  # noqa: SIM118
    except SafetensorError as problem:
        raise ValueError(str(problem)) from problem
