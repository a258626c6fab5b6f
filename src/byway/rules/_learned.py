"""Rules that were learned: a file of coefficients each, in the user's own folder, found beside the
rules of this one.

A file is JSON: {"rule": "taylor", "theta": {role: nested lists}, "found": {how, on what, when}}. It
holds numbers and no code.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from byway.core.errors import ConfigError, DataError, RunError
from byway.learning.rule import Rule
from byway.system.folders import rules_folder


def learned() -> dict[str, Path]:
    """The file of every learned rule, by its name."""
    folder = rules_folder()
    return (
        {path.stem: path for path in sorted(folder.glob("*.json"))}
        if folder is not None and folder.is_dir()
        else {}
    )


def load(path: Path, taylor: type[Rule]) -> type[Rule]:
    """The rule of a file, as a class of its own.

    Args:
        path: the file.
        taylor: the rule whose coefficients it holds.

    Raises:
        DataError: the file is not what `save` writes.
    """
    usual: Mapping[str, np.ndarray] = vars(taylor)["theta"]
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        theta = {role: np.asarray(held["theta"][role], float) for role in usual}
        found = dict(held["found"])
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise DataError(
            f"{path} is no learned rule: {type(problem).__name__}: {problem}",
            "a file that 'byway meta' wrote",
            "delete it",
        ) from None
    for role, table in theta.items():
        if table.shape != usual[role].shape or not np.all(np.isfinite(table)):
            raise DataError(
                f"{path} has {role} coefficients of shape {table.shape}",
                f"finite ones of shape {usual[role].shape}",
                "delete the file",
            )
    doc = (
        f"Learned: a polynomial found on {found.get('task', 'a task that the file does not name')}."
    )
    return type(
        path.stem,
        (taylor,),
        {"theta": theta, "found": found, "id": path.stem, "__doc__": doc, "__module__": __name__},
    )


def save(
    name: str,
    theta: Mapping[str, np.ndarray],
    found: Mapping[str, Any],
    taken: list[str],
    overwrite: bool = False,
) -> Path:
    """Keep a learned rule.

    Args:
        name: what it will be called wherever a rule is named.
        theta: its coefficients, by role.
        found: how it was found: plain values.
        taken: names that it may not have.
        overwrite: whether a learned rule of the same name may be replaced.

    Raises:
        ConfigError: a name that cannot be used.
        RunError: it exists, or cannot be written.
    """
    check_name(name, taken, overwrite)
    if (folder := rules_folder()) is None:
        raise RunError(
            "no home folder to keep a learned rule in",
            "a folder that can be written",
            "name one in $BYWAY_RULES",
        )
    path = folder / f"{name}.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(
            json.dumps(
                {
                    "rule": "taylor",
                    "theta": {k: v.tolist() for k, v in theta.items()},
                    "found": dict(found),
                },
                indent=1,
            ),
            encoding="utf-8",
        )
        partial.replace(path)
    except OSError as problem:
        raise RunError(
            f"{path} cannot be written: {problem.strerror}",
            "a folder that can be written",
            "set $BYWAY_RULES",
        ) from problem
    return path


def check_name(name: str, taken: list[str], overwrite: bool = False) -> None:
    """Raise unless a learned rule may be called `name`."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ConfigError(
            f"a rule called {name!r}",
            "small letters, digits and _, a letter first",
            "choose another name",
        )
    if name in learned():
        if not overwrite:
            raise RunError(
                f"the learned rule {name} exists",
                "a new name",
                "choose another with --name, or add --overwrite",
            )
    elif name in taken:
        raise ConfigError(
            f"a rule called {name!r}", "a name that is not taken", "choose another with --name"
        )
