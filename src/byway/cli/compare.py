"""`byway compare`: several rules, the same task, seeds, order of data and budget."""

from collections.abc import Sequence

from byway.cli.experiment import experiment
from byway.cli.report import show
from byway.cli.settings import read, settings_class

DOC = """Train several rules side by side and report what each costs and buys.

All rules see the same seeds, the same order of data and the same budget; 'frozen' is the control (only the readout
learns) and 'bp' the baseline. Writes a run folder with metrics, weights, the audit and report.html. Settings come from
defaults, then from --config FILE.toml, then from flags; the run folder keeps them all as config.toml."""


def run(argv: Sequence[str]) -> None:
    """Run the verb with its flags."""
    rules = ("rules", str, "bp,frozen,fa,dfa,ff", "rules to compare, separated by commas; 'byway list' names them.")
    seeds = ("seeds", int, 8, "how many networks to train by each rule, each from its own random start.")
    settings = read(settings_class("Compare", [rules, seeds], DOC), argv, "byway compare")
    names = [name.strip() for name in settings.rules.split(",") if name.strip()]
    show(experiment("compare", names, settings))
