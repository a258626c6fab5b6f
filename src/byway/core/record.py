"""What one run of the network left behind."""

from typing import Any

import equinox as eqx
from jaxtyping import Array


class Phase(eqx.Module):
    """One phase of a run: the activity that a learning rule may look at.

    Where a rule's f sees whole sequences, every array has a time axis in front: "time batch
    *units".

    Attributes:
        pre: by projection, what arrived at it, "batch *pre".
        u: by population, its potential (summed current), "batch *units"; "batch ports *units" where
            its cell has several ports.
        post: by population, its activity, "batch *units".
        slope: by population, d post / d u, shaped like u; the number 1.0 where post = u, and absent
            where the population is a black box.
        injected: whatever the rule itself put in (noise, a probe), by population.
        cell: by population whose cell has a state, that state before the step.
    """

    pre: dict[str, Array]
    u: dict[str, Array]
    post: dict[str, Array]
    slope: dict[str, Array | float]
    injected: dict[str, Array] = eqx.field(default_factory=dict)
    cell: dict[str, dict[str, Any]] = eqx.field(default_factory=dict)


class Record(eqx.Module):
    """The phases of one run and the network's prediction.

    Attributes:
        phases: by name: "free", "positive", "negative", "clean", "noisy", "settled" ...
        output: the prediction, "batch *out". For classification, scores whose largest entry is the
            answer.
        readouts: other ways to read a prediction from the same run, by name, each "batch *out".
        measures: what a person should know of the run itself (steps to settle, residual), by name,
            one number each.
    """

    phases: dict[str, Phase]
    output: Array
    readouts: dict[str, Array] = eqx.field(default_factory=dict)
    measures: dict[str, Array] = eqx.field(default_factory=dict)

    def __getitem__(self, phase: str) -> Phase:
        """The phase called `phase`."""
        return self.phases[phase]
