"""`byway train`: one rule."""

from collections.abc import Sequence

from byway.cli.experiment import Experiment
from byway.cli.report import show
from byway.cli.settings import read, settings_class

DOC = """Train one rule on a task.

Writes a run folder with metrics, weights, checkpoints, the audit and report.html; 'byway resume' goes on with one that was
stopped. Settings come from defaults, then from --config FILE.toml, then from flags; the run folder keeps them all as config.toml."""
OWN = [("rule", str, "dfa", "the learning rule; 'byway list' names them.")]


def run(argv: Sequence[str]) -> None:
    """Run the verb with its flags."""
    settings = read(settings_class("Train", OWN, DOC), argv, "byway train")
    experiment = Experiment([settings.rule], settings)
    folder = experiment.begin("train")
    experiment.train(folder)
    show(folder.folder)
