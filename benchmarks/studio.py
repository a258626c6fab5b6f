"""What being watched costs: `python -m benchmarks.studio`, or with numbers of units.

A network of one hidden layer learns digits by `dfa`, at full speed, in turns: alone, while a client
draws ten times a second, and while one has stalled. A client is a process of its own, which answers
as a page does. The order of the turns goes round, and each counts against the mean of the two turns
alone on either side. Then the size of what is sent, how long making it takes, and memory: what the
process holds beside what it held before anybody watched.
"""

import argparse
import itertools
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import byway
from byway.experiment.experiment import Experiment
from byway.studio.frames import bundle
from byway.studio.server import Server
from byway.studio.steered import Steered

SIZES, ROUNDS, SECONDS = (1_000, 10_000), 5, 8.0
ALONE, WATCHED, STALLED = "alone", "watched", "stalled"


def client(address: str, stalled: bool) -> None:
    """Draw whatever comes, at once; or never answer."""
    from websockets.sync.client import connect

    there = urlsplit(address)
    with connect(
        f"ws://{there.netloc}/live?{there.query}",
        origin=f"http://{there.netloc}",
        max_size=None,
    ) as socket:
        while True:
            if isinstance(socket.recv(), bytes) and not stalled:
                socket.send('{"do": "ready"}')
            if stalled:
                time.sleep(3600)


def simulated(units: int, folder: Path) -> Steered:
    """A training of so many units, inputs and outputs among them."""
    task = byway.task("digits")
    net = byway.mlp(task.input_shape, units - 74, task.outputs)
    options = {"epochs": 100_000, "lr": 1e-5}
    experiment = Experiment({"dfa": byway.rule("dfa")}, lambda *_: net, task, options)
    return Steered(experiment, folder, edges=200_000 if units >= 100_000 else 20_000)


def turn(simulation: Steered, server: Server, kind: str) -> float:
    """Updates a second."""
    process = None
    if kind != ALONE:
        command = [sys.executable, "-m", "benchmarks.studio", "--client", server.address]
        process = subprocess.Popen(command + ["--stalled"] * (kind == STALLED))
        while not simulation.clients:
            time.sleep(0.05)
        time.sleep(2.0)  # what is compiled for it, and what comes first
    trainer = simulation._trainers[0]
    first, began = trainer.update, time.perf_counter()
    time.sleep(SECONDS)
    rate = (trainer.update - first) / (time.perf_counter() - began)
    if process is not None:
        process.kill()
        process.wait()
        while simulation.clients:
            time.sleep(0.05)
    return rate


def held() -> float:
    """What this process holds now [MB]."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * resource.getpagesize() / 1e6


def measured(units: int, folder: Path) -> None:
    """Print what being watched costs a network of a size."""
    simulation = simulated(units, folder)
    server = Server(simulation)
    server.start()
    simulation.start()
    try:
        turn(simulation, server, ALONE)
        before = held()
        turn(simulation, server, WATCHED)  # compiles what is shown
        after = held()
        rates: dict[str, list[float]] = {WATCHED: [], STALLED: []}
        alone = turn(simulation, server, ALONE)
        for _, kind in itertools.product(range(ROUNDS), (WATCHED, STALLED)):
            rate, next_alone = turn(simulation, server, kind), turn(simulation, server, ALONE)
            rates[kind].append(rate / statistics.mean([alone, next_alone]))
            alone = next_alone
        for kind, ratios in rates.items():
            spread = statistics.stdev(ratios)
            print(f"{units:,} units, {kind}: {statistics.mean(ratios):.3f} ± {spread:.3f} of alone")
        print(
            f"{units:,} units, alone: {alone:.0f} updates/s; memory {before:.0f} MB, and "
            f"{after - before:+.0f} MB once watched"
        )
        sizes(simulation)
    finally:
        server.stop()
        simulation.stop()


def sizes(simulation: Steered) -> None:
    """Print what is sent, and how long it takes to make and to hand out."""
    side, trainer = simulation._sides[0], simulation._trainers[0]
    simulation.watchers = 1
    time.sleep(1.0)
    board = simulation.board
    frames, _ = board.since({})
    whole = len(bundle(frames))
    units = next(len(f) for f in frames if b'"topic":"units"' in f[:40])
    edges = next(len(f) for f in frames if b'"topic":"edges"' in f[:40])
    learner = simulation.learner()
    times = []
    for _ in range(20):
        began = time.perf_counter()
        board.since({})
        times.append(time.perf_counter() - began)
    shown = []
    for _ in range(20):
        began = time.perf_counter()
        side.show_units(learner, trainer.update, "activity", [])
        shown.append(time.perf_counter() - began)
    print(
        f"  everything {whole / 1e3:.0f} kB, a frame of units {units / 1e3:.1f} kB, all synapses "
        f"{edges / 1e3:.0f} kB; handing out {1e3 * statistics.median(times):.2f} ms, a frame of "
        f"units {1e3 * statistics.median(shown):.2f} ms (its program included)"
    )


def main() -> None:
    """Measure each size, in this process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("units", nargs="*", type=int, default=SIZES)
    parser.add_argument("--client")
    parser.add_argument("--stalled", action="store_true")
    asked = parser.parse_args()
    if asked.client:
        client(asked.client, asked.stalled)
        return
    for units in asked.units:
        measured(units, Path("studio"))


if __name__ == "__main__":
    main()
