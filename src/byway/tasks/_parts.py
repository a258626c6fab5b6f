"""What readers of data share: samples in their parts, what those parts are called, and the order of
files.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from byway.core.errors import DataError

WHITE = "white"
# What folders and arrays of the parts of a data set are called.
PARTS: dict[str, str] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("val", "valid", "validation"), "validation"),
}
# What an array may be called: samples, labels, or the mask of sequences; and of which part if not
# of the training.
NAME = re.compile(rf"(x|y|data|target|mask|lengths)(?:_({'|'.join(PARTS)}))?", re.IGNORECASE)

# The files that there are; what else there is are folders.
FILES = (".csv", ".npz", ".npy")
# What may not stand in the name of a data set, as it names folders and lines in charts.
STRANGE = re.compile(r"[^\w.+= -]")


class Given(NamedTuple):
    """Samples of one part, as they were given or read.

    Attributes:
        x: "samples *inputs", of which bytes are pixels; or a list of sequences.
        y: labels or numbers, "samples ..."; None where there are none.
        mask: of sequences, which steps count; None for all.
        names: what each sample is called, where it is a file or a group; None elsewhere.
        times: the time of each, where they are the rows of a series; None elsewhere.
    """

    x: Any
    y: Any
    mask: Any = None
    names: Sequence[Any] | None = None
    times: Any = None


# By part: "train", of which the others are taken where they are not there, "validation" and "test".
Samples = dict[str, Given]


class Form(NamedTuple):
    """What somebody said of a file.

    Attributes:
        target: the column of a .csv with y, "" for the last, several with commas between them; or
            the .npy with those of a .npy.
        side: pixels a side that images are resized to; 0 for none.
        background: the colour that lies under what is transparent in an image.
        labelled: whether there is y.
        group: the column of a .csv that says to which sequence a row belongs; "" where a row is a
            sample.
        at_end: whether a sequence has one y, that of its last row.
        time: the column of a .csv with the time of each row; "" where rows are in no order.
    """

    target: str = ""
    side: int = 0
    background: str = WHITE
    labelled: bool = True
    group: str = ""
    at_end: bool = False
    time: str = ""


def in_order(paths: Iterable[Path]) -> list[Path]:
    """Paths sorted by name, with numbers in their order: 2 before 10."""

    def key(path: Path) -> list[tuple[int, str]]:
        return [
            (int(one) if one.isdecimal() else -1, one) for one in re.findall(r"\d+|\D+", str(path))
        ]

    return sorted(paths, key=key)


def paired(path: Path, names: Sequence[str], labelled: bool, way: str) -> dict[str, dict[str, str]]:
    """By part, what its "x", its "y" and, where it has one, its "mask" are called among the names
    of arrays; "train" is always there.

    Args:
        path: where the arrays are.
        names: what they are called.
        labelled: whether there has to be y.
        way: how to make such files.

    Raises:
        DataError: some are missing, or one is there twice, or one seems to belong to a part but
            cannot be told.
    """
    roles = {"data": "x", "target": "y", "lengths": "mask"}
    found: dict[str, dict[str, list[str]]] = {}
    for name in names:
        if match := NAME.fullmatch(name):
            role = match[1].lower()
            found.setdefault(PARTS[(match[2] or "train").lower()], {}).setdefault(
                roles.get(role, role), []
            ).append(name)
    known = [name for part in found.values() for same in part.values() for name in same]
    doubtful = [
        name
        for name in names
        if name not in known and any(word in PARTS for word in re.split(r"[\W_]+", name.lower()))
    ]
    needed = ("x", "y") if labelled else ("x",)
    whole = "train" in found and all(
        len(part.get(what, [])) == 1 for part in found.values() for what in needed
    )
    if (
        not whole
        or doubtful
        or any(len(same) > 1 for part in found.values() for same in part.values())
    ):
        raise DataError(
            f"{path} holds the arrays {', '.join(names) or '(none)'}",
            f"{' and '.join(needed)}, and if you like x_test, x_validation and so on; of "
            "sequences also mask or lengths",
            way if labelled else f"{way}; y is left aside",
        )
    return {
        part: {what: same[0] for what, same in arrays.items() if labelled or what != "y"}
        for part, arrays in found.items()
    }


def called_like(path: Path) -> str:
    """What data in a file or a folder are called unless somebody names them."""
    path = path.absolute()
    name = path.stem if path.suffix.lower() in FILES else path.name
    return STRANGE.sub("-", name).lstrip("-+=. ")
