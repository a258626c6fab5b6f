"""Waiting for what happens elsewhere: in another thread, another process or a browser."""

import time
from collections.abc import Callable

# How long what is waited for may take on a busy machine [s].
WAIT = 60.0


def until(wanted: Callable[[], object], most: float = WAIT, every: float = 0.02) -> None:
    """Wait until something is so.

    Args:
        wanted: whether it is.
        most: how long to wait at most [s].
        every: how long between two looks [s].

    Raises:
        AssertionError: it was not, in all that time.
    """
    end = time.monotonic() + most
    while not wanted():
        assert time.monotonic() < end, f"waited {most:g} s in vain"
        time.sleep(every)
