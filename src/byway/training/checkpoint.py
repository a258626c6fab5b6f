"""Checkpoints: a run as it stands, on disk, whole or not there at all.

FOLDER/STEP/    the run after so many batches: every array of every learner, and its `Progress`

A learner holds its own key and the number of its step, from which the order of data and all noise
follow, so a run that resumes from a checkpoint is the one that never stopped, to the bit. Each
is written under another name and renamed when it is whole (`training.store`); a kill at any moment
leaves the one before.
"""

import contextlib
import dataclasses
import signal
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from byway.core.errors import RunError
from byway.core.task import Split
from byway.learning.learner import Learner
from byway.system.together import told
from byway.training.history import Reading, Scores
from byway.training.optimisers import at_rates_of

# Epochs that end sooner than this after a checkpoint get none of their own [s].
GAP = 2.0
LOCK = ".lock"
PLAIN = str | int | float | complex | None | Path
# The step of a checkpoint, its arrays, and what else there is to know.
Kept = tuple[int, dict[str, np.ndarray], dict[str, Any]]
BRANCHED, PROGRAM = "branched from", "program"


@dataclasses.dataclass
class Progress:
    """Where a run stands, beside its learners.

    Attributes:
        step: batches learned from.
        seconds: training time so far [s].
        readings: what was measured, in its order.
        looks: how often the microscope looked.
        look_seconds: the time that this took, without compiling [s].
        stopped: why training ended before the last epoch, where somebody asked for it.
        scores: training scores of each batch of the epoch that is not over, by metric, "seeds
            batches".
    """

    step: int = 0
    seconds: float = 0.0
    readings: list[Reading] = dataclasses.field(default_factory=list)
    looks: int = 0
    look_seconds: float = 0.0
    stopped: str | None = None
    scores: Scores = dataclasses.field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As plain values; scores are kept as arrays, elsewhere."""
        plain = lambda a: a.tolist() if isinstance(a, np.ndarray) else a
        held = dataclasses.asdict(self) | {"readings": [vars(one) for one in self.readings]}
        return jax.tree.map(plain, {name: v for name, v in held.items() if name != "scores"})

    @classmethod
    def from_json(cls, held: dict[str, Any], scores: Scores) -> "Progress":
        """What `to_json` gave."""
        told = held["readings"]
        readings = [Reading(**one | {"numbers": _arrays(one["numbers"])}) for one in told]
        return cls(**held | {"readings": readings, "scores": scores})


class Checkpoints:
    """The checkpoints of one training; a context, in which no other process may train in the
    folder. Of processes that compute together the first reads and writes.

    Args:
        folder: where; made, with its parents.
        made_of: what the training is made of (see `ingredients`): one of something else is not gone
            on with.
        every: seconds between two of them [s]; ends of epochs count too.
        keep: how many of the latest to keep; 0 for all.

    Raises:
        RunError: the folder cannot be made, or another process holds it.
    """

    def __init__(self, folder: Path, made_of: dict[str, Any], every: float = 60.0, keep: int = 1):
        self.folder, self.made_of, self.every, self.keep = (
            Path(folder).resolve(),
            made_of,
            every,
            keep,
        )
        self._saved, self._stack = time.monotonic(), contextlib.ExitStack()

    def __enter__(self) -> "Checkpoints":
        told(self._open)
        return self

    def _open(self) -> None:
        from byway.training import store

        self._stack.enter_context(locked(self.folder))
        self._manager = self._stack.enter_context(store.opened(self.folder, self.keep))

    def __exit__(self, *error) -> None:
        self._stack.__exit__(*error)

    def due(self, epoch_ended: bool) -> bool:
        """Whether it is time for another."""
        return time.monotonic() - self._saved >= (
            min(GAP, self.every) if epoch_ended else self.every
        )

    def save(self, learners: Learner, progress: Progress, best: Learner | None = None) -> None:
        """Keep the training as it stands.

        Args:
            learners: the learners of the seeds asked for, arrays with a leading axis of seeds.
            progress: where they are.
            best: what each was after its best epoch, where that is kept.

        Raises:
            RunError: it cannot be written; the one before is untouched.
        """
        told(lambda: self._write(learners, progress, best))
        self._saved = time.monotonic()

    def _write(self, learners: Learner, progress: Progress, best: Learner | None) -> None:
        if self._manager.latest_step() == progress.step:
            return
        from byway.training import store

        arrays = {f"learner{name}": a for name, a in _named(learners).items()} | {
            f"score.{k}": v for k, v in progress.scores.items()
        }
        if best is not None:
            arrays |= {f"best{name}": a for name, a in _named(best).items()}
        store.write(
            self._manager,
            progress.step,
            arrays,
            {"made_of": self.made_of, "progress": progress.to_json()},
        )

    def _latest(self) -> Kept | None:
        from byway.training import store

        step = self._manager.latest_step()
        return None if step is None else (step, *store.read(self._manager, step))

    def restore(self, learners: Learner) -> tuple[Learner, Progress, Learner | None] | None:
        """The latest of this training.

        Args:
            learners: fresh ones of the same training, perhaps more than it has seeds: their arrays
                are replaced.

        Returns:
            The learners, where they are, and what each was after its best epoch where that was
            kept; None where there is none.

        Raises:
            RunError: it cannot be read, or it is one of another training.
        """
        from byway.training import store

        found = told(self._latest, store.packed, store.unpacked)
        if found is None:
            return None
        step, arrays, held = found
        here = self.folder / str(step)
        branched = held["made_of"].get(BRANCHED) is not None
        if not branched and (
            other := [k for k, v in self.made_of.items() if held["made_of"].get(k) != v]
        ):
            first = other[0]
            if first == PROGRAM:
                raise RunError(
                    f"the checkpoint {here} is of another training: it computes something else, "
                    "though its settings read the same",
                    "the same rule, network, task and optimiser, down to their functions and "
                    "numbers",
                    "undo what was changed in them since, or choose another folder",
                )
            raise RunError(
                f"the checkpoint {here} is of another training: its {first} is "
                f"{held['made_of'].get(first)}"
                + (f", and {', '.join(other[1:])} differ too" if other[1:] else ""),
                f"{first} {self.made_of[first]}",
                "resume with the settings that it was made with, or start from it with 'byway "
                "branch RUN --set ...'",
            )
        kept = {k.removeprefix("learner"): v for k, v in arrays.items() if k.startswith("learner")}
        scores = {k.removeprefix("score."): v for k, v in arrays.items() if k.startswith("score.")}
        best = {k.removeprefix("best"): v for k, v in arrays.items() if k.startswith("best")}
        restored = _fitted(learners, kept, here, branched)
        remembered = _fitted(learners, best, here, branched) if best else None
        return restored, Progress.from_json(held["progress"], scores), remembered


def ingredients(data: dict[str, Split], program: str, **settings: Any) -> dict[str, Any]:
    """What a run is made of, in plain values: equal ones give equal bits.

    Args:
        data: the splits.
        program: what is computed, as `fingerprint` gives it.
        settings: what a person calls it by: rule, task, network, options.
    """
    from importlib.metadata import version

    used = {name: version(name) for name in ("byway", "jax", "jaxlib")}
    where = {
        "backend": jax.default_backend(),
        "devices": jax.device_count(),
        "double precision": jnp.zeros(()).dtype == jnp.float64,
    }
    return (
        {name: _in_words(value) for name, value in settings.items()}
        | {"data": contents(data)}
        | where
        | used
        | {PROGRAM: program}
    )


def contents(data: dict[str, Split]) -> dict[str, str]:
    """By split, how many samples it has and a checksum of them: wherever they lie, data that differ
    in one bit are told apart.
    """
    return {name: f"{split.size} samples, crc {_crc(split):08x}" for name, split in data.items()}


def choose(folder: Path, step: int | None = None) -> int:
    """The step of one checkpoint among those in a folder: the latest, or the one that is asked for.

    Raises:
        RunError: it is not there.
    """
    from byway.training import store

    with store.opened(folder, read_only=True) as manager:
        steps = sorted(manager.all_steps())
    if not steps:
        raise RunError(
            f"{folder} has no checkpoint",
            "one to start from",
            "let the run get to its first checkpoint",
        )
    if step is not None and step not in steps:
        there = f"the checkpoints {', '.join(map(str, steps))}"
        raise RunError(
            f"{folder} has {there}", f"that of step {step}", "choose one of these with --at"
        )
    return steps[-1] if step is None else step


def branch(source: Path, target: Path, step: int) -> None:
    """Begin another training where a checkpoint stands, with whatever settings.

    Args:
        source: the folder of the checkpoints.
        target: that of the new training.
        step: which checkpoint.

    Raises:
        RunError: it cannot be read, or the target cannot be written.
    """
    from byway.training import store

    with store.opened(source, read_only=True) as old:
        arrays, held = store.read(old, step)
    with store.opened(target) as new:
        store.write(new, step, arrays, held | {"made_of": {BRANCHED: step}})


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder, made if need be: raise `RunError` if another process does. The system lets go
    when a process ends, however.
    """
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK, timeout=0)
        lock.acquire()
    except Timeout:
        raise RunError(
            f"another process is training in {folder}",
            "one at a time",
            "wait for it, or choose another folder",
        ) from None
    except OSError as problem:
        raise RunError(
            f"{folder} cannot be written: {problem.strerror}",
            "a folder that can be written",
            "choose another folder",
        ) from problem
    try:
        yield
    finally:
        lock.release()


def is_locked(folder: Path) -> bool:
    """Whether another process holds a folder (see `locked`)."""
    if not (folder / LOCK).exists():
        return False
    try:
        with locked(folder):
            return False
    except RunError:
        return True


@contextlib.contextmanager
def interrupts() -> Iterator[list[int]]:
    """Note the first Ctrl-C or SIGTERM in a list instead of being torn out of a compiled program; a
    second one is obeyed at once.
    """
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def note(number: int, frame: Any) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _fitted(learners: Learner, kept: dict[str, np.ndarray], here: Path, branched: bool) -> Learner:
    """Fresh learners with the arrays that were kept; those of a branch keep their own learning
    rates, and moments where none fit.
    """
    mine = _named(learners)
    mine_moments, kept_moments = (
        {k: v for k, v in some.items() if k.startswith(".moments")} for some in (mine, kept)
    )
    shapes = [{k: v.shape[1:] for k, v in some.items()} for some in (mine_moments, kept_moments)]
    if branched and shapes[0] != shapes[1]:
        kept = {k: v for k, v in kept.items() if k not in kept_moments} | mine_moments
    wrong = [k for k in mine if k not in kept or kept[k].shape[1:] != mine[k].shape[1:]] + [
        k for k in kept if k not in mine
    ]
    if wrong:
        k = wrong[0]
        raise RunError(
            f"the checkpoint {here} has {k} of shape "
            f"{kept[k].shape[1:] if k in kept else '(none)'}",
            f"{mine[k].shape[1:] if k in mine else 'none'}, as in this network and rule",
            "resume with the network, rule and optimiser that it was made with",
        )
    leaves, shape = jax.tree.flatten(learners)
    filled = []
    for (name, own), leaf in zip(mine.items(), leaves, strict=True):
        new = np.concatenate([np.asarray(kept[name], own.dtype), own[len(kept[name]) :]])
        key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        filled.append(jax.random.wrap_key_data(jnp.asarray(new)) if key else jnp.asarray(new))
    restored = jax.tree.unflatten(shape, filled)
    return at_rates_of(learners, restored) if branched else restored


def _named(learners: Learner) -> dict[str, np.ndarray]:
    """Every array by its path; a key as the numbers it is made of."""
    paths, _ = jax.tree_util.tree_flatten_with_path(learners)
    data = lambda a: jax.random.key_data(a) if jnp.issubdtype(a.dtype, jax.dtypes.prng_key) else a
    return {jax.tree_util.keystr(path): np.asarray(data(a)) for path, a in paths}


def _in_words(value: Any) -> str:
    """As a person would call it; of what has no plain name its kind, as an address in memory means
    nothing to the next process. Where its data lie is left out: they may move, and are known by
    their contents.
    """
    if isinstance(value, PLAIN):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_in_words, value))}]"
    if not isinstance(value, eqx.Module):
        return f"some {type(value).__name__}"
    fields = ", ".join(
        f"{field.name}={_in_words(getattr(value, field.name))}"
        for field in dataclasses.fields(value)
        if field.repr and not isinstance(getattr(value, field.name), Path)
    )
    return f"{getattr(value, 'id', type(value).__name__)}({fields})"


def _arrays(values: dict[str, list[float]]) -> Scores:
    return {k: np.array(v, float) for k, v in values.items()}


def _crc(split: Split) -> int:
    crc, some = 0, 2**16 if split.fetched else split.size
    for start in range(0, split.size, some):
        crc = zlib.crc32(np.ascontiguousarray(split.x[start : start + some]).tobytes(), crc)
    return zlib.crc32(np.asarray(split.y).tobytes(), crc)
