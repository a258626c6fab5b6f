"""What a learned rule is worth: networks, classes and horizons that it was not learned on, beside
its controls.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from byway.core.task import Task
from byway.learning.rule import Rule
from byway.network.network import Network
from byway.training.fit import fit
from byway.training.result import Result


def trial(
    rules: Mapping[str, tuple[Rule, Sequence[float]]],
    net: Network,
    task: Task,
    *,
    epochs: int,
    batch: int = 32,
    seeds: int = 8,
) -> dict[str, tuple[float, Result]]:
    """Train fresh networks by each rule, by plain gradient descent, for the same number of steps.

    Args:
        rules: by name, a rule and the learning rates it may choose from: the best on the validation
            split is taken. A learned rule has its rate in its coefficients; a control gets a
            choice.
        net: the topology.
        task: what to learn.
        epochs: passes over the training split.
        batch: samples in an update.
        seeds: networks of each rule.

    Returns:
        By name, the rate taken and the result, with the test scores of every seed.
    """
    data = task.load()

    def one(rule: Rule, rate: float) -> Result:
        plain = {"optimiser": "sgd", "lr": rate, "schedule": "constant"}
        return fit(
            net,
            rule,
            task,
            epochs=epochs,
            batch=batch,
            seeds=seeds,
            data=data,
            progress=False,
            **plain,
        )

    best = {}
    for name, (rule, rates) in rules.items():
        results = [(rate, one(rule, rate)) for rate in rates]
        best[name] = (max if task.scores[0].higher else min)(
            results, key=lambda found: found[1].validated
        )
    return best


def in_words(theta: np.ndarray, least: float = 0.05) -> str:
    """A table of coefficients as a polynomial, its largest terms first; those below `least` of the
    largest are left out.
    """
    names, floor = ("pre", "post", "w", "e"), least * np.abs(theta).max()
    terms = sorted(
        (i for i in np.ndindex(theta.shape) if abs(theta[i]) > floor), key=lambda i: -abs(theta[i])
    )
    parts = [
        f"{theta[i]:+.3g} "
        + (" ".join(n + ("²" if k == 2 else "") for n, k in zip(names, i, strict=True) if k) or "1")
        for i in terms
    ]
    return " ".join(parts) or "0"
