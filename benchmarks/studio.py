"""What being watched costs: `python -m benchmarks.studio`, or with numbers of units.

A network of one hidden layer learns digits by `dfa`, at full speed, in turns: alone, while a client
draws ten times a second, and while one has stalled. A client is a process of its own, which answers
as a page does. The order of the turns goes round, and each counts against the mean of the two turns
alone on either side: by the clock, and by the processor time that the process takes for an update,
which whatever else the machine does changes less. Medians and quartiles. Then how long the training
stands still whenever something is handed over to be shown, the size of what is sent, how long
making it takes, and memory: what the process holds beside what it held before anybody watched.

With `--page`, how often Chromium draws the page of a network that is turned by hand, and how long
it takes to draw all of it; the training waits meanwhile.
"""

import argparse
import itertools
import resource
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import byway
from byway.experiment.experiment import Experiment
from byway.studio.commands import Command
from byway.studio.frames import bundle
from byway.studio.server import Server
from byway.studio.steered import Steered

SIZES, ROUNDS, SECONDS = (1_000, 10_000, 100_000), 12, 3.0
ALONE, WATCHED, STALLED = "alone", "watched", "stalled"
# A renderer in software.
CHROMIUM = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
# When each picture of the network was begun, and of how many corners of lines it is.
NOTED = """() => {
  const kind = WebGL2RenderingContext.prototype, { drawArrays } = kind;
  window.pictures = [];
  kind.drawArrays = function (mode, first, count) {
    if (mode === 4) window.pictures.push([performance.now(), count]);
    return drawArrays.call(this, mode, first, count);
  };
}"""


class Turn(NamedTuple):
    """What a turn came to: updates a second, and a second of processor time."""

    clock: float
    processor: float


def client(address: str) -> None:
    """For each line that comes, stay away, or come and draw whatever is sent, or never answer."""
    from websockets.sync.client import connect

    there = urlsplit(address)
    for line in sys.stdin:
        kind = line.strip()
        if kind == ALONE:
            continue
        with connect(
            f"ws://{there.netloc}/live?{there.query}",
            origin=f"http://{there.netloc}",
            max_size=None,
        ) as socket:
            end = time.monotonic() + float(next(sys.stdin))
            while (left := end - time.monotonic()) > 0:
                if kind == STALLED:
                    time.sleep(left)
                    continue
                try:
                    if isinstance(socket.recv(left), bytes):
                        socket.send('{"do": "ready"}')
                except TimeoutError:
                    break


def simulated(units: int, folder: Path) -> Steered:
    """A training of so many units, inputs and outputs among them."""
    task = byway.task("digits")
    net = byway.mlp(task.input_shape, units - 74, task.outputs)
    options = {"epochs": 100_000, "lr": 1e-5}
    experiment = Experiment({"dfa": byway.rule("dfa")}, lambda *_: net, task, options)
    return Steered(experiment, folder, edges=200_000 if units >= 100_000 else 20_000)


class Turns:
    """Turns of a training, with a client that comes and goes.

    Args:
        simulation: what trains.
        server: what serves it.
    """

    def __init__(self, simulation: Steered, server: Server):
        self._simulation, self.handed = simulation, list[float]()
        command = [sys.executable, "-m", "benchmarks.studio", "--client", server.address]
        self._client = subprocess.Popen(command, stdin=subprocess.PIPE, text=True)
        look = simulation._look

        def timed(now: bool = False) -> bool:
            before, began = dict(simulation._shown), time.perf_counter()
            looked = look(now)
            if before != simulation._shown:
                self.handed.append(time.perf_counter() - began)
            return looked

        simulation._look = timed

    def __call__(self, kind: str, seconds: float = SECONDS, first: float = 2.0) -> Turn:
        """Make one."""
        tell, simulation = self._client.stdin, self._simulation
        assert tell is not None
        if kind != ALONE:
            tell.write(f"{kind}\n{first + seconds + 0.5}\n")
            tell.flush()
            while not simulation.clients:
                time.sleep(0.02)
            time.sleep(first)  # what comes first; and until it counts as stalled
        trainer = simulation._trainers[0]
        update, began, used = trainer.update, time.perf_counter(), time.process_time()
        time.sleep(seconds)
        made = trainer.update - update
        found = Turn(
            made / (time.perf_counter() - began), made / max(time.process_time() - used, 1e-9)
        )
        while simulation.clients:
            time.sleep(0.02)
        return found

    def end(self) -> None:
        """No more."""
        self._client.kill()
        self._client.wait()


def held() -> float:
    """What this process holds now [MB]."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * resource.getpagesize() / 1e6


def measured(units: int, folder: Path, rounds: int) -> None:
    """Print what being watched costs a network of a size."""
    simulation = simulated(units, folder)
    server = Server(simulation)
    server.start()
    simulation.start()
    turn = Turns(simulation, server)
    try:
        turn(ALONE)
        before = held()
        turn(WATCHED, 15.0)  # compiles what is shown
        after = held()
        turn.handed.clear()
        ratios: dict[str, list[Turn]] = {WATCHED: [], STALLED: []}
        if not rounds:
            turn(WATCHED, 2 * SECONDS)
        alone = turn(ALONE)
        for _, kind in itertools.product(range(rounds), (WATCHED, STALLED)):
            now, next_alone = turn(kind), turn(ALONE)
            both = zip(now, alone, next_alone, strict=True)
            ratios[kind].append(Turn(*(a / statistics.mean([b, c]) for a, b, c in both)))
            alone = next_alone
        for kind, found in ratios.items() if rounds > 1 else ():
            said = [
                f"{median:.3f} ({low:.3f} to {high:.3f}) {by}"
                for (low, median, high), by in zip(
                    (statistics.quantiles(one, n=4) for one in zip(*found, strict=True)),
                    ("by the clock", "by processor time"),
                    strict=True,
                )
            ]
            print(f"{units:,} units, {kind}: {', '.join(said)}, of alone")
        handed = [1e3 * one for one in turn.handed]
        print(
            f"{units:,} units, alone: {alone.clock:.0f} updates/s; memory {before:.0f} MB, and "
            f"{after - before:+.0f} MB once watched; handing over takes the training "
            f"{statistics.median(handed):.2f} ms (of {len(handed)} times 90 % at most "
            f"{statistics.quantiles(handed, n=10)[-1]:.2f})"
        )
        sizes(simulation)
    finally:
        turn.end()
        server.stop()
        simulation.stop()


def pictured(units: int, folder: Path) -> None:
    """Print how often the page of a network of a size is drawn."""
    from playwright.sync_api import sync_playwright

    simulation = simulated(units, folder)
    simulation.ask(Command("pause"))
    server = Server(simulation)
    server.start()
    simulation.start()
    try:
        with sync_playwright() as playwright:
            found = shutil.which("chromium") or shutil.which("google-chrome")
            browser = playwright.chromium.launch(executable_path=found, args=list(CHROMIUM))
            page = browser.new_page(viewport={"width": 1366, "height": 768})
            page.goto(server.address)
            page.locator("canvas.canvas").wait_for()
            time.sleep(10.0)
            page.evaluate(NOTED)
            box = page.locator("canvas.canvas").bounding_box()
            assert box is not None
            middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
            page.mouse.move(*middle)
            page.mouse.down()
            began = time.monotonic()
            for number in itertools.count():
                if time.monotonic() > began + SECONDS * 4:
                    break
                page.mouse.move(middle[0] + 8 * (number % 20), middle[1])
                time.sleep(0.02)
            page.mouse.up()
            turned = page.evaluate("window.pictures.splice(0)")
            apart = [b - a for (a, _), (b, _) in itertools.pairwise(turned[len(turned) // 4 :])]
            began = time.monotonic()
            page.evaluate("studio.drawn()")
            page.evaluate("studio.drawn()")  # which waits for the one before
            print(
                f"{units:,} units, turned: a picture each {statistics.median(apart):.0f} ms, of "
                f"{turned[-1][1] // 6:,} lines; all of them take "
                f"{time.monotonic() - began:.2f} s"
            )
            browser.close()
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
    parser.add_argument("--page", action="store_true")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    asked = parser.parse_args()
    if asked.client:
        client(asked.client)
        return
    for units in asked.units:
        if asked.page:
            pictured(units, Path("studio"))
        else:
            measured(units, Path("studio"), asked.rounds)


if __name__ == "__main__":
    main()
