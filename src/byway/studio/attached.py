"""A training that goes on elsewhere, watched: by `fit`, or by `byway train` in its own process.

It is kept for its results, so it may be paused, and looked at from all sides, but nothing in it is
changed.
"""

import sys
import time
from pathlib import Path

from typing_extensions import override

from byway.studio.pace import STRETCH, Pace
from byway.studio.side import DRAWN
from byway.studio.simulation import Simulation
from byway.studio.trained import Trained
from byway.training.checkpoint import Progress
from byway.training.loop import Loop


class Seen(Trained):
    """What trains, as it was a moment ago.

    Args:
        loop: what trains, and waits meanwhile.
        label: what it is called.
        update: updates made.
    """

    def __init__(self, loop: Loop, label: str, update: int):
        super().__init__(loop, label)
        self.take(update)

    def take(self, update: int) -> None:
        """Take what has been learned up to an update, while nobody trains."""
        self._learner, self.update = super().learner(), update

    @override
    def learner(self):
        return self._learner

    @property
    @override
    def failed(self):
        return bool(self._learner.failed >= 0)


class Attached(Simulation):
    """Watches what trains in another thread, which calls it between two stretches.

    Args:
        seen: what trains.
        folder: where files are saved; made when the first is.
        edges: synapses that are drawn at most.
        paused: whether it waits to be told to run.
    """

    def __init__(self, seen: Seen, folder: Path, edges: int = DRAWN, paused: bool = False):
        super().__init__([seen], folder, Pace(paused=paused), edges)
        self._seen, self._titles, self._met = seen, set(seen.titles()), False
        self._plotted, self._before, self._spent = 0, seen.update, 0.0

    def __call__(self, loop: Loop, at: Progress, left: int) -> int:
        """See `byway.training.course.Watch`."""
        pace, ended = self._pace, left == 0
        if at.step > self._before:
            pace.made(at.step - self._before, at.seconds - self._spent)
        self._before, self._spent = at.step, at.seconds
        self._plot(at)
        if self._over.is_set():
            return sys.maxsize
        self._let_go()
        taken = not pace.most() or self._is_due("taken")
        if self._seen.update != at.step and (ended or (self._watched and taken)):
            self._seen.take(at.step)
            self._every["taken"] = self._every["units"]
            self._measure(now=ended)
        if ended:
            self._finished = True
            pace.step(0)
        elif (wait := pace.wait()) > 0:
            time.sleep(min(wait, STRETCH))
            return 0
        return pace.most() if self._watched or not pace.running else sys.maxsize

    def _let_go(self) -> None:
        """Where all who were there are gone, nobody keeps it waiting."""
        if self._met and not self.clients:
            self._pace.speed = None
            self._pace.run()
        self._met = self.clients > 0

    def _plot(self, at: Progress) -> None:
        """Add to the curves what the training has measured itself, from its start on."""
        for reading in at.readings[self._plotted :]:
            known = {k: v for k, v in reading.items() if {k, k.split("/")[0]} & self._titles}
            if known:
                self._sides[0].plot(reading.step, self._seen.said(known))
        self._plotted = len(at.readings)
