"""`byway VERB ...`: finds the verb, runs it, and turns our errors into messages."""

import contextlib
import importlib
import sys
from collections.abc import Sequence

from byway.cli.output import forget, spoken
from byway.core.errors import BywayError, ConfigError, RunError, unknown_name
from byway.system.process import use_all_cores, use_compilation_cache

# Each verb's module holds `run(argv)`; the text is what `byway --help` says of it.
VERBS = {
    "demo": ("byway.cli.demo", "train five rules on embedded digits, in about two minutes"),
    "compare": (
        "byway.cli.compare",
        "train several rules side by side, and report what each costs and buys",
    ),
    "train": ("byway.cli.train", "train one rule"),
    "studio": ("byway.cli.studio", "watch a network learn and grow, and steer it, in a browser"),
    "tune": ("byway.cli.tune", "give each rule the same search for its best settings"),
    "reproduce": ("byway.cli.reproduce", "list published figures, and measure one again"),
    "resume": ("byway.cli.resume", "resume a run that was stopped, as if it never had been"),
    "branch": ("byway.cli.branch", "start another run from a checkpoint, with a change"),
    "audit": ("byway.cli.audit", "compute what each weight update of a rule reads"),
    "reach": ("byway.cli.reach", "measure how far back in time credit reaches, and its memory"),
    "blackbox": (
        "byway.cli.blackbox",
        "try which rules still train a network with unknown units in its middle",
    ),
    "meta": (
        "byway.cli.meta",
        "learn a rule by gradient through training, and try it on what it never saw",
    ),
    "verify": ("byway.cli.verify", "run the exact tests of every rule on this machine"),
    "list": ("byway.cli.list", "name every rule, task, network, activation and optimiser"),
    "runs": ("byway.cli.runs", "list runs, filter them, compare them after the fact, export them"),
    "predict": ("byway.cli.predict", "let a trained network answer new samples"),
    "report": ("byway.cli.report", "draw the page of a run folder again"),
}

HELP = """byway: train neural networks without backpropagation, and measure what that costs and buys

  byway VERB [flags]        byway VERB --help explains its flags

{verbs}

Start here:
  byway demo                                             five rules on embedded digits
  byway compare --task mnist --rules bp,frozen,dfa       on MNIST, three rules
  byway train --rule ff --net.hidden 500 500 500         one rule, a network of your own
  byway studio                                           watch one grow, in a browser
  byway audit dfa                                        is it local?
  byway reproduce                                        which published figures hold here?
  byway verify                                           are the equations right, on this machine?
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        The exit status: 0; 2 for a mistake in what was asked, or an output that cannot be written;
        130 when interrupted; 141 when nobody reads the output any more, as in `byway list | head
        -1`.
    """
    try:
        with spoken():
            return _run(list(sys.argv[1:] if argv is None else argv))
    except BrokenPipeError:
        forget()
        return 141
    except RunError as error:
        forget()
        print(f"byway: {error}", file=sys.stderr)
        return 2


def _run(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(
            HELP.format(verbs="\n".join(f"  {verb:9} {text}" for verb, (_, text) in VERBS.items()))
        )
        return 0
    if argv[0] == "--version":
        from byway import __version__

        print(f"byway {__version__}")
        return 0
    try:
        if argv[0] not in VERBS:
            raise unknown_name("verb", argv[0], VERBS)
        # A verb may be called from a program in which JAX computes already: it keeps its devices.
        with contextlib.suppress(ConfigError):
            use_all_cores()
        use_compilation_cache()
        importlib.import_module(VERBS[argv[0]][0]).run(argv[1:])
    except BywayError as error:
        print(f"byway: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        print(f"\nbyway: stopped{stop}", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
