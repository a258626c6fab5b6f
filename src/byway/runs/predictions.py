"""What the learners of a run answer to the test split, in memory or on disk."""

from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from byway.core.errors import RunError
from byway.metrics.predictions import Predictions
from byway.runs.folder import JOBS, PREDICTIONS, as_written
from byway.runs.outcomes import Outcomes
from byway.training.outcome import Outcome
from byway.training.result import Result


def predictions_of(run: Outcomes, label: str) -> Predictions | None:
    """The predictions of a rule; None where none were kept, or not yet those of every seed.

    Args:
        run: the run.
        label: which rule.

    Raises:
        RunError: a file of predictions is broken.
    """
    outcome = run[label]
    if isinstance(outcome, Result):
        return outcome.predictions
    if run.folder is None or not outcome.finished:
        return None
    found: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for path in sorted((run.folder / JOBS / label).glob(f"*/{PREDICTIONS}")):
        with as_written(path):
            found |= _in_file(path, outcome)
    if set(found) != set(outcome.seeds):
        return None
    values, truths = zip(*(found[seed] for seed in outcome.seeds), strict=True)
    if not all(np.array_equal(truths[0], one, equal_nan=one.dtype.kind == "f") for one in truths):
        raise RunError(
            f"the predictions of {label} in {run.folder}, whose jobs were asked different things",
            "the same truth in each",
            "restore their files, or train again",
        )
    return Predictions(np.stack(values), truths[0], tuple(outcome.labels), tuple(outcome.seeds))


def _in_file(path: Path, outcome: Outcome) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """The answers of each seed of a job, and the truth.

    Raises:
        ValueError, KeyError: it is none of ours.
    """
    first, _, last = path.parent.name.partition("-")
    try:
        held = load_file(path)
    except SafetensorError as problem:
        raise ValueError(str(problem)) from problem
    values, truth = held["predictions"], held["truth"]
    seeds = range(int(first), int(last) + 1)
    if values.ndim < 2 or len(values) != len(seeds) or values.shape[1:] != truth.shape:
        raise ValueError(f"predictions of shape {values.shape} and a truth of {truth.shape}")
    classes = len(outcome.labels)
    for each in (values, truth):
        if each.dtype.kind != ("i" if classes else "f"):
            raise ValueError(f"{each.dtype} where {'classes' if classes else 'numbers'} stand")
        if classes and each.size and not -1 <= each.min() <= each.max() < classes:
            raise ValueError(f"a class that is none of {classes}")
    return {seed: (one, truth) for seed, one in zip(seeds, values, strict=True)}
