"""What readers of data share: samples in their parts, what those parts are called, and the order of files."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

# What folders and arrays of the parts of a data set are called.
PARTS: dict[str, str] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("val", "valid", "validation"), "validation"),
}


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
