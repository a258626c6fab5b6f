"""The training that is watched. A thread does what the page asks for, and hands over what is to be
shown to a second one, which makes frames of it.

What only those who watch need (what units do, which synapses are drawn) is computed while somebody
watches. Neither thread ever waits for a browser, and what is learned does not depend on who
watches.
"""

import contextlib
import itertools
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from byway.core.errors import BywayError, ConfigError, RunError
from byway.core.given import require_whole
from byway.core.task import Split
from byway.learning.learner import Learner
from byway.studio.board import Board
from byway.studio.commands import MOST_EDGES, MOST_SPEED, Command, Limits
from byway.studio.frames import encode
from byway.studio.pace import STRETCH, Pace
from byway.studio.recording import SUFFIX, Recorder
from byway.studio.side import COLOURS, DRAWN, Side
from byway.studio.trained import Trained


class Often(NamedTuple):
    """How often something is done.

    Attributes:
        least: the shortest time from one to the next [s].
        share: how much of the time it may take; the next waits longer where one takes long.
        most: the longest time that the next waits for that [s].
    """

    least: float
    share: float
    most: float


# Units are shown, synapses looked at, a picked unit asked, and measures taken.
OFTEN = {
    "units": Often(0.1, 0.03, 0.5),
    "edges": Often(0.5, 0.01, 2.0),
    "picked": Often(1.0, 0.01, 5.0),
    "scores": Often(1.0, 0.01, 10.0),
    "angles": Often(1.0, 0.01, 10.0),
    "life": Often(1.0, 0.01, 10.0),
}
# How often the state is told, and what another thread trains is taken over [s].
TOLD = {"state": 0.1, "taken": 0.1}
# How long after the first look what may be asked for next is compiled [s].
SOON = 2.0
# Commands that wait; words that are kept.
WAITING, NOTICES = 1000, 5
KEPT = (
    "this training is kept for its results, so it may be watched but not steered; branch it, and "
    "steer the branch"
)


class Simulation:
    """What is seen of one rule that trains, or of two side by side, and what is done about it.

    Args:
        trained: what is watched.
        folder: where files are saved; made when the first is.
        pace: how fast it goes.
        edges: synapses that are drawn at most.
        tour: whether the page begins with its guided tour.

    Attributes:
        board: what is to be seen.
        limits: what may be asked for.
        clients: how many are there; whoever serves them counts.
        watchers: how many of them draw what they get: nothing is computed for the others.
        recorded: the recording that goes on, or was made last.
        saved: the files that were written.

    Raises:
        ConfigError: a speed or a number of synapses that the page could not ask for.
    """

    def __init__(
        self,
        trained: Sequence[Trained],
        folder: Path,
        pace: Pace,
        edges: int = DRAWN,
        tour: bool = False,
    ):
        require_whole("edges", edges, 0, MOST_EDGES)
        if pace.speed is not None and not 1 <= pace.speed <= MOST_SPEED:
            raise ConfigError(
                f"speed = {pace.speed:g}", f"1 to {MOST_SPEED:g} updates a second", "try 100"
            )
        self.board, self.clients, self.watchers = Board(), 0, 0
        self._trained, self._folder, self._pace, self._tour = trained, folder, pace, tour
        self._sides = [Side(number, one, self.board) for number, one in enumerate(trained)]
        loop = trained[0].loop
        self._task = loop.task.id
        self._tasks: dict[str, dict[str, Split]] = {self._task: loop.data}
        self.limits = Limits(
            [side.scene.size for side in self._sides],
            {c.name: (c.low, c.high) for one in trained for c in one.controls()},
            [q.name for q in COLOURS],
            list(self._tasks),
            {name: split.size for name, split in loop.data.items() if name != "test"},
            int(np.prod(self._sides[0].sample.x.shape[1:])),
        )
        self._does: dict[str, Callable[[Any], None]] = {
            "run": self._run,
            "pause": self._pause,
            "step": self._step,
            "speed": self._go_at,
            "colour": self._colour_by,
            "edges": self._draw,
            "select": self._select,
            "sample": self._present,
            "save": self._save,
            "branch": self._branch,
            "record": self._record,
        }
        self._drawn, self._colour = edges, COLOURS[0].name
        self._side, self._picked = 0, list[int]()
        self._silenced: list[int] = []
        self._finished, self._failed = False, ""
        self._notices: list[str] = []
        self.saved: list[str] = []
        self.recorded: Path | None = None
        self._recorder: Recorder | None = None
        self._random = np.random.default_rng(0)
        self._sums: list[dict[str, list[np.ndarray]]] = [{} for _ in trained]
        self._last: dict[str, float] = {}
        self._measured: dict[str, int] = {}
        self._shown: dict[str, int] = {}
        self._every = TOLD | {what: often.least for what, often in OFTEN.items()}
        self._costs: dict[str, float] = {}
        self._wanted: queue.Queue[Command] = queue.Queue(WAITING)
        self._due: queue.Queue[Callable[[], None]] = queue.Queue()
        self._first = np.inf
        self._programs: Iterator[None] = iter(())
        self._over, self._between = threading.Event(), threading.RLock()
        self._problem: BaseException | None = None
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), name=name, daemon=True)
            for name, work in (("doing", self._work), ("showing", self._show))
        ]

    def start(self) -> None:
        """Begin."""
        self._tell(now=True)
        for thread in self._threads:
            thread.start()

    def ask(self, command: Command) -> bool:
        """Ask for something, which is done before the next stretch; whether it was heard, which it
        is not where a thousand others wait.
        """
        try:
            self._wanted.put_nowait(command)
        except queue.Full:
            return False
        return True

    def learner(self, side: int = 0) -> Learner:
        """What a side has learned so far; between two stretches, as one takes over the memory of
        what was before.
        """
        with self._between:
            return self._trained[side].learner()

    def wait(self, seconds: float) -> bool:
        """Wait for its end, so long at most; whether it has ended."""
        return self._over.wait(seconds)

    def end(self) -> None:
        """End it, and close what it records to."""
        self._over.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()
        if self._recorder is not None:
            self._recorder.close()

    def stop(self) -> None:
        """The same. Raises what it failed of."""
        self.end()
        if self._problem is not None:
            raise self._problem

    def record(self, path: Path) -> None:
        """Record to a file, from now on.

        Raises:
            RunError: it cannot be written.
        """
        self._recorder, self.recorded = Recorder(path, self.board), path

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as problem:
            self._problem = problem
            self._notice(f"stopped: {problem}")
            self._tell(now=True)
        finally:
            self._over.set()

    # The thread that does what is asked.

    def _work(self) -> None:
        while not self._over.is_set():
            self._obey()
            self._turn()
            # What goes out together is one message.
            self._tell(now=self._look())
            self._rest(self._pause_between())

    def _turn(self) -> None:
        """What else this thread does; nothing, where another one trains."""

    def _pause_between(self) -> float:
        """How long it waits for what is asked, between two turns [s]."""
        return STRETCH

    def _obey(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._do(self._wanted.get_nowait())

    def _rest(self, seconds: float) -> None:
        if seconds > 0:
            with contextlib.suppress(queue.Empty):
                self._do(self._wanted.get(timeout=seconds))

    @property
    def _update(self) -> int:
        return self._trained[0].update

    @property
    def _watched(self) -> bool:
        return self.watchers > 0 or self._recorder is not None

    def _is_due(self, what: str, now: bool = False) -> bool:
        due = now or time.monotonic() - self._last.get(what, -np.inf) >= self._every[what]
        if due:
            self._last[what] = time.monotonic()
        return due

    def _took(self, what: str, seconds: float) -> None:
        """Let it wait so long that it takes no more than its share. The first time compiles, as
        may any: of the last two the shorter counts.
        """
        often, before = OFTEN[what], self._costs.get(what, 0.0)
        self._costs[what] = seconds
        self._every[what] = min(max(often.least, min(before, seconds) / often.share), often.most)

    def _measure(self, now: bool = False) -> None:
        for what, of, wanted in (
            ("scores", self._scored, True),
            ("angles", Trained.angles, self._watched),
            ("life", self._lived, self._watched),
        ):
            new = self._measured.get(what) != self._update
            if wanted and new and self._is_due(what, now):
                self._measured[what], began = self._update, time.perf_counter()
                for side, trainer in zip(self._sides, self._trained, strict=True):
                    if values := of(trainer):
                        side.plot(trainer.update, values)
                self._took(what, time.perf_counter() - began)

    def _scored(self, trainer: Trained) -> dict[str, float]:
        sums = self._sums[self._trained.index(trainer)]
        means = {name: np.concatenate(v, 1).mean(1, dtype=float) for name, v in sums.items()}
        sums.clear()
        return trainer.scores(means)

    def _lived(self, trainer: Trained) -> dict[str, float]:
        return self._sides[self._trained.index(trainer)].life()

    def _look(self, now: bool = False) -> bool:
        """Hand over what is to be shown, unless what was handed over before still waits, or nothing
        was trained since; whether there was anything.
        """
        if not self._watched:
            if now:  # whoever comes next sees what was asked for meanwhile
                self._shown.clear()
            return False
        if self._due.qsize() and not now:
            return False
        new = lambda what: now or self._shown.get(what) != self._update
        due = [
            what for what in ("units", "edges", "picked") if new(what) and self._is_due(what, now)
        ]
        if not due:
            return False
        self._shown |= dict.fromkeys(due, self._update)
        if self._first == np.inf:
            self._first = time.monotonic()
            both = zip(self._sides, self._trained, strict=True)
            made = [side.compiled(one.learner()) for side, one in both]
            self._programs = itertools.chain(*made)
        work: dict[str, list[Callable[[], None]]] = {what: [] for what in due}
        began = time.perf_counter()
        for side, trainer in zip(self._sides, self._trained, strict=True):
            learner, update = trainer.learner(), trainer.update
            mine = self._picked if side.number == self._side else []
            if "units" in due:
                work["units"].append(partial(side.show_units, learner, update, self._colour, mine))
            if "edges" in due:
                work["edges"].append(partial(side.show_edges, learner, update, self._drawn, mine))
            if "picked" in due and mine:
                work["picked"].append(partial(side.show_picked, learner, update, mine))
        handed = time.perf_counter() - began
        for what, parts in work.items():
            self._due.put(partial(self._show_all, what, parts, handed))
        return True

    def _show_all(self, what: str, parts: Sequence[Callable[[], None]], handed: float) -> None:
        """Show it of all sides; handing it over took so long [s]."""
        began = time.perf_counter()
        for part in parts:
            part()
        self._took(what, handed + time.perf_counter() - began)

    # What may be asked for.

    def _do(self, command: Command) -> None:
        try:
            with self._between:
                self._does.get(command.do, self._refuse)(command.value)
        except BywayError as problem:
            self._notice(f"{command.do}: {problem.given}; {problem.fix}")
        self._tell(now=True)

    def _refuse(self, value: Any) -> None:
        self._notice(KEPT)

    def _run(self, value: None) -> None:
        if not self._failed:
            self._pace.run()

    def _pause(self, value: None) -> None:
        self._pace.step(0)

    def _step(self, value: int) -> None:
        self._pace.step(0 if self._failed else value)

    def _go_at(self, value: float | None) -> None:
        self._pace.speed = value

    def _colour_by(self, value: str) -> None:
        self._colour = value
        self._look(now=True)

    def _draw(self, value: int) -> None:
        self._drawn = value
        self._look(now=True)

    def _select(self, value: tuple[int, list[int]]) -> None:
        self._side, self._picked = value
        for side in self._sides:
            side.forget()
        if not self._picked:
            none = encode("selection", self._side, self._update, {"units": []})
            self._due.put(partial(self.board.post, "selection", none))
        self._look(now=True)

    def _present(self, value: dict[str, Any]) -> None:
        splits = self._tasks[self._task]
        if "random" in value:
            number = int(self._random.integers(splits["validation"].size))
            value = {"split": "validation", "index": number}
        for side in self._sides:
            if "input" in value:
                side.sample = side.drawn(value["input"])
            else:
                name = value["split"]
                side.sample = side.taken(name, splits[name], value["index"])
        self._look(now=True)

    def _save(self, value: None) -> None:
        for trainer in self._trained:
            path = self._path(f"{trainer.label}-{trainer.update}", ".byway")
            trainer.save(path)
            self.saved = [*self.saved, str(path)]
            self._notice(f"saved {path}")

    def _branch(self, value: None) -> None:
        self._save(value)
        self._notice(f"another one starts from there by 'byway studio {self.saved[-1]}'")

    def _record(self, value: bool) -> None:
        if value and self._recorder is None:
            self.record(self._path("recording", SUFFIX))
        if not value and self._recorder is not None:
            recorder, self._recorder = self._recorder, None
            self._due.put(recorder.close)
            self.saved = [*self.saved, str(recorder.path)]
            self._notice(f"recorded {recorder.path}")

    def _path(self, name: str, suffix: str) -> Path:
        """A file that is not there yet."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise RunError(
                f"{self._folder} cannot be made: {problem.strerror}",
                "a folder for what is saved",
                "name another with --out",
            ) from problem
        number, path = 1, self._folder / f"{name}{suffix}"
        while path.exists():
            number += 1
            path = self._folder / f"{name}-{number}{suffix}"
        return path

    def _notice(self, text: str) -> None:
        self._notices = [*self._notices, text][-NOTICES:]

    def _tell(self, now: bool = False) -> None:
        """Post how it stands."""
        if not self._is_due("state", now):
            return
        recorder = self._recorder
        head = {
            "running": self._pace.running,
            "finished": self._finished,
            "failed": self._failed or None,
            "epoch": self._update / self._trained[0].loop.steps,
            "seconds": self._pace.seconds,
            "rate": self._pace.rate,
            "speed": self._pace.speed,
            "colour": self._colour,
            "edges": self._drawn,
            "selected": self._picked,
            "selected_side": self._side,
            "silenced": self._silenced,
            "task": self._task,
            "tasks": list(self._tasks),
            "steered": "set" in self._does,
            "controls": [
                one._asdict()
                for one in {c.name: c for t in self._trained for c in t.controls()}.values()
            ],
            "recording": None
            if recorder is None
            else {
                "file": str(recorder.path),
                "seconds": recorder.seconds,
                "bytes": recorder.bytes,
            },
            "clients": self.clients,
            "notices": self._notices,
            "saved": self.saved,
            "tour": self._tour,
        }
        self.board.post("state", encode("state", 0, self._update, head))

    # The thread that shows.

    def _show(self) -> None:
        while not self._over.is_set():
            with contextlib.suppress(queue.Empty):
                self._due.get(timeout=OFTEN["units"].least)()
            if time.monotonic() - self._first > SOON:
                next(self._programs, None)
            if (recorder := self._recorder) is not None:
                recorder.note()
