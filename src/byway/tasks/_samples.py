"""Reads labelled samples that somebody has: an .npz, a .csv, a folder of images, a frame, a
dataset. Nothing that is read is run.
"""

import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from byway.core.errors import ConfigError, DataError
from byway.tasks._parts import WHITE, Form, Given, Samples, paired
from byway.tasks._pictures import pixels, read_folder
from byway.tasks._ragged import grouped
from byway.tasks._shards import read_arrays, read_shards
from byway.tasks._tables import columns_of, read_csv


def read_samples(path: Path, form: Form) -> Samples:
    """The samples in a file or folder.

    Args:
        path: a .csv, an .npz, a .npy, or a folder: of .npy, or with a folder of images for each
            class.
        form: what was said of it.

    Raises:
        DataError: it is missing, or is none of these, or is broken.
        ConfigError: a setting for another kind of file.
    """
    wanted = "a .csv, an .npz, a .npy, a folder of these, or one of images"
    if not path.exists():
        raise DataError(f"{path} is not there", wanted, f"check the path, seen from {Path.cwd()}")
    kind = "images" if path.is_dir() else path.suffix.lower()
    if kind == "images" and any(path.glob("*.npy")):
        kind = "shards"
    if form.target and kind not in (".csv", ".npy"):
        raise ConfigError(
            f"target = {form.target!r} for {path}",
            "a .csv, of which it names a column; or a .npy",
            "leave it out",
        )
    for name, column in (("group", form.group), ("time", form.time)):
        if column and kind != ".csv":
            raise ConfigError(
                f"{name} = {column!r} for {path}",
                "a .csv, of which it names a column",
                "leave it out",
            )
    if kind != "images" and (form.side or form.background != WHITE):
        raise ConfigError(f"side or background for {path}", "images", "leave it out")
    match kind:
        case ".csv":
            return {"train": read_table(path, form)}
        case ".npz":
            return read_npz(path, form.labelled)
        case ".npy":
            return read_arrays(path, form)
        case "shards":
            return read_shards(path, form.labelled)
        case "images":
            return read_folder(path, form)
        case _:
            raise DataError(
                f"{path} ends in {path.suffix or 'nothing'}", wanted, "save it as one of these"
            )


def read_table(path: Path, form: Form) -> Given:
    """The rows of a .csv: samples, time steps of sequences, or a series.

    Raises:
        DataError: it is no table, or lacks a column.
    """
    x, y, groups, times = read_csv(path, form)
    if groups is None:
        return Given(x, y, times=times)
    names = list(dict.fromkeys(groups.tolist()))
    return Given(*grouped(groups, x, y, form.at_end), None, names)


def read_npz(path: Path, labelled: bool) -> Samples:
    """The arrays "x" and "y" of an .npz, and those of a test and of a validation part ("x_test",
    "y_test") if it has them; "mask", too.

    Args:
        path: the file.
        labelled: whether y is wanted.

    Raises:
        DataError: they are not in it, or it is broken, or it would need pickle.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            found = paired(
                path, file.files, labelled, "save it with numpy.savez(path, x=..., y=...)"
            )
            read = {
                part: {what: file[name] for what, name in names.items()}
                for part, names in found.items()
            }
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as problem:
        raise DataError(
            f"{path} cannot be read: {str(problem).partition(chr(10))[0]}",
            "arrays of numbers and of text, as numpy.savez writes them",
            "save it again; text as numpy.array([...], dtype=str), not as objects",
        ) from problem
    return {
        part: Given(arrays["x"], arrays.get("y"), arrays.get("mask"))
        for part, arrays in read.items()
    }


def from_frame(
    frame: Any, target: Any, group: Any, time: Any
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """The numbers, the labels, the groups and the times of a pandas data frame; see
    `Data.from_frame`.
    """
    names = list(frame.columns)
    targets = target if isinstance(target, list) else [target]
    at = columns_of("the frame", names, targets, "target")
    grouping = columns_of("the frame", names, [] if group is None else [group], "group")
    timing = columns_of("the frame", names, [] if time is None else [time], "time")
    parts = [np.asarray(frame.iloc[:, i]) for i in range(len(names))]
    features = [i for i in range(len(names)) if i not in (*at, *grouping, *timing)]
    if wrong := [str(names[i]) for i in features if parts[i].dtype.kind not in "buif"]:
        raise DataError(
            f"the columns {', '.join(wrong)} do not hold numbers alone",
            "numbers, none missing",
            "drop them, or make numbers of them, for example with pandas.get_dummies",
        )
    x = (
        np.stack([parts[i].astype(float) for i in features], 1)
        if features
        else np.zeros((len(frame), 0))
    )
    y = (
        None
        if not at
        else np.stack([parts[i] for i in at], 1)
        if isinstance(target, list)
        else parts[at[0]]
    )
    groups, times = (parts[i[0]] if i else None for i in (grouping, timing))
    return x, y, groups, times


def from_dataset(
    dataset: Any,
    names: tuple[str, str],
    channels_first: bool,
    side: int,
    background: str,
    sequences: bool,
) -> tuple[Any, list[Any]]:
    """The samples and the labels of a Hugging Face or torch dataset; see `Data.from_dataset`."""
    if isinstance(dataset, Mapping):
        raise DataError(
            f"several datasets, {', '.join(map(str, dataset))}",
            "one of them",
            "choose, and give the one for testing as test_dataset",
        )
    if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
        kind = type(dataset).__name__
        raise DataError(
            f"a {kind}, which has no length or no items by number",
            "a dataset that is all there",
            "make a list of it first",
        )
    rows = [dataset[i] for i in range(len(dataset))]
    for i, row in enumerate(rows):
        if isinstance(row, Mapping) and not set(names) <= set(row):
            raise DataError(
                f"sample {i} has {', '.join(map(str, row))}",
                f"{names[0]} and {names[1]}",
                "say what they are called with names=(..., ...)",
            )
        if not isinstance(row, Mapping) and not (isinstance(row, Sequence) and len(row) == 2):
            raise DataError(
                f"sample {i} is a {type(row).__name__}",
                "a pair (x, y) or a dict",
                "wrap the dataset so that it gives pairs",
            )
    pairs = [
        tuple(row[name] for name in names) if isinstance(row, Mapping) else tuple(row)
        for row in rows
    ]
    labels = [_item(i, label)[()] for i, (_, label) in enumerate(pairs)]
    if sequences:
        if channels_first or side or background != WHITE:
            raise ConfigError(
                "channels_first, side or background for sequences",
                "none of these: they are for images",
                "leave it out",
            )
        return [_item(i, one) for i, (one, _) in enumerate(pairs)], labels
    _require_one_shape("the label of sample", labels)
    # Of nobody who has not loaded Pillow.
    image = getattr(sys.modules.get("PIL.Image"), "Image", None)
    if image is not None and any(isinstance(one, image) for one, _ in pairs):
        if wrong := [i for i, (one, _) in enumerate(pairs) if not isinstance(one, image)]:
            raise DataError(
                f"sample {wrong[0]} is no image, but others are",
                "images all of them",
                "make images or arrays of all",
            )
        if channels_first:
            raise ConfigError(
                "channels_first and images",
                "arrays of (channels, height, width)",
                "leave it out: images have no such axis",
            )
        return pixels(
            ((f"sample {i}", one) for i, (one, _) in enumerate(pairs)), side, background
        ), labels
    if side or background != WHITE:
        raise ConfigError(
            "side or background, and samples that are arrays",
            "images of Pillow",
            "leave it out, or resize the arrays",
        )
    x = [_item(i, one) for i, (one, _) in enumerate(pairs)]
    _require_one_shape("sample", x)
    if channels_first and x and x[0].ndim != 3:
        raise DataError(
            f"channels_first and samples of shape {x[0].shape}",
            "(channels, height, width)",
            "leave it out: there is no axis of channels",
        )
    stacked = np.stack(x) if x else np.zeros((0, 1))
    return np.moveaxis(stacked, 1, -1) if channels_first else stacked, labels


def _require_one_shape(what: str, items: list[Any]) -> None:
    for i, one in enumerate(items):
        if np.shape(one) != np.shape(items[0]):
            raise DataError(
                f"{what} {i} has the shape {np.shape(one)}",
                f"{np.shape(items[0])}, as sample 0",
                "bring them to one size",
            )


def _item(number: int, item: Any) -> np.ndarray:
    """An array of a part of a sample. Tensors that are on a GPU, of a type of their own, or part of
    a computation, make none.
    """
    try:
        return np.asarray(item)
    except (TypeError, ValueError, RuntimeError) as problem:
        raise DataError(
            f"sample {number} makes no array: {str(problem).partition(chr(10))[0]}",
            "arrays, tensors on the CPU, or images",
            "of a tensor, give tensor.detach().cpu().float()",
        ) from problem
