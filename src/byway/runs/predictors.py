"""Trained networks that stand alone, from a file or from a run."""

import os
from pathlib import Path

from byway.core.errors import ConfigError, RunError
from byway.core.given import require, shown
from byway.learning.rule import Rule
from byway.network.network import Network
from byway.rules import RULES
from byway.runs.outcomes import Outcomes
from byway.runs.weights import weights_file
from byway.training.predictor import Predictor, read
from byway.training.result import Result


def load(path: Path | str, seed: int | None = None, *, net: Network | None = None) -> Predictor:
    """A trained network that stands alone: `byway.load("net.byway").predict(x)`.

    It needs neither the task nor what built the network. A rule of your own says how it predicts,
    so its class has to be known by its name (`byway.register`); nothing in the file is run.

    Args:
        path: what `save` of a result or a predictor wrote, or weights.safetensors of a run.
        seed: which of the learners in it; the first by default.
        net: a network of the same shape, where it has parts that are Python code: a black box, a
            layer of Equinox, an activation of your own. It gets the weights of the file.

    Raises:
        RunError: the file is missing, broken, or of a later Byway; the rule is not known here; or
            the network has parts that no file holds.
        ConfigError: a seed that is not in it.
        ShapeError: the file holds the weights of another network than `net`.
    """
    require((str, os.PathLike), "path", path, "a file", 'for example "net.byway"')
    return read(path, seed, net, _rule_called)


def predictor_of(run: Outcomes, label: str, seed: int | None = None) -> Predictor:
    """The network that a rule of a run trained; see `Run.predictor`."""
    outcome = run[label]
    if isinstance(outcome, Result):
        return outcome.predictor(seed)
    seed = outcome.seeds[0] if seed is None else seed
    if seed not in outcome.seeds:
        raise ConfigError(
            f"seed = {shown(seed)} of {label}",
            f"one of {', '.join(map(str, outcome.seeds))}",
            "choose one of these",
        )
    path = weights_file(run, label, seed)
    if path is None:
        raise RunError(
            f"{label} in {run.folder}, without its weights",
            "a rule that finished",
            "resume the run, or train again",
        )
    return load(path, seed)


def _rule_called(name: str) -> type[Rule] | None:
    # A registry runs a file that is named to it, and a name in a file is anybody's.
    return RULES.get(name) if name in RULES.ids() else None
