"""The trained weights of a run, in memory or on disk."""

import json
from pathlib import Path

import jax
import numpy as np
from safetensors import SafetensorError, safe_open

from byway.core.errors import ConfigError
from byway.network.blueprint import built
from byway.network.network import Network
from byway.network.sparse import FixedFanIn
from byway.runs.folder import JOBS, WEIGHTS, as_written
from byway.runs.outcomes import Outcomes
from byway.training.predictor import HEADER
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


def sparse_network(run: Outcomes, label: str, seed: int) -> Network | None:
    """The network of one learner, if it has projections with a fixed fan-in and a file can hold it;
    else None.

    Args:
        run: the run.
        label: which rule.
        seed: which learner.

    Raises:
        RunError: the file of weights is broken.
    """
    outcome = run[label]
    if isinstance(outcome, Result):
        net = outcome.learners.net
        sparse = any(isinstance(p, FixedFanIn) for p in net.projections)
        return outcome.learner(outcome.seeds.index(seed)).net if sparse else None
    path = weights_file(run, label, seed)
    if path is None:
        return None
    with as_written(path):
        return _network_in(path, seed)


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


def _network_in(path: Path, seed: int) -> Network | None:
    try:
        with safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {}).get(HEADER, "{}"))
            plan = header.get("network", {})
            kinds = [one["kind"] for one in plan.get("projections", ())]
            if FixedFanIn.__name__ not in kinds:
                return None
            at = header["seeds"].index(seed)
            held = {name: file.get_slice(name)[at] for name in file.keys()}  # noqa: SIM118
            try:
                return built(plan, held)
            except ConfigError:  # a cell of somebody's own that is not known here
                return None
    except SafetensorError as problem:
        raise ValueError(str(problem)) from problem


def _in_file(path, name: str, index: int) -> np.ndarray | None:
    try:
        with safe_open(path, framework="numpy") as file:
            return file.get_slice(name)[index] if name in file.keys() else None  # noqa: SIM118
    except SafetensorError as problem:
        raise ValueError(str(problem)) from problem
