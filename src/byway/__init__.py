"""Byway: train neural networks without backpropagation, and measure what that costs and buys."""

import importlib

from byway.core.display import drawn_by

__version__ = "0.1.0"

drawn_by("byway.notebook")

_HOME = {
    "rule": "named",
    "task": "named",
    "cell": "named",
    "growth": "named",
    "register": "named",
    "fit": "training.fit",
    "compare": "experiment.compare",
    "train": "experiment.compare",
    "tune": "experiment.tuning",
    "watch": "studio.watching",
    "Studio": "studio.watching",
    "Watcher": "studio.watching",
    "Reach": "training.reach",
    "reach": "experiment.reach",
    "reproduce": "reproductions._reproduce",
    "Reproduced": "reproductions._reproduce",
    "open": "experiment.study",
    "Run": "experiment.run",
    "Study": "experiment.study",
    "Stop": "training.stop",
    "Reading": "training.history",
    "Outcome": "training.outcome",
    "Metric": "core.metric",
    "Result": "training.result",
    "Predictions": "metrics.predictions",
    "Confusion": "metrics.predictions",
    "Predictor": "training.predictor",
    "load": "runs.predictors",
    "BywayClassifier": "sklearn",
    "BywayRegressor": "sklearn",
    "mlp": "network.builders",
    "convnet": "network.builders",
    "rnn": "network.builders",
    "lru": "network.builders",
    "coupled": "network.builders",
    "revnet": "network.builders",
    "conv_revnet": "network.builders",
    "topdown": "network.builders",
    "ode": "network.builders",
    "orthogonal": "network.builders",
    "grownet": "network.grown",
    "simulate": "network.simulate",
    "wiring": "network.wiring",
    "Wiring": "network.wiring",
    "Form": "network.graph",
    "influence": "network.influence",
    "Influence": "network.influence",
    "Path": "network.influence",
    "lesion": "network.lesion",
    "Lesion": "network.lesion",
    "Orthogonal": "network.orthogonal",
    "leaky_relu": "network.activations",
    "graph": "network.builders",
    "from_equinox": "network.equinox",
    "to_equinox": "network.equinox",
    "Network": "network.network",
    "Activation": "network.activations",
    "quantised": "network.activations",
    "host": "network.blackbox",
    "Cell": "network.cell",
    "Local": "network.cell",
    "Dense": "network.projections",
    "Conv": "network.convolutions",
    "Offset": "network.projections",
    "Skip": "network.projections",
    "LocallyConnected": "network.convolutions",
    "FixedFanIn": "network.sparse",
    "BlockFanIn": "network.blocks",
    "Population": "network.populations",
    "Rule": "learning.rule",
    "StepRule": "learning.time",
    "RoundTripRule": "learning.time",
    "SequenceRule": "learning.time",
    "Pair": "learning.rule",
    "Claims": "learning.rule",
    "Update": "learning.rule",
    "Check": "core.check",
    "check_rule": "verify.rule",
    "check_task": "verify.task",
    "hyper": "core.hyper",
    "Record": "core.record",
    "Phase": "core.record",
    "Signal": "core.signal",
    "Task": "core.task",
    "Score": "core.score",
    "Data": "tasks.data",
    "Shards": "tasks._shards",
    "Growth": "learning.growth",
    "Learner": "learning.learner",
    "BywayError": "core.errors",
    "BywayWarning": "core.errors",
    "use_all_cores": "system.process",
    "use_compilation_cache": "system.process",
}
__all__ = [*_HOME]  # noqa: PLE0604  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name):
    """Import a public name when it is first used: `import byway` costs little more than `import
    jax`.
    """
    if name not in _HOME:
        raise AttributeError(f"module 'byway' has no attribute {name!r}")
    return getattr(importlib.import_module(f"byway.{_HOME[name]}"), name)


def __dir__():
    return sorted(__all__)
