"""`python -m benchmarks` runs every benchmark; `python -m benchmarks small seeds --repeats 5` runs
some.

Prints Markdown and writes `benchmarks/results/<name>.json`. All is measured on the CPU
(`benchmarks/device.sh` does some of it on an accelerator). MNIST must be there, or within reach of
the network; without PyTorch (`pip install byway[bench]`) or the peers (`make bench-peers`) their
rows say so.
"""

import argparse

from benchmarks import (
    epoch,
    ff,
    in_time,
    large,
    memory,
    ode,
    parallel,
    pc,
    perturbed,
    report,
    seeds,
    small,
    spiking,
    start,
    stream,
)
from benchmarks.worker import Worker

BENCHMARKS = {
    "epoch": epoch,
    "small": small,
    "ff": ff,
    "pc": pc,
    "perturbed": perturbed,
    "time": in_time,
    "ode": ode,
    "spiking": spiking,
    "seeds": seeds,
    "parallel": parallel,
    "start": start,
    "memory": memory,
    "stream": stream,
    "large": large,
}


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__.split("\n\n")[1])
    parser.add_argument(
        "names",
        nargs="*",
        metavar="name",
        help=f"which of: {', '.join(BENCHMARKS)}; all by default",
    )
    parser.add_argument("--repeats", type=int, default=7, help="timed runs of each contestant (7)")
    args = parser.parse_args()
    if unknown := set(args.names) - set(BENCHMARKS):
        parser.error(
            f"no benchmark called {', '.join(sorted(unknown))}; there are: {', '.join(BENCHMARKS)}"
        )
    if args.repeats < 1:
        parser.error(f"--repeats {args.repeats}; wanted: a whole number from 1")
    host = report.machine()
    if host["load"] > host["cores"] / 4:
        print(
            f"**This machine is busy (load {host['load']:.1f} on {host['cores']} cores): these "
            "figures are not to be quoted.**\n"
        )
    _need_data()
    for name in args.names or BENCHMARKS:
        tables = BENCHMARKS[name].measure(args.repeats)
        print(f"## {name}\n")
        for table in tables:
            print(table)
        print(f"written to {report.write(name, args.repeats, host, tables).name}\n", flush=True)


def _need_data() -> None:
    with Worker() as worker:
        if missing := worker.ask("data:missing"):
            raise SystemExit(missing)


if __name__ == "__main__":
    main()
