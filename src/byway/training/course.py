"""The course of a run: stretches of updates, and what is measured between them."""

import sys
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from byway.core.score import Score
from byway.core.task import Task
from byway.learning.learner import Learner
from byway.system.together import alone, largest
from byway.training.checkpoint import Checkpoints, Progress
from byway.training.history import Reading, Scores, flat
from byway.training.loop import Loop
from byway.training.result import judged
from byway.training.stop import Stop

# How long a person, or a signal, waits for the compiled program to come back [s].
STRETCH = 1.0
Listener = Callable[[Reading], None]
# Looks on between two stretches: at what trains, where it stands, and how many updates are left.
# Says how many the next stretch may have at most; where that is none, it is asked again.
Watch = Callable[[Loop, Progress, int], int]


def unwatched(loop: Loop, at: Progress, left: int) -> int:
    """Nobody looks on."""
    return sys.maxsize


class Course:
    """Trains to the end, from the start or from a checkpoint.

    Args:
        loop: what trains; its learners are replaced.
        moments: updates after which the microscope looks.
        store: where checkpoints are kept, if they are.
        on_epoch: told of the start and of each epoch; first of what a checkpoint holds.
        on_look: told of each look.
        patience: epochs without a better main score on validation, on average over seeds, after
            which it ends; it runs to the last by default.
        best: whether each seed ends with what it was after its best epoch.
        watch: looks on; how it cuts training into stretches changes nothing that is learnt.

    Attributes:
        at: where it stands.
    """

    def __init__(
        self,
        loop: Loop,
        moments: Sequence[int] = (),
        store: Checkpoints | None = None,
        on_epoch: Listener | None = None,
        on_look: Listener | None = None,
        patience: int | None = None,
        best: bool = False,
        watch: Watch = unwatched,
    ):
        self.loop, self.moments, self.store, self.watch = loop, moments, store, watch
        self.on_epoch, self.on_look = on_epoch, on_look
        self.patience, self.keeps_best = patience, best
        self.best: Learner | None = None
        found = None if store is None else store.restore(loop.layout.fetch(loop.learners))
        self.at = Progress() if found is None else found[1]
        if found is not None:
            loop.learners = loop.layout.place(found[0])
            self.best = None if found[2] is None else loop.layout.place(found[2])

    def run(
        self,
        epochs: int,
        asked: Sequence[int] = (),
        advance: Callable[[int, str], None] = lambda done, note: None,
    ) -> Progress:
        """Train, in stretches that pause at each look, checkpoint or interrupt.

        Args:
            epochs: how many, those of a checkpoint among them.
            asked: not empty as soon as training is to stop.
            advance: told how many updates are done, with a note.

        Raises:
            KeyboardInterrupt: training was asked to stop; a checkpoint was saved first.
        """
        at, steps, end = self.at, self.loop.steps, epochs * self.loop.steps
        if not at.readings:
            self._measure({})
            if 0 in self.moments:
                self._look()
            self._remember()
        self._tell(0)
        stretch = 1
        while at.step < end and at.stopped is None:
            first, told = at.step % steps, len(at.readings)
            waits = [first + m - at.step for m in self.moments if m > at.step]
            last = min([first + min(stretch, self._allowed(end, asked)), steps, *waits])
            seconds = self._train(first, last)
            stretch = max(1, int((last - first) * STRETCH / max(seconds, 1e-6)))
            if at.step in self.moments:
                self._look()
            if last == steps:
                self._end_epoch()
                self._remember()
            self._tell(told)
            if last == steps and at.stopped is None:
                at.stopped = self._impatient()
            note = f"epoch {-(-at.step // steps)} of {epochs}{_note(self.loop.task, at.readings)}"
            advance(at.step, note)
            done = at.step == end or at.stopped is not None
            due = self.store is not None and self.store.due(last == steps)
            due, interrupted = largest(due, bool(asked))  # in any process
            if done or interrupted or due:
                self._keep()
            if interrupted:
                raise KeyboardInterrupt
        self.watch(self.loop, at, 0)
        if self.best is not None:
            self.loop.learners = self.best
        return at

    def _allowed(self, end: int, asked: Sequence[int]) -> int:
        """How many updates the next stretch may have at most; whoever looks on may keep it waiting,
        but not from being stopped.
        """
        while (most := self.watch(self.loop, self.at, end - self.at.step)) == 0:
            if asked:
                self._keep()
                raise KeyboardInterrupt
        return most

    def _train(self, first: int, last: int) -> float:
        """Train from one update of the epoch up to another; the time it took [s]."""
        scores, seconds = self.loop.train(first, last)
        at = self.at
        at.step, at.seconds = at.step + last - first, at.seconds + seconds
        at.scores = {
            k: np.concatenate([at.scores[k], v], 1) if k in at.scores else v
            for k, v in scores.items()
        }
        return seconds

    def _end_epoch(self) -> None:
        means = {k: v.mean(1, dtype=float) for k, v in self.at.scores.items()}
        self._measure(self.loop.finished(means))
        self.at.scores = {}

    def _validated(self) -> tuple[Score, np.ndarray]:
        """The main score, and its value on validation at the start and after each epoch, "seeds
        epochs".
        """
        main = self.loop.task.scores[0]
        name = f"validation/{main.name}"
        return main, np.stack([one[name] for one in self.at.readings if name in one], 1)

    def _remember(self) -> None:
        """Keep each learner whose epoch was better than all before it."""
        if not self.keeps_best:
            return
        main, values = self._validated()
        values = np.where(np.isfinite(values), values if main.higher else -values, -np.inf)
        better = (values[:, -1:] > values[:, :-1]).all(1)
        if self.best is None:
            self.best = jax.tree.map(jnp.copy, self.loop.learners)
            return
        layout = self.loop.layout
        chosen = np.concatenate([better, np.zeros(layout.padded - better.size, bool)])
        pick = lambda new, old: jnp.where(chosen.reshape(-1, *[1] * (jnp.ndim(new) - 1)), new, old)
        self.best = layout.place(jax.tree.map(pick, self.loop.learners, self.best))

    def _impatient(self) -> str | None:
        """Why to stop now, if there is a reason."""
        if self.patience is None:
            return None
        main, values = self._validated()
        means = [judged(main, values[:, 0], now) for now in values.T]
        since = len(means) - 1 - (np.argmax if main.higher else np.argmin)(means)
        if since < self.patience:
            return None
        return f"no better {main.title} on validation for {since} epochs"

    def _measure(self, train: Scores) -> None:
        validation = self.loop.score("validation", strict=not self.at.readings)
        self._read(flat({"train": train, "validation": validation} | self.loop.grown()))

    def _look(self) -> None:
        seen, seconds = self.loop.look()
        self.at.looks, self.at.look_seconds = self.at.looks + 1, self.at.look_seconds + seconds
        self._read(flat(seen), look=True)

    def _read(self, values: Scores, look: bool = False) -> None:
        at = self.at
        epoch = at.step / self.loop.steps
        at.readings.append(Reading(at.step, epoch, at.seconds, values, look))

    def _tell(self, first: int) -> None:
        """Tell of all readings from the one numbered `first` on; nothing is lost by what a callback
        raises.
        """
        for reading in self.at.readings[first:]:
            listener = self.on_look if reading.look else self.on_epoch
            try:
                if listener is not None:
                    listener(reading)
            except Stop as stop:
                self.at.stopped = str(stop) or "a callback asked for it"
            except BaseException:
                if alone():  # others may not have been told to keep anything
                    self._keep()
                raise

    def _keep(self) -> None:
        if self.store is not None:
            best = None if self.best is None else self.loop.real(self.best)
            self.store.save(self.loop.real_learners(), self.at, best)


def _note(task: Task, readings: Sequence[Reading]) -> str:
    """The main score on validation, on average over the seeds that are left."""
    if not task.scores:
        return ""
    name = f"validation/{task.scores[0].name}"
    scores = next((one[name] for one in reversed(readings) if name in one), np.zeros(0))
    if not np.isfinite(scores).any():
        return ""
    return f", validation {task.scores[0].said(float(np.nanmean(scores)))}"
