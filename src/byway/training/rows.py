"""What is measured while a training runs."""

import dataclasses

import numpy as np

Scores = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Row:
    """What was measured after one epoch; every array has one entry a seed.

    Attributes:
        epoch: how many epochs were trained; 0 is the start.
        step: how many batches that is.
        seconds: training time so far, without compiling and scoring [s].
        train: scores averaged over the epoch while it ran; empty at the start.
        validation: scores on the validation split.
    """

    epoch: int
    step: int
    seconds: float
    train: Scores
    validation: Scores


@dataclasses.dataclass(frozen=True)
class Look:
    """One look through the microscope; every array has one entry a seed.

    Attributes:
        step: after how many updates; 0 is the start.
        epoch: the same in epochs.
        seconds: how long the look took, for all seeds together [s].
        seen: by quantity (see `byway.metrics.microscope`), by projection.
    """

    step: int
    epoch: float
    seconds: float
    seen: dict[str, Scores]
