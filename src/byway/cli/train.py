"""`byway train`: one rule."""

from collections.abc import Sequence

from byway.cli.experiment import Experiment
from byway.cli.report import show
from byway.cli.settings import Verb

DOC = """Train one rule on a task.

Writes a run folder with metrics, weights, checkpoints, the audit and report.html; 'byway resume'
goes on with one that was stopped. Settings come from defaults, then from --config FILE.toml,
then from flags; the run folder keeps them all as config.toml."""
VERB = Verb("train", DOC, [("rule", str, "dfa", "the learning rule; 'byway list' names them.")])


def run(argv: Sequence[str]) -> None:
    """Run the verb with its flags."""
    settings = VERB.read(argv)
    experiment = Experiment(VERB.names(settings), settings)
    folder = experiment.begin("train")
    experiment.train(folder)
    show(folder.folder)
