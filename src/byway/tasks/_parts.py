"""What readers of data share: samples in their parts, what those parts are called, and the order of files."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from byway.core.errors import DataError

# What folders and arrays of the parts of a data set are called.
PARTS: dict[str, str] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("val", "valid", "validation"), "validation"),
}
# What an array may be called: samples or labels, and of which part if not of the training.
NAME = re.compile(rf"(x|y|data|target)(?:_({'|'.join(PARTS)}))?", re.IGNORECASE)


class Samples(NamedTuple):
    """Samples as they were read; where the data come in parts, those too.

    Attributes:
        x: "samples *inputs"; bytes are pixels.
        y: labels, "samples".
        held: by part, "validation" or "test", samples and labels that are kept for it.
    """

    x: Any
    y: Any
    held: dict[str, tuple[Any, Any]]


def in_order(paths: Iterable[Path]) -> list[Path]:
    """Paths sorted by name, with numbers in their order: 2 before 10."""

    def key(path: Path) -> list[tuple[int, str]]:
        return [(int(one) if one.isdecimal() else -1, one) for one in re.findall(r"\d+|\D+", str(path))]

    return sorted(paths, key=key)


def paired(path: Path, names: Sequence[str], way: str) -> dict[str, tuple[str, str]]:
    """By part, what its samples and its labels are called among the names of arrays; "train" is always there.

    Args:
        path: where the arrays are.
        names: what they are called.
        way: how to make such files.

    Raises:
        DataError: some are missing, or one is there twice, or one seems to belong to a part but cannot be told.
    """
    found: dict[str, dict[str, list[str]]] = {}
    for name in names:
        if match := NAME.fullmatch(name):
            what = "x" if match[1].lower() in ("x", "data") else "y"
            found.setdefault(PARTS[(match[2] or "train").lower()], {}).setdefault(what, []).append(name)
    known = [name for part in found.values() for same in part.values() for name in same]
    doubtful = [name for name in names if name not in known and any(word in PARTS for word in re.split(r"[\W_]+", name.lower()))]
    whole = "train" in found and all(len(part.get(what, [])) == 1 for part in found.values() for what in "xy")
    if not whole or doubtful:
        raise DataError(
            f"{path} holds the arrays {', '.join(names) or '(none)'}",
            "x and y, and if you like x_test and y_test, x_validation and y_validation",
            way,
        )
    return {part: (pair["x"][0], pair["y"][0]) for part, pair in found.items()}
