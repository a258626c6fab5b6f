"""`byway compare`: several rules, the same task, seeds, order of data and budget."""

from collections.abc import Sequence

from byway.cli.experiment import trained
from byway.cli.flags import Flag
from byway.cli.settings import Verb
from byway.experiment.compare import USUAL

DOC = """Train several rules side by side and report what each costs and buys.

All rules see the same seeds, the same order of data and the same budget; 'frozen' is the control
(only the readout learns) and 'bp' the baseline. Writes a run folder with metrics, weights,
checkpoints, the audit and report.html; 'byway resume' resumes one that was stopped. With --folds or
--tasks it is a study of several such runs, a folder each.
Settings come from defaults, then from --config FILE.toml, then from flags; the run folder keeps
them all as config.toml."""
OWN = [
    Flag(
        "rules",
        str,
        ",".join(USUAL),
        "rules to compare, separated by commas or spaces; 'byway list' names them",
    ),
    Flag(
        "seeds",
        int,
        8,
        "how many networks to train by each rule, each from its own random start",
    ),
]
VERB = Verb("compare", DOC, OWN)


def run(argv: Sequence[str]) -> None:
    """Run the verb with its flags."""
    trained("compare", VERB.read(argv), VERB)
