"""Jobs: what an experiment is made of, and where they run."""

import dataclasses
import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from typing_extensions import override

from byway.core.errors import RunError

# How often a job is begun again whose process was killed.
AGAIN = 2
# Told how many updates or trials are done, of how many, with a note.
Tell = Callable[[int, int, str], None]
Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Job:
    """One rule, and the seeds that are trained together.

    Attributes:
        label: what the rule is called.
        seeds: the seeds, one after another.
        devices: how many devices of JAX it was begun with, if it was: it resumes with as many.
    """

    label: str
    seeds: tuple[int, ...]
    devices: int | None = None

    @override
    def __str__(self) -> str:
        first, last = self.seeds[0], self.seeds[-1]
        some = f"seeds {first} to {last}" if last > first else f"seed {first}"
        return f"{self.label}, {some}"


# Does a job, or what is left of it since its last checkpoint. It is given the job; what is told how
# far it is, or whether to draw a progress bar; and what is told in words how it ended.
Do = Callable[[Job, bool | Tell | None, Say], Any]


class Engine(ABC):
    """Where jobs run: an engine takes jobs, tells of their progress and gives their outcomes.

    Attributes:
        workers: how many jobs run at once.
        away: whether they run in other processes, to which work and outcomes have to travel.
    """

    workers: int = 1
    away: bool = True

    @abstractmethod
    def run(
        self, do: Do, jobs: Sequence[Job], progress: bool | None, say: Say
    ) -> Iterator[tuple[Job, Any]]:
        """Do jobs; each with its outcome, in the order in which they end.

        A job whose process is killed is begun again from its last checkpoint. Ctrl-C stops every
        job at a checkpoint, and no process is left.

        Args:
            do: does one.
            jobs: which there are.
            progress: whether to draw progress bars; by default where a person is watching.
            say: told in words what is to be known.

        Raises:
            KeyboardInterrupt: Ctrl-C or SIGTERM.
            RunError: a process was killed again and again.
        """
        ...


class Here(Engine):
    """In this process, one job after another, each on all cores."""

    away = False

    @override
    def run(self, do, jobs, progress, say):
        for job in jobs:
            yield job, do(job, progress, say)


def gave_up(job: Job, how: str) -> RunError:
    """The error of a job whose process died again and again."""
    return RunError(
        f"the process of {job}: {how}",
        "one that comes to the end of its job",
        "if memory ran out, run fewer jobs at once; then resume the run, which begins at the last "
        "checkpoint of each job",
    )


def dealt(seeds: Sequence[int], parts: int, least: int = 1) -> list[tuple[int, ...]]:
    """Seeds in some parts, whose sizes differ by one at most.

    Args:
        seeds: the seeds, one after another.
        parts: how many parts there are to be.
        least: how many seeds belong into a part at least; fewer parts are made for it.
    """
    parts = max(1, min(parts, len(seeds) // least))
    cuts = [len(seeds) * i // parts for i in range(parts + 1)]
    return [tuple(seeds[a:b]) for a, b in itertools.pairwise(cuts)]
