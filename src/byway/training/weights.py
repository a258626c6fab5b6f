"""Trained weights, and wiring, out and in: safetensors files, which hold arrays and no code.

Each array is called PROJECTION.PART, "input-hidden1.weight" for example, and has a leading axis of
seeds where a whole `Result` was saved. A rule's own parameters are not in it: what a network
computes needs none.
"""

import os
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from byway.core.errors import RunError, ShapeError
from byway.learning.learner import Learner
from byway.network.network import Network
from byway.training.result import Result


def save(trained: Result | Learner | Network, path: Path | str) -> None:
    """Write the weights of a network, of a learner's, or of every seed of a result. The file is
    whole, or not there.

    Args:
        trained: whose weights.
        path: the file; one that is there is replaced.

    Raises:
        RunError: it cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    path, about = Path(path), {}
    if isinstance(trained, Result):
        trained, about = (
            trained.learners,
            {"input_shape": ",".join(map(str, trained.task.input_shape))},
        )
    net = trained.net if isinstance(trained, Learner) else trained
    partial = path.with_name(f".{path.name}.partial")
    try:
        save_file(_named(net), partial, about)
        os.replace(partial, path)
    except (OSError, SafetensorError) as problem:
        raise RunError(
            f"{path} cannot be written: {problem}",
            "a file in a folder that can be written",
            "choose another path",
        ) from problem


def load(net: Network, path: Path | str, index: int = 0) -> Network:
    """A network like `net` with the weights of a file: one of `save`, or of the folder `weights` of
    a run.

    Args:
        net: the network whose weights they were, or one of the same populations and projections.
        path: the file.
        index: which seed of a file of several, counted from 0.

    Raises:
        RunError: the file is missing, or is no safetensors file.
        ShapeError: it does not hold this network's weights, or they are not finite.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        held = load_file(path)
    except (OSError, SafetensorError) as problem:
        raise RunError(
            f"{path} cannot be read: {problem}",
            "a safetensors file, as byway.save writes it",
            "check the path",
        ) from problem
    wanted = _named(net)
    if missing := sorted(wanted.keys() ^ held.keys()):
        there = "there" if missing[0] in held else "missing"
        raise ShapeError(
            f"{path}, in which {missing[0]} is {there}",
            f"just {', '.join(wanted)}",
            "build the network as it was trained",
        )
    stacks = {a.shape[0] if a.ndim == wanted[name].ndim + 1 else 0 for name, a in held.items()}
    seeds = stacks.pop() if len(stacks) == 1 else 0
    if not 0 <= index < max(seeds, 1):
        raise ShapeError(
            f"index = {index} of {path}",
            f"0 to {max(seeds, 1) - 1}, for the seeds in it",
            "choose another index",
        )
    chosen = {name: a[index] if seeds else a for name, a in held.items()}
    for name, a in chosen.items():
        if a.shape != wanted[name].shape or a.dtype.kind != wanted[name].dtype.kind:
            raise ShapeError(
                f"{path}, in which {name} is {a.dtype} of shape {a.shape}",
                f"numbers of shape {wanted[name].shape}",
                "load into such a network",
            )
        if not np.isfinite(a).all():
            raise ShapeError(
                f"{path}, in which {name} is not finite",
                "weights of a training that did not fail",
                "choose another index",
            )

    def back(tree):
        return {
            p: {part: jnp.asarray(chosen[f"{p}.{part}"], a.dtype) for part, a in parts.items()}
            for p, parts in tree.items()
        }

    return net.with_theta(back(net.theta)).with_structure(back(net.structure)).as_learnt()


def _named(net: Network) -> dict[str, np.ndarray]:
    # In C order: of arrays in another safetensors writes the wrong numbers.
    held = [*net.theta.items(), *net.structure.items()]
    return {
        f"{name}.{part}": np.asarray(a, order="C")
        for name, parts in held
        for part, a in parts.items()
    }
