"""The door of a training that another process does: whoever may write to its folder may ask to be
let in, and is told an address at which this training can be watched.

FOLDER/studio/asked.json      what is asked for: host, port, synapses drawn, where to save
FOLDER/studio/address.json    the address with its token, which the user who trains alone can read;
                              or why there is none
"""

import contextlib
import json
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from byway.core.errors import BywayError, RunError
from byway.system.together import alone
from byway.training.checkpoint import Progress
from byway.training.loop import Loop

STUDIO, ASKED, ADDRESS = "studio", "asked.json", "address.json"


class Door:
    """The `watch` of a training: lets the studio in once somebody asks, and out when nobody does.
    Until then it costs a look at the folder, and imports nothing of the studio.

    Args:
        folder: that of the job.
        label: what it is called.
    """

    def __init__(self, folder: Path, label: str):
        self._place, self._label = folder / STUDIO, label
        self._inside: tuple[Any, Any] | None = None
        self._opening: threading.Thread | None = None

    def __enter__(self) -> "Door":
        (self._place / ADDRESS).unlink(missing_ok=True)  # of a process that was killed
        return self

    def __exit__(self, *problem: object) -> None:
        if self._opening is not None:
            self._opening.join()
        self._close()

    def __call__(self, loop: Loop, at: Progress, left: int) -> int:
        """See `byway.training.course.Watch`."""
        asked = self._place / ASKED
        if not asked.exists():
            self._close()
            return sys.maxsize
        if self._opening is None and alone():
            from byway.studio.attached import Seen

            # What is shown is compiled while training goes on.
            given = asked, Seen(loop, self._label, at.step)
            self._opening = threading.Thread(target=self._open, args=given, daemon=True)
            self._opening.start()
        return sys.maxsize if self._inside is None else self._inside[0](loop, at, left)

    def _open(self, asked: Path, seen: Any) -> None:
        from byway.studio.attached import Attached
        from byway.studio.watching import server

        # Who asked does not wait for ever, whatever goes wrong.
        answer = {
            "given": "a studio that does not open",
            "wanted": "one that does",
            "fix": "see what the process that trains has printed",
        }
        try:
            wanted = json.loads(asked.read_text(encoding="utf-8"))
            inside = Attached(seen, Path(wanted["out"]), wanted["edges"], wanted["paused"])
            serving = server(inside, host=wanted["host"], port=wanted["port"])
            serving.start()
            inside.start()
            self._inside = inside, serving
            answer = {"address": serving.address}
        except BywayError as problem:
            answer = {"given": problem.given, "wanted": problem.wanted, "fix": problem.fix}
        except (OSError, ValueError, LookupError, TypeError) as problem:
            answer = {"given": str(problem), "wanted": f"a question in {asked}", "fix": "ask again"}
        finally:
            _write(self._place / ADDRESS, answer)

    def _close(self) -> None:
        if self._opening is None or self._opening.is_alive():
            return
        if self._inside is not None:
            inside, serving = self._inside
            serving.stop()
            inside.end()
        (self._place / ADDRESS).unlink(missing_ok=True)
        self._inside = self._opening = None


@contextlib.contextmanager
def let_in(folder: Path, **wanted: Any) -> Iterator[Path]:
    """Ask at the door of a job, as long as the block lasts; somebody else may have asked before.

    Args:
        folder: that of the job.
        wanted: host, port, edges, paused, out.

    Returns:
        The file that will hold the answer; see `answer`.
    """
    place = folder / STUDIO
    asked = place / ASKED
    first = not asked.exists()
    try:
        if first:
            place.mkdir(exist_ok=True)
            _write(asked, wanted)
        yield place / ADDRESS
    except OSError as problem:
        raise RunError(
            f"{place} cannot be written: {problem.strerror}",
            "a run of yours",
            "watch it as the user who trains it",
        ) from problem
    finally:
        if first:
            asked.unlink(missing_ok=True)


def answer(file: Path) -> str | None:
    """The address, once it is there.

    Args:
        file: what `let_in` gave.

    Raises:
        RunError: the training does not let anybody in, and why.
    """
    if not file.exists():
        return None
    said = json.loads(file.read_text(encoding="utf-8"))
    if "address" not in said:
        raise RunError(said["given"], said["wanted"], said["fix"])
    return said["address"]


def _write(path: Path, value: dict[str, Any]) -> None:
    """Write a file for this user alone, whole or not at all."""
    number, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    with os.fdopen(number, "w", encoding="utf-8") as file:
        json.dump(value, file)
    os.replace(name, path)
