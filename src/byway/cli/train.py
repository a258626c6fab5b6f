"""`byway train`: one rule."""

from collections.abc import Sequence

from byway.cli.experiment import experiment
from byway.cli.report import show
from byway.cli.settings import read, settings_class

DOC = """Train one rule on a task.

Writes a run folder with metrics, weights, the audit and report.html. Settings come from defaults, then from --config
FILE.toml, then from flags; the run folder keeps them all as config.toml."""


def run(argv: Sequence[str]) -> None:
    """Run the verb with its flags."""
    rule = ("rule", str, "dfa", "the learning rule; 'byway list' names them.")
    settings = read(settings_class("Train", [rule], DOC), argv, "byway train")
    show(experiment("train", [settings.rule], settings))
