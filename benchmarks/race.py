"""Races: the same work by several contestants, in turns, in one run.

Machines are noisy, so only ratios within one race count. Each round lets every contestant run once,
and every other round goes backwards, so that nobody always runs behind the same neighbour.
"""

import contextlib
import dataclasses
import statistics
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from benchmarks import peers
from benchmarks.job import Job
from benchmarks.report import Table, Target, version
from benchmarks.worker import PLATFORM, Worker

# JAX sees one device in the floor's process, as it does for anyone who has not imported Byway.
FLOOR_ENV = {"XLA_FLAGS": "--xla_force_host_platform_device_count=1"}
# By home, the environment of its process.
HOMES = {"floor": FLOOR_ENV, "one core": FLOOR_ENV | {"NPROC": "1"}}
# Double precision; the contestants' sums differ in order alone.
CHECK_ENV = {"JAX_ENABLE_X64": "1"}
CHECK_STEPS, CHECK_TOLERANCE = 20, 1e-9

FLOOR, BARE, SCORED = "hand-written JAX scan", "Byway", "Byway, with scores"
EAGER, FUSED, COMPILED = "PyTorch eager", "PyTorch eager, fused Adam", "torch.compile, fused Adam"
ONE_THREAD = "PyTorch eager, one thread, fused Adam"
PYTORCH = {
    EAGER: ("eager", {}),
    FUSED: ("eager", {"fused": True}),
    COMPILED: ("compiled", {}),
}
if PLATFORM == "cpu":  # a card has nothing to gain from it
    PYTORCH[ONE_THREAD] = ("eager", {"fused": True, "threads": 1})
ACCURACY = "test accuracy [%]"
# By contestant, the environment that it needs and its target there.
PEERS = {
    "FabricPC, its step in a scan": ("fabricpc", "peer_fabricpc:scanned"),
    "FabricPC, its step by batch": ("fabricpc", "peer_fabricpc:by_batch"),
    "jpc, its steps in a scan": ("jpc", "peer_jpc:scanned"),
    "pcx, its step by batch": ("pcx", "peer_pcx:by_batch"),
}


@dataclasses.dataclass
class Entry:
    """A contestant of a race: where it lives and how long each of its runs took [s]."""

    name: str
    worker: Worker
    facts: dict
    seconds: list[float] = dataclasses.field(default_factory=list)
    accuracy: float | None = None

    @property
    def median(self) -> float:
        """The middle one of its times [s]."""
        return statistics.median(self.seconds)


class Race:
    """A context that holds the workers of one race.

    Args:
        title: what is raced over.
        repeats: how many runs of each contestant count; one more, before them, does not.
    """

    def __init__(self, title: str, repeats: int):
        self.title, self.repeats = title, repeats
        self.entries: dict[str, Entry] = {}
        self._stack = contextlib.ExitStack()
        self._workers: dict[str, Worker] = {}
        self._folder = ""
        self._missing: dict[str, str] = {}

    def __enter__(self) -> "Race":
        self._folder = self._stack.enter_context(tempfile.TemporaryDirectory())
        return self

    def __exit__(self, *error) -> None:
        self._stack.__exit__(*error)

    def enter(self, name: str, home: str, target: str, **args) -> None:
        """Add a contestant, in the process called `home`."""
        worker = self._worker(home)
        self.entries[name] = Entry(name, worker, worker.make(name, target, **args))

    def enter_jax(self, job: Job, prefix: str = "") -> None:
        """Add the floor and Byway without and with scores, after checking that all three do the
        same arithmetic.
        """
        agree(job)
        self.enter(prefix + FLOOR, "floor", "contestants:hand_written", **job.args())
        self.enter(prefix + BARE, "byway", "contestants:bare", **job.args())
        self.enter(prefix + SCORED, "byway", "contestants:scored", **job.args())

    def enter_pytorch(
        self,
        job: Job,
        contestants: Mapping[str, tuple[str, dict]] = MappingProxyType(PYTORCH),
        module: str = "pytorch",
    ) -> None:
        """Add PyTorch where it is installed, by default as it comes and as it is fastest; by name,
        functions of a module of this folder, with their arguments.
        """
        if version("torch") is None:
            self._missing["PyTorch"] = "not installed"
            return
        for name, (function, args) in contestants.items():
            self.enter(
                name, "torch", f"{module}:{function}", path=self._data(job), **job.args(), **args
            )

    def enter_peers(self, job: Job) -> None:
        """Add the peers whose environments are there."""
        for name, (environment, target) in PEERS.items():
            self.enter_peer(name, environment, target, path=self._data(job), **job.args())

    def enter_peer(self, name: str, environment: str, target: str, **args) -> None:
        """Add a peer where its environment is there."""
        if peers.python(environment) is None:
            self._missing[name] = "not installed"
        else:
            self.enter(name, environment, target, **args)

    def run(self) -> None:
        """Warm up, then let everyone run in turns, then score."""
        order = list(self.entries.values())
        for entry in order:
            entry.worker.run(entry.name)
        for lap in range(self.repeats):
            for entry in order if lap % 2 == 0 else reversed(order):
                entry.seconds.append(entry.worker.run(entry.name))
        for entry in order:
            entry.accuracy = entry.worker.accuracy(entry.name)

    def ratio(self, slower: str, faster: str) -> float | None:
        """How many times as long the one takes as the other, by their medians; None where one did
        not take part.
        """
        if not {slower, faster} <= set(self.entries):
            return None
        return self.entries[slower].median / self.entries[faster].median

    def table(self, targets: list[Target]) -> Table:
        """The result; times relate to the first contestant."""
        first = next(iter(self.entries))
        rows = [self._row(entry, self.ratio(entry.name, first)) for entry in self.entries.values()]
        rows += [
            dict.fromkeys(rows[0], "") | {"contestant": name, "median [s]": why}
            for name, why in self._missing.items()
        ]
        if all(entry.accuracy is None for entry in self.entries.values()):
            rows = [
                {column: text for column, text in row.items() if column != ACCURACY} for row in rows
            ]
        raw = {
            e.name: {"seconds": e.seconds, "accuracy": e.accuracy, **e.facts}
            for e in self.entries.values()
        }
        return Table(self.title, rows, targets, raw)

    def _row(self, entry: Entry, ratio: float | None) -> dict[str, str]:
        return {
            "contestant": entry.name,
            "median [s]": f"{entry.median:.4f}",
            "min [s]": f"{min(entry.seconds):.4f}",
            "of the first": f"{ratio:.2f}",
            ACCURACY: "" if entry.accuracy is None else f"{100 * entry.accuracy:.2f}",
        }

    def _data(self, job: Job) -> str:
        path = Path(self._folder) / "data.npz"
        if not path.exists():
            self._worker("byway").ask("data:save", path=str(path), **job.args())
        return str(path)

    def _worker(self, home: str) -> Worker:
        if home not in self._workers:
            python = peers.python(home) if home in peers.listed() else None
            worker = Worker(str(python or sys.executable), **HOMES.get(home, {}))
            self._workers[home] = self._stack.enter_context(worker)
        return self._workers[home]


def agree(job: Job, check: str = "distance_from_floor", steps: int = CHECK_STEPS) -> None:
    """Stop unless what a check of `job` compares is the same after a few steps, such as the weights
    of the floor and of Byway.
    """
    require_alike(f"{job}\n  after {steps} steps", f"check:{check}", **job.args(steps=steps))


def require_alike(what: str, target: str, **args) -> None:
    """Stop unless the distances that a function returns, by what they lie between, are those of
    rounding.
    """
    with Worker(**CHECK_ENV) as worker:
        distances = worker.ask(target, **args)
    for name, distance in distances.items():
        if not distance < CHECK_TOLERANCE:
            raise SystemExit(
                f"{what}, {name}: the largest difference is {distance:g}\n"
                f"  wanted: below {CHECK_TOLERANCE:g}, or they do not race over the same work\n  "
                "do: compare the floor with the rule"
            )
