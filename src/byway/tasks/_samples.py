"""Reads labelled samples that somebody has: an .npz, a .csv, a folder of images. Nothing that is read is run."""

import csv
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from byway.core.errors import DataError

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"}
# What the arrays of an .npz may be called: samples, labels, and those of a test part.
NAMES = (("x", "y"), ("X", "y"), ("x_train", "y_train"), ("data", "target"))
HELD = ("x_test", "y_test")


class Samples(NamedTuple):
    """Samples as they were read; where the data come with a test part, that too.

    Attributes:
        x: "samples *inputs"; bytes are pixels.
        y: labels, "samples".
        test_x: as `x`.
        test_y: as `y`.
    """

    x: np.ndarray
    y: np.ndarray
    test_x: np.ndarray | None = None
    test_y: np.ndarray | None = None


def read_samples(path: Path, target: str, side: int) -> Samples:
    """The samples in a file or folder.

    Args:
        path: an .npz, a .csv, or a folder with a folder of images for each class.
        target: the column of a .csv that holds the labels; "" for the last.
        side: pixels a side that images are resized to; 0 for none.

    Raises:
        DataError: it is missing, or is none of these, or is broken.
    """
    if path.is_dir():
        return read_folder(path, side)
    if not path.is_file():
        raise DataError(f"{path} is not there", "a .csv, an .npz, or a folder of images", f"check the path, seen from {Path.cwd()}")
    if path.suffix.lower() == ".npz":
        return read_npz(path)
    if path.suffix.lower() == ".csv":
        return read_csv(path, target)
    raise DataError(f"{path} ends in {path.suffix or 'nothing'}", ".csv or .npz, or a folder of images", "save it as one of these")


def read_npz(path: Path) -> Samples:
    """The arrays "x" and "y" of an .npz, and "x_test" and "y_test" if it has them.

    Raises:
        DataError: they are not in it, or it is broken, or it would need pickle.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            pair = next((pair for pair in NAMES if set(pair) <= set(file.files)), None)
            if pair is None:
                raise DataError(
                    f"{path} holds the arrays {', '.join(file.files) or '(none)'}",
                    "x and y, and if you like x_test and y_test",
                    "save it with numpy.savez(path, x=..., y=...)",
                )
            names = pair + HELD if set(HELD) <= set(file.files) else pair
            return Samples(*(file[name] for name in names))
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as problem:
        raise DataError(
            f"{path} cannot be read: {str(problem).partition(chr(10))[0]}",
            "arrays of numbers and of text, as numpy.savez writes them",
            "save it again; text as numpy.array([...], dtype=str), not as objects",
        ) from problem


def read_csv(path: Path, target: str) -> Samples:
    """A table with a line of column names: one column of labels, all others numbers.

    Args:
        path: the file; columns are parted by commas, semicolons or tabs, whichever the first line has most of.
        target: the column of labels; "" for the last.

    Raises:
        DataError: it is no such table.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            first = stream.readline()
            stream.seek(0)
            lines = [(i, line) for i, line in enumerate(csv.reader(stream, delimiter=max(",;\t", key=first.count)), 1) if line]
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise DataError(f"{path} cannot be read: {problem}", "a table as text, in UTF-8", "save it again as .csv") from problem
    header = [name.strip() for name in lines[0][1]] if lines else []
    if len(header) < 2 or len(lines) < 2:
        raise DataError(
            f"{path} has {len(header)} columns and {max(len(lines) - 1, 0)} lines below their names",
            "some numbers and a label in each line",
            "check the file",
        )
    if all(_is_number(name) for name in header):
        raise DataError(f"{path} begins with the numbers {', '.join(header[:3])} ...", "the names of the columns", "add a first line")
    at = _column(path, header, target)
    for number, line in lines:
        if len(line) != len(header):
            raise DataError(f"line {number} of {path} has {len(line)} columns", f"{len(header)}, as the first", "mend that line")
    x = np.array([[_number(path, header[i], number, cell) for i, cell in enumerate(line) if i != at] for number, line in lines[1:]])
    labels = [line[at].strip() for _, line in lines[1:]]
    if all(_is_number(label) for label in labels):
        return Samples(x, np.array([float(label) for label in labels]))
    if "" in labels:
        raise DataError(f"line {lines[1 + labels.index('')][0]} of {path} has no {header[at]}", "a label", "fill it in, or drop the line")
    return Samples(x, np.array(labels))


def read_folder(folder: Path, side: int) -> Samples:
    """The images in the folders of a folder, each of which is a class and gives it its name.

    Returns:
        Pixels, uint8 "samples height width channels"; grey if every image is, else RGB.

    Raises:
        DataError: Pillow is missing, there is no image, one is broken, or their sizes differ.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError as problem:
        raise DataError("a folder of images, without Pillow", "Pillow, which reads them", "pip install byway[images]") from problem
    classes = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    files = [(p, c.name) for c in classes for p in sorted(c.rglob("*")) if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")]
    empty = [c.name for c in classes if c.name not in {name for _, name in files}]
    if not files or empty:
        given = f"the folders {', '.join(empty)} of {folder} hold" if empty else f"{folder} holds"
        raise DataError(f"{given} no image", "a folder for each class, with its images", f"images end in {', '.join(sorted(SUFFIXES))}")
    images = []
    for path, _ in files:
        try:
            with Image.open(path) as opened:
                image = ImageOps.exif_transpose(opened)
                if image.mode not in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"):
                    raise DataError(f"{path} has pixels of the kind {image.mode}", "8 bits a channel", "convert it")
                image = image.convert("L" if image.mode in ("1", "L", "LA") else "RGB")
                images.append(image.resize((side, side)) if side else image)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as problem:
            raise DataError(f"{path} cannot be read: {problem}", "an image", "take it out, or restore it from a copy") from problem
        if images[-1].size != images[0].size:
            sizes = ["{} by {}".format(*image.size) for image in (images[-1], images[0])]
            raise DataError(f"{path} is {sizes[0]} pixels", f"{sizes[1]}, as {files[0][0]}", "choose one size for all with side=32")
    kind = "L" if all(image.mode == "L" for image in images) else "RGB"
    pixels = np.stack([np.asarray(image.convert(kind)) for image in images])
    return Samples(pixels.reshape(*pixels.shape[:3], -1), np.array([name for _, name in files]))


def from_frame(frame: Any, target: str) -> Samples:
    """The samples of a pandas data frame; see `Data.from_frame`."""
    columns = list(frame.columns)
    at = _column("the frame", columns, target)
    parts = [np.asarray(frame.iloc[:, i]) for i in range(len(columns))]
    if wrong := [str(columns[i]) for i, part in enumerate(parts) if i != at and part.dtype.kind not in "buif"]:
        raise DataError(
            f"the columns {', '.join(wrong)} do not hold numbers alone",
            "numbers, none missing",
            "drop them, or make numbers of them, for example with pandas.get_dummies",
        )
    features = [part.astype(float) for i, part in enumerate(parts) if i != at]
    return Samples(np.stack(features, 1) if features else np.zeros((len(frame), 0)), parts[at])


def from_dataset(dataset: Any, names: tuple[str, str], channels_first: bool) -> Samples:
    """The samples of a Hugging Face or torch dataset; see `Data.from_dataset`."""
    if isinstance(dataset, Mapping):
        raise DataError(
            f"several datasets, {', '.join(map(str, dataset))}", "one of them", "choose, and give the one for testing as test_dataset"
        )
    if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
        kind = type(dataset).__name__
        raise DataError(f"a {kind}, which has no length or no items by number", "a dataset that is all there", "make a list of it first")
    rows = [dataset[i] for i in range(len(dataset))]
    for i, row in enumerate(rows):
        if isinstance(row, Mapping) and not set(names) <= set(row):
            raise DataError(
                f"sample {i} has {', '.join(map(str, row))}", f"{names[0]} and {names[1]}", "say what they are called with names=(..., ...)"
            )
        if not isinstance(row, Mapping) and not (isinstance(row, Sequence) and len(row) == 2):
            raise DataError(f"sample {i} is a {type(row).__name__}", "a pair (x, y) or a dict", "wrap the dataset so that it gives pairs")
    pairs = [tuple(row[name] for name in names) if isinstance(row, Mapping) else tuple(row) for row in rows]
    x, labels = [_item(i, one) for i, (one, _) in enumerate(pairs)], [_item(i, label)[()] for i, (_, label) in enumerate(pairs)]
    for what, items in (("sample", x), ("the label of sample", labels)):
        for i, one in enumerate(items):
            if np.shape(one) != np.shape(items[0]):
                raise DataError(f"{what} {i} has the shape {np.shape(one)}", f"{np.shape(items[0])}, as sample 0", "bring them to one size")
    if channels_first and x and x[0].ndim != 3:
        raise DataError(
            f"channels_first and samples of shape {x[0].shape}", "(channels, height, width)", "leave it out: there is no axis of channels"
        )
    stacked = np.stack(x) if x else np.zeros((0, 1))
    return Samples(np.moveaxis(stacked, 1, -1) if channels_first else stacked, np.array(labels))


def _item(number: int, item: Any) -> np.ndarray:
    """An array of a part of a sample. Tensors that are on a GPU, of a type of their own, or part of a computation, make none."""
    try:
        return np.asarray(item)
    except (TypeError, ValueError, RuntimeError) as problem:
        raise DataError(
            f"sample {number} makes no array: {str(problem).partition(chr(10))[0]}",
            "arrays, tensors on the CPU, or images",
            "of a tensor, give tensor.detach().cpu().float()",
        ) from problem


def _column(where: Any, columns: list[Any], target: str) -> int:
    """Where the labels are."""
    if target and target not in columns:
        raise DataError(
            f"{where} has no column {target!r}", f"one of {', '.join(map(str, columns))}", "name the column of labels as target"
        )
    if len(set(columns)) < len(columns):
        raise DataError(f"{where} has two columns of one name", "each name once", "rename one")
    return columns.index(target) if target else len(columns) - 1


def _number(path: Path, column: str, line: int, cell: str) -> float:
    if not _is_number(cell):
        given = f"{cell!r}" if cell.strip() else "nothing"
        raise DataError(
            f"{path} has {given} in line {line}, column {column!r}", "a number", "mend it, drop the column, or code it as numbers"
        )
    return float(cell)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
