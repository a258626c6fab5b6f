"""Byway: train neural networks without backpropagation, and measure what that costs and buys."""

import importlib

__version__ = "0.1.0"

_HOME = {
    "fit": "training.fit",
    "Result": "training.result",
    "save": "training.weights",
    "load": "training.weights",
    "BywayClassifier": "sklearn",
    "mlp": "network.builders",
    "convnet": "network.builders",
    "rnn": "network.builders",
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
    "Skip": "network.projections",
    "LocallyConnected": "network.convolutions",
    "FixedFanIn": "network.sparse",
    "Population": "network.populations",
    "Rule": "core.rule",
    "StepRule": "core.time",
    "SequenceRule": "core.time",
    "Pair": "core.rule",
    "Claims": "core.rule",
    "Update": "core.rule",
    "Check": "core.check",
    "hyper": "core.hyper",
    "Record": "core.record",
    "Phase": "core.record",
    "Signal": "core.signal",
    "Task": "core.task",
    "Score": "core.score",
    "Data": "tasks.data",
    "Shards": "tasks._shards",
    "Growth": "core.growth",
    "Learner": "core.learner",
    "BywayError": "core.errors",
    "BywayWarning": "core.errors",
    "use_all_cores": "system.process",
    "use_compilation_cache": "system.process",
}
__all__ = ["rule", "task", "cell", "growth", *_HOME]  # noqa: PLE0604  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name):
    """Import a public name when it is first used: `import byway` costs little more than `import
    jax`.
    """
    if name not in _HOME:
        raise AttributeError(f"module 'byway' has no attribute {name!r}")
    return getattr(importlib.import_module(f"byway.{_HOME[name]}"), name)


def __dir__():
    return sorted(__all__)


def rule(name: str, **hyper):
    """The rule called `name`, with its hyper-parameters."""
    from byway.rules import RULES

    return _made(RULES.get(name), name, hyper)


def task(name: str, **hyper):
    """The task called `name`, with its settings."""
    from byway.tasks import TASKS

    return _made(TASKS.get(name), name, hyper)


def cell(name: str, **hyper):
    """The cell or activation called `name`, with its numbers."""
    from byway.network.cells import CELLS
    from byway.network.cells import cell as find

    return find(name) if name not in CELLS.ids() else _made(CELLS.get(name), name, hyper)


def growth(name: str, **hyper):
    """The growth policy called `name`, with its numbers."""
    from byway.growths import GROWTHS

    return _made(GROWTHS.get(name), name, hyper)


def _made(kind, name, settings):
    """An instance of a rule or a task with these hyper-parameters; an unknown one raises, with the
    nearest ones.
    """
    from byway.core.errors import ConfigError, unknown_name
    from byway.core.hyper import hypers

    known = [field.name for field in hypers(kind)]
    for setting in settings:
        if setting not in known:
            if not known:
                raise ConfigError(
                    f"{name} with {setting}", f"nothing: {name} has no settings", "leave it out"
                )
            raise unknown_name(f"setting of {name}", setting, known)
    return kind(**settings)
