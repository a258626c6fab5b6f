"""Which data a run is of, and where they lie, also after the data or the run were moved."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from byway.core.errors import RunError
from byway.core.given import require_none
from byway.core.task import Split, Task
from byway.training.checkpoint import contents

# In run.json: the entry of the data; in it, what is in each split, where the data lie in the file
# system, and where as seen from the run folder.
DATA, SPLITS, PATH, BESIDE = "data", "splits", "path", "beside"


def noted(task: Task, data: dict[str, Split], folder: Path) -> dict[str, Any]:
    """What a run keeps of its data: what is in them, and where they lie, if in a file or folder
    that the task's setting `path` names.

    Args:
        task: the task.
        data: its splits.
        folder: the run folder.
    """
    path = getattr(task, PATH, None)
    where = {}
    if isinstance(path, Path):
        here = path.resolve()
        where = {PATH: str(here), BESIDE: os.path.relpath(here, folder.resolve())}
    return {SPLITS: contents(data), **where}


def places(about: Mapping[str, Any], folder: Path, given: Path | None = None) -> list[Path]:
    """Where the data of a run may lie now, the likeliest place first; nothing where they are in no
    file.

    Args:
        about: what `run.json` holds.
        folder: the run folder.
        given: where they lie, if somebody says so.

    Raises:
        ConfigError: a place is given of data that are in no file.
        RunError: they are not where they were, nor there as seen from the run.
    """
    was = _of(about).get(PATH)
    if not isinstance(was, str):
        why = f"for {folder}, whose task reads no file of yours"
        require_none("data", given, why, "look at its config.toml")
        return []
    beside = Path(os.path.normpath(folder.resolve() / str(_of(about).get(BESIDE, was))))
    candidates = [given] if given is not None else list(dict.fromkeys([Path(was), beside]))
    if found := [place for place in candidates if place.exists()]:
        return found
    raise RunError(
        f"the data of {folder} are not at {' nor at '.join(map(str, candidates))}",
        "the same data, wherever they are now",
        "say where with --data PATH, or move them back",
    )


def other_data(about: Mapping[str, Any], data: dict[str, Split]) -> str | None:
    """How data differ from those that a run was made with; None if they do not, and where nothing
    is known of those.
    """
    was, now = _of(about).get(SPLITS), contents(data)
    if not isinstance(was, Mapping) or was == now:
        return None
    parts = dict.fromkeys([*was, *now])
    name = next(part for part in parts if was.get(part) != now.get(part))
    return f"{name} {now.get(name, 'missing')} in place of {was.get(name, 'none')}"


def require_same_data(about: Mapping[str, Any], data: dict[str, Split], where: Path) -> None:
    """Raise `RunError` where data are known to be others than those that a run was made with."""
    if (other := other_data(about, data)) is not None:
        raise RunError(
            f"{where} was made with other data: {other}",
            "the same data, to resume it",
            "restore them, say with --data PATH where they are, or choose another folder",
        )


def _of(about: Mapping[str, Any]) -> Mapping[str, Any]:
    held = about.get(DATA)
    return held if isinstance(held, Mapping) else {}
