"""`byway train`: one rule."""

from collections.abc import Sequence

from byway.cli.experiment import trained
from byway.cli.flags import Flag
from byway.cli.settings import Verb

DOC = """Train one rule on a task.

Writes a run folder with metrics, weights, checkpoints, the audit and report.html; 'byway resume'
resumes one that was stopped. Settings come from defaults, then from --config FILE.toml,
then from flags; the run folder keeps them all as config.toml."""
OWN = [Flag("rule", str, "dfa", "the learning rule; 'byway list' names them")]
VERB = Verb("train", DOC, OWN)


def run(argv: Sequence[str]) -> None:
    """Run the verb with its flags."""
    trained("train", VERB.read(argv), VERB)
