"""How fast a training goes that is watched: in stretches so short that whoever asks for something
need not wait.
"""

import time

# How long a stretch of training takes [s]: pause and step feel immediate.
STRETCH = 0.03


class Pace:
    """How fast a training goes.

    Args:
        speed: updates a second; as many as it can by default.
        paused: whether it waits to be told to run.

    Attributes:
        running: whether it goes on by itself.
        left: single updates that are still to be made.
        speed: the same.
        seconds: time spent on training [s].
        rate: updates a second, lately.
    """

    def __init__(self, speed: float | None = None, paused: bool = False):
        self.running, self.left, self.speed = not paused, 0, speed
        self.seconds, self.rate = 0.0, 0.0
        self._stretch, self._next, self._last = 1, 0.0, float("-inf")

    def run(self) -> None:
        """Go on by itself."""
        self.running, self.left = True, 0

    def step(self, updates: int) -> None:
        """Make so many updates, and wait; with none wait at once."""
        self.running, self.left = False, updates

    def most(self) -> int:
        """How many updates the next stretch may have at most: none while it waits."""
        if not self.running and not self.left:
            return 0
        most = self._stretch
        if self.speed is not None:
            most = max(1, min(most, int(self.speed * STRETCH)))
        return most if self.running else min(most, self.left)

    def made(self, updates: int, took: float) -> None:
        """Take note of a stretch.

        Args:
            updates: how many it had.
            took: how long it took [s].
        """
        now, self.seconds = time.monotonic(), self.seconds + took
        rate, self._last = updates / max(now - self._last, took, 1e-9), now
        self.rate = 0.9 * self.rate + 0.1 * rate if self.rate else rate
        self._stretch = max(1, min(int(updates * STRETCH / max(took, 1e-9)), 2 * updates))
        self._next = now - took + (updates / self.speed if self.speed is not None else 0.0)
        self.left = 0 if self.running else max(0, self.left - updates)

    def wait(self) -> float:
        """How long until the next stretch [s]; while it is told to wait, until it is to be asked
        again.
        """
        if not self.running and not self.left:
            return STRETCH
        return 0.0 if self.speed is None else max(0.0, self._next - time.monotonic())
