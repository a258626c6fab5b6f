"""The training that is watched: a thread that trains in short stretches, does what it is asked
between two of them, and measures.

What only those who watch need (what units do, which synapses are drawn) is computed while somebody
watches, in a second thread that makes frames of it. Neither ever waits for a browser, and what is
learned does not depend on who watches.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from byway.core.errors import BywayError, ConfigError, RunError
from byway.core.given import require_whole
from byway.core.task import Split
from byway.experiment.experiment import Experiment
from byway.learning.learner import Learner
from byway.studio.board import Board
from byway.studio.commands import MOST_EDGES, MOST_SPEED, Command, Limits
from byway.studio.frames import encode
from byway.studio.recording import SUFFIX, Recorder
from byway.studio.side import COLOURS, DRAWN, Side
from byway.studio.trainer import Trainer
from byway.training.step import Start

# How long a stretch of training takes [s]: pause and step feel immediate.
STRETCH = 0.03
# How often at most units are shown, synapses looked at, a picked unit asked, the state told [s].
OFTEN = {"units": 0.1, "edges": 0.5, "picked": 1.0, "state": 0.1}
# What is measured takes so small a share of the time, and comes so often at most, and at least [s].
SHARE, MEASURED, RARE = 0.05, 1.0, 10.0
# Rules side by side; commands that wait; words that are kept.
SIDES, WAITING, NOTICES = 2, 1000, 5
# What a task may be changed into, to watch what is forgotten.
PERMUTED = "{}, inputs permuted"
SHARED = ("train", "validation")


class Simulation:
    """Trains one rule, or two side by side on the same samples from the same weights.

    Args:
        experiment: the rules, one or two, their networks, the task and the options.
        folder: where files are saved; made when the first is.
        starts: by label, what a rule begins with; drawn by default.
        speed: updates a second at first; as many as it can by default.
        edges: synapses that are drawn at most.
        paused: whether it waits to be told to run.
        tour: whether the page begins with its guided tour.

    Attributes:
        board: what is to be seen.
        limits: what may be asked for.
        watchers: how many watch; whoever serves them counts.
        saved: the files that were written.

    Raises:
        ConfigError: more than two rules, or a speed or a number of synapses that the page could
            not ask for.
    """

    def __init__(
        self,
        experiment: Experiment,
        folder: Path,
        starts: Mapping[str, Start] | None = None,
        speed: float | None = None,
        edges: int = DRAWN,
        paused: bool = False,
        tour: bool = False,
    ):
        require_whole("edges", edges, 0, MOST_EDGES)
        if speed is not None and not 1 <= speed <= MOST_SPEED:
            raise ConfigError(
                f"speed = {speed:g}", f"1 to {MOST_SPEED:g} updates a second", "try 100"
            )
        # Nobody asked to see the control of a rule.
        asked = [entry for entry in experiment.entries if not entry.added]
        if len(asked) > SIDES:
            raise ConfigError(
                f"{len(asked)} rules: {', '.join(entry.label for entry in asked)}",
                "one, or two side by side",
                "compare more with 'byway compare'",
            )
        self.board, self.watchers = Board(), 0
        self._experiment, self._folder, self._tour = experiment, folder, tour
        self._trainers = [
            Trainer(experiment, entry, (starts or {}).get(entry.label)) for entry in asked
        ]
        self._sides = [Side(number, one, self.board) for number, one in enumerate(self._trainers)]
        self._tasks = {experiment.task.id: experiment.data} | _others(experiment)
        self._task = experiment.task.id
        self.limits = Limits(
            [side.scene.size for side in self._sides],
            {c.name: (c.low, c.high) for one in self._trainers for c in one.controls()},
            [q.name for q in COLOURS],
            list(self._tasks),
            {name: split.size for name, split in experiment.data.items() if name != "test"},
            int(np.prod(self._sides[0].sample.x.shape[1:])),
        )
        self._does: dict[str, Callable[[Any], None]] = {
            "run": self._run,
            "pause": self._pause,
            "step": self._step,
            "speed": self._go_at,
            "set": self._set,
            "colour": self._colour_by,
            "edges": self._draw,
            "select": self._select,
            "silence": self._silence,
            "lesion": self._lesion,
            "restore": self._restore,
            "sample": self._present,
            "task": self._switch,
            "save": self._save,
            "branch": self._branch,
            "record": self._record,
        }
        self._running, self._left = not paused, 0
        self._speed, self._drawn = speed, edges
        self._colour = COLOURS[0].name
        self._side, self._picked = 0, list[int]()
        self._silenced: list[int] = []
        self._finished, self._failed = False, ""
        self._notices: list[str] = []
        self.saved: list[str] = []
        self._recorder: Recorder | None = None
        self._seconds, self._rate, self._stretch = 0.0, 0.0, 1
        self._advanced = -np.inf
        self._end = experiment.steps
        self._random = np.random.default_rng(0)
        self._sums: list[dict[str, list[np.ndarray]]] = [{} for _ in self._trainers]
        self._last: dict[str, float] = {}
        self._measured: dict[str, int] = {}
        self._shown: dict[str, int] = {}
        self._every = OFTEN | dict.fromkeys(("scores", "angles", "life"), MEASURED)
        self._wanted: queue.Queue[Command] = queue.Queue(WAITING)
        self._due: queue.Queue[Callable[[], None]] = queue.Queue()
        self._over, self._between = threading.Event(), threading.RLock()
        self._problem: BaseException | None = None
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), name=name, daemon=True)
            for name, work in (("training", self._train), ("showing", self._show))
        ]
        self._tell(now=True)

    def start(self) -> None:
        """Begin."""
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
            return self._trainers[side].learner()

    def wait(self, seconds: float) -> bool:
        """Wait for its end, so long at most; whether it has ended."""
        return self._over.wait(seconds)

    def stop(self) -> None:
        """End it, and close what it records to. Raises what it failed of."""
        self._over.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()
        if self._recorder is not None:
            self._recorder.close()
        if self._problem is not None:
            raise self._problem

    def record(self, path: Path) -> None:
        """Record to a file, from now on.

        Raises:
            RunError: it cannot be written.
        """
        self._recorder = Recorder(path, self.board)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as problem:
            self._problem = problem
            self._notice(f"stopped: {problem}")
            self._tell(now=True)
        finally:
            self._over.set()

    # The thread that trains.

    def _train(self) -> None:
        while not self._over.is_set():
            self._obey()
            began, made = time.monotonic(), 0
            if self._running or self._left:
                with self._between:
                    made = self._advance()
            self._measure()
            self._look()
            self._tell()
            self._rest(began, made)

    def _obey(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._do(self._wanted.get_nowait())

    def _rest(self, began: float, made: int) -> None:
        """Wait for what is asked while nothing is to be trained, and for as long as the speed that
        was asked for leaves.
        """
        left = STRETCH
        if self._running or self._left:
            left = 0.0 if self._speed is None else began + made / self._speed - time.monotonic()
        if left > 0:
            with contextlib.suppress(queue.Empty):
                self._do(self._wanted.get(timeout=left))

    def _advance(self) -> int:
        """Train a stretch; how many updates were made."""
        most = self._stretch
        if self._speed is not None:
            most = max(1, min(most, int(self._speed * STRETCH)))
        if not self._running:
            most = min(most, self._left)
        began = time.perf_counter()
        for trainer, sums in zip(self._trainers, self._sums, strict=True):
            # In step: a second rule goes as far as the first.
            most, scores = trainer.advance(most)
            for name, values in scores.items():
                sums.setdefault(name, []).append(values)
        took = time.perf_counter() - began
        self._seconds += took
        now = time.monotonic()
        rate, self._advanced = most / max(now - self._advanced, took), now
        self._rate = 0.9 * self._rate + 0.1 * rate if self._rate else rate
        self._stretch = max(1, min(int(most * STRETCH / took), 2 * most))
        self._left = 0 if self._running else self._left - most
        self._judge()
        return most

    def _judge(self) -> None:
        """Stop where a number is not finite any more, and pause where all epochs are done."""
        if failed := [one.label for one in self._trainers if one.failed]:
            self._failed = (
                f"a number of {' and '.join(failed)} stopped being finite at update "
                f"{self._update:,}: begin anew with a smaller learning rate"
            )
            self._running, self._left = False, 0
            self._notice(self._failed)
        if self._update >= self._end:
            self._end += self._experiment.steps
            self._finished, self._running, self._left = True, False, 0
            self._notice(f"all epochs are done, at update {self._update:,}; run goes on")
            self._measure(now=True)

    @property
    def _update(self) -> int:
        return self._trainers[0].update

    @property
    def _watched(self) -> bool:
        return self.watchers > 0 or self._recorder is not None

    def _is_due(self, what: str, now: bool = False) -> bool:
        due = now or time.monotonic() - self._last.get(what, -np.inf) >= self._every[what]
        if due:
            self._last[what] = time.monotonic()
        return due

    def _measure(self, now: bool = False) -> None:
        for what, of, wanted in (
            ("scores", self._scored, True),
            ("angles", Trainer.angles, self._watched),
            ("life", self._lived, self._watched),
        ):
            new = self._measured.get(what) != self._update
            if wanted and new and self._is_due(what, now):
                self._measured[what], began = self._update, time.perf_counter()
                for side, trainer in zip(self._sides, self._trainers, strict=True):
                    if values := of(trainer):
                        side.plot(trainer.update, values)
                took = time.perf_counter() - began
                self._every[what] = min(max(MEASURED, took / SHARE), RARE)

    def _scored(self, trainer: Trainer) -> dict[str, float]:
        sums = self._sums[self._trainers.index(trainer)]
        means = {name: np.concatenate(v).mean(0, float, keepdims=True) for name, v in sums.items()}
        sums.clear()
        return trainer.scores(means)

    def _lived(self, trainer: Trainer) -> dict[str, float]:
        return self._sides[self._trainers.index(trainer)].life()

    def _look(self, now: bool = False) -> None:
        """Hand over what is to be shown, unless what was handed over before still waits, or nothing
        was trained since.
        """
        if not self._watched or (self._due.qsize() and not now):
            return
        new = lambda what: now or self._shown.get(what) != self._update
        due = [
            what for what in ("units", "edges", "picked") if new(what) and self._is_due(what, now)
        ]
        if not due:
            return
        self._shown |= dict.fromkeys(due, self._update)
        work: list[Callable[[], None]] = []
        for side, trainer in zip(self._sides, self._trainers, strict=True):
            learner, update = trainer.learner(), trainer.update
            mine = self._picked if side.number == self._side else []
            if "units" in due:
                work.append(partial(side.show_units, learner, update, self._colour, mine))
            if "edges" in due:
                work.append(partial(side.show_edges, learner, update, self._drawn, mine))
            if "picked" in due and mine:
                work.append(partial(side.show_picked, learner, update, mine))
        for one in work:
            self._due.put(one)

    # What may be asked for.

    def _do(self, command: Command) -> None:
        try:
            with self._between:
                self._does[command.do](command.value)
        except BywayError as problem:
            self._notice(f"{command.do}: {problem.given}; {problem.fix}")
        self._tell(now=True)

    def _run(self, value: None) -> None:
        self._running, self._finished = not self._failed, False

    def _pause(self, value: None) -> None:
        self._running, self._left = False, 0

    def _step(self, value: int) -> None:
        self._running, self._left = False, 0 if self._failed else value

    def _go_at(self, value: float | None) -> None:
        self._speed = value

    def _set(self, value: tuple[str, float]) -> None:
        for trainer in self._trainers:
            trainer.set(*value)

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

    def _silence(self, value: dict[str, Any]) -> None:
        units = self._sides[0].hidden(value)
        for side, trainer in zip(self._sides, self._trainers, strict=True):
            trainer.silence(side.mask(units))
        self._silenced = sorted({*self._silenced, *units})
        self._look(now=True)

    def _restore(self, value: None) -> None:
        for trainer in self._trainers:
            trainer.restore()
        self._silenced = []
        self._look(now=True)

    def _lesion(self, value: dict[str, Any]) -> None:
        units = self._sides[0].hidden(value)
        for side, trainer in zip(self._sides, self._trainers, strict=True):
            trainer.lesion(side.mask(units))
        self._notice(f"cut off {len(units)} units at update {self._update:,}")
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

    def _switch(self, value: str) -> None:
        self._task = value
        for trainer in self._trainers:
            trainer.loop.teach({name: self._tasks[value][name] for name in SHARED})
            # What was learned before is scored from here on, too: it may be forgotten.
            trainer.follow({name: splits["validation"] for name, splits in self._tasks.items()})
        self._every["scores"] = MEASURED
        self._notice(f"from update {self._update:,} on the task is {value}")

    def _save(self, value: None) -> None:
        for trainer in self._trainers:
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
            "running": self._running,
            "finished": self._finished,
            "failed": self._failed or None,
            "epoch": self._update / self._trainers[0].loop.steps,
            "seconds": self._seconds,
            "rate": self._rate,
            "speed": self._speed,
            "colour": self._colour,
            "edges": self._drawn,
            "selected": self._picked,
            "selected_side": self._side,
            "silenced": self._silenced,
            "task": self._task,
            "tasks": list(self._tasks),
            "controls": [
                one._asdict()
                for one in {c.name: c for t in self._trainers for c in t.controls()}.values()
            ],
            "recording": None
            if recorder is None
            else {
                "file": str(recorder.path),
                "seconds": recorder.seconds,
                "bytes": recorder.bytes,
            },
            "clients": self.watchers,
            "notices": self._notices,
            "saved": self.saved,
            "tour": self._tour,
        }
        self.board.post("state", encode("state", 0, self._update, head))

    # The thread that shows.

    def _show(self) -> None:
        while not self._over.is_set():
            with contextlib.suppress(queue.Empty):
                self._due.get(timeout=OFTEN["units"])()
            if (recorder := self._recorder) is not None:
                recorder.note()


def _others(experiment: Experiment) -> dict[str, dict[str, Split]]:
    """What the task may be changed into, by name: its samples with the numbers of each input in
    another order, which is the same for all.
    """
    data = experiment.data
    if any(data[name].fetched for name in SHARED) or experiment.task.in_time:
        return {}
    shape = data["train"].x.shape[1:]
    order = np.random.default_rng(0).permutation(int(np.prod(shape)))

    def mixed(split: Split) -> Split:
        x = np.asarray(split.x)
        return Split(jnp.asarray(x.reshape(len(x), -1)[:, order].reshape(-1, *shape)), split.y)

    name = PERMUTED.format(experiment.task.id)
    return {name: {part: mixed(data[part]) for part in SHARED}}
