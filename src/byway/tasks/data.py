"""Your own data (data): a table, images or arrays with labels.

x   bytes (uint8) are pixels, divided by 255; all other numbers are standardised over the training samples: features one by
    one, images channel by channel. Images are (height, width, channels)
y   labels of any kind, numbered in their order. Shares of the samples, each class in proportion, make validation and test
"""

import math
from collections.abc import Iterator
from numbers import Number
from pathlib import Path
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from byway.core.errors import ConfigError, DataError
from byway.core.hyper import check_ranges, hyper, hypers
from byway.core.task import Split, Suggestion
from byway.tasks._labelled import LabelledTask
from byway.tasks._parts import Samples
from byway.tasks._pictures import WHITE
from byway.tasks._samples import from_dataset, from_frame, read_samples
from byway.tasks._shards import Rows, Shards


class Data(LabelledTask):
    """Arrays, files and folders as a task; read, checked and parted as soon as it is made.

    Args:
        x: samples, "samples features", "samples height width" or "samples height width channels".
        y: as many labels: numbers, text or truth values.
        test_x: the test split, where there is one already.
        test_y: its labels.
        validation_x: the validation split, where there is one already.
        validation_y: its labels.
        hyper: the attributes, below, by name; `path` instead of arrays.

    Attributes:
        classes: the label of each output.

    Raises:
        DataError: the data are missing, broken, not labelled samples, or too few for the splits.
        ConfigError: a share that leaves nothing to a split, or a setting that means nothing for such data.
    """

    suggests: ClassVar[Suggestion] = Suggestion(hidden=(128, 128), epochs=30, batch=32)
    path: Path | None = hyper(None, "a .csv, .npz or .npy, a folder of .npy, or a folder with a folder of images for each class")
    target: str = hyper(
        "", "the column of a .csv that holds the labels, the last by default; or the .npy with those of a .npy, y.npy by default"
    )
    validation: float = hyper(0.1, "share of the samples kept for validation, unless the data bring a validation part", low=0, high=1)
    test: float = hyper(0.2, "share of the samples kept for the test, unless the data bring a test part", low=0, high=1)
    seed: int = hyper(0, "draws which samples those are", low=0)
    standardise: bool = hyper(True, "whether numbers that are no bytes get mean 0 and deviation 1; bytes are always divided by 255")
    side: int = hyper(0, "resize images to this many pixels a side; 0 to leave them as they are", unit="pixel", low=0)
    background: str = hyper(WHITE, "the colour that lies under transparent images, such as white or #808080")
    room: int = hyper(0, "inputs of zero in front of each sample's, at least; ff writes the label there", low=0)

    classes: tuple[Any, ...] = ()
    parts: dict[str, tuple[Any, np.ndarray]] | None = eqx.field(default=None, repr=False)
    mean: np.ndarray | None = eqx.field(default=None, repr=False)
    deviation: np.ndarray | None = eqx.field(default=None, repr=False)

    def __init__(
        self,
        x: Any = None,
        y: Any = None,
        *,
        test_x: Any = None,
        test_y: Any = None,
        validation_x: Any = None,
        validation_y: Any = None,
        path: Any = None,
        **hyper: Any,
    ):
        known = [field.name for field in hypers(type(self))]
        if unknown := [name for name in hyper if name not in known]:
            raise ConfigError(f"Data({unknown[0]}=...)", f"one of {', '.join(known)}", "leave it out")
        for name in known:
            setattr(self, name, hyper.get(name, self.__dataclass_fields__[name].default))
        self.path = None if path is None else Path(path)
        check_ranges(self)
        pairs = {"train": (x, y), "validation": (validation_x, validation_y), "test": (test_x, test_y)}
        given = {part: pair for part, pair in pairs.items() if any(a is not None for a in pair)}
        if any(a is None or b is None for a, b in given.values()) or (given and (path is not None or "train" not in given)):
            raise ConfigError("samples without labels, labels without samples, or both arrays and a path", "x and y, or path", "give one")
        if self.path is not None:
            self._take(read_samples(self.path, self.target, self.side, self.background))
        elif given:
            if self.target or self.side or self.background != WHITE:
                raise ConfigError("arrays, with a target, side or background", "none of these: they are for files", "leave it out")
            self._take(Samples(*given.pop("train"), given))

    @classmethod
    def from_frame(cls, frame: Any, target: Any, **hyper: Any) -> "Data":
        """The rows of a pandas data frame.

        Args:
            frame: numbers in every column but one.
            target: the name of that one, as it is among `frame.columns`.
            hyper: see `Data`.
        """
        return cls(*from_frame(frame, target), **hyper)

    @classmethod
    def from_dataset(
        cls,
        dataset: Any,
        names: tuple[str, str] = ("image", "label"),
        channels_first: bool = False,
        test_dataset: Any = None,
        side: int = 0,
        background: str = WHITE,
        **hyper: Any,
    ) -> "Data":
        """Anything with a length whose items are pairs (x, y) or dicts: a torch dataset, one of Hugging Face, a list.

        Args:
            dataset: all of it is read. An x may be an array, a tensor on the CPU, or an image of Pillow.
            names: what x and y are called in a dict.
            channels_first: whether images are (channels, height, width), as torch has them.
            test_dataset: the test split, where there is one already.
            side: as in `Data`, for images of Pillow.
            background: as in `Data`, for images of Pillow.
            hyper: see `Data`.
        """
        form = names, channels_first, side, background
        test_x, test_y = (None, None) if test_dataset is None else from_dataset(test_dataset, *form)
        return cls(*from_dataset(dataset, *form), test_x=test_x, test_y=test_y, **hyper)

    @property
    def input_shape(self):
        """See `Task.input_shape`."""
        first, *rest = self._held["train"][0].shape[1:]
        return first + self._added, *rest

    @property
    def outputs(self):
        """See `Task.outputs`."""
        self._held  # noqa: B018  says so where there are none
        return len(self.classes)

    @property
    def spare(self):
        """See `Task.spare`: what there was made room for, and the inputs after it that are the same in every training sample."""
        x, same, first = self._held["train"][0], math.prod(self._held["train"][0].shape[1:]), None
        for _, block in _blocks(x):
            if not same:
                break
            flat = block.reshape(len(block), -1)[:, :same]
            first = flat[:1] if first is None else first[:, :same]
            changes = (flat != first).any(0)
            same = int(np.argmax(changes)) if changes.any() else same
        return self._added * math.prod(x.shape[2:]) + same

    def load(self):
        """See `Task.load`."""
        return {name: self._split(x, y) for name, (x, y) in self._held.items()}

    def scaled(self, x):
        """See `LabelledTask.scaled`."""
        return x.astype(float) / (255 if x.dtype == jnp.uint8 else 1)

    def prepare(self, x: Any) -> np.ndarray:
        """New samples, shaped as the `x` of this task were, as its networks take them: "samples *inputs".

        Raises:
            DataError: they are none that this task could have been made from.
        """
        x = _with_channel(_array(x))
        _check_samples("new ", x)
        _check_like("new", x, self._held["train"][0])
        stored = self._stored(x)
        return stored / 255 if x.dtype == np.uint8 else stored

    @property
    def _held(self) -> dict[str, tuple[Any, np.ndarray]]:
        if self.parts is None:
            raise DataError("the task data without data", "arrays, a file or a folder", "give it a path, with --data.path or path=...")
        return self.parts

    @property
    def _added(self) -> int:
        """How many features, or rows of an image, of zeros come first."""
        return -(-self.room // math.prod(self._held["train"][0].shape[2:]))

    def _split(self, x: Any, y: np.ndarray) -> Split:
        if isinstance(x, Rows):
            dtype = x.dtype if x.dtype == np.uint8 else jnp.zeros(()).dtype
            return Split(Rows(x.shards, x.numbers, self._stored, self.input_shape, dtype), y)  # pyright: ignore[reportArgumentType]
        return Split(jnp.asarray(self._stored(x)), jnp.asarray(y))

    def _stored(self, x: np.ndarray) -> np.ndarray:
        """As a split keeps them. In double precision on the way: numbers far from zero would lose their differences."""
        held = np.zeros((len(x), *self.input_shape), x.dtype if x.dtype == np.uint8 else jnp.zeros(()).dtype)
        for at, block in _blocks(x):
            with np.errstate(over="ignore"):
                held[at, self._added :] = block if self.mean is None else (block - self.mean) / self.deviation
            if not np.isfinite(held[at]).all():
                raise DataError("samples that overflow when they are standardised", "numbers like those of training", "check their units")
        return held

    def _take(self, given: Samples) -> None:
        parts = {part: _checked("" if part == "train" else f"{part} ", *pair) for part, pair in {"train": given[:2], **given.held}.items()}
        x, y = parts.pop("train")
        classes = np.unique(y)
        self.classes = tuple(classes.tolist())
        if len(classes) < 2:
            raise DataError(
                f"labels of one class, {classes.tolist()[0]!r}", "two classes or more", "check which column or array holds them"
            )
        numbers = np.searchsorted(classes, y).astype(np.int32)
        shares = {part: 0.0 if part in parts else share for part, share in (("validation", self.validation), ("test", self.test))}
        index = parted(numbers, **shares, seed=self.seed)
        self.parts = {part: (_picked(x, i), numbers[i]) for part, i in index.items()}
        for part, (held_x, held_y) in parts.items():
            _check_like(part, held_x, x)
            if strange := [label for label in np.unique(held_y).tolist() if label not in self.classes]:
                raise DataError(f"{part} labels {strange}", f"some of {list(self.classes)}, as in training", "check the two parts")
            self.parts[part] = _picked(held_x, np.arange(len(held_x))), np.searchsorted(classes, held_y).astype(np.int32)
        for name, share in (("validation", self.validation), ("test", self.test)):
            if not len(self.parts[name][0]):
                raise ConfigError(f"{name} = {share:g} of {len(x)} samples, which is none", "at least one sample", "raise the share")
        trained = np.bincount(self.parts["train"][1], minlength=len(self.classes))
        if not trained.all():
            lost = self.classes[int(np.argmin(trained))]
            raise DataError(
                f"the class {lost!r} has {int(np.sum(y == lost))} of {len(x)} samples, and none is left to train on",
                "each class in the training split",
                "bring more samples of it, leave it out, or lower validation and test; numbers to be predicted are no labels",
            )
        if self.standardise and x.dtype != np.uint8:
            trains = np.zeros(len(x), bool)
            trains[index["train"]] = True
            self.mean, self.deviation = _moments(x, trains)


def parted(labels: np.ndarray, validation: float, test: float, seed: int) -> dict[str, np.ndarray]:
    """Which samples go to which split: shares of the whole, to the nearest sample, with each class in proportion.

    Samples stand in a line, those of a class evenly spaced along it, in an order that is drawn; one end of the line is the
    test split, the other the validation split, so a class with few samples is trained on first.

    Args:
        labels: the number of each sample's class.
        validation: share for validation.
        test: share for the test.
        seed: draws the order.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    place = np.empty(len(labels))
    for label in np.unique(labels):
        mine = np.flatnonzero(labels[order] == label)
        place[mine] = (np.arange(len(mine)) + 0.5) / len(mine)
    line = order[np.argsort(place, kind="stable")]
    first, last = round(test * len(line)), len(line) - round(validation * len(line))
    return {"train": line[first : max(first, last)], "validation": line[max(first, last) :], "test": line[:first]}


def _picked(x: Any, numbers: np.ndarray) -> Any:
    """Some samples: in memory, or where they are."""
    return Rows(x, numbers) if isinstance(x, Shards) else x[numbers]


def _blocks(x: Any) -> Iterator[tuple[slice, np.ndarray]]:
    """Samples in runs of about a million numbers, in double precision unless they are bytes, each with where it is."""
    samples = max(1, 2**20 // max(1, math.prod(x.shape[1:])))
    for start in range(0, len(x), samples):
        at = slice(start, start + samples)
        yield at, x[at] if x.dtype == np.uint8 else x[at].astype(float)


def _moments(x: Any, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each feature, of images of each channel, over the samples that are marked: "1 ... features".

    A feature that does not change has a deviation of 1, and itself for a mean: of many equal numbers the mean is not always that number,
    and what is left is no deviation to divide by. Neither is what rounding leaves between two ways to one number.
    """
    count, mean, squares, low, high = 0, np.zeros(1), np.zeros(1), np.array(np.inf), np.array(-np.inf)
    for at, block in _blocks(x):
        some = block[which[at]]
        axes, new = tuple(range(some.ndim - 1)), some.size // some.shape[-1]
        if not new:
            continue
        centre = some.mean(axes, keepdims=True)
        apart = centre - mean
        squares = squares + np.square(some - centre).sum(axes, keepdims=True) + np.square(apart) * (count * new / (count + new))
        mean = mean + apart * (new / (count + new))
        count += new
        low, high = np.minimum(low, some.min(axes, keepdims=True)), np.maximum(high, some.max(axes, keepdims=True))
    precision = x.dtype if x.dtype.kind == "f" else np.dtype(float)
    same = high - low <= 2 * np.spacing(np.maximum(abs(low), abs(high)).astype(precision)).astype(float)
    return np.where(same, low, mean), np.where(same, 1.0, np.sqrt(squares / count))


def _array(given: Any) -> np.ndarray:
    try:
        return np.asarray(given)
    except ValueError as problem:
        raise DataError(f"data that make no array: {problem}", "samples of one shape", "bring them to one size") from problem


def _with_channel(x: Any) -> Any:
    """Images without an axis of channels get one."""
    return x if x.ndim != 3 else x.with_channel() if isinstance(x, Shards) else x[..., None]


def _checked(part: str, x: Any, y: Any) -> tuple[Any, np.ndarray]:
    """Samples and labels that can be used, or `DataError`; what lies on disk stays there."""
    x = Shards([x]) if isinstance(x, np.memmap) and x.ndim else x
    x, y = x if isinstance(x, Shards) else _array(x), _labels(part, y)
    _check_samples(part, x)
    if y.shape != (len(x),):
        raise DataError(f"{len(x)} {part}samples and labels of shape {y.shape}", f"({len(x)},), a label for each", "check the two arrays")
    return _with_channel(x), y


def _check_samples(part: str, x: Any) -> None:
    if x.dtype.kind not in "buif":
        raise DataError(f"{part}samples of type {x.dtype}", "numbers", "convert them, for example with x.astype(float)")
    if not 2 <= x.ndim <= 4 or 0 in x.shape:
        raise DataError(f"{part}samples of shape {x.shape}", "(samples, features) or (samples, height, width, channels)", "reshape them")
    for at, block in _blocks(x) if x.dtype.kind == "f" else ():
        with np.errstate(over="ignore"):
            sound = np.isfinite(block.astype(jnp.zeros(()).dtype))
        if not sound.all():
            first, *place = (int(i) for i in np.argwhere(~sound)[0])
            raise DataError(
                f"{part}sample {at.start + first} holds {block[first, *place]} at {tuple(place)}",
                "finite numbers",
                "fill in or drop what is missing",
            )


def _labels(part: str, given: Any) -> np.ndarray:
    """Labels, all of one kind; an array would make text or numbers of a mixture, so that two labels could become one."""
    kinds = sorted({_kind(one) for one in given}) if isinstance(given, list | tuple) else []
    if len(kinds) > 1:
        raise DataError(
            f"{part}labels of the kinds {' and '.join(kinds)}", "labels of one kind", "convert them, or fill in what is missing"
        )
    y = _array(given)
    if y.dtype.kind == "O" and len({type(label) for label in y}) == 1 and isinstance(y[0], str | int | np.integer):
        y = np.array(y.tolist())
    if y.dtype.kind not in "buifUS":
        raise DataError(f"{part}labels of type {y.dtype}", "whole numbers, text or truth values, all of one kind", "convert them")
    if y.dtype.kind == "f":
        if (wrong := y[~((y == np.round(y)) & (abs(y) <= 2 / np.finfo(y.dtype).eps))]).size:
            raise DataError(
                f"a {part}label of {wrong[0]}", "whole numbers, text or truth values", "make classes of them: numbers are not predicted"
            )
        y = y.astype(int)
    return y


def _kind(label: Any) -> str:
    if isinstance(label, bool | np.bool):
        return "bool"
    return "number" if isinstance(label, Number) else "text" if isinstance(label, str) else type(label).__name__


def _check_like(part: str, x: Any, wanted: Any) -> None:
    bytes_ = [a.dtype == np.uint8 for a in (x, wanted)]
    if x.shape[1:] != wanted.shape[1:] or bytes_[0] != bytes_[1]:
        kinds = [f"{'bytes' if b else 'numbers'} of shape {a.shape[1:]}" for a, b in zip((x, wanted), bytes_, strict=True)]
        raise DataError(f"{part} samples that are {kinds[0]}", f"{kinds[1]}, as in training", "bring them to the same form")
